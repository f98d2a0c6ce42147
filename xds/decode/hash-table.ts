// The sizes of a consistent hash's tables, which Envoy checks when it builds them: only those of the policy that is used, in
// the old fields and in the typed configuration alike. Called by load-balancing.ts. Source: RingHashLoadBalancer, MaglevLoadBalancer.

import type { Cluster } from "../gen/envoy/config/cluster/v3/cluster_pb.ts";
import type { Maglev } from "../gen/envoy/extensions/load_balancing_policies/maglev/v3/maglev_pb.ts";
import type { RingHash } from "../gen/envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash_pb.ts";
import { child, type Findings } from "./issues.ts";

const DEFAULT_MIN_RING_SIZE = 1024n;
const DEFAULT_MAX_RING_SIZE = 8n * 1024n * 1024n;

export function checkRing(
  { minimumRingSize, maximumRingSize }: Pick<RingHash, "minimumRingSize" | "maximumRingSize">,
  path: string,
  findings: Findings,
): void {
  const min = minimumRingSize ?? DEFAULT_MIN_RING_SIZE;
  const max = maximumRingSize ?? DEFAULT_MAX_RING_SIZE;
  if (min > max) findings.issue(child(path, "maximum_ring_size"), `is ${max}, less than minimum_ring_size (${min})`);
}

export function checkMaglev({ tableSize }: Pick<Maglev, "tableSize">, path: string, findings: Findings): void {
  if (tableSize !== undefined && !isPrime(Number(tableSize))) {
    findings.issue(child(path, "table_size"), `is ${tableSize}, must be a prime number`);
  }
}

/** The configuration in the cluster's old fields, which counts without load_balancing_policy. */
export function checkOldTables(cluster: Cluster, policy: string, path: string, findings: Findings): void {
  const { lbConfig } = cluster;
  if (policy === "ring_hash" && lbConfig.case === "ringHashLbConfig") {
    checkRing(lbConfig.value, child(path, "ring_hash_lb_config"), findings);
  }
  if (policy === "maglev" && lbConfig.case === "maglevLbConfig") {
    checkMaglev(lbConfig.value, child(path, "maglev_lb_config"), findings);
  }
}

/** Also true of 1, as in Envoy. Sizes above its limit are refused already, and not looked into. */
function isPrime(size: number): boolean {
  if (size > 5_000_011) return true;
  if (size !== 2 && size % 2 === 0) return false;
  for (let divisor = 3; divisor * divisor <= size; divisor += 2) if (size % divisor === 0) return false;
  return true;
}
