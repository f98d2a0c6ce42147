// Which control plane comes next, when a better one is tried again, and how often requests go.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { RequestLimiter } from "../../xds/request-rate.ts";
import { ServerOrder } from "../../xds/server-order.ts";
import { ServerReturn } from "../../xds/server-return.ts";
import { ManualXdsClock } from "../support/xds-clock.ts";

suite("ServerOrder", () => {
  test("goes through the tiers, and begins anew after a success", () => {
    const order = new ServerOrder([["a"], ["b"], ["c"]], () => 0);
    assert.deepEqual(
      [0, 1, 2, 3, 4].map((failures) => order.pick(failures)),
      ["a", "b", "c", "a", "b"],
    );
    assert.equal(order.pick(0), "a");
  });

  test("tries all of a tier before the next, in another order each round", () => {
    let draw = 0;
    // The first round ranks a, b, c; the second c, b, a.
    const ranks = [1, 2, 3, 9, 3, 2, 1, 9];
    const order = new ServerOrder([["a", "b", "c"], ["z"]], () => ranks[draw++ % ranks.length] ?? 0);
    assert.deepEqual(
      [0, 1, 2, 3].map((failures) => order.pick(failures)),
      ["a", "b", "c", "z"],
    );
    assert.deepEqual(
      [4, 5, 6, 7].map((failures) => order.pick(failures)),
      ["c", "b", "a", "z"],
    );
  });

  test("knows what is better: one of the first tier, for a server of another", () => {
    const order = new ServerOrder([["a", "b"], ["z"]], () => 0);
    assert.equal(order.betterThan("z"), "a");
    assert.equal(order.betterThan("b"), undefined);
  });
});

suite("ServerReturn", () => {
  function scene(answers: readonly boolean[]) {
    const clock = new ManualXdsClock();
    const seen = { probes: 0, backs: 0 };
    const probe = () => Promise.resolve(answers[seen.probes++] ?? false);
    const back = new ServerReturn({ probe, onBack: () => (seen.backs += 1), clock });
    /** The answer of a probe comes a microtask later. */
    const advance = async (ms: number) => {
      clock.advance(ms);
      await Promise.resolve();
      await Promise.resolve();
    };
    return { back, seen, advance, clock };
  }

  test("tries every 30 s until the better server is there", async () => {
    const { back, seen, advance } = scene([false, false, true]);
    back.onSecondBest();
    back.onSecondBest();
    await advance(29_999);
    assert.equal(seen.probes, 0);
    await advance(1);
    await advance(30_000);
    assert.deepEqual(seen, { probes: 2, backs: 0 });
    await advance(30_000);
    assert.deepEqual(seen, { probes: 3, backs: 1 });
  });

  test("waits longer each time that the better server took the connection and refused the stream, up to 10 min", async () => {
    const { back, advance, clock } = scene(Array<boolean>(9).fill(true));
    const waits: number[] = [];
    for (let round = 0; round < 7; round++) {
      back.onSecondBest();
      const [wait = 0] = clock.delays;
      waits.push(wait);
      await advance(wait);
    }
    assert.deepEqual(waits, [30_000, 60_000, 120_000, 240_000, 480_000, 600_000, 600_000]);
    back.onBest();
    back.onSecondBest();
    assert.deepEqual(clock.delays, [30_000]);
  });

  test("stops with its stream, also while a probe is under way", async () => {
    const { back, seen, clock } = scene([true]);
    back.onSecondBest();
    clock.advance(30_000);
    back.stop();
    await Promise.resolve();
    await Promise.resolve();
    assert.deepEqual(seen, { probes: 1, backs: 0 });
    assert.deepEqual(clock.delays, []);
  });
});

test("RequestLimiter lets a burst go, then as many as its rate", () => {
  const clock = new ManualXdsClock();
  const limiter = new RequestLimiter({ maxTokens: 3, fillPerSecond: 2 }, clock);
  assert.deepEqual(
    [1, 2, 3, 4].map(() => limiter.take()),
    [0, 0, 0, 500],
  );
  clock.advance(250);
  assert.equal(limiter.take(), 250);
  clock.advance(250);
  assert.deepEqual([limiter.take(), limiter.take()], [0, 500]);
  clock.advance(3_600_000);
  assert.deepEqual(
    [1, 2, 3, 4].map(() => limiter.take()),
    [0, 0, 0, 500],
  );
});
