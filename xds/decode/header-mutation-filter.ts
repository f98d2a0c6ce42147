// envoy.filters.http.header_mutation → model: the filter, and what routes add to it. Called by builtin-filter.ts.
// Source: Mutations and HeaderMutations in Envoy's header_mutation.cc.

import type { HeaderMutation as HeaderMutationMessage } from "../gen/envoy/config/common/mutation_rules/v3/mutation_rules_pb.ts";
import {
  KeyValueAppend_KeyValueAppendAction as Action,
  type KeyValueMutation,
} from "../gen/envoy/config/core/v3/base_pb.ts";
import type { Mutations as MutationsMessage } from "../gen/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.ts";
import type { HeaderChange, Mutations, QueryChange } from "../model/builtin-filter.ts";
import type { HeaderAppendAction } from "../model/route.ts";
import { quoted } from "./constraint.ts";
import { decodeHeaderToAdd } from "./header-mutation.ts";
import { child, type Findings } from "./issues.ts";
import { decodeEach, decodeStringMatcher } from "./matcher.ts";

const ACTIONS: Readonly<Record<number, HeaderAppendAction>> = {
  [Action.APPEND_IF_EXISTS_OR_ADD]: "APPEND_IF_EXISTS_OR_ADD",
  [Action.ADD_IF_ABSENT]: "ADD_IF_ABSENT",
  [Action.OVERWRITE_IF_EXISTS_OR_ADD]: "OVERWRITE_IF_EXISTS_OR_ADD",
  [Action.OVERWRITE_IF_EXISTS]: "OVERWRITE_IF_EXISTS",
};

/** `path` is that of the message which has the field `mutations`. */
export function decodeMutations(message: MutationsMessage | undefined, path: string, findings: Findings): Mutations {
  const at = child(path, "mutations");
  const changes = (rules: readonly HeaderMutationMessage[] | undefined, field: string) =>
    decodeEach(rules ?? [], child(at, field), findings, decodeHeaderChange);
  return {
    request: changes(message?.requestMutations, "request_mutations"),
    query: decodeEach(
      message?.queryParameterMutations ?? [],
      child(at, "query_parameter_mutations"),
      findings,
      decodeQueryChange,
    ),
    response: changes(message?.responseMutations, "response_mutations"),
    requestTrailers: changes(message?.requestTrailersMutations, "request_trailers_mutations"),
    responseTrailers: changes(message?.responseTrailersMutations, "response_trailers_mutations"),
  };
}

export function decodeHeaderChange(
  { action }: HeaderMutationMessage,
  path: string,
  findings: Findings,
): HeaderChange | undefined {
  switch (action.case) {
    case "append": {
      const header = decodeHeaderToAdd(action.value, child(path, "append"), findings);
      return header === undefined ? undefined : { kind: "append", header };
    }
    case "remove": {
      const name = action.value.toLowerCase();
      if (name === "host" || name.startsWith(":")) {
        const field = "envoy.config.common.mutation_rules.v3.HeaderMutation.remove";
        findings.warn("no_effect", child(path, "remove"), field, `${quoted(name)} stays: no message can do without it`);
      }
      return { kind: "remove", name };
    }
    case "removeOnMatch": {
      const at = child(path, "remove_on_match.key_matcher");
      const matcher =
        action.value.keyMatcher === undefined ? undefined : decodeStringMatcher(action.value.keyMatcher, at, findings);
      return matcher === undefined ? undefined : { kind: "remove_on_match", matcher };
    }
    case undefined:
      return undefined;
  }
}

function decodeQueryChange(message: KeyValueMutation, path: string, findings: Findings): QueryChange | undefined {
  const { append, remove } = message;
  if (append === undefined) {
    if (remove === "") findings.issue(path, "needs append or remove");
    return { kind: "remove", key: remove };
  }
  if (remove !== "") findings.issue(path, "append and remove cannot both be set");
  const record = append.record;
  if (record === undefined) {
    findings.issue(child(path, "append.record"), "is required");
    return undefined;
  }
  const value = record.value?.kind;
  if (value?.case !== "stringValue") {
    findings.issue(child(path, "append.record.value"), "must be a string");
    return undefined;
  }
  findings.format(child(path, "append.record.value"), value.value);
  return {
    kind: "append",
    key: record.key,
    value: value.value,
    action: ACTIONS[append.action] ?? "APPEND_IF_EXISTS_OR_ADD",
  };
}
