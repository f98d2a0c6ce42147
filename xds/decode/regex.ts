// RE2 syntax check for every regular expression in a configuration: Envoy matches with RE2, so a pattern is valid when
// RE2 takes it. Matching itself is sidecar/route/regex.ts. Called by the decoders.

import { RE2JS } from "re2js";
import { quoted } from "./constraint.ts";

/** Longer patterns are refused before they are parsed. */
const MAX_PATTERN_LENGTH = 16_384;

/** Patterns already checked; pushes repeat the same ones. Cleared when full. */
const checked = new Map<string, string | undefined>();
const MAX_CHECKED = 1024;

/** Why RE2 refuses the pattern; undefined when it takes it. */
export function regexProblem(pattern: string): string | undefined {
  if (pattern.length > MAX_PATTERN_LENGTH) return `is longer than ${MAX_PATTERN_LENGTH} characters`;
  if (checked.has(pattern)) return checked.get(pattern);
  const problem = compileProblem(pattern);
  if (checked.size >= MAX_CHECKED) checked.clear();
  checked.set(pattern, problem);
  return problem;
}

/** Capturing groups of the pattern; 0 for a pattern that RE2 refuses. */
export function regexGroupCount(pattern: string): number {
  return regexProblem(pattern) === undefined ? RE2JS.compile(pattern).groupCount() : 0;
}

/** Whether the whole text matches; false for a pattern that RE2 refuses. For the rare match on the main thread. */
export function matchesWholly(pattern: string, text: string): boolean {
  return regexProblem(pattern) === undefined && RE2JS.matches(pattern, text);
}

function compileProblem(pattern: string): string | undefined {
  try {
    RE2JS.compile(pattern);
    return undefined;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return `${quoted(pattern)} is not a valid RE2 expression: ${reason}`;
  }
}
