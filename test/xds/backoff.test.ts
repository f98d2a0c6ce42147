import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { backoffDelayMs } from "../../xds/backoff.ts";

test("backoffDelayMs() doubles its bound up to the maximum", () => {
  const full = { baseMs: 500, maxMs: 30_000, jitter: "full" } as const;
  const bounds = [0, 1, 2, 5, 6, 7, 2_000].map((n) => backoffDelayMs(full, n, () => 1));
  assert.deepEqual(bounds, [500, 1_000, 2_000, 16_000, 30_000, 30_000, 30_000]);
  assert.equal(
    backoffDelayMs(full, 3, () => 0),
    0,
  );
});

test("backoffDelayMs() stays within its jitter", () => {
  const anything = fc.record({
    baseMs: fc.nat(10_000),
    maxMs: fc.nat(60_000),
    n: fc.nat(1_000),
    at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  });
  fc.assert(
    fc.property(anything, ({ baseMs, maxMs, n, at }) => {
      const full = backoffDelayMs({ baseMs, maxMs, jitter: "full" }, n, () => at);
      const half = backoffDelayMs({ baseMs, maxMs, jitter: "half" }, n, () => at);
      const bound = backoffDelayMs({ baseMs, maxMs, jitter: "full" }, n, () => 1);
      assert.ok(full >= 0 && full <= maxMs);
      assert.ok(half >= bound / 2 && half <= bound);
    }),
  );
});
