// Header changes of routes (HeaderValueOption lists and removals) → model.
// Called by route.ts for each level. Rules from Envoy: pseudo-headers and Host are not added or removed this way.

import {
  HeaderValueOption_HeaderAppendAction as Action,
  type HeaderValueOption,
} from "../gen/envoy/config/core/v3/base_pb.ts";
import type { HeaderAppendAction, HeaderMutations, HeaderToAdd } from "../model/route.ts";
import { quoted } from "./constraint.ts";
import { child, item, type Findings } from "./issues.ts";
import { decodeEach, NONE } from "./matcher.ts";

/** What every message with header changes has. */
export interface HeaderMutationFields {
  readonly requestHeadersToAdd: readonly HeaderValueOption[];
  readonly requestHeadersToRemove: readonly string[];
  readonly responseHeadersToAdd: readonly HeaderValueOption[];
  readonly responseHeadersToRemove: readonly string[];
}

const ACTIONS: Readonly<Record<number, HeaderAppendAction>> = {
  [Action.APPEND_IF_EXISTS_OR_ADD]: "APPEND_IF_EXISTS_OR_ADD",
  [Action.ADD_IF_ABSENT]: "ADD_IF_ABSENT",
  [Action.OVERWRITE_IF_EXISTS_OR_ADD]: "OVERWRITE_IF_EXISTS_OR_ADD",
  [Action.OVERWRITE_IF_EXISTS]: "OVERWRITE_IF_EXISTS",
};

const NO_MUTATIONS: HeaderMutations = {
  requestToAdd: NONE,
  requestToRemove: NONE,
  responseToAdd: NONE,
  responseToRemove: NONE,
};

export function decodeHeaderMutations(
  message: HeaderMutationFields,
  path: string,
  findings: Findings,
): HeaderMutations {
  if (
    message.requestHeadersToAdd.length === 0 &&
    message.requestHeadersToRemove.length === 0 &&
    message.responseHeadersToAdd.length === 0 &&
    message.responseHeadersToRemove.length === 0
  ) {
    return NO_MUTATIONS;
  }
  const toRemove = (names: readonly string[], field: string) =>
    names.map((name, index) => decodeRemoval(name, item(child(path, field), index), findings));
  return {
    requestToAdd: decodeEach(
      message.requestHeadersToAdd,
      child(path, "request_headers_to_add"),
      findings,
      decodeHeaderToAdd,
    ),
    requestToRemove: toRemove(message.requestHeadersToRemove, "request_headers_to_remove"),
    responseToAdd: decodeEach(
      message.responseHeadersToAdd,
      child(path, "response_headers_to_add"),
      findings,
      decodeHeaderToAdd,
    ),
    responseToRemove: toRemove(message.responseHeadersToRemove, "response_headers_to_remove"),
  };
}

export function decodeHeaderToAdd(
  message: HeaderValueOption,
  path: string,
  findings: Findings,
): HeaderToAdd | undefined {
  const header = message.header;
  if (header === undefined) return undefined;
  const name = header.key.toLowerCase();
  if (name === "host" || name.startsWith(":")) {
    findings.issue(
      child(path, "header.key"),
      `${quoted(header.key)} cannot be changed here; use host_rewrite or path rewrites`,
    );
  }
  // With both, the text counts, as in Envoy, which passes bytes alone over.
  const value = header.value === "" ? Buffer.from(header.rawValue).toString("latin1") : header.value;
  findings.format(child(path, "header.value"), value);
  return {
    name: header.key,
    value,
    action: appendAction(message, path, findings),
    keepEmptyValue: message.keepEmptyValue,
  };
}

/** The deprecated `append` (default true) stands for two of the actions. */
function appendAction(message: HeaderValueOption, path: string, findings: Findings): HeaderAppendAction {
  if (message.append === undefined) return ACTIONS[message.appendAction] ?? "APPEND_IF_EXISTS_OR_ADD";
  if (message.appendAction !== Action.APPEND_IF_EXISTS_OR_ADD) {
    findings.issue(child(path, "append"), "cannot be set together with append_action");
  }
  return message.append ? "APPEND_IF_EXISTS_OR_ADD" : "OVERWRITE_IF_EXISTS_OR_ADD";
}

function decodeRemoval(name: string, path: string, findings: Findings): string {
  const lower = name.toLowerCase();
  if (lower === "host" || lower.startsWith(":")) findings.issue(path, `${quoted(name)} cannot be removed`);
  return lower;
}
