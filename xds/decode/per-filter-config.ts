// typed_per_filter_config → model: by filter name, with the FilterConfig envelope taken off. Called by route.ts and
// route-action.ts at each level. A filter can be switched off and on; a plugin can get another configuration, in the form
// of its filter's own message, or of the PluginConfig in that, with nothing but `configuration`; with `vm_config` it is another
// plugin altogether. (Envoy has no such thing for wasm.)
// Source: route.v3.FilterConfig, and PerFilterConfigs in Envoy's config_impl.cc.

import type { Any } from "@bufbuild/protobuf/wkt";
import type { ExtensionWithMatcherPerRoute } from "../gen/envoy/extensions/common/matching/v3/extension_matcher_pb.ts";
import type { FilterConfig } from "../gen/envoy/config/route/v3/route_components_pb.ts";
import type { Wasm } from "../gen/envoy/extensions/filters/http/wasm/v3/wasm_pb.ts";
import type { PluginConfig } from "../gen/envoy/extensions/wasm/v3/wasm_pb.ts";
import type { FilterOverride, PerFilterConfig, Route } from "../model/route.ts";
import { unpackAny } from "./any.ts";
import { BUILTIN_SETTINGS_TYPES, builtinSettingsDecoder } from "./builtin-filter.ts";
import { decodeRouteTree, HTTP_WASM_TYPE } from "./filter-config.ts";
import { inertReason, refusalReason } from "./inert.ts";
import { child, item, type Findings } from "./issues.ts";
import { SKIPS_NEVER } from "./match-tree.ts";
import { configurationBytes, decodePluginConfig } from "./wasm.ts";

const FILTER_CONFIG = "envoy.config.route.v3.FilterConfig";
const PLUGIN_TYPE = "envoy.extensions.wasm.v3.PluginConfig";
export const MATCHER_TYPE: ExtensionWithMatcherPerRoute["$typeName"] =
  "envoy.extensions.common.matching.v3.ExtensionWithMatcherPerRoute";
const KIND = "Settings of HTTP filters for routes";
const SWITCHED_ON: FilterOverride = { disabled: false, configuration: undefined };
const SWITCHED_OFF: FilterOverride = { disabled: true, configuration: undefined };

const NO_CONFIG: PerFilterConfig = {};

export function decodePerFilterConfig(
  configs: Readonly<Record<string, Any>>,
  path: string,
  findings: Findings,
): PerFilterConfig {
  const entries = Object.entries(configs);
  if (entries.length === 0) return NO_CONFIG;
  // Names come from a peer: "__proto__" must be a name like any other.
  return Object.fromEntries(
    entries.flatMap(([name, any]): [string, FilterOverride][] => {
      const entry = decodeEntry(any, name, item(child(path, "typed_per_filter_config"), name), findings);
      return entry === undefined ? [] : [[name, entry]];
    }),
  );
}

/** Whether any level of a virtual host has configuration: its own, that of its routes or of their weighted clusters. */
export function hasFilterConfig(own: PerFilterConfig, routes: readonly Route[]): boolean {
  return !isEmpty(own) || routes.some(hasRouteConfig);
}

function hasRouteConfig({ perFilterConfig, action }: Route): boolean {
  if (!isEmpty(perFilterConfig)) return true;
  if (action.kind !== "forward" || action.cluster.kind !== "weighted") return false;
  return action.cluster.clusters.some((entry) => !isEmpty(entry.perFilterConfig));
}

function isEmpty(config: PerFilterConfig): boolean {
  for (const _name in config) return false;
  return true;
}

function decodeEntry(any: Any, filter: string, path: string, findings: Findings): FilterOverride | undefined {
  const outer = unpackAny(any);
  if (outer.problem !== undefined) return undefined;
  if (outer.typeName !== FILTER_CONFIG) return decodeSettings(any, { filter, isOptional: false }, path, findings);
  const { config, isOptional, disabled } = outer.message as FilterConfig;
  // What stands beside `disabled` is not looked at, as in Envoy.
  if (disabled) return SWITCHED_OFF;
  if (config?.typeUrl === "") return SWITCHED_ON;
  const configPath = child(path, "config");
  if (config !== undefined) return decodeSettings(config, { filter, isOptional }, configPath, findings);
  findings.issue(configPath, "is required, empty to enable the filter, unless disabled is true");
  return undefined;
}

/** Settings of one filter; a filter that has settings here is on. */
function decodeSettings(
  any: Any,
  { filter, isOptional }: { readonly filter: string; readonly isOptional: boolean },
  path: string,
  findings: Findings,
): FilterOverride | undefined {
  const { typeName, message, problem } = unpackAny(any);
  if (problem !== undefined) return undefined;
  if (typeName === HTTP_WASM_TYPE)
    return decodePlugin((message as Wasm).config, filter, child(path, "config"), findings);
  if (typeName === PLUGIN_TYPE) return decodePlugin(message as PluginConfig, filter, path, findings);
  if (typeName === MATCHER_TYPE) {
    const { xdsMatcher } = message as ExtensionWithMatcherPerRoute;
    const at = child(path, "xds_matcher");
    return {
      ...SWITCHED_ON,
      matcher: xdsMatcher === undefined ? SKIPS_NEVER : decodeRouteTree(xdsMatcher, at, findings),
    };
  }
  const inert = inertReason(KIND, typeName);
  if (inert !== undefined) {
    findings.warn("no_effect", path, typeName, `per-route ${typeName} is accepted without effect: ${inert}`);
    return SWITCHED_ON;
  }
  const refusal = refusalReason(KIND, typeName);
  if (refusal !== undefined) {
    findings.issue(path, `per-route ${typeName} is not supported, and ${refusal}`);
    return undefined;
  }
  const decode = builtinSettingsDecoder(typeName);
  if (decode !== undefined && message !== undefined) {
    const builtin = decode(message, path, findings);
    return builtin === undefined ? undefined : { ...SWITCHED_ON, builtin };
  }
  if (isOptional) {
    findings.warn("no_effect", path, `${FILTER_CONFIG}.config`, `optional ${typeName} is not supported and left out`);
    return SWITCHED_ON;
  }
  findings.issue(
    path,
    `per-route configuration ${typeName} is not supported; supported: ${[HTTP_WASM_TYPE, PLUGIN_TYPE, ...BUILTIN_SETTINGS_TYPES].join(", ")}, and ${FILTER_CONFIG} with an empty config or disabled`,
  );
  return undefined;
}

/** Fields of PluginConfig that are the filter's own, but for a plugin with its own VM. */
const FILTERS_OWN: readonly (readonly [keyof PluginConfig, string])[] = [
  ["name", "name"],
  ["rootId", "root_id"],
  ["failOpen", "fail_open"],
  ["failurePolicy", "failure_policy"],
  ["reloadConfig", "reload_config"],
  ["capabilityRestrictionConfig", "capability_restriction_config"],
  ["allowOnHeadersStopIteration", "allow_on_headers_stop_iteration"],
];

function decodePlugin(
  config: PluginConfig | undefined,
  filter: string,
  path: string,
  findings: Findings,
): FilterOverride | undefined {
  if (config?.vm.case !== undefined) {
    const plugin = decodePluginConfig(config, filter, path, findings);
    return plugin === undefined ? undefined : { disabled: false, configuration: undefined, plugin };
  }
  if (config?.configuration === undefined) {
    findings.issue(child(path, "configuration"), "is required; use FilterConfig to enable or disable the filter only");
    return undefined;
  }
  for (const [field, name] of FILTERS_OWN) {
    if (isSet(config[field])) {
      findings.issue(
        child(path, name),
        "belongs to the filter; without vm_config a route can change configuration only",
      );
    }
  }
  return { disabled: false, configuration: configurationBytes(config.configuration) };
}

function isSet(value: unknown): boolean {
  if (typeof value === "object" && value !== null && "case" in value) return value.case !== undefined;
  return value !== undefined && value !== "" && value !== false && value !== 0;
}
