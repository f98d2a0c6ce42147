// xds.type.matcher.v3.Matcher of ExtensionWithMatcher → model. Called by filter-config.ts and per-filter-config.ts.
// Shapes are inspected already (constraints/extensions.ts); here types of inputs and actions, and regexes; inputs are match-input.ts's.

import type { TypedExtensionConfig } from "../gen/xds/core/v3/extension_pb.ts";
import type { ExecuteFilterAction } from "../gen/envoy/extensions/filters/http/composite/v3/composite_pb.ts";
import type { SkipFilter } from "../gen/envoy/extensions/filters/common/matcher/action/v3/skip_action_pb.ts";
import type {
  Matcher,
  Matcher_MatcherList_FieldMatcher as FieldMatcher,
  Matcher_MatcherList_Predicate as PredicateMessage,
  Matcher_MatcherList_Predicate_SinglePredicate as SinglePredicate,
  Matcher_MatcherTree as MapMessage,
  Matcher_OnMatch as OnMatchMessage,
} from "../gen/xds/type/matcher/v3/matcher_pb.ts";
import type { StringMatcher as StringMatcherMessage } from "../gen/xds/type/matcher/v3/string_pb.ts";
import type { MatchBranches, MatchTree, OnMatch, Predicate } from "../model/match-tree.ts";
import type { StringMatcher } from "../model/matcher.ts";
import { type Unpacked, unpackAny } from "./any.ts";
import { decodeCustomMatch } from "./custom-match.ts";
import { decodeCustomTree } from "./custom-tree.ts";
import { type DecodeExecuted, decodeExecuteFilter, EXECUTE } from "./execute-filter.ts";
import { child, item, type Findings } from "./issues.ts";
import { decodeTextInput } from "./match-input.ts";
import { decodeEach, decodeStringMatcher } from "./matcher.ts";

const SKIP: SkipFilter["$typeName"] = "envoy.extensions.filters.common.matcher.action.v3.SkipFilter";

/** What Envoy makes of a filter without a tree, and of a route without one. */
export const SKIPS_ALWAYS: MatchTree = { branches: undefined, onNoMatch: { kind: "skip" } };
export const SKIPS_NEVER: MatchTree = { branches: undefined, onNoMatch: undefined };

/** `execute` decodes what an action has executed. */
export function decodeMatchTree(
  message: Matcher,
  path: string,
  findings: Findings,
  execute: DecodeExecuted,
): MatchTree {
  const onNoMatch = message.onNoMatch;
  return {
    branches: decodeBranches(message.matcherType, path, findings, execute),
    onNoMatch:
      onNoMatch === undefined ? undefined : decodeOnMatch(onNoMatch, child(path, "on_no_match"), findings, execute),
  };
}

function decodeBranches(
  type: Matcher["matcherType"],
  path: string,
  findings: Findings,
  execute: DecodeExecuted,
): MatchBranches | undefined {
  switch (type.case) {
    case "matcherList": {
      const at = child(path, "matcher_list.matchers");
      const decode = (message: FieldMatcher, place: string) => decodeFieldMatcher(message, place, findings, execute);
      return { kind: "list", list: decodeEach(type.value.matchers, at, findings, decode) };
    }
    case "matcherTree":
      return decodeMap(type.value, child(path, "matcher_tree"), findings, execute);
    case undefined:
      return undefined;
  }
}

function decodeFieldMatcher(message: FieldMatcher, path: string, findings: Findings, execute: DecodeExecuted) {
  const predicate =
    message.predicate === undefined
      ? undefined
      : decodePredicate(message.predicate, child(path, "predicate"), findings);
  const onMatch =
    message.onMatch === undefined
      ? undefined
      : decodeOnMatch(message.onMatch, child(path, "on_match"), findings, execute);
  return predicate === undefined || onMatch === undefined ? undefined : { predicate, onMatch };
}

function decodeMap(
  message: MapMessage,
  path: string,
  findings: Findings,
  execute: DecodeExecuted,
): MatchBranches | undefined {
  const input = decodeTextInput(message.input, child(path, "input"), findings);
  const { treeType } = message;
  if (treeType.case === "customMatch") {
    return decodeCustomTree(treeType.value, input, child(path, "custom_match"), findings, (onMatch, at) =>
      decodeOnMatch(onMatch, at, findings, execute),
    );
  }
  if (treeType.case !== "exactMatchMap" && treeType.case !== "prefixMatchMap") return undefined;
  const isExact = treeType.case === "exactMatchMap";
  const at = child(path, isExact ? "exact_match_map.map" : "prefix_match_map.map");
  const map = Object.entries(treeType.value.map).flatMap(([key, value]): [string, OnMatch][] => {
    const onMatch = decodeOnMatch(value, item(at, key), findings, execute);
    return onMatch === undefined ? [] : [[key, onMatch]];
  });
  return input === undefined ? undefined : { kind: "map", input, by: isExact ? "exact" : "prefix", map };
}

function decodeOnMatch(
  message: OnMatchMessage,
  path: string,
  findings: Findings,
  execute: DecodeExecuted,
): OnMatch | undefined {
  const { onMatch } = message;
  if (message.keepMatching) findings.issue(child(path, "keep_matching"), "is not supported for a filter");
  switch (onMatch.case) {
    case "matcher":
      return { kind: "tree", tree: decodeMatchTree(onMatch.value, child(path, "matcher"), findings, execute) };
    case "action": {
      const at = child(path, "action");
      const { message: action, typeName } = typeOf(onMatch.value);
      if (typeName === EXECUTE && action !== undefined) {
        const inner = child(at, "typed_config");
        const executed = decodeExecuteFilter(action as ExecuteFilterAction, inner, findings, execute);
        return executed === undefined ? undefined : { kind: "execute", action: executed };
      }
      if (typeName !== SKIP) findings.issue(at, `${typeName} is not supported; supported: ${SKIP}, ${EXECUTE}`);
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
  const { matcher } = message;
  if (matcher.case === "customMatch") return decodeCustomMatch(matcher.value, message.input, path, findings);
  const input = decodeTextInput(message.input, child(path, "input"), findings);
  if (matcher.case !== "valueMatch") return undefined;
  const value = decodeValue(matcher.value, child(path, "value_match"), findings);
  return input === undefined || value === undefined ? undefined : { kind: "value", input, matcher: value };
}

function typeOf(config: TypedExtensionConfig): Pick<Unpacked, "message" | "typeName"> {
  return config.typedConfig === undefined ? { message: undefined, typeName: "" } : unpackAny(config.typedConfig);
}

function decodeValue(message: StringMatcherMessage, path: string, findings: Findings): StringMatcher | undefined {
  if (message.matchPattern.case === "custom") {
    findings.issue(child(path, "custom"), "this extension point is not supported");
  }
  return decodeStringMatcher(message, path, findings);
}
