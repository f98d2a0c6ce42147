// xds.type.matcher.v3.Matcher of ExtensionWithMatcher → model. Called by filter-config.ts and per-filter-config.ts.
// Shapes are inspected already (constraints/extensions.ts); here types of inputs and actions, and regexes.

import type { TypedExtensionConfig } from "../gen/xds/core/v3/extension_pb.ts";
import type { SkipFilter } from "../gen/envoy/extensions/filters/common/matcher/action/v3/skip_action_pb.ts";
import type {
  HttpRequestHeaderMatchInput,
  HttpRequestQueryParamMatchInput,
  HttpRequestTrailerMatchInput,
  HttpResponseHeaderMatchInput,
  HttpResponseTrailerMatchInput,
} from "../gen/envoy/type/matcher/v3/http_inputs_pb.ts";
import type {
  SourceIPInput,
  SourcePortInput,
  DirectSourceIPInput,
  DestinationIPInput,
  DestinationPortInput,
  ServerNameInput,
} from "../gen/envoy/extensions/matching/common_inputs/network/v3/network_inputs_pb.ts";
import type {
  HttpResponseStatusCodeClassMatchInput,
  HttpResponseStatusCodeMatchInput,
} from "../gen/envoy/type/matcher/v3/status_code_input_pb.ts";
import type {
  Matcher,
  Matcher_MatcherList_FieldMatcher as FieldMatcher,
  Matcher_MatcherList_Predicate as PredicateMessage,
  Matcher_MatcherList_Predicate_SinglePredicate as SinglePredicate,
  Matcher_MatcherTree as MapMessage,
  Matcher_OnMatch as OnMatchMessage,
} from "../gen/xds/type/matcher/v3/matcher_pb.ts";
import type { StringMatcher as StringMatcherMessage } from "../gen/xds/type/matcher/v3/string_pb.ts";
import type { MatchBranches, MatchInput, MatchTree, OnMatch, Predicate } from "../model/match-tree.ts";
import type { StringMatcher } from "../model/matcher.ts";
import { unpackAny } from "./any.ts";
import { child, item, type Findings } from "./issues.ts";
import { decodeEach, decodeStringMatcher } from "./matcher.ts";

const SKIP: SkipFilter["$typeName"] = "envoy.extensions.filters.common.matcher.action.v3.SkipFilter";

type InputMessage =
  | SourceIPInput
  | SourcePortInput
  | DirectSourceIPInput
  | DestinationIPInput
  | DestinationPortInput
  | ServerNameInput
  | HttpRequestQueryParamMatchInput
  | HttpResponseStatusCodeMatchInput
  | HttpResponseStatusCodeClassMatchInput
  | HttpRequestHeaderMatchInput
  | HttpRequestTrailerMatchInput
  | HttpResponseHeaderMatchInput
  | HttpResponseTrailerMatchInput;

const INPUTS: Readonly<Record<InputMessage["$typeName"], MatchInput["of"]>> = {
  "envoy.type.matcher.v3.HttpRequestHeaderMatchInput": "request",
  "envoy.type.matcher.v3.HttpRequestTrailerMatchInput": "request_trailers",
  "envoy.type.matcher.v3.HttpResponseHeaderMatchInput": "response",
  "envoy.type.matcher.v3.HttpResponseTrailerMatchInput": "response_trailers",
  "envoy.type.matcher.v3.HttpRequestQueryParamMatchInput": "query_parameter",
  "envoy.type.matcher.v3.HttpResponseStatusCodeMatchInput": "status",
  "envoy.type.matcher.v3.HttpResponseStatusCodeClassMatchInput": "status_class",
  "envoy.extensions.matching.common_inputs.network.v3.SourceIPInput": "source_ip",
  "envoy.extensions.matching.common_inputs.network.v3.SourcePortInput": "source_port",
  "envoy.extensions.matching.common_inputs.network.v3.DirectSourceIPInput": "direct_source_ip",
  "envoy.extensions.matching.common_inputs.network.v3.DestinationIPInput": "destination_ip",
  "envoy.extensions.matching.common_inputs.network.v3.DestinationPortInput": "destination_port",
  "envoy.extensions.matching.common_inputs.network.v3.ServerNameInput": "server_name",
};

/** What Envoy makes of a filter without a tree, and of a route without one. */
export const SKIPS_ALWAYS: MatchTree = { branches: undefined, onNoMatch: { kind: "skip" } };
export const SKIPS_NEVER: MatchTree = { branches: undefined, onNoMatch: undefined };

export function decodeMatchTree(message: Matcher, path: string, findings: Findings): MatchTree {
  const onNoMatch = message.onNoMatch;
  return {
    branches: decodeBranches(message.matcherType, path, findings),
    onNoMatch: onNoMatch === undefined ? undefined : decodeOnMatch(onNoMatch, child(path, "on_no_match"), findings),
  };
}

function decodeBranches(type: Matcher["matcherType"], path: string, findings: Findings): MatchBranches | undefined {
  switch (type.case) {
    case "matcherList": {
      const at = child(path, "matcher_list.matchers");
      return { kind: "list", list: decodeEach(type.value.matchers, at, findings, decodeFieldMatcher) };
    }
    case "matcherTree":
      return decodeMap(type.value, child(path, "matcher_tree"), findings);
    case undefined:
      return undefined;
  }
}

function decodeFieldMatcher(message: FieldMatcher, path: string, findings: Findings) {
  const predicate =
    message.predicate === undefined
      ? undefined
      : decodePredicate(message.predicate, child(path, "predicate"), findings);
  const onMatch =
    message.onMatch === undefined ? undefined : decodeOnMatch(message.onMatch, child(path, "on_match"), findings);
  return predicate === undefined || onMatch === undefined ? undefined : { predicate, onMatch };
}

function decodeMap(message: MapMessage, path: string, findings: Findings): MatchBranches | undefined {
  const input = decodeInput(message.input, child(path, "input"), findings);
  const { treeType } = message;
  if (treeType.case === "customMatch") {
    findings.issue(child(path, "custom_match"), "is not supported; use exact_match_map or prefix_match_map");
  }
  if (treeType.case !== "exactMatchMap" && treeType.case !== "prefixMatchMap") return undefined;
  const isExact = treeType.case === "exactMatchMap";
  const at = child(path, isExact ? "exact_match_map.map" : "prefix_match_map.map");
  const map = Object.entries(treeType.value.map).flatMap(([key, value]): [string, OnMatch][] => {
    const onMatch = decodeOnMatch(value, item(at, key), findings);
    return onMatch === undefined ? [] : [[key, onMatch]];
  });
  return input === undefined ? undefined : { kind: "map", input, by: isExact ? "exact" : "prefix", map };
}

function decodeOnMatch(message: OnMatchMessage, path: string, findings: Findings): OnMatch | undefined {
  const { onMatch } = message;
  if (message.keepMatching) findings.issue(child(path, "keep_matching"), "is not supported for a filter");
  switch (onMatch.case) {
    case "matcher":
      return { kind: "tree", tree: decodeMatchTree(onMatch.value, child(path, "matcher"), findings) };
    case "action": {
      const typeName = typeOf(onMatch.value);
      if (typeName !== SKIP) {
        findings.issue(child(path, "action"), `${typeName} is not supported; supported: ${SKIP}`);
      }
      return { kind: "skip" };
    }
    case undefined:
      return undefined;
  }
}

function decodePredicate({ matchType }: PredicateMessage, path: string, findings: Findings): Predicate | undefined {
  switch (matchType.case) {
    case "singlePredicate":
      return decodeSingle(matchType.value, child(path, "single_predicate"), findings);
    case "orMatcher":
    case "andMatcher": {
      const kind = matchType.case === "orMatcher" ? "or" : "and";
      const at = child(path, `${kind}_matcher.predicate`);
      return { kind, predicates: decodeEach(matchType.value.predicate, at, findings, decodePredicate) };
    }
    case "notMatcher": {
      const predicate = decodePredicate(matchType.value, child(path, "not_matcher"), findings);
      return predicate === undefined ? undefined : { kind: "not", predicate };
    }
    case undefined:
      return undefined;
  }
}

function decodeSingle(message: SinglePredicate, path: string, findings: Findings): Predicate | undefined {
  const input = decodeInput(message.input, child(path, "input"), findings);
  const { matcher } = message;
  if (matcher.case === "customMatch") {
    findings.issue(child(path, "custom_match"), "is not supported; use value_match");
  }
  if (matcher.case !== "valueMatch") return undefined;
  const value = decodeValue(matcher.value, child(path, "value_match"), findings);
  return input === undefined || value === undefined ? undefined : { kind: "value", input, matcher: value };
}

function decodeInput(
  config: TypedExtensionConfig | undefined,
  path: string,
  findings: Findings,
): MatchInput | undefined {
  if (config?.typedConfig === undefined) return undefined;
  const { message, problem, typeName } = unpackAny(config.typedConfig);
  if (problem !== undefined) return undefined;
  if (message === undefined || !isInput(typeName)) {
    findings.issue(path, `${typeName} is not supported; supported: ${Object.keys(INPUTS).join(", ")}`);
    return undefined;
  }
  return { of: INPUTS[typeName], name: nameOf(message as InputMessage) };
}

function nameOf(message: InputMessage): string {
  if ("headerName" in message) return message.headerName.toLowerCase();
  return "queryParam" in message ? message.queryParam : "";
}

function isInput(typeName: string): typeName is keyof typeof INPUTS {
  return Object.hasOwn(INPUTS, typeName);
}

function typeOf(config: TypedExtensionConfig): string {
  return config.typedConfig === undefined ? "" : unpackAny(config.typedConfig).typeName;
}

function decodeValue(message: StringMatcherMessage, path: string, findings: Findings): StringMatcher | undefined {
  if (message.matchPattern.case === "custom") {
    findings.issue(child(path, "custom"), "this extension point is not supported");
  }
  return decodeStringMatcher(message, path, findings);
}
