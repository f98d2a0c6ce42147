// Header, query-parameter and fraction matchers of routes and access-log filters, compiled once into small predicates.
// Semantics and wording: envoy.config.route.v3.HeaderMatcher and QueryParameterMatcher, envoy.type.matcher.v3.StringMatcher.
// Hot path: a predicate allocates nothing but the joined text of a repeated field.
// A pattern that cannot be compiled is noted in `problems` and its matcher never matches, inverted or not.

import type { RequestHead } from "../http/message.ts";
import type { Runtime } from "../../xds/model/bootstrap.ts";
import type { RuntimeFraction, StringMatcher } from "../../xds/model/matcher.ts";
import type { HeaderMatcher, QueryParameterMatcher, RouteMatch } from "../../xds/model/route.ts";
import { compileFullMatch } from "./regex.ts";
import { requestValue, wireText } from "./request-value.ts";

export type StringTest = (value: string) => boolean;
export type HeaderTest = (head: RequestHead) => boolean;
/** `end` is where the path ends and the query begins, see `pathEnd`. */
export type QueryTest = (path: string, end: number) => boolean;

/** undefined when the pattern cannot be compiled; the reason is then in `problems`. */
export function compileString(matcher: StringMatcher, problems: string[]): StringTest | undefined {
  if (matcher.kind === "regex") {
    const compiled = compileFullMatch(matcher.value);
    if (!compiled.ok) {
      problems.push(compiled.problem);
      return undefined;
    }
    const regex = compiled.regex;
    return (value) => regex.test(value);
  }
  const wire = wireText(matcher.value);
  if (matcher.ignoreCase) {
    const test = plainTest(matcher.kind, lowerAscii(wire));
    return (value) => test(lowerAscii(value));
  }
  return plainTest(matcher.kind, wire);
}

function plainTest(kind: "exact" | "prefix" | "suffix" | "contains", expected: string): StringTest {
  switch (kind) {
    case "exact":
      return (value) => value === expected;
    case "prefix":
      return (value) => value.startsWith(expected);
    case "suffix":
      return (value) => value.endsWith(expected);
    case "contains":
      return (value) => value.includes(expected);
  }
}

/** Lowers A to Z only: latin1 letters here are bytes of UTF-8 and must stay. */
export function lowerAscii(text: string): string {
  for (let at = 0; at < text.length; at++) {
    if (text.charCodeAt(at) > 127) {
      return text.replace(/[A-Z]+/g, (upper) => upper.toLowerCase());
    }
  }
  return text.toLowerCase();
}

/** Reads a field by lower-case name; what a header matcher looks at. */
export type FieldReader<Subject> = (subject: Subject, name: string) => string | undefined;

export function compileHeader(matcher: HeaderMatcher, problems: string[]): HeaderTest {
  return compileField(matcher, requestValue, problems);
}

/** The same for anything else that has named fields, such as an access log's request that may be missing. */
export function compileField<Subject>(
  matcher: HeaderMatcher,
  read: FieldReader<Subject>,
  problems: string[],
): (subject: Subject) => boolean {
  const { name, invert, treatMissingAsEmpty } = matcher;
  if (matcher.kind === "present") {
    const present = matcher.present;
    return (subject) => ((treatMissingAsEmpty || read(subject, name) !== undefined) === present) !== invert;
  }
  const test = matcher.kind === "range" ? rangeTest(matcher) : compileString(matcher.matcher, problems);
  if (test === undefined) {
    return () => false;
  }
  // A missing header makes the rule fail even when inverted, unless it counts as empty.
  const missing = treatMissingAsEmpty ? test("") !== invert : false;
  return (subject) => {
    const value = read(subject, name);
    return value === undefined ? missing : test(value) !== invert;
  };
}

const INTEGER = /^\s*[+-]?\d+\s*$/;

function rangeTest({ start, end }: { readonly start: number; readonly end: number }): StringTest {
  return (value) => {
    if (!INTEGER.test(value)) {
      return false;
    }
    const number = Number(value);
    return number >= start && number < end;
  };
}

/** The first parameter of that name counts. Values are compared as written, without percent-decoding, as Envoy does. */
export function compileQuery(matcher: QueryParameterMatcher, problems: string[]): QueryTest {
  const name = wireText(matcher.name);
  if (matcher.kind === "present") {
    const present = matcher.present;
    return (path, end) => (queryParameter(path, end, name) !== undefined) === present;
  }
  const test = compileString(matcher.matcher, problems);
  if (test === undefined) {
    return () => false;
  }
  return (path, end) => {
    const value = queryParameter(path, end, name);
    return value !== undefined && test(value);
  };
}

/** Value of the first query parameter `name`; empty when it has no `=`, undefined when absent. */
export function queryParameter(path: string, end: number, name: string): string | undefined {
  const fragment = path.indexOf("#", end);
  const stop = fragment < 0 ? path.length : fragment;
  let at = end + 1;
  while (at < stop) {
    let next = path.indexOf("&", at);
    if (next < 0 || next > stop) {
      next = stop;
    }
    if (path.startsWith(name, at)) {
      const after = at + name.length;
      if (after === next) {
        return "";
      }
      if (after < next && path.charCodeAt(after) === 61) {
        return path.slice(after + 1, next);
      }
    }
    at = next + 1;
  }
  return undefined;
}

/** A request's field that must have this one value, byte for byte. */
export interface Demand {
  readonly kind: "header" | "query";
  readonly name: string;
  readonly value: string;
}

/** The fields of which a match takes one value only; a match may ask for more than these. */
export function demandsOf({ headers, queryParameters }: RouteMatch): readonly Demand[] {
  const demands: Demand[] = [];
  for (const matcher of headers) {
    // "" with `treatMissingAsEmpty` is two things: an empty field and none.
    if (isExact(matcher) && !matcher.invert && !(matcher.treatMissingAsEmpty && matcher.matcher.value === "")) {
      demands.push({ kind: "header", name: matcher.name, value: wireText(matcher.matcher.value) });
    }
  }
  for (const matcher of queryParameters) {
    if (isExact(matcher)) {
      demands.push({ kind: "query", name: wireText(matcher.name), value: wireText(matcher.matcher.value) });
    }
  }
  return demands;
}

function isExact<Matcher extends HeaderMatcher | QueryParameterMatcher>(
  matcher: Matcher,
): matcher is Extract<Matcher, { readonly kind: "string" }> {
  return matcher.kind === "string" && matcher.matcher.kind === "exact" && !matcher.matcher.ignoreCase;
}

/** What a request has in the place of a demand, as the compiled matchers read it; `end` as for `QueryTest`. */
export function demanded({ kind, name }: Demand, head: RequestHead, end: number): string | undefined {
  return kind === "header" ? requestValue(head, name) : queryParameter(head.path, end, name);
}

const DENOMINATORS: Readonly<Record<string, number>> = { HUNDRED: 100, TEN_THOUSAND: 10_000, MILLION: 1_000_000 };

/**
 * The probability in [0, 1] that a fraction stands for, its runtime key considered: a number there is a percentage,
 * an object is a FractionalPercent. Compare with a random number in [0, 1): enabled when `random < probability`.
 */
export function probabilityOf(fraction: RuntimeFraction, runtime: Runtime): number {
  const override = fraction.runtimeKey === "" ? undefined : runtime[fraction.runtimeKey];
  if (typeof override === "number" && override >= 0) {
    return Math.min(1, Math.floor(override) / 100);
  }
  if (typeof override === "object" && override !== null && "numerator" in override) {
    const numerator = Number(override["numerator"]);
    const unit = override["denominator"];
    const denominator = (typeof unit === "string" ? DENOMINATORS[unit] : undefined) ?? 100;
    return numerator >= 0 ? Math.min(1, numerator / denominator) : 0;
  }
  return Math.min(1, fraction.numerator / fraction.denominator);
}
