import assert from "node:assert/strict";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { StatsReader } from "../../../sidecar/stats/reader.ts";
import { OVERFLOW_STAT, StatsTable } from "../../../sidecar/stats/table.ts";

function tableFor(reader: StatsReader, owner: string, maxNames?: number): StatsTable {
  return new StatsTable({
    onDefine: (update) => reader.apply(owner, structuredClone(update)),
    ...(maxNames === undefined ? {} : { maxNames }),
  });
}

test("StatsTable gives the same object for the same name", () => {
  const table = tableFor(new StatsReader(), "a");
  assert.equal(table.counter("x"), table.counter("x"));
  assert.equal(table.gauge("y"), table.gauge("y"));
  assert.equal(table.histogram("z"), table.histogram("z"));
});

test("StatsReader sums one name over all threads", () => {
  const reader = new StatsReader();
  const tables = [tableFor(reader, "a"), tableFor(reader, "b")] as const;
  tables[0].counter("rq").add(3);
  tables[1].counter("rq").inc();
  tables[0].gauge("active").set(5);
  tables[1].gauge("active").inc();
  tables[1].gauge("active").dec();
  tables[1].gauge("active").add(2);
  for (const table of tables) {
    table.flush();
  }
  assert.equal(reader.value("rq"), 4);
  assert.equal(reader.value("active"), 7);
  // Later additions need no message.
  tables[0].counter("rq").add(10);
  assert.equal(reader.value("rq"), 14);
});

test("StatsReader takes the largest of what every worker sets alike", () => {
  const reader = new StatsReader();
  for (const owner of ["a", "b"]) {
    const table = tableFor(reader, owner);
    table.gauge("cluster.web.membership_total").set(3);
    table.flush();
  }
  assert.equal(reader.value("cluster.web.membership_total"), 3);
});

test("retire() keeps the counts of a worker that died and drops its gauges", () => {
  const reader = new StatsReader();
  const dead = tableFor(reader, "worker-0#1");
  dead.counter("rq").add(7);
  dead.gauge("active").set(3);
  dead.histogram("time").record(10);
  dead.flush();
  reader.retire("worker-0#1");
  dead.counter("rq").add(100);
  const next = tableFor(reader, "worker-0#2");
  next.counter("rq").inc();
  next.histogram("time").record(20);
  next.flush();
  assert.equal(reader.value("rq"), 8);
  assert.equal(reader.value("active"), 0);
  assert.equal(reader.histogram("time")?.cumulative.count, 2);
  assert.equal(reader.histogram("time")?.cumulative.sum, 30);
});

test("resetCounters() starts counters and histograms at 0 and leaves gauges", () => {
  const reader = new StatsReader();
  const table = tableFor(reader, "a");
  const counter = table.counter("rq");
  counter.add(5);
  table.gauge("active").set(2);
  table.histogram("time").record(1);
  table.flush();
  reader.resetCounters();
  assert.equal(reader.value("rq"), 0);
  assert.equal(reader.value("active"), 2);
  assert.equal(reader.histogram("time")?.cumulative.count, 0);
  counter.inc();
  table.histogram("time").record(4);
  table.flush();
  assert.equal(reader.value("rq"), 1);
  assert.equal(reader.histogram("time")?.cumulative.count, 1);
  assert.equal(reader.histogram("time")?.cumulative.sum, 4);
});

test("StatsTable counts names beyond its bound and gives them a shared object", () => {
  const reader = new StatsReader();
  const table = tableFor(reader, "a", 3);
  const first = table.counter("one");
  table.gauge("two");
  assert.equal(table.counter("three"), table.counter("four"));
  table.histogram("five").record(1);
  table.gauge("six").set(1);
  first.inc();
  table.flush();
  assert.equal(reader.value("one"), 1);
  assert.equal(reader.value("three"), undefined);
  assert.equal(reader.value(OVERFLOW_STAT), 4);
});

test("StatsTable hands news over once for a turn, over many pages", async () => {
  const updates: number[] = [];
  const reader = new StatsReader();
  const table = new StatsTable({
    onDefine(update) {
      updates.push(update.definitions.length);
      reader.apply("a", update);
    },
  });
  for (let i = 0; i < 10_000; i++) {
    table.counter(`c${i}`).add(i);
  }
  await Promise.resolve();
  assert.deepEqual(updates, [10_001]);
  assert.equal(reader.value("c9999"), 9999);
});

test("StatsReader reads a worker thread that is busy", async () => {
  const source = `
    const { parentPort, workerData } = require("node:worker_threads");
    import(workerData.table).then(({ StatsTable }) => {
      const table = new StatsTable({ onDefine: (update) => parentPort.postMessage(update) });
      const counter = table.counter("spins");
      table.flush();
      const end = Date.now() + 10000;
      while (Date.now() < end) counter.inc();
    });`;
  const table = new URL("../../../sidecar/stats/table.ts", import.meta.url).href;
  const worker = new Worker(source, { eval: true, workerData: { table } });
  try {
    const reader = new StatsReader();
    const update = await new Promise<Parameters<StatsReader["apply"]>[1]>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    reader.apply("w", update);
    const deadline = Date.now() + 5000;
    while ((reader.value("spins") ?? 0) < 1000 && Date.now() < deadline) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    const seen = reader.value("spins") ?? 0;
    assert.ok(seen >= 1000, `saw ${seen}`);
  } finally {
    await worker.terminate();
  }
});

test("StatsTable shows names without colons, as Envoy, and labelled names as they are", () => {
  const reader = new StatsReader();
  const table = tableFor(reader, "a");
  table.counter("listener.[::1]:80.downstream_cx_total").inc();
  table.counter('outrigger_x{at="a:b"}').inc();
  table.flush();
  assert.equal(reader.value("listener.[__1]_80.downstream_cx_total"), 1);
  assert.equal(reader.value('outrigger_x{at="a:b"}'), 1);
});
