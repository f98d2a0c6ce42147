import assert from "node:assert/strict";
import { describe, it } from "node:test";

import fc from "fast-check";

import { computePriorityLoads } from "../../../sidecar/cluster/priority-load.ts";

/** `H/D/T`: healthy, degraded and all hosts of a priority. */
function counts(text: string): { healthy: number; degraded: number; total: number }[] {
  return text.split(" ").map((part) => {
    const [healthy = 0, degraded = 0, total = 0] = part.split("/").map(Number);
    return { healthy, degraded, total };
  });
}

function loads(text: string, panicThreshold = 50): string {
  return computePriorityLoads(counts(text), 140, panicThreshold)
    .map((load) => `${load.healthyShare}+${load.degradedShare}${load.panic ? "!" : ""}`)
    .join(" ");
}

describe("computePriorityLoads()", () => {
  // The tables of Envoy's docs, "Priority levels" and "Degraded endpoints", and the corners of its source.
  const cases = [
    { name: "one healthy priority takes all", input: "4/0/4", expect: "100+0" },
    { name: "72 % of the hosts still suffice", input: "72/0/100 100/0/100", expect: "100+0 0+0" },
    { name: "71 % spill over", input: "71/0/100 100/0/100", expect: "99+0 1+0" },
    { name: "half of the first priority", input: "50/0/100 100/0/100", expect: "70+0 30+0" },
    { name: "a first priority that is down", input: "0/0/100 100/0/100", expect: "0+0 100+0" },
    { name: "three priorities", input: "25/0/100 25/0/100 100/0/100", expect: "35+0 35+0 30+0" },
    { name: "a poor total is scaled up", input: "25/0/100 25/0/100", expect: "50+0! 50+0!" },
    { name: "the first of three is empty", input: "0/0/0 2/0/2 2/0/2", expect: "0+0 100+0 0+0" },
    { name: "degraded after healthy, within a priority", input: "50/50/100", expect: "70+30" },
    {
      name: "healthy ones of a lower priority before degraded ones",
      input: "25/75/100 100/0/100",
      expect: "35+0 65+0",
    },
    { name: "only degraded hosts", input: "0/100/100", expect: "0+100" },
    { name: "panic below half", input: "4/0/10", expect: "100+0!" },
    { name: "no panic at half", input: "5/0/10", expect: "100+0" },
    { name: "degraded hosts count against panic", input: "2/3/10", expect: "40+60" },
    { name: "no panic in a priority while the total suffices", input: "1/0/10 10/0/10", expect: "14+0 86+0" },
    { name: "panic in one priority only", input: "1/0/10 6/0/10", expect: "15+0! 85+0" },
    { name: "panic everywhere: shares by number of hosts", input: "0/0/10 0/0/30", expect: "25+0! 75+0!" },
    { name: "no hosts at all", input: "0/0/0", expect: "0+0!" },
    { name: "panic off and nothing usable", input: "0/0/4", expect: "0+0", threshold: 0 },
    { name: "panic off and little usable", input: "1/0/4", expect: "100+0", threshold: 0 },
  ];
  for (const { name, input, expect, threshold } of cases) {
    it(`${name}: ${input} gives ${expect}`, () => {
      assert.equal(loads(input, threshold), expect);
    });
  }

  it("shares sum to 100 or to 0", () => {
    const group = fc.tuple(fc.nat(20), fc.nat(20), fc.nat(20)).map(([healthy, degraded, rest]) => ({
      healthy,
      degraded,
      total: healthy + degraded + rest,
    }));
    fc.assert(
      fc.property(fc.array(group, { maxLength: 6 }), fc.nat(100), (groups, threshold) => {
        let sum = 0;
        for (const [index, load] of computePriorityLoads(groups, 140, threshold).entries()) {
          sum += load.healthyShare + load.degradedShare;
          assert.ok(load.healthyShare >= 0 && load.degradedShare >= 0);
          const total = groups[index]?.total ?? 0;
          assert.ok(total > 0 || load.healthyShare + load.degradedShare === 0, "a share without hosts");
        }
        const usable = groups.some((g) => (threshold > 0 ? g.total : g.healthy + g.degraded) > 0);
        assert.equal(sum, usable ? 100 : 0);
      }),
      { numRuns: 500 },
    );
  });
});
