import assert from "node:assert/strict";
import { it } from "node:test";

import { createLeastRequest } from "../../../sidecar/cluster/least-request.ts";
import { balancerContract, buildHosts, countPicks } from "../../contracts/balancer.ts";

balancerContract("least_request", createLeastRequest);

it("createLeastRequest() prefers the host with fewer requests in flight", () => {
  const hosts = buildHosts([1, 1]);
  (hosts[0] as (typeof hosts)[number]).counts.rqActive = 10;
  const [busy, free] = countPicks(createLeastRequest, hosts, 4_000) as [number, number];
  // The busy host is picked only when both draws hit it: one time in four.
  assert.ok(busy > 800 && busy < 1_200, `${busy} and ${free}`);
});

it("createLeastRequest() with unequal weights divides the weight by the requests in flight", () => {
  const hosts = buildHosts([2, 1]);
  (hosts[0] as (typeof hosts)[number]).counts.rqActive = 3;
  const [heavy, light] = countPicks(createLeastRequest, hosts, 3_000) as [number, number];
  // 2 / (3 + 1) against 1.
  assert.ok(Math.abs(heavy - 1_000) < 20 && Math.abs(light - 2_000) < 20, `${heavy} and ${light}`);
});
