// What every load-balancing policy offers, and the table of policies. A balancer is built for a fixed list of hosts and
// replaced whole on update; `pick` is synchronous and on the hot path. A new policy is one file and one line below;
// test/contracts/balancer.ts is the suite that each must pass.

import type { Cluster } from "../../xds/model/cluster.ts";
import type { Host } from "./host.ts";
import { createLeastRequest } from "./least-request.ts";
import { createRandom } from "./random.ts";
import { createRoundRobin } from "./round-robin.ts";

/** `hash` is a whole number below 2^32 from the route's hash policy; policies without affinity ignore it. */
export interface Balancer {
  pick(hash?: number): Host | undefined;
}

/** `random` gives numbers from 0 up to, not including, 1. */
export type BalancerFactory = (hosts: readonly Host[], random: () => number) => Balancer;

// Until ring hash and maglev have files of their own, hosts are picked by weight without affinity.
const POLICIES: Readonly<Record<Cluster["lbPolicy"], BalancerFactory>> = {
  round_robin: createRoundRobin,
  random: createRandom,
  least_request: createLeastRequest,
  ring_hash: createRandom,
  maglev: createRandom,
};

export function createBalancer(policy: Cluster["lbPolicy"], hosts: readonly Host[], random: () => number): Balancer {
  return POLICIES[policy](hosts, random);
}
