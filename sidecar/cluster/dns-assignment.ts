// A cluster's endpoints with names → the same endpoints with addresses. Pure; called by dns-resolver.ts.
// STRICT_DNS: each address of a name is a host. LOGICAL_DNS: one host, whose address is the first; its identity is the name.

import { isIP } from "node:net";

import type { Cluster } from "../../xds/model/cluster.ts";
import type { ClusterLoadAssignment, Endpoint } from "../../xds/model/endpoints.ts";

/** `addresses` are IP literals by name; a name that has none yields no endpoint. */
export function resolveAssignment(
  model: Cluster,
  assignment: ClusterLoadAssignment,
  addresses: ReadonlyMap<string, readonly string[] | undefined>,
): ClusterLoadAssignment {
  return {
    ...assignment,
    clusterName: model.name,
    localities: assignment.localities.map((group) => ({
      ...group,
      endpoints: group.endpoints.flatMap((endpoint) => resolveEndpoint(endpoint, addresses)),
    })),
  };
}

function resolveEndpoint(
  endpoint: Endpoint,
  addresses: ReadonlyMap<string, readonly string[] | undefined>,
): readonly Endpoint[] {
  const { address } = endpoint;
  if (address.kind === "pipe") {
    return [endpoint];
  }
  const hostname = endpoint.hostname === "" ? address.host : endpoint.hostname;
  const hosts = isIP(address.host) === 0 ? (addresses.get(address.host) ?? []) : [address.host];
  return hosts.map((host) => ({ ...endpoint, hostname, address: { ...address, host } }));
}
