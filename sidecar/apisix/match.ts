// What a route of APISIX wants of a request → an Envoy route match, and in which order APISIX tries routes: a full path first, then the
// longest prefix, and of one path the higher priority. Source: apisix docs router-radixtree.md, lua-resty-expr.

import type { PlainJson } from "../../xds/decode/yaml-document.ts";
import type { Section } from "./section.ts";
import type { Plain } from "./yaml-writer.ts";

export interface PathMatch {
  readonly match: { readonly [key: string]: Plain };
  /** Full paths before prefixes, longer prefixes before shorter ones: the smaller the earlier. */
  readonly order: number;
}

const FULL = -1_000_000;

export function pathMatch(uri: string): PathMatch {
  const star = uri.indexOf("*");
  if (star < 0) {
    return { match: { path: uri }, order: FULL };
  }
  if (star === uri.length - 1) {
    return { match: { prefix: uri.slice(0, star) }, order: -star };
  }
  const regex = uri.split("*").map(escapeRegex).join(".*");
  return { match: { safe_regex: { regex } }, order: -star };
}

export function escapeRegex(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

/** `headers` and `query_parameters` of the match; conditions that cannot be said are findings. */
export function conditions(route: Section): { readonly [key: string]: Plain } {
  const headers: Plain[] = [];
  const queries: Plain[] = [];
  const methods = route.texts("methods");
  if (methods !== undefined && methods.length > 0) {
    headers.push({ name: ":method", string_match: stringMatch(methods) });
  }
  const vars = route.plain("vars");
  if (vars !== undefined) {
    const list = Array.isArray(vars) ? vars : [];
    for (const [i, each] of list.entries()) {
      const matcher = condition(each);
      if (typeof matcher === "string") {
        route.lost(`vars[${i}]: ${matcher}; the route is left out`, "vars");
      } else {
        (matcher.kind === "header" ? headers : queries).push(matcher.value);
      }
    }
  }
  for (const key of ["remote_addr", "remote_addrs", "filter_func", "script"]) {
    if (route.has(key)) {
      route.lost("is not translated; the route is left out", key);
    }
  }
  return {
    ...(headers.length === 0 ? {} : { headers }),
    ...(queries.length === 0 ? {} : { query_parameters: queries }),
  };
}

/** One of some texts. */
function stringMatch(texts: readonly string[]): Plain {
  const [only = ""] = texts;
  return texts.length === 1 ? { exact: only } : { safe_regex: { regex: texts.map(escapeRegex).join("|") } };
}

type Condition = { readonly kind: "header" | "query"; readonly value: Plain };

/** `[var, operator, value]`, with `!` before the operator; a text says why it cannot be said. */
function condition(each: PlainJson): Condition | string {
  if (!Array.isArray(each) || typeof each[0] !== "string") {
    return "must be [variable, operator, value]";
  }
  const inverted = each[1] === "!";
  const [name, operator, wanted] = inverted ? [each[0], each[2], each[3]] : each;
  if (typeof name !== "string" || typeof operator !== "string") {
    return "must be [variable, operator, value]";
  }
  if (/^(?:!?OR|!?AND)$/i.test(name)) {
    return `${name} is not translated`;
  }
  const field = fieldOf(name);
  if (field === undefined) {
    return `the variable ${name} is not translated`;
  }
  const match = matchOf(operator, wanted);
  if (match === undefined) {
    return `the operator ${operator} is not translated`;
  }
  const invert = inverted !== match.invert;
  if (field.kind === "query") {
    return invert
      ? `${name} must not have a value: Envoy has no such condition on query parameters`
      : { kind: "query", value: { name: field.name, string_match: match.value } };
  }
  // A missing field is unequal to everything in APISIX, and does not match in Envoy unless it counts as empty.
  const missing = invert ? { invert_match: true, treat_missing_header_as_empty: true } : {};
  return { kind: "header", value: { name: field.name, string_match: match.value, ...missing } };
}

function fieldOf(variable: string): { readonly kind: "header" | "query"; readonly name: string } | undefined {
  const [, kind, name = ""] = /^(http|arg)_(.+)$/.exec(variable) ?? [];
  if (kind === "http") {
    return { kind: "header", name: name.toLowerCase().replaceAll("_", "-") };
  }
  if (kind === "arg") {
    return { kind: "query", name };
  }
  const pseudo: Readonly<Record<string, string>> = { request_method: ":method", host: ":authority", scheme: ":scheme" };
  const header = Object.hasOwn(pseudo, variable) ? pseudo[variable] : undefined;
  return header === undefined ? undefined : { kind: "header", name: header };
}

function matchOf(
  operator: string,
  wanted: PlainJson | undefined,
): { readonly value: Plain; readonly invert: boolean } | undefined {
  const text = typeof wanted === "string" || typeof wanted === "number" ? String(wanted) : undefined;
  switch (operator.toLowerCase()) {
    case "==":
      return text === undefined ? undefined : { value: { exact: text }, invert: false };
    case "~=":
      return text === undefined ? undefined : { value: { exact: text }, invert: true };
    case "~~":
      return text === undefined ? undefined : { value: { safe_regex: { regex: anywhere(text) } }, invert: false };
    case "~*":
      return text === undefined
        ? undefined
        : { value: { safe_regex: { regex: `(?i)${anywhere(text)}` } }, invert: false };
    case "in": {
      const texts = Array.isArray(wanted) ? wanted.map(String) : [];
      return texts.length === 0 ? undefined : { value: stringMatch(texts), invert: false };
    }
    default:
      return undefined;
  }
}

/** APISIX looks for the pattern anywhere, Envoy wants the whole value. */
function anywhere(pattern: string): string {
  return `.*(?:${pattern}).*`;
}
