import assert from "node:assert/strict";
import { it } from "node:test";

import fc from "fast-check";

import { EdfSchedule } from "../../../sidecar/cluster/edf-schedule.ts";

it("EdfSchedule never lets an entry fall behind or run ahead of its weight by more than one turn", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 20 }), (weights) => {
      const schedule = new EdfSchedule(weights);
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      const turns = weights.map(() => 0);
      for (let turn = 0; turn < total * 2; turn++) {
        const entry = schedule.first;
        turns[entry] = (turns[entry] as number) + 1;
        schedule.advance(weights[entry] as number);
      }
      for (const [entry, weight] of weights.entries()) {
        assert.ok(Math.abs((turns[entry] as number) - 2 * weight) <= 1, `${turns.join()} for ${weights.join()}`);
      }
    }),
    { numRuns: 100 },
  );
});

it("EdfSchedule serves equal deadlines in the order in which they were scheduled", () => {
  const schedule = new EdfSchedule([1, 1, 1]);
  const order: number[] = [];
  for (let turn = 0; turn < 6; turn++) {
    order.push(schedule.first);
    schedule.advance(1);
  }
  assert.deepEqual(order, [0, 1, 2, 0, 1, 2]);
});
