// typed_per_filter_config → model: by filter name, with the FilterConfig envelope taken off.
// Called by route.ts at each level. No filter of outrigger has per-route settings yet, so only enabling and disabling
// a filter is accepted; anything else is refused by name unless it says that it is optional. Source: route.v3.FilterConfig.

import type { Any } from "@bufbuild/protobuf/wkt";
import type { FilterConfig } from "../gen/envoy/config/route/v3/route_components_pb.ts";
import type { PerFilterConfig } from "../model/route.ts";
import { fieldStatus } from "../fields.ts";
import { typeNameOf, unpackAny } from "./any.ts";
import { child, item, type Findings } from "./issues.ts";

const FILTER_CONFIG = "envoy.config.route.v3.FilterConfig";

export function decodePerFilterConfig(
  configs: Readonly<Record<string, Any>>,
  path: string,
  findings: Findings,
): PerFilterConfig {
  const decoded: Record<string, PerFilterConfig[string]> = {};
  // While the table refuses the field, inspection says so; the rest waits for filters that can be switched for a route.
  if (fieldStatus("envoy.config.route.v3.Route", "typed_per_filter_config").kind === "refused") return decoded;
  for (const [name, any] of Object.entries(configs)) {
    const entry = decodeEntry(any, item(child(path, "typed_per_filter_config"), name), findings);
    if (entry !== undefined) decoded[name] = entry;
  }
  return decoded;
}

function decodeEntry(any: Any, path: string, findings: Findings): PerFilterConfig[string] | undefined {
  const outer = unpackAny(any);
  if (outer.typeName !== FILTER_CONFIG) {
    if (outer.problem === undefined) refuse(outer.typeName, path, findings);
    return undefined;
  }
  if (outer.message === undefined) return undefined;
  const { config, isOptional, disabled } = outer.message as FilterConfig;
  const typeUrl = config?.typeUrl ?? "";
  const typeName = typeNameOf(typeUrl);
  if (config === undefined && !disabled) {
    findings.issue(child(path, "config"), "is required, empty to enable the filter, unless disabled is true");
  }
  if (typeName !== "" && !disabled) {
    if (!isOptional) refuse(typeName, child(path, "config"), findings);
    else
      findings.warn("no_effect", path, `${FILTER_CONFIG}.config`, `optional ${typeName} is not supported and ignored`);
    return undefined;
  }
  return { typeUrl, value: config?.value ?? new Uint8Array(), disabled };
}

function refuse(typeName: string, path: string, findings: Findings): void {
  findings.issue(
    path,
    `per-route configuration ${typeName} is not supported; only ${FILTER_CONFIG} with an empty config or disabled is`,
  );
}
