import assert from "node:assert/strict";
import { it } from "node:test";

import { createRoundRobin } from "../../../sidecar/cluster/round-robin.ts";
import { balancerContract, buildHosts, countPicks } from "../../contracts/balancer.ts";

balancerContract("round_robin", createRoundRobin, 0.01);

it("createRoundRobin() with equal weights visits every host once in each round", () => {
  const hosts = buildHosts([2, 2, 2, 2]);
  const balancer = createRoundRobin(hosts, () => 0.5);
  const order = Array.from({ length: 8 }, () => balancer.pick()?.key);
  assert.deepEqual(
    order,
    ["3", "4", "1", "2", "3", "4", "1", "2"].map((port) => `127.0.0.1:${port}`),
  );
});

it("createRoundRobin() with unequal weights spreads a host's turns instead of bunching them", () => {
  const hosts = buildHosts([4, 2, 1]);
  const balancer = createRoundRobin(hosts, () => 0);
  const order = Array.from({ length: 7 }, () => balancer.pick()?.key.slice(-1)).join("");
  // Deadlines: host 1 at 1/4, 2/4, 3/4, 1; host 2 at 1/2, 1; host 3 at 1. Of equal ones, the longest waiting goes first.
  assert.equal(order, "1211321");
});

it("createRoundRobin() gives exact shares over whole rounds", () => {
  assert.deepEqual(countPicks(createRoundRobin, buildHosts([1, 2, 3]), 600), [100, 200, 300]);
});
