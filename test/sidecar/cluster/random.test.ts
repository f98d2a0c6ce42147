import assert from "node:assert/strict";
import { it } from "node:test";

import { createRandom } from "../../../sidecar/cluster/random.ts";
import { balancerContract, buildHosts } from "../../contracts/balancer.ts";

balancerContract("random", createRandom);

it("createRandom() reaches the first and the last host at the ends of the random range", () => {
  for (const weights of [
    [1, 1, 1],
    [1, 5, 2],
  ]) {
    const hosts = buildHosts(weights);
    assert.equal(createRandom(hosts, () => 0).pick(), hosts[0]);
    assert.equal(createRandom(hosts, () => 1 - 2 ** -53).pick(), hosts[2]);
  }
});
