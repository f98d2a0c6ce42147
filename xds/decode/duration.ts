// google.protobuf.Duration → milliseconds. Called by the decoders of every resource.
// Sub-millisecond parts round up, so that a positive duration never becomes 0, which turns a timeout off.

import type { Duration } from "@bufbuild/protobuf/wkt";

/** Node's timers hold 31 bits; longer durations are cut to this, about 24.8 days. */
export const MAX_DURATION_MS = 2_147_483_647;

/** Milliseconds, 0 to MAX_DURATION_MS; `fallback` when the field is absent. Negative durations are the constraints' business: 0 here. */
export function durationMs(duration: Duration | undefined, fallback: number): number {
  if (duration === undefined) return fallback;
  const ms = Math.ceil(Number(duration.seconds) * 1000 + duration.nanos / 1e6);
  return Math.min(Math.max(ms, 0), MAX_DURATION_MS);
}

/** Seconds as a float, for comparing with a constraint. */
export function durationSeconds(duration: Duration): number {
  return Number(duration.seconds) + duration.nanos / 1e9;
}
