// What a tree of matchers has the composite filter execute → model. Called by filter-config.ts for the trees that it decodes.

import type { Any } from "@bufbuild/protobuf/wkt";
import type { ExecuteFilterAction } from "../gen/envoy/extensions/filters/http/composite/v3/composite_pb.ts";
import type { FilterConfig } from "../model/listener.ts";
import type { ExecuteFilter } from "../model/match-tree.ts";
import { child, type Findings } from "./issues.ts";
import { decodeRuntimeFraction } from "./matcher.ts";

export const EXECUTE: ExecuteFilterAction["$typeName"] =
  "envoy.extensions.filters.http.composite.v3.ExecuteFilterAction";

/** Decodes the filter itself. */
export type DecodeExecuted = (any: Any, name: string, path: string, findings: Findings) => FilterConfig | undefined;

export function decodeExecuteFilter(
  message: ExecuteFilterAction,
  path: string,
  findings: Findings,
  decode: DecodeExecuted,
): ExecuteFilter | undefined {
  const { dynamicConfig, filterChain, samplePercent, typedConfig } = message;
  // Envoy looks at nothing else then; the table says why it is refused.
  if (filterChain !== undefined) return undefined;
  if (typedConfig?.typedConfig === undefined) {
    if (dynamicConfig === undefined) findings.issue(path, "needs typed_config");
    return undefined;
  }
  const at = child(path, "typed_config.typed_config");
  const config = decode(typedConfig.typedConfig, typedConfig.name, at, findings);
  if (config === undefined) return undefined;
  return { name: typedConfig.name, config, sample: decodeRuntimeFraction(samplePercent) };
}
