// The suite that every load-balancing policy must pass: weights, an empty set, one host, stable membership.
// Run by the test file of each policy.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { BalancerFactory } from "../../sidecar/cluster/balancer.ts";
import { Host } from "../../sidecar/cluster/host.ts";
import type { StreamPool } from "../../sidecar/upstream/stream-pool.ts";
import { buildEndpoint } from "../support/cluster-builders.ts";
import { seededRandom } from "../support/seeded-random.ts";

const NO_POOL: StreamPool = {
  isEmpty: true,
  acquire() {},
  cancel: () => false,
  redirect() {},
  drain() {},
  dispose() {},
};

/** Hosts with the weights given, on ports 1, 2, 3 … */
export function buildHosts(weights: readonly number[]): Host[] {
  return weights.map((weight, index) => {
    const endpoint = buildEndpoint({ port: index + 1, weight });
    const place = { priority: 0, locality: { region: "", zone: "", subZone: "" }, metadata: undefined };
    return new Host(`127.0.0.1:${index + 1}`, endpoint, place, () => NO_POOL);
  });
}

/** How often each host is picked in `picks` picks; `hash` gives the hash of each pick. */
export function countPicks(
  factory: BalancerFactory,
  hosts: readonly Host[],
  picks: number,
  hash?: () => number,
): number[] {
  const balancer = factory(hosts, seededRandom());
  const counts = new Map<Host | undefined, number>();
  for (let pick = 0; pick < picks; pick++) {
    const host = balancer.pick(hash?.());
    counts.set(host, (counts.get(host) ?? 0) + 1);
  }
  assert.equal(counts.get(undefined), undefined);
  return hosts.map((host) => counts.get(host) ?? 0);
}

/** `tolerance` is how far a host's share may be from its weight's share, relative to the latter. */
export function balancerContract(name: string, factory: BalancerFactory, tolerance = 0.08, picks = 20_000): void {
  describe(`${name}: the contract of balancers`, () => {
    const random = seededRandom(7);
    const hash = (): number => Math.floor(random() * 4_294_967_296);

    it("pick() gives nothing when there is no host", () => {
      assert.equal(factory([], seededRandom()).pick(), undefined);
      assert.equal(factory([], seededRandom()).pick(5), undefined);
    });

    it("pick() gives the only host", () => {
      const hosts = buildHosts([3]);
      assert.deepEqual(countPicks(factory, hosts, 10), [10]);
    });

    for (const weights of [
      [1, 1, 1],
      [5, 5],
      [1, 2, 3, 4],
      [1, 100],
      [128, 64, 1, 7],
    ]) {
      it(`pick() honours the weights ${weights.join(", ")}`, () => {
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        const counts = countPicks(factory, buildHosts(weights), picks, hash);
        for (const [index, weight] of weights.entries()) {
          const expected = (picks * weight) / total;
          const slack = Math.max(expected * tolerance, 4 * Math.sqrt(expected));
          const got = counts[index] as number;
          assert.ok(Math.abs(got - expected) <= slack, `host ${index}: ${got} picks, about ${expected} expected`);
        }
      });
    }

    it("pick() starts at a random host, so that many proxies do not begin with the same one", () => {
      const hosts = buildHosts([1, 1, 1, 1, 1, 1, 1, 1]);
      const firsts = new Set<Host | undefined>();
      for (let seed = 1; seed <= 40; seed++) {
        firsts.add(factory(hosts, seededRandom(seed)).pick(seed * 104_729));
      }
      assert.ok(firsts.size >= 4, `only ${firsts.size} different first hosts`);
    });
  });
}
