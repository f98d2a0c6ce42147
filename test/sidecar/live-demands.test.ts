import assert from "node:assert/strict";
import { test } from "node:test";
import { LiveDemands } from "../../sidecar/live-demands.ts";
import type { Demand } from "../../xds/model/demand.ts";

const demand: Demand = { key: "host r/a", kind: "host", routes: "r", name: "r/a" };
const settle = { set: [[demand.key, true]] as const, removed: [] };

function scene() {
  const asked: string[] = [];
  const settled: string[] = [];
  const demands = new LiveDemands(({ key }) => asked.push(key));
  const waiter = (name: string) => ({ onSettled: () => void settled.push(name) });
  return { demands, asked, settled, waiter };
}

test("LiveDemands asks once, whoever waits, and tells each who still does", () => {
  const { demands, asked, settled, waiter } = scene();
  const [first, second] = [waiter("first"), waiter("second")];
  assert.ok(demands.wait(demand, first));
  assert.ok(demands.wait(demand, second));
  demands.cancel(demand, first);
  demands.apply(settle);
  demands.apply(settle);
  assert.deepEqual([asked, settled], [[demand.key], ["second"]]);
});

test("LiveDemands does not wait for what is settled, and asks again when that is over", () => {
  const { demands, asked, waiter } = scene();
  demands.apply(settle);
  assert.equal(demands.wait(demand, waiter("a")), false);
  demands.apply({ set: [], removed: [demand.key] });
  assert.equal(demands.wait(demand, waiter("b")), true);
  assert.deepEqual(asked, [demand.key]);
});

test("LiveDemands asks again when all who waited have gone", () => {
  const { demands, asked, waiter } = scene();
  const gone = waiter("gone");
  demands.wait(demand, gone);
  demands.cancel(demand, gone);
  demands.wait(demand, waiter("next"));
  assert.equal(asked.length, 2);
});

test("LiveDemands does not tell one that another has ended on its way", () => {
  const { demands, settled, waiter } = scene();
  const second = waiter("second");
  const first = {
    onSettled: () => {
      settled.push("first");
      demands.cancel(demand, second);
    },
  };
  demands.wait(demand, first);
  demands.wait(demand, second);
  demands.apply(settle);
  assert.deepEqual(settled, ["first"]);
});
