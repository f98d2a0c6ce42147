// What a tree of matchers has the composite filter execute → model. Called by filter-config.ts for the trees that it decodes.

import type { Any } from "@bufbuild/protobuf/wkt";
import type { ExtensionConfigSource } from "../gen/envoy/config/core/v3/config_source_pb.ts";
import type { ExecuteFilterAction } from "../gen/envoy/extensions/filters/http/composite/v3/composite_pb.ts";
import type { DiscoveredConfig, FilterConfig } from "../model/listener.ts";
import type { ExecuteFilter } from "../model/match-tree.ts";
import { child, type Findings } from "./issues.ts";
import { decodeRuntimeFraction } from "./matcher.ts";

export const EXECUTE: ExecuteFilterAction["$typeName"] =
  "envoy.extensions.filters.http.composite.v3.ExecuteFilterAction";

/** Decode the filter itself, and where it comes from when it comes by name. */
export interface DecodeExecuted {
  readonly filter: (any: Any, name: string, path: string, findings: Findings) => FilterConfig | undefined;
  readonly dynamic: (
    message: ExtensionConfigSource,
    name: string,
    path: string,
    findings: Findings,
  ) => DiscoveredConfig | undefined;
}

export function decodeExecuteFilter(
  message: ExecuteFilterAction,
  path: string,
  findings: Findings,
  decode: DecodeExecuted,
): ExecuteFilter | undefined {
  const { dynamicConfig, filterChain, filterChainName, samplePercent, typedConfig } = message;
  // Envoy looks at nothing else then; the table says why it is refused.
  if (filterChain !== undefined || filterChainName !== "") return undefined;
  const sample = decodeRuntimeFraction(samplePercent);
  if (dynamicConfig !== undefined) {
    const { configDiscovery, name } = dynamicConfig;
    const at = child(path, "dynamic_config");
    if (typedConfig !== undefined) findings.issue(at, "and typed_config cannot both be set");
    if (configDiscovery === undefined) {
      findings.issue(child(at, "config_discovery"), "is required");
      return undefined;
    }
    const config = decode.dynamic(configDiscovery, name, child(at, "config_discovery"), findings);
    return config === undefined ? undefined : { name, config, sample };
  }
  if (typedConfig?.typedConfig === undefined) {
    findings.issue(path, "needs typed_config or dynamic_config");
    return undefined;
  }
  const at = child(path, "typed_config.typed_config");
  const config = decode.filter(typedConfig.typedConfig, typedConfig.name, at, findings);
  return config === undefined ? undefined : { name: typedConfig.name, config, sample };
}
