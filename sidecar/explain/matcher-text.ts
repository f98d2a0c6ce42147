// Matches of routes in words: what one wants, and why a request does not meet it. Pure.

import type { RequestHead } from "../http/message.ts";
import type { StringMatcher } from "../../xds/model/matcher.ts";
import type { HeaderMatcher, QueryParameterMatcher, RouteMatch } from "../../xds/model/route.ts";
import type { Misses } from "../route/compiled-route.ts";
import { queryParameter } from "../route/matchers.ts";
import { pathEnd, requestValue, wireText } from "../route/request-value.ts";

const MAX_VALUE_CHARS = 200;

/** `prefix "/a", header x-foo exact "b", 30 % of requests`. */
export function matchText({ path, headers, queryParameters, grpc, runtimeFraction }: RouteMatch): string {
  const parts = [pathText(path)];
  parts.push(...headers.map((each) => `header ${each.name} ${headerText(each)}`));
  parts.push(...queryParameters.map((each) => `query parameter ${each.name} ${queryText(each)}`));
  if (grpc) {
    parts.push("gRPC only");
  }
  if (runtimeFraction !== undefined) {
    const { numerator, denominator, runtimeKey } = runtimeFraction;
    const key = runtimeKey === "" ? "" : ` unless the runtime key ${runtimeKey} says otherwise`;
    parts.push(`${(numerator / denominator) * 100} % of requests${key}`);
  }
  return parts.join(", ");
}

/** A reason for each part that does not hold. */
export function missTexts(match: RouteMatch, misses: Misses, head: RequestHead): readonly string[] {
  const reasons: string[] = [];
  if (misses.path) {
    reasons.push(`the path is not ${pathText(match.path)}`);
  }
  for (const at of misses.headers) {
    const matcher = match.headers[at];
    if (matcher !== undefined) {
      reasons.push(`header ${matcher.name} ${actual(requestValue(head, matcher.name))}, not ${headerText(matcher)}`);
    }
  }
  for (const at of misses.query) {
    const matcher = match.queryParameters[at];
    if (matcher !== undefined) {
      const value = queryParameter(head.path, pathEnd(head.path), wireText(matcher.name));
      reasons.push(`query parameter ${matcher.name} ${actual(value)}, not ${queryText(matcher)}`);
    }
  }
  if (misses.grpc) {
    reasons.push(`content-type ${actual(head.headers.get("content-type"))}, not gRPC's`);
  }
  return reasons;
}

function pathText(path: RouteMatch["path"]): string {
  if (path.kind === "connect") {
    return "CONNECT";
  }
  const kind = path.kind === "path_separated_prefix" ? "path separated prefix" : path.kind;
  const anyCase = path.kind !== "regex" && !path.caseSensitive ? " in any case" : "";
  return `${kind} ${quoted(path.value)}${anyCase}`;
}

function headerText(matcher: HeaderMatcher): string {
  const not = matcher.invert ? "not " : "";
  switch (matcher.kind) {
    case "string":
      return `${not}${stringText(matcher.matcher)}`;
    case "range":
      return `${not}from ${matcher.start} to below ${matcher.end}`;
    case "present":
      return matcher.present !== matcher.invert ? "present" : "absent";
  }
}

function queryText(matcher: QueryParameterMatcher): string {
  return matcher.kind === "present" ? (matcher.present ? "present" : "absent") : stringText(matcher.matcher);
}

function stringText({ kind, value, ignoreCase }: StringMatcher): string {
  return `${kind} ${quoted(value)}${ignoreCase ? " in any case" : ""}`;
}

function actual(value: string | undefined): string {
  return value === undefined ? "is missing" : `is ${quoted(Buffer.from(value, "latin1").toString("utf8"))}`;
}

function quoted(value: string): string {
  return JSON.stringify(value.length <= MAX_VALUE_CHARS ? value : `${value.slice(0, MAX_VALUE_CHARS)}…`);
}
