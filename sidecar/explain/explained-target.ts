// A cluster that a request may go to, with its first hosts.

import type { Cluster } from "../../xds/model/cluster.ts";
import type { ClusterLoadAssignment } from "../../xds/model/endpoints.ts";
import { endpointsName } from "../live-config.ts";
import { addressText } from "../upstream/address-text.ts";
import type { ExplainDeps } from "./explain-request.ts";
import type { ExplainedHost, Target } from "./explanation.ts";

const MAX_HOSTS = 20;
export const NO_HOSTS = "it has no hosts: flag UH";

export function describeCluster(
  name: string,
  clusters: ReadonlyMap<string, Cluster>,
  endpoints: ExplainDeps["config"]["endpoints"]["set"],
): Target {
  const cluster = clusters.get(name);
  const none = { name, policy: "", hosts: [], total: 0 };
  if (name === "") {
    return { ...none, problem: "the header that should name the cluster is missing" };
  }
  if (cluster === undefined) {
    return { ...none, problem: "there is no such cluster" };
  }
  if (cluster.discovery.kind === "original_dst") {
    return { ...none, policy: "original_dst", problem: "" };
  }
  const hosts = hostsOf(cluster, new Map(endpoints));
  return {
    name,
    problem: hosts.length === 0 ? NO_HOSTS : "",
    policy: cluster.lbPolicy,
    hosts: hosts.slice(0, MAX_HOSTS),
    total: hosts.length,
  };
}

/** As configured or found by DNS; of a bootstrap that does not run the names. */
function hostsOf(cluster: Cluster, endpoints: ReadonlyMap<string, ClusterLoadAssignment>): readonly ExplainedHost[] {
  const { discovery } = cluster;
  const assignment =
    endpoints.get(endpointsName(cluster)) ?? ("assignment" in discovery ? discovery.assignment : undefined);
  return (assignment?.localities ?? []).flatMap((locality) =>
    locality.endpoints.map(({ address, health, weight }) => ({
      address: addressText(address),
      health: health === "unknown" ? "healthy" : health,
      weight,
      priority: locality.priority,
    })),
  );
}
