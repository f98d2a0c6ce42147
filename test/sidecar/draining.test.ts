import assert from "node:assert/strict";
import { test } from "node:test";
import { Draining, type DrainingDeps } from "../../sidecar/draining.ts";
import type { DrainOrder } from "../../sidecar/worker-link.ts";

function fixture(overrides: Partial<DrainingDeps> = {}) {
  const orders: DrainOrder[] = [];
  const stopped: string[] = [];
  const draining = new Draining({
    workerCount: 2,
    drainTimeMs: 1_000,
    strategy: "gradual",
    order: (order) => orders.push(order),
    onListenersStopped: (scope) => stopped.push(scope),
    ...overrides,
  });
  return { draining, orders, stopped };
}

const ASKED = { graceful: false, inboundOnly: false, skipExit: false };
const STOP: DrainOrder = { scope: "all", stopAccepting: true, gradualMs: 0 };
const never = new AbortController().signal;

test("finish() resolves when every worker has let its connections go", async () => {
  const { draining, orders } = fixture();
  const finished = draining.finish(never);
  assert.deepEqual(orders, [STOP]);
  draining.onDrained(0);
  draining.onDrained(0);
  assert.equal(draining.isDone, false);
  draining.onDrained(1);
  assert.equal(await finished, true);
});

test("finish() gives up after the drain time, and at a second signal", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const late = fixture();
  const finished = late.draining.finish(never);
  late.draining.onDrained(0);
  context.mock.timers.tick(1_000);
  assert.equal(await finished, false);
  const kill = new AbortController();
  const killed = fixture().draining.finish(kill.signal);
  kill.abort();
  assert.equal(await killed, false);
});

test("listeners() stops at once, or discourages keep-alive until the drain time is up", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const now = fixture();
  now.draining.listeners(ASKED);
  assert.deepEqual([now.orders, now.stopped], [[STOP], ["all"]]);
  const graceful = fixture();
  graceful.draining.listeners({ ...ASKED, graceful: true, inboundOnly: true });
  assert.deepEqual(graceful.orders, [{ scope: "inbound", stopAccepting: false, gradualMs: 1_000 }]);
  context.mock.timers.tick(999);
  assert.deepEqual(graceful.stopped, []);
  context.mock.timers.tick(1);
  assert.deepEqual(graceful.orders[1], { ...STOP, scope: "inbound" });
  assert.deepEqual(graceful.stopped, ["inbound"]);
});

test("listeners() follows --drain-strategy, and skip_exit never stops them", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { draining, orders } = fixture({ strategy: "immediate" });
  draining.listeners({ ...ASKED, graceful: true, skipExit: true });
  context.mock.timers.tick(10_000);
  assert.deepEqual(orders, [{ scope: "all", stopAccepting: false, gradualMs: 0 }]);
});
