import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { type Candidate, divide, firstOf } from "../../../sidecar/route/field-split.ts";
import type { Demand } from "../../../sidecar/route/matchers.ts";
import { buildHead } from "./builders.ts";

/** Accepts every request that has what it demands, and counts how often it was asked. */
class Counting implements Candidate {
  static asked = 0;
  readonly key = undefined;
  readonly place: number;
  readonly #demands: readonly Demand[];

  constructor(place: number, demands: readonly Demand[]) {
    this.place = place;
    this.#demands = demands;
  }

  demands(): readonly Demand[] {
    return this.#demands;
  }

  accepts(head: ReturnType<typeof buildHead>): boolean {
    Counting.asked += 1;
    return this.#demands.every(({ name, value }) => head.headers.get(name) === value);
  }
}

function header(name: string, value: string | number): Demand {
  return { kind: "header", name, value: String(value) };
}

/** The place that `headers` find among candidates with these demands, and how many of them were asked. */
function finding(demands: readonly (readonly Demand[])[]): (headers: Record<string, string>) => {
  place: number | undefined;
  asked: number;
} {
  const list = divide(demands.map((one, place) => new Counting(place, one)));
  return (headers) => {
    Counting.asked = 0;
    const found = firstOf(list, undefined, buildHead("/", { headers }), 1, 0);
    return { place: found?.place, asked: Counting.asked };
  };
}

describe("divide()", () => {
  it("finds one of a thousand by its value, asking that one", () => {
    const find = finding([...Array.from({ length: 1_000 }, (_, at) => [header("x-version", at)]), []]);
    assert.deepEqual(find({ "X-Version": "700" }), { place: 700, asked: 1 });
    assert.deepEqual(find({ "x-version": "none" }), { place: 1_000, asked: 1 });
    assert.deepEqual(find({}), { place: 1_000, asked: 1 });
  });

  it("keeps the order between those that demand a value and those that do not", () => {
    const versions = Array.from({ length: 20 }, (_, at) => [header("x-version", at)]);
    const find = finding([...versions.slice(0, 10), [header("x-user", "me")], ...versions.slice(10), []]);
    assert.equal(find({ "x-version": "5", "x-user": "me" }).place, 5);
    assert.equal(find({ "x-version": "15", "x-user": "me" }).place, 10);
    assert.equal(find({ "x-version": "15", "x-user": "you" }).place, 16);
  });

  it("divides by a second field what the first has in common", () => {
    const find = finding(
      Array.from({ length: 1_000 }, (_, at) => [
        header("x-env", "prod"),
        header("x-team", at % 30),
        header("x-shard", Math.trunc(at / 30)),
      ]),
    );
    assert.deepEqual(find({ "x-env": "prod", "x-team": "7", "x-shard": "20" }), { place: 607, asked: 1 });
    assert.ok(find({ "x-env": "test", "x-team": "7", "x-shard": "20" }).asked <= 1);
  });

  it("leaves a list alone that no field makes shorter", () => {
    const same = Array.from({ length: 100 }, (_, place) => new Counting(place, [header("x-env", "prod")]));
    assert.equal(divide(same), same);
    const short = Array.from({ length: 8 }, (_, place) => new Counting(place, [header("x-version", place)]));
    assert.equal(divide(short), short);
  });

  it("stops dividing what hostile configuration would have it divide for ever", () => {
    const groups = Array.from({ length: 2_000 }, (_, at) => [header(`x-${Math.trunc(at / 10)}`, at % 10)]);
    const find = finding(groups);
    // Each level takes one header away; the rest is walked, in order.
    assert.equal(find({ "x-0": "3", "x-150": "5" }).place, 3);
    assert.deepEqual(find({ "x-150": "5" }), { place: 1_505, asked: 1_505 - 8 * 10 + 1 });
  });
});
