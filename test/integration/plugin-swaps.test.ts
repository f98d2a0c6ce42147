// test/bench/swaps.ts for a moment: a plugin's module and configuration are replaced again and again under load.

import assert from "node:assert/strict";
import { test } from "node:test";
import { measureSwaps } from "../bench/swaps.ts";

test(
  "no request fails or sees half of a configuration while its plugin is replaced",
  { timeout: 60_000 },
  async (t) => {
    const enough = { seconds: 1.5, minRequests: 60, minSeen: 5 };
    const result = await measureSwaps(t, { ...enough, gapMs: 50, rate: 200, concurrency: 1, measuresMemory: false });
    assert.deepEqual(result.problems, {});
    assert.equal(result.vmsAfter, 1);
    assert.ok(result.swaps > 3 && result.seen > 3, JSON.stringify(result));
    assert.ok(result.requests > 50, JSON.stringify(result));
  },
);
