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
    table.retain("c.1.", FAMILY);
    table.retain("c.0.", FAMILY);
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

test("what two threads declare of one prefix is shown together, and what both declare once", () => {
  const { tableOf, names } = tables();
  for (const owner of ["main", "a", "b"]) {
    const table = tableOf(owner);
    table.retain("c.1.", owner === "main" ? familyOf((scope) => scope.counter("update_attempt")) : FAMILY);
    table.flush();
  }
  assert.deepEqual(names(), ["c.1.rq.active", "c.1.rq.total", "c.1.update_attempt", "c.1.rq_time"]);
});

test("a declaration ends with its last owner, and with the last that takes it back", () => {
  const { reader, tableOf, names } = tables();
  const [a, b] = [tableOf("a"), tableOf("b")];
  a.retain("c.1.", FAMILY);
  a.flush();
  // A successor is declared before the predecessor goes.
  a.retain("c.1.", FAMILY);
  a.release("c.1.");
  a.flush();
  assert.equal(names().length, 3);
  a.release("c.1.");
  a.release("c.1.");
  a.retain("c.1.", FAMILY);
  a.flush();
  assert.equal(names().length, 3);
  a.release("c.1.");
  a.flush();
  assert.equal(names().length, 0);
  b.retain("c.1.", FAMILY);
  b.flush();
  assert.equal(names().length, 3);
  reader.retire("b");
  assert.equal(names().length, 0);
});

test("released names are gone with what they counted, from every thread and the bound, and begin anew", () => {
  const { reader, tableOf, names } = tables();
  const [a, b] = [tableOf("a"), tableOf("b")];
  for (const table of [a, b]) {
    table.retain("c.1.", FAMILY);
    table.counter("c.1.rq.total").inc();
    table.counter("c.1.more").inc();
    table.counter("c.10.rq.total").inc();
    table.flush();
  }
  reader.setText("c.1.version_text", "7");
  const stale = a.counter("c.1.rq.total");
  a.release("c.1.");
  a.flush();
  assert.equal(reader.value("c.1.rq.total"), 1);
  b.release("c.1.");
  b.flush();
  assert.deepEqual(names(), ["c.10.rq.total"]);
  assert.deepEqual(reader.texts(), []);
  stale.inc();
  a.counter("c.1.rq.total").add(5);
  a.flush();
  assert.equal(reader.value("c.1.rq.total"), 5);
  assert.equal(reader.value("c.10.rq.total"), 2);
});

test("a name with dots is not gone with one that it begins with", () => {
  const { reader, tableOf, names } = tables();
  const table = tableOf("a");
  for (const prefix of ["c.1.", "c.1.b.", "c.1.b.d."]) {
    table.retain(prefix);
    table.counter(`${prefix}rq`).inc();
  }
  reader.setText("c.1.b.version_text", "7");
  table.flush();
  table.release("c.1.");
  table.release("c.1.b.d.");
  table.flush();
  assert.deepEqual(names(), ["c.1.b.rq"]);
  assert.equal(reader.texts().length, 1);
  table.counter("c.1.b.rq").inc();
  assert.equal(reader.value("c.1.b.rq"), 2, "the name has its slot still");
});
