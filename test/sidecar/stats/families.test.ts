import assert from "node:assert/strict";
import { test } from "node:test";
import { familyOf } from "../../../sidecar/stats/families.ts";
import { StatsReader } from "../../../sidecar/stats/reader.ts";
import { StatsTable } from "../../../sidecar/stats/table.ts";

const FAMILY = familyOf((scope) => {
  scope.counter("rq.total");
  scope.gauge("rq.active");
  scope.histogram("rq_time");
});

function tables() {
  const reader = new StatsReader();
  const tableOf = (owner: string) =>
    new StatsTable({ onDefine: (update) => reader.apply(owner, structuredClone(update)) });
  const names = () =>
    [...reader.numbers(), ...reader.histograms()].map(({ name }) => name).filter((name) => name.startsWith("c."));
  return { reader, tableOf, names };
}

test("declared names are shown in order at zero, unused, and count when they are asked for", () => {
  const { reader, tableOf, names } = tables();
  const [a, b] = [tableOf("a"), tableOf("b")];
  for (const table of [a, b]) {
    table.declare(FAMILY, "c.1.");
    table.declare(FAMILY, "c.0.");
    table.flush();
  }
  assert.deepEqual(names(), [
    "c.0.rq.active",
    "c.0.rq.total",
    "c.1.rq.active",
    "c.1.rq.total",
    "c.0.rq_time",
    "c.1.rq_time",
  ]);
  assert.equal(reader.value("c.1.rq.total"), 0);
  assert.equal(reader.value("c.1.rq.other"), undefined);
  assert.equal(reader.value("c.2.rq.total"), undefined);
  assert.ok(reader.numbers(true).every(({ name }) => !name.startsWith("c.")));
  a.counter("c.1.rq.total").inc();
  a.flush();
  assert.equal(reader.value("c.1.rq.total"), 1);
  assert.equal(names().length, 6);
  assert.deepEqual(
    reader
      .numbers(true)
      .filter(({ name }) => name.startsWith("c."))
      .map(({ name }) => name),
    ["c.1.rq.total"],
  );
});

test("a declaration ends with its last owner, and with the last that takes it back", () => {
  const { reader, tableOf, names } = tables();
  const [a, b] = [tableOf("a"), tableOf("b")];
  a.declare(FAMILY, "c.1.");
  a.flush();
  // A successor is declared before the predecessor goes.
  a.declare(FAMILY, "c.1.");
  a.retract("c.1.");
  a.flush();
  assert.equal(names().length, 3);
  a.retract("c.1.");
  a.retract("c.1.");
  a.declare(FAMILY, "c.1.");
  a.flush();
  assert.equal(names().length, 3);
  a.retract("c.1.");
  a.flush();
  assert.equal(names().length, 0);
  b.declare(FAMILY, "c.1.");
  b.flush();
  assert.equal(names().length, 3);
  reader.retire("b");
  assert.equal(names().length, 0);
});
