// String, header and query matchers, regex rewrites and runtime fractions → model. Shared by routes, access logs and
// the connection manager. Ranges and lengths are already inspected; here regexes and shapes. Source: envoy.type.matcher.v3.

import { FractionalPercent_DenominatorType, type FractionalPercent } from "../gen/envoy/type/v3/percent_pb.ts";
import type { RuntimeFractionalPercent } from "../gen/envoy/config/core/v3/base_pb.ts";
import type {
  HeaderMatcher as HeaderMatcherMessage,
  QueryParameterMatcher as QueryParameterMatcherMessage,
} from "../gen/envoy/config/route/v3/route_components_pb.ts";
import type { RegexMatchAndSubstitute } from "../gen/envoy/type/matcher/v3/regex_pb.ts";
import type { StringMatcher as StringMatcherMessage } from "../gen/envoy/type/matcher/v3/string_pb.ts";
import type { StringMatcher as XdsStringMatcher } from "../gen/xds/type/matcher/v3/string_pb.ts";
import type { RegexRewrite, RuntimeFraction, StringMatcher } from "../model/matcher.ts";
import type { HeaderMatcher, QueryParameterMatcher } from "../model/route.ts";
import { child, type Findings } from "./issues.ts";
import { regexGroupCount, regexProblem } from "./regex.ts";

/** Undefined when the oneof is empty or a custom one, which inspection has already reported. */
export function decodeStringMatcher(
  message: StringMatcherMessage | XdsStringMatcher,
  path: string,
  findings: Findings,
): StringMatcher | undefined {
  const pattern = message.matchPattern;
  switch (pattern.case) {
    case "exact":
    case "prefix":
    case "suffix":
    case "contains":
      return { kind: pattern.case, value: pattern.value, ignoreCase: message.ignoreCase };
    case "safeRegex":
      if (message.ignoreCase)
        findings.issue(child(path, "ignore_case"), "has no effect with safe_regex; use (?i) in the regex");
      return {
        kind: "regex",
        value: decodeRegex(pattern.value, child(path, "safe_regex"), findings),
        ignoreCase: false,
      };
    case "custom":
    case undefined:
      return undefined;
  }
}

/** The pattern, checked as RE2. */
export function decodeRegex({ regex }: { readonly regex: string }, path: string, findings: Findings): string {
  const problem = regexProblem(regex);
  if (problem !== undefined) findings.issue(child(path, "regex"), problem);
  return regex;
}

export function decodeRegexRewrite(
  message: RegexMatchAndSubstitute | undefined,
  path: string,
  findings: Findings,
): RegexRewrite | undefined {
  if (message?.pattern === undefined) return undefined;
  const regex = decodeRegex(message.pattern, child(path, "pattern"), findings);
  checkSubstitution(regex, message.substitution, path, findings);
  return { regex, substitution: message.substitution };
}

/** A substitution that RE2 cannot apply rewrites nothing; Envoy finds out with the first request, and so only warns. */
function checkSubstitution(regex: string, substitution: string, path: string, findings: Findings): void {
  const problem = substitutionProblem(substitution, regexGroupCount(regex));
  if (problem === undefined) return;
  const field = "envoy.type.matcher.v3.RegexMatchAndSubstitute.substitution";
  findings.warn("no_effect", child(path, "substitution"), field, `rewrites nothing: it ${problem}`);
}

function substitutionProblem(substitution: string, groups: number): string | undefined {
  for (let index = 0; index < substitution.length; index += 1) {
    if (substitution[index] !== "\\") continue;
    index += 1;
    const next = substitution[index];
    if (next === "\\") continue;
    if (next === undefined || next < "0" || next > "9") return "has a backslash that no digit or backslash follows";
    if (Number(next) > groups) return `names group ${next}, but the pattern has ${groups}`;
  }
  return undefined;
}

export function decodeHeaderMatcher(
  message: HeaderMatcherMessage,
  path: string,
  findings: Findings,
): HeaderMatcher | undefined {
  const base = {
    name: message.name.toLowerCase(),
    invert: message.invertMatch,
    treatMissingAsEmpty: message.treatMissingHeaderAsEmpty,
  };
  const specifier = message.headerMatchSpecifier;
  switch (specifier.case) {
    case undefined:
      return { ...base, kind: "present", present: true };
    case "presentMatch":
      return { ...base, kind: "present", present: specifier.value };
    case "rangeMatch": {
      const { start, end } = specifier.value;
      return { ...base, kind: "range", start: Number(start), end: Number(end) };
    }
    case "stringMatch": {
      const matcher = decodeStringMatcher(specifier.value, child(path, "string_match"), findings);
      return matcher === undefined ? undefined : { ...base, kind: "string", matcher };
    }
    case "safeRegexMatch": {
      const value = decodeRegex(specifier.value, child(path, "safe_regex_match"), findings);
      return { ...base, kind: "string", matcher: { kind: "regex", value, ignoreCase: false } };
    }
    case "exactMatch":
      return { ...base, kind: "string", matcher: { kind: "exact", value: specifier.value, ignoreCase: false } };
    case "prefixMatch":
      return { ...base, kind: "string", matcher: { kind: "prefix", value: specifier.value, ignoreCase: false } };
    case "suffixMatch":
      return { ...base, kind: "string", matcher: { kind: "suffix", value: specifier.value, ignoreCase: false } };
    case "containsMatch":
      return { ...base, kind: "string", matcher: { kind: "contains", value: specifier.value, ignoreCase: false } };
  }
}

export function decodeQueryParameterMatcher(
  message: QueryParameterMatcherMessage,
  path: string,
  findings: Findings,
): QueryParameterMatcher | undefined {
  const specifier = message.queryParameterMatchSpecifier;
  switch (specifier.case) {
    case undefined:
      return { name: message.name, kind: "present", present: true };
    case "presentMatch":
      return { name: message.name, kind: "present", present: specifier.value };
    case "stringMatch": {
      const matcher = decodeStringMatcher(specifier.value, child(path, "string_match"), findings);
      return matcher === undefined ? undefined : { name: message.name, kind: "string", matcher };
    }
  }
}

/** Each message of a list, decoded; those that could not be (and were reported) are left out. */
/**
 * Nothing, which most lists of a configuration hold. One object for all of them, as for other parts that are mostly as they are
 * by default: thousands of clusters and routes are smaller by it, and travel to a worker faster.
 */
export const NONE: readonly never[] = [];

export function decodeEach<M, T>(
  messages: readonly M[],
  path: string,
  findings: Findings,
  decode: (message: M, path: string, findings: Findings) => T | undefined,
): readonly T[] {
  if (messages.length === 0) return NONE;
  const decoded: T[] = [];
  for (let index = 0; index < messages.length; index++) {
    const value = decode(messages[index] as M, `${path}[${index}]`, findings);
    if (value !== undefined) decoded.push(value);
  }
  return decoded;
}

export function decodeRuntimeFraction(message: RuntimeFractionalPercent | undefined): RuntimeFraction | undefined {
  if (message === undefined) return undefined;
  return { ...decodeFraction(message.defaultValue), runtimeKey: message.runtimeKey };
}

export function decodeFraction(message: FractionalPercent | undefined): RuntimeFraction {
  return {
    numerator: message?.numerator ?? 0,
    denominator: DENOMINATORS[message?.denominator ?? 0] ?? 100,
    runtimeKey: "",
  };
}

const DENOMINATORS: Readonly<Record<number, RuntimeFraction["denominator"]>> = {
  [FractionalPercent_DenominatorType.HUNDRED]: 100,
  [FractionalPercent_DenominatorType.TEN_THOUSAND]: 10_000,
  [FractionalPercent_DenominatorType.MILLION]: 1_000_000,
};
