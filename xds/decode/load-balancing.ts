// Which load balancer a cluster asks for → model: lb_policy, or the first supported entry of load_balancing_policy.
// Called by cluster.ts.

import {
  Cluster_LbPolicy as LbPolicy,
  type Cluster as ClusterMessage,
} from "../gen/envoy/config/cluster/v3/cluster_pb.ts";
import type { Maglev } from "../gen/envoy/extensions/load_balancing_policies/maglev/v3/maglev_pb.ts";
import type { RingHash } from "../gen/envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash_pb.ts";
import type { Cluster } from "../model/cluster.ts";
import { unpackAny } from "./any.ts";
import { checkMaglev, checkOldTables, checkRing } from "./hash-table.ts";
import { child, item, type Findings } from "./issues.ts";

const POLICIES: Readonly<Record<number, Cluster["lbPolicy"]>> = {
  [LbPolicy.ROUND_ROBIN]: "round_robin",
  [LbPolicy.LEAST_REQUEST]: "least_request",
  [LbPolicy.RING_HASH]: "ring_hash",
  [LbPolicy.RANDOM]: "random",
  [LbPolicy.MAGLEV]: "maglev",
};

const PREFIX = "envoy.extensions.load_balancing_policies.";
const EXTENSIONS: ReadonlyMap<string, Cluster["lbPolicy"]> = new Map([
  [`${PREFIX}round_robin.v3.RoundRobin`, "round_robin"],
  [`${PREFIX}least_request.v3.LeastRequest`, "least_request"],
  [`${PREFIX}random.v3.Random`, "random"],
  [`${PREFIX}ring_hash.v3.RingHash`, "ring_hash"],
  [`${PREFIX}maglev.v3.Maglev`, "maglev"],
]);

export function decodeLbPolicy(
  message: ClusterMessage,
  isOriginalDst: boolean,
  path: string,
  findings: Findings,
): Cluster["lbPolicy"] {
  const policy = choosePolicy(message, isOriginalDst, path, findings);
  if (policy === "ring_hash" || policy === "maglev") {
    const field = "envoy.config.cluster.v3.Cluster.lb_policy";
    findings.warn(
      "no_effect",
      child(path, "lb_policy"),
      field,
      `${policy} picks hosts by weight, without affinity, so far`,
    );
  }
  return policy;
}

function choosePolicy(
  message: ClusterMessage,
  isOriginalDst: boolean,
  path: string,
  findings: Findings,
): Cluster["lbPolicy"] {
  const policyPath = child(path, "lb_policy");
  if (message.loadBalancingPolicy !== undefined) {
    return extensionPolicy(message, child(path, "load_balancing_policy"), findings);
  }
  if (message.lbPolicy === LbPolicy.LOAD_BALANCING_POLICY_CONFIG) {
    findings.issue(child(path, "load_balancing_policy"), "is required when lb_policy is LOAD_BALANCING_POLICY_CONFIG");
  }
  if (isOriginalDst !== (message.lbPolicy === LbPolicy.CLUSTER_PROVIDED)) {
    findings.issue(policyPath, "must be CLUSTER_PROVIDED in an ORIGINAL_DST cluster, and only there");
  }
  const policy = POLICIES[message.lbPolicy] ?? "round_robin";
  checkOldTables(message, policy, path, findings);
  return policy;
}

function extensionPolicy(message: ClusterMessage, path: string, findings: Findings): Cluster["lbPolicy"] {
  const names: string[] = [];
  for (const [index, { typedExtensionConfig }] of (message.loadBalancingPolicy?.policies ?? []).entries()) {
    if (typedExtensionConfig?.typedConfig === undefined) continue;
    const { typeName, message: config } = unpackAny(typedExtensionConfig.typedConfig);
    const policy = EXTENSIONS.get(typeName);
    if (policy !== undefined) {
      const at = child(item(child(path, "policies"), index), "typed_extension_config.typed_config");
      if (policy === "ring_hash" && config !== undefined) checkRing(config as RingHash, at, findings);
      if (policy === "maglev" && config !== undefined) checkMaglev(config as Maglev, at, findings);
      return policy;
    }
    names.push(typeName);
  }
  const given = names.length === 0 ? "is empty" : `${names.join(", ")} not supported`;
  findings.issue(child(path, "policies"), `${given}; supported: ${[...EXTENSIONS.keys()].join(", ")}`);
  return "round_robin";
}
