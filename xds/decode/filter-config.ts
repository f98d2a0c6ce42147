// What one HTTP filter is by itself → model: a plugin, a filter of the proxy's own, or one without effect, each of them also under a
// tree of matchers. Called by http-filter.ts for filters inline and for defaults, and by resource.ts for those that come by ECDS.

import type { Any } from "@bufbuild/protobuf/wkt";
import type { ExtensionWithMatcher } from "../gen/envoy/extensions/common/matching/v3/extension_matcher_pb.ts";
import type { Wasm } from "../gen/envoy/extensions/filters/http/wasm/v3/wasm_pb.ts";
import type { Matcher } from "../gen/xds/type/matcher/v3/matcher_pb.ts";
import type { DiscoveredConfig, DiscoveredFilter, FilterConfig } from "../model/listener.ts";
import type { MatchTree } from "../model/match-tree.ts";
import { decodeStandIn } from "./agent-stand-in.ts";
import { unpackAny } from "./any.ts";
import { BUILTIN_FILTER_TYPES, builtinFilterDecoder } from "./builtin-filter.ts";
import type { DecodeExecuted } from "./execute-filter.ts";
import { inertReason, refusalReason } from "./inert.ts";
import { child, type Findings } from "./issues.ts";
import { decodeMatchTree, SKIPS_ALWAYS } from "./match-tree.ts";
import { decodePluginConfig } from "./wasm.ts";

export const ROUTER_TYPE = "envoy.extensions.filters.http.router.v3.Router";
export const MATCHED_TYPE: ExtensionWithMatcher["$typeName"] =
  "envoy.extensions.common.matching.v3.ExtensionWithMatcher";
export const HTTP_WASM_TYPE = "envoy.extensions.filters.http.wasm.v3.Wasm";
/** Those that may come by name. */
export const DISCOVERED_TYPES: readonly string[] = [HTTP_WASM_TYPE, MATCHED_TYPE, ...BUILTIN_FILTER_TYPES];

const KIND = "HTTP filters";

export interface FilterNaming {
  readonly name: string;
  readonly isOptional: boolean;
}

/** "HTTP filter x is not supported; supported are …" */
export function unsupported(what: string, typeName: string, supported: readonly string[]): string {
  return `${what} ${typeName === "" ? "without a type" : typeName} is not supported; supported: ${supported.join(", ")}`;
}

/** `dynamic`: for filters by name that its tree has executed. A filter that is no router, under its tree or under none; undefined: it is refused, or optional and left out. */
export function decodeFilter(
  any: Any,
  naming: FilterNaming,
  path: string,
  findings: Findings,
  dynamic = refuseDynamic,
): { readonly config: FilterConfig; readonly matcher: MatchTree | undefined } | undefined {
  const { message, typeName } = unpackAny(any);
  if (typeName !== MATCHED_TYPE || message === undefined) {
    const config = decodeFilterConfig(any, naming, path, findings);
    return config === undefined ? undefined : { config, matcher: undefined };
  }
  const { extensionConfig, matcher, xdsMatcher } = message as ExtensionWithMatcher;
  const tree = xdsMatcher ?? matcher;
  const treePath = child(path, xdsMatcher === undefined ? "matcher" : "xds_matcher");
  const decoded =
    tree === undefined ? SKIPS_ALWAYS : decodeMatchTree(tree, treePath, findings, { filter: decodeExecuted, dynamic });
  const inner = extensionConfig?.typedConfig;
  const config = inner === undefined ? undefined : decodeMatched(inner, naming, path, findings);
  return config === undefined ? undefined : { config, matcher: decoded };
}

/** What an ECDS resource, or a default configuration, holds. */
export function decodeDiscoveredFilter(
  any: Any,
  name: string,
  path: string,
  findings: Findings,
): DiscoveredFilter | undefined {
  const { problem, typeName } = unpackAny(any);
  if (problem !== undefined) return undefined;
  const standIn = decodeStandIn(any, name);
  if (standIn !== undefined) {
    return { name, typeName: "", matcher: undefined, config: { kind: "wasm", plugin: standIn } };
  }
  if (typeName === ROUTER_TYPE) {
    findings.issue(path, unsupported("discovered HTTP filter", typeName, DISCOVERED_TYPES));
    return undefined;
  }
  const filter = decodeFilter(any, { name, isOptional: false }, path, findings);
  if (filter === undefined) return undefined;
  return { name: filter.config.kind === "wasm" ? filter.config.plugin.name : name, typeName, ...filter };
}

/** The filter under a tree. */
function decodeMatched(any: Any, naming: FilterNaming, path: string, findings: Findings): FilterConfig | undefined {
  return decodeInner(any, naming, child(path, "extension_config.typed_config"), findings);
}

/** A filter that a tree has executed. */
function decodeExecuted(any: Any, name: string, path: string, findings: Findings): FilterConfig | undefined {
  return decodeInner(any, { name, isOptional: false }, path, findings);
}

/** The same for the tree of a route, where plugins have no place. */
export function decodeRouteTree(message: Matcher, path: string, findings: Findings): MatchTree {
  const filter: DecodeExecuted["filter"] = (any, name, at, into) => {
    const config = decodeExecuted(any, name, at, into);
    if (config?.kind !== "wasm") return config;
    into.issue(at, "is a plugin, which only the filter's own tree can have executed");
    return undefined;
  };
  return decodeMatchTree(message, path, findings, { filter, dynamic: refuseDynamic });
}

function refuseDynamic(...[, , path, findings]: Parameters<DecodeExecuted["dynamic"]>): DiscoveredConfig | undefined {
  findings.issue(
    path,
    "is not supported here; the tree of a filter in http_filters may name filters that come by name",
  );
  return undefined;
}

function decodeInner(any: Any, naming: FilterNaming, at: string, findings: Findings): FilterConfig | undefined {
  const { typeName } = unpackAny(any);
  if (typeName === ROUTER_TYPE || typeName === MATCHED_TYPE) {
    findings.issue(at, `${typeName} cannot stand under a matcher`);
    return undefined;
  }
  return decodeFilterConfig(any, naming, at, findings);
}

function decodeFilterConfig(
  any: Any,
  naming: FilterNaming,
  path: string,
  findings: Findings,
): FilterConfig | undefined {
  const inner = unpackAny(any);
  if (inner.problem !== undefined) return undefined;
  if (inner.typeName === HTTP_WASM_TYPE) {
    const { config } = inner.message as Wasm;
    const plugin = decodePluginConfig(config, naming.name, child(path, "config"), findings);
    return plugin === undefined ? undefined : { kind: "wasm", plugin };
  }
  const decode = builtinFilterDecoder(inner.typeName);
  if (decode === undefined || inner.message === undefined) {
    return decodeUnknown(inner.typeName, naming, path, findings);
  }
  const filter = decode(inner.message, path, findings);
  return filter === undefined ? undefined : { kind: "builtin", filter };
}

function decodeUnknown(
  typeName: string,
  { isOptional }: FilterNaming,
  path: string,
  findings: Findings,
): FilterConfig | undefined {
  const inert = inertReason(KIND, typeName);
  const refusal = refusalReason(KIND, typeName);
  if (inert !== undefined) {
    findings.warn("no_effect", path, typeName, `HTTP filter ${typeName} is accepted without effect: ${inert}`);
    return { kind: "inert", typeUrl: `type.googleapis.com/${typeName}` };
  }
  if (refusal !== undefined) {
    findings.issue(path, `HTTP filter ${typeName} is not supported, and ${refusal}`);
  } else if (isOptional) {
    findings.warn("no_effect", path, typeName, `optional HTTP filter ${typeName} is not supported and left out`);
  } else {
    findings.issue(path, unsupported("HTTP filter", typeName, [ROUTER_TYPE, HTTP_WASM_TYPE, ...BUILTIN_FILTER_TYPES]));
  }
  return undefined;
}
