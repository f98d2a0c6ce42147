// Jittered exponential backoff. Pure: random is an argument, waiting is the caller's. Used by grpc-source.ts for
// reconnection and for held NACKs.

export type BackoffSettings = Readonly<{
  /** Upper bound of the first delay. */
  baseMs: number;
  /** Upper bound of every delay. */
  maxMs: number;
  /** "full": anything from 0 to the bound, as Envoy reconnects; "half": at least half of it, for a pause that must be one. */
  jitter: "full" | "half";
}>;

/** The delay before attempt `n` (0 for the first), in ms. `random` gives a number in [0, 1). */
export function backoffDelayMs(settings: BackoffSettings, n: number, random: () => number): number {
  // 2^30 is far beyond any sensible maximum; the bound keeps n from overflowing into Infinity times zero.
  const bound = Math.min(settings.baseMs * 2 ** Math.min(n, 30), settings.maxMs);
  return settings.jitter === "full" ? random() * bound : bound / 2 + (random() * bound) / 2;
}
