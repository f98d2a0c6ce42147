import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { countUpTo, quantiles } from "../../../sidecar/stats/buckets.ts";
import { StatsReader } from "../../../sidecar/stats/reader.ts";
import { StatsTable } from "../../../sidecar/stats/table.ts";

function record(values: readonly number[]) {
  const reader = new StatsReader();
  const table = new StatsTable({ onDefine: (update) => reader.apply("a", update) });
  const histogram = table.histogram("h");
  for (const value of values) {
    histogram.record(value);
  }
  table.flush();
  const view = reader.histogram("h");
  assert.ok(view !== undefined);
  return { reader, view, histogram, table };
}

test("quantiles() are within 4 % of the true value", () => {
  const values = Array.from({ length: 10_000 }, (_, i) => (i + 1) * 0.37);
  const { view } = record(values);
  for (const q of [0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1]) {
    const truth = values[Math.max(0, Math.ceil(q * values.length) - 1)] as number;
    const [found] = quantiles(view.cumulative, [q]);
    assert.ok(Math.abs((found as number) - truth) <= truth * 0.04, `q${q}: ${found} for ${truth}`);
  }
});

test("record() puts every value into the bucket that holds it", () => {
  fc.assert(
    fc.property(fc.double({ min: 1e-7, max: 1e12, noNaN: true }), (value) => {
      const { view } = record([value]);
      const [low, high] = quantiles(view.cumulative, [0, 1]);
      return (low as number) <= value && value <= (high as number) && (high as number) <= (low as number) * 1.033;
    }),
  );
});

test("record() keeps zeros and huge values and drops what is no amount", () => {
  const { view } = record([0, 0, 1e300, Number.POSITIVE_INFINITY, Number.NaN, -1]);
  assert.equal(view.cumulative.count, 4);
  assert.equal(view.cumulative.zeros, 2);
  assert.equal(view.cumulative.sum, 1e300);
  assert.equal(quantiles(view.cumulative, [0.5])[0], 0);
});

test("countUpTo() counts a whole number at its own limit", () => {
  const { view } = record([1, 5, 5, 10, 11, 1000]);
  assert.equal(countUpTo(view.cumulative, 0.5), 0);
  assert.equal(countUpTo(view.cumulative, 5), 3);
  assert.equal(countUpTo(view.cumulative, 10), 4);
  assert.equal(countUpTo(view.cumulative, 1000), 6);
});

test("rollInterval() begins a new interval", () => {
  const { reader, view, histogram, table } = record([1, 2, 3]);
  assert.equal(view.interval.count, 3);
  reader.rollInterval();
  assert.equal(reader.histogram("h")?.interval.count, 0);
  histogram.record(9);
  table.flush();
  assert.equal(reader.histogram("h")?.interval.count, 1);
  assert.equal(reader.histogram("h")?.cumulative.count, 4);
});

test("quantiles() of nothing are not numbers", () => {
  const { view } = record([]);
  assert.deepEqual(quantiles(view.cumulative, [0, 1]), [Number.NaN, Number.NaN]);
});
