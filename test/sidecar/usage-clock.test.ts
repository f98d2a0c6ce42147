import assert from "node:assert/strict";
import { test } from "node:test";
import { type ResourceUse, UsageClock } from "../../sidecar/usage-clock.ts";

test("UsageClock says when a version came into use on each worker, and on all", () => {
  const heard: ResourceUse[] = [];
  const clock = new UsageClock(2, (use) => heard.push(use));
  clock.changed("routes r", 3, 100);
  assert.equal(clock.inUse(1, 3, 110), 0);
  assert.deepEqual(clock.of("routes r")?.byWorker, [undefined, 110]);
  assert.equal(clock.of("routes r")?.inUseAt, 0);
  assert.equal(clock.inUse(0, 2, 115), 2);
  assert.equal(heard.length, 0);
  assert.equal(clock.inUse(0, 3, 120), 3);
  assert.deepEqual(clock.of("routes r"), { version: 3, changedAt: 100, byWorker: [120, 110], inUseAt: 120 });
  assert.equal(heard.length, 1);
  clock.inUse(0, 4, 130);
  assert.equal(clock.of("routes r")?.byWorker[0], 120);
});

test("UsageClock forgets what is removed, and waits for the successor of a lost worker", () => {
  const clock = new UsageClock(1);
  clock.changed("clusters c", 1, 1);
  clock.inUse(0, 1, 2);
  clock.lost(0);
  assert.equal(clock.reached, 0);
  clock.changed("clusters d", 2, 3);
  clock.inUse(0, 2, 9);
  assert.equal(clock.of("clusters d")?.inUseAt, 9);
  clock.removed("clusters c");
  assert.equal(clock.of("clusters c"), undefined);
});
