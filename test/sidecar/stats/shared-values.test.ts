// Numbers that all threads have in common: one slot a name, exact sums whoever adds, and a reader that counts them once.

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { StatsReader } from "../../../sidecar/stats/reader.ts";
import { createSharedValues, SharedSlot, SharedValues } from "../../../sidecar/stats/shared-values.ts";
import { StatsTable } from "../../../sidecar/stats/table.ts";

test("a name has the same slot on every thread, and kinds and names have slots of their own", () => {
  const buffer = createSharedValues();
  const [one, other] = [new SharedValues(buffer), new SharedValues(buffer)];
  const slots = new Set<number>();
  for (let i = 0; i < 500; i++) {
    for (const kind of ["counter", "gauge"] as const) {
      const slot = one.slotOf(kind, `n${i}`);
      assert.equal(slot, other.slotOf(kind, `n${i}`));
      slots.add(slot ?? -1);
    }
  }
  assert.equal(slots.size, 1_000);
});

test("at most 10,000 names have room, and those that have keep it", () => {
  const values = new SharedValues(createSharedValues());
  for (let i = 0; i < 10_000; i++) assert.notEqual(values.slotOf("counter", `n${i}`), undefined);
  assert.equal(values.slotOf("counter", "one more"), undefined);
  assert.notEqual(values.slotOf("counter", "n9999"), undefined);
});

test("threads that add at the same time lose nothing", { timeout: 20_000 }, async () => {
  const buffer = createSharedValues();
  const values = new SharedValues(buffer);
  const slot = values.slotOf("counter", "n") ?? -1;
  const source = `
    const { workerData } = require("node:worker_threads");
    import(workerData.url).then(({ SharedValues }) => {
      const values = new SharedValues(workerData.buffer);
      const slot = values.slotOf("counter", "n");
      for (let i = 0; i < 50000; i++) values.add(slot, 1);
    });`;
  const url = new URL("../../../sidecar/stats/shared-values.ts", import.meta.url).href;
  const workers = [0, 1].map(() => new Worker(source, { eval: true, workerData: { url, buffer } }));
  for (let i = 0; i < 50_000; i++) values.add(slot, 1);
  await Promise.all(workers.map((worker) => once(worker, "exit")));
  assert.equal(new SharedSlot(values, slot).value, 150_000);
});

test("the reader counts a process's number once, and it outlives the threads", () => {
  const shared = createSharedValues();
  const reader = new StatsReader(shared);
  const tables = ["a", "b"].map(
    (owner) => new StatsTable({ shared, onDefine: (update) => reader.apply(owner, structuredClone(update)) }),
  );
  const [counter, same] = tables.map((table) => table.processWide("counter", "hits"));
  const [gauge, alike] = tables.map((table) => table.processWide("gauge", "size") as SharedSlot);
  for (const table of tables) table.flush();
  assert.deepEqual(
    reader
      .numbers()
      .filter(({ name }) => name === "hits" || name === "size")
      .map(({ value, isUsed }) => [value, isUsed]),
    [
      [0, false],
      [0, false],
    ],
  );
  counter?.add(2);
  same?.inc();
  gauge?.set(7);
  alike?.set(5);
  alike?.dec();
  assert.deepEqual([counter?.value, same?.value, gauge?.value], [3, 3, 4]);
  assert.deepEqual([reader.value("hits"), reader.value("size")], [3, 4]);
  reader.retire("a");
  assert.deepEqual([reader.value("hits"), reader.value("size")], [3, 4]);
  reader.resetCounters();
  counter?.inc();
  assert.deepEqual([reader.value("hits"), reader.value("size")], [1, 4]);
});
