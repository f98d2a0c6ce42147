import assert from "node:assert/strict";
import { test } from "node:test";
import { Draining, type DrainingDeps } from "../../sidecar/draining.ts";
import type { DrainOrder } from "../../sidecar/worker-link.ts";

function fixture(options: Partial<DrainingDeps["options"]> = {}, overrides: Partial<DrainingDeps> = {}) {
  const orders: DrainOrder[] = [];
  let lastId = 0;
  const stopped: string[] = [];
  const draining = new Draining({
    options: { concurrency: 2, drainTimeMs: 1_000, drainStrategy: "gradual", minDrainTimeMs: 0, ...options },
    order: (order, id) => {
      orders.push(order);
      lastId = id;
    },
    onListenersStopped: (scope) => stopped.push(scope),
    openConnections: () => 0,
    ...overrides,
  });
  /** Workers say that they have carried out the last order. */
  const drained = (...workers: readonly number[]): void =>
    workers.forEach((worker) => draining.onDrained(worker, lastId));
  return { draining, orders, stopped, drained };
}

const ASKED = { graceful: false, inboundOnly: false, skipExit: false };
const STOP: DrainOrder = { scope: "all", stopAccepting: true, gradualMs: 0 };
const never = new AbortController().signal;

test("finish() resolves when every worker has let its connections go", async () => {
  const { draining, orders, drained } = fixture();
  const finished = draining.finish(never);
  assert.deepEqual(orders, [STOP]);
  drained(0, 0);
  assert.equal(draining.isDone, false);
  drained(1);
  assert.equal(await finished, true);
});

test("finish() gives up after the drain time, and at a second signal", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const late = fixture();
  const finished = late.draining.finish(never);
  late.drained(0);
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
  const { draining, orders } = fixture({ drainStrategy: "immediate" });
  draining.listeners({ ...ASKED, graceful: true, skipExit: true });
  context.mock.timers.tick(10_000);
  assert.deepEqual(orders, [{ scope: "all", stopAccepting: false, gradualMs: 1 }]);
});

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

test("finish() with a least drain time: inbound accepts on, then ends; outbound works until the application has gone", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  let open = 3;
  const { draining, orders, drained } = fixture({ minDrainTimeMs: 200 }, { openConnections: () => open });
  const finished = draining.finish(never);
  const inbound = { scope: "not-outbound", gradualMs: 1, stopAccepting: false };
  assert.deepEqual(orders, [inbound]);
  drained(0, 1);
  await turn();
  assert.equal(orders.length, 1, "workers that have nothing left do not shorten it");
  context.mock.timers.tick(200);
  await turn();
  assert.deepEqual(orders.at(-1), { scope: "not-outbound", gradualMs: 0, stopAccepting: true });
  drained(0, 1);
  await turn();
  context.mock.timers.tick(100);
  await turn();
  assert.equal(orders.length, 2, "the application holds connections");
  open = 0;
  context.mock.timers.tick(100);
  await turn();
  assert.deepEqual(orders.at(-1), STOP);
  drained(0, 1);
  assert.equal(await finished, true);
});

test("finish() has one deadline over all of it, and answers of older orders do not count", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { draining, orders, drained } = fixture({ minDrainTimeMs: 100 }, { openConnections: () => 1 });
  const finished = draining.finish(never);
  context.mock.timers.tick(100);
  await turn();
  drained(0, 1);
  await turn();
  context.mock.timers.tick(900);
  await turn();
  await turn();
  assert.deepEqual(orders.at(-1), STOP);
  draining.onDrained(0, 1);
  draining.onDrained(1, 1);
  assert.equal(await finished, false);
});

test("listeners() does nothing any more once the process ends", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { draining, orders } = fixture();
  draining.listeners({ ...ASKED, graceful: true });
  void draining.finish(never);
  draining.listeners(ASKED);
  context.mock.timers.tick(1_000);
  assert.deepEqual(orders.slice(1), [STOP]);
});
