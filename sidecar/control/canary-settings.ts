// How a canary goes, from the words of a flag or of a query: percents and seconds to fractions and milliseconds.

import { DEFAULT_CANARY } from "../../xds/server/rollout.ts";
import type { CanaryOptions } from "../../xds/server/index.ts";

/**
 * `word` gives `canary`, `hold_s`, `timeout_s`, `max_error_increase` and `min_requests` as texts; what it does not give
 * is as in `fallback`. Undefined: no canary. A text says what is wrong.
 */
export function canaryOptions(
  word: (name: string) => string | undefined,
  fallback: CanaryOptions | undefined,
): CanaryOptions | undefined | string {
  const percents = word("canary");
  const base = fallback ?? DEFAULT_CANARY;
  const fractions = percents === undefined ? fallback?.fractions : fractionsOf(percents);
  if (typeof fractions === "string") return fractions;
  const holdMs = number(word, "hold_s", base.holdMs, 1000, 86_400);
  const timeoutMs = number(word, "timeout_s", base.timeoutMs, 1000, 86_400);
  const maxErrorIncrease = number(word, "max_error_increase", base.maxErrorIncrease, 0.01, 100);
  const minRequests = number(word, "min_requests", base.minRequests, 1, 1e9);
  for (const value of [holdMs, timeoutMs, maxErrorIncrease, minRequests]) if (typeof value === "string") return value;
  // All at once: there is nothing to be first.
  if (fractions === undefined || fractions.length === 0) return undefined;
  return {
    fractions,
    holdMs: Number(holdMs),
    timeoutMs: Number(timeoutMs),
    maxErrorIncrease: Number(maxErrorIncrease),
    minRequests: Number(minRequests),
  };
}

const MAX_STEPS = 10;

/** "5,25" to [0.05, 0.25]; "none" and "100" to []. */
function fractionsOf(text: string): readonly number[] | string {
  if (text === "none" || text === "100") return [];
  const percents = text.split(",").map((each) => Number(each.trim() === "" ? Number.NaN : each.replace(/%$/, "")));
  const isGrowing = percents.every((each, i) => each > (percents[i - 1] ?? 0) && each <= 100);
  if (!isGrowing || percents.length > MAX_STEPS) {
    return `canary "${text}" must be percents of the sidecars that grow, such as 10 or 5,25, at most ${MAX_STEPS}, or none`;
  }
  return percents.filter((each) => each < 100).map((each) => each / 100);
}

/** A number of at least 0, by `scale`; a text says what is wrong. */
function number(
  word: (name: string) => string | undefined,
  name: string,
  fallback: number,
  scale: number,
  max: number,
): number | string {
  const text = word(name);
  if (text === undefined) return fallback;
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0 && value <= max)) return `${name} "${text}" must be a number from 0 to ${max}`;
  return value * scale;
}
