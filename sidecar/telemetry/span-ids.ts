// Span ids of one trace here: the request's is random, its hooks' and calls' count on from it, so that none has to be kept.
// Used by span-encoder.ts, and by trace-recorder.ts for what goes out with a call.

import { spanIdText } from "../random-id.ts";

/** How far a hook's or a call's span id is from its request's (or, for root callbacks, its trace's). */
export function hookOffset(hook: number): number {
  return 1 + hook;
}

export function calloutOffset(callout: number): number {
  return 0x10000 + callout;
}

/** A call's span id as text. `high` and `low`: the two halves of the request's. */
export function calloutSpanId(high: number, low: number, callout: number): string {
  const sum = low + calloutOffset(callout);
  return sum < 2 ** 32 ? spanIdText(high, sum) : spanIdText((high + 1) >>> 0, sum - 2 ** 32);
}
