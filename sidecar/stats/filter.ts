// The `filter` parameter of /stats: a regular expression in RE2's words, matched anywhere in the name.
// V8 matches it; what RE2 does not have (look-around, back references) is refused, so that every match is linear.

import { linearRegExp } from "../linear-regex.ts";

/** Longest accepted expression, in characters. */
export const MAX_FILTER_LENGTH = 1024;

export interface NameFilter {
  test(name: string): boolean;
}

/** The filter, or what is wrong with it. */
export function compileFilter(
  expression: string,
): { readonly ok: true; readonly filter: NameFilter } | { readonly ok: false; readonly problem: string } {
  if (expression.length > MAX_FILTER_LENGTH) {
    return { ok: false, problem: `longer than ${MAX_FILTER_LENGTH} characters` };
  }
  const outsideClasses = expression.replace(/\\[^1-9k]|\[\^?\]?(?:\\.|[^\]\\])*\]/g, "");
  if (/\(\?<?[=!]/.test(outsideClasses)) {
    return { ok: false, problem: "look-around is not part of RE2" };
  }
  if (/\\[1-9k]/.test(outsideClasses)) {
    return { ok: false, problem: "back references are not part of RE2" };
  }
  if (
    [...outsideClasses.matchAll(/\{(\d*),?(\d*)\}/g)].some(([, low, high]) => Number(low) > 1000 || Number(high) > 1000)
  ) {
    return { ok: false, problem: "repetition beyond 1000" };
  }
  try {
    // RE2 writes named groups (?P<name>…), and leading flags such as (?i).
    const flags = /^\(\?([ims]+)\)/.exec(expression);
    const body = (flags === null ? expression : expression.slice(flags[0].length)).replaceAll("(?P<", "(?<");
    return { ok: true, filter: linearRegExp(body, flags?.[1] ?? "") };
  } catch (error) {
    return { ok: false, problem: error instanceof Error ? error.message : String(error) };
  }
}
