// The HTTP filters of a connection manager → model: the router, wasm plugins, ECDS, and those without effect.
// Called by http-connection-manager.ts. An unknown filter refuses the listener unless it says that it is optional.

import type { Any } from "@bufbuild/protobuf/wkt";
import type { ExtensionConfigSource } from "../gen/envoy/config/core/v3/config_source_pb.ts";
import type { ExtensionWithMatcher } from "../gen/envoy/extensions/common/matching/v3/extension_matcher_pb.ts";
import type { Router } from "../gen/envoy/extensions/filters/http/router/v3/router_pb.ts";
import type { Wasm } from "../gen/envoy/extensions/filters/http/wasm/v3/wasm_pb.ts";
import type { HttpFilter as HttpFilterMessage } from "../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import type { HttpFilter } from "../model/listener.ts";
import type { PluginConfig } from "../model/plugin-config.ts";
import { decodeStandIn } from "./agent-stand-in.ts";
import { typeNameOf, unpackAny } from "./any.ts";
import { BUILTIN_FILTER_TYPES, builtinFilterDecoder } from "./builtin-filter.ts";
import { decodeConfigSource } from "./config-source.ts";
import { quoted } from "./constraint.ts";
import { inertReason, refusalReason } from "./inert.ts";
import { child, item, type Findings } from "./issues.ts";
import { decodeMatchTree, SKIPS_ALWAYS } from "./match-tree.ts";
import { decodePluginConfig } from "./wasm.ts";

export const ROUTER_TYPE = "envoy.extensions.filters.http.router.v3.Router";
export const MATCHED_TYPE: ExtensionWithMatcher["$typeName"] =
  "envoy.extensions.common.matching.v3.ExtensionWithMatcher";
export const HTTP_WASM_TYPE = "envoy.extensions.filters.http.wasm.v3.Wasm";

/** All filters, in order; the router must be the last and only once. */
export function decodeHttpFilters(
  messages: readonly HttpFilterMessage[],
  path: string,
  findings: Findings,
): readonly HttpFilter[] {
  const filters: HttpFilter[] = [];
  for (const [index, message] of messages.entries()) {
    const filterPath = item(path, index);
    const isLast = index === messages.length - 1;
    const isRouter = typeOf(message) === ROUTER_TYPE;
    if (isRouter && !isLast) {
      findings.issue(filterPath, `terminal filter ${quoted(message.name)} must be the last HTTP filter`);
    }
    if (!isRouter && isLast) {
      findings.issue(
        filterPath,
        `filter ${quoted(message.name)} is last, but the last HTTP filter must be the router (${ROUTER_TYPE})`,
      );
    }
    const filter = decodeHttpFilter(message, filterPath, findings);
    if (filter !== undefined) filters.push(filter);
  }
  if (messages.length === 0) findings.issue(path, `must end with the router (${ROUTER_TYPE})`);
  return filters;
}

function typeOf(message: HttpFilterMessage): string {
  return message.configType.case === "typedConfig" ? unpackAny(message.configType.value).typeName : "";
}

function decodeHttpFilter(message: HttpFilterMessage, path: string, findings: Findings): HttpFilter | undefined {
  const { configType, disabled, isOptional, name } = message;
  const inner = configType.case === "typedConfig" ? unpackAny(configType.value) : undefined;
  if (inner?.typeName === MATCHED_TYPE && inner.message !== undefined) {
    const at = child(path, "typed_config");
    const { extensionConfig, matcher, xdsMatcher } = inner.message as ExtensionWithMatcher;
    const tree = xdsMatcher ?? matcher;
    const treePath = child(at, xdsMatcher === undefined ? "matcher" : "xds_matcher");
    const decoded = tree === undefined ? SKIPS_ALWAYS : decodeMatchTree(tree, treePath, findings);
    const any = extensionConfig?.typedConfig;
    const config = any === undefined ? undefined : decodeMatched(any, message, at, findings);
    return config === undefined ? undefined : { name, disabled, isOptional, config, matcher: decoded };
  }
  const config = decodeConfig(message, path, findings);
  return config === undefined ? undefined : { name, disabled, isOptional, config };
}

/** The filter under a tree. */
function decodeMatched(
  any: Any,
  filter: HttpFilterMessage,
  path: string,
  findings: Findings,
): HttpFilter["config"] | undefined {
  const at = child(path, "extension_config.typed_config");
  const { typeName } = unpackAny(any);
  if (typeName === ROUTER_TYPE || typeName === MATCHED_TYPE) {
    findings.issue(at, `${typeName} cannot stand under a matcher`);
    return undefined;
  }
  return decodeTyped(any, filter, at, findings);
}

function decodeConfig(message: HttpFilterMessage, path: string, findings: Findings): HttpFilter["config"] | undefined {
  const config = message.configType;
  switch (config.case) {
    case "typedConfig":
      return decodeTyped(config.value, message, child(path, "typed_config"), findings);
    case "configDiscovery":
      return decodeDiscovered(config.value, message.name, child(path, "config_discovery"), findings);
    case undefined:
      findings.issue(path, "needs typed_config or config_discovery");
      return undefined;
  }
}

function decodeTyped(
  any: Any,
  filter: HttpFilterMessage,
  path: string,
  findings: Findings,
): HttpFilter["config"] | undefined {
  const inner = unpackAny(any);
  if (inner.problem !== undefined) return undefined;
  switch (inner.typeName) {
    case ROUTER_TYPE: {
      if (filter.disabled) findings.issue(path, "the router cannot be disabled");
      const router = inner.message as Router;
      return {
        kind: "router",
        suppressEnvoyHeaders: router.suppressEnvoyHeaders,
        startChildSpan: router.startChildSpan,
      };
    }
    case HTTP_WASM_TYPE: {
      const { config } = inner.message as Wasm;
      const plugin = decodePluginConfig(config, filter.name, child(path, "config"), findings);
      return plugin === undefined ? undefined : { kind: "wasm", plugin };
    }
    default: {
      const decode = builtinFilterDecoder(inner.typeName);
      if (decode === undefined || inner.message === undefined)
        return decodeUnknown(inner.typeName, filter, path, findings);
      const builtin = decode(inner.message, path, findings);
      return builtin === undefined ? undefined : { kind: "builtin", filter: builtin };
    }
  }
}

function decodeUnknown(
  typeName: string,
  filter: HttpFilterMessage,
  path: string,
  findings: Findings,
): HttpFilter["config"] | undefined {
  const inert = inertReason("HTTP filters", typeName);
  const refusal = refusalReason("HTTP filters", typeName);
  if (inert !== undefined) {
    findings.warn("no_effect", path, typeName, `HTTP filter ${typeName} is accepted without effect: ${inert}`);
    return { kind: "inert", typeUrl: `type.googleapis.com/${typeName}` };
  }
  if (refusal !== undefined) {
    findings.issue(path, `HTTP filter ${typeName} is not supported, and ${refusal}`);
  } else if (filter.isOptional) {
    findings.warn("no_effect", path, typeName, `optional HTTP filter ${typeName} is not supported and left out`);
  } else {
    findings.issue(path, unsupported("HTTP filter", typeName, [ROUTER_TYPE, HTTP_WASM_TYPE, ...BUILTIN_FILTER_TYPES]));
  }
  return undefined;
}

/** "HTTP filter x is not supported; supported are …" */
export function unsupported(what: string, typeName: string, supported: readonly string[]): string {
  return `${what} ${typeName === "" ? "without a type" : typeName} is not supported; supported: ${supported.join(", ")}`;
}

function decodeDiscovered(
  message: ExtensionConfigSource,
  filterName: string,
  path: string,
  findings: Findings,
): HttpFilter["config"] | undefined {
  if (message.typeUrls.length > 0 && !message.typeUrls.some((url) => typeNameOf(url) === HTTP_WASM_TYPE)) {
    findings.issue(
      child(path, "type_urls"),
      `must include ${HTTP_WASM_TYPE}, the only discovered HTTP filter that is supported`,
    );
  }
  if (message.applyDefaultConfigWithoutWarming && message.defaultConfig === undefined) {
    findings.issue(child(path, "apply_default_config_without_warming"), "needs default_config");
  }
  const source = decodeConfigSource(message.configSource, child(path, "config_source"), findings);
  const defaultPath = child(path, "default_config");
  const defaultPlugin =
    message.defaultConfig === undefined
      ? undefined
      : decodeDiscoveredPlugin(message.defaultConfig, filterName, defaultPath, findings);
  if (source === undefined) return undefined;
  return {
    kind: "discovered",
    source,
    defaultPlugin,
    applyDefaultWithoutWarming: message.applyDefaultConfigWithoutWarming,
    typeUrls: message.typeUrls,
  };
}

/** The plugin that an ECDS resource, or a default configuration, holds. */
export function decodeDiscoveredPlugin(
  any: Any,
  filterName: string,
  path: string,
  findings: Findings,
): PluginConfig | undefined {
  const inner = unpackAny(any);
  if (inner.problem !== undefined) return undefined;
  if (inner.typeName !== HTTP_WASM_TYPE) {
    const standIn = decodeStandIn(any, filterName);
    if (standIn !== undefined) return standIn;
    findings.issue(path, unsupported("discovered HTTP filter", inner.typeName, [HTTP_WASM_TYPE]));
    return undefined;
  }
  return decodePluginConfig((inner.message as Wasm).config, filterName, child(path, "config"), findings);
}
