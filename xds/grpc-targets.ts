// Where a gRPC server of a config source is reached: the endpoints of a bootstrap cluster, or a target URI, as targets
// that grpc-js understands. Pure. Called by sources.ts.

import type { Address } from "./model/address.ts";
import type { Cluster } from "./model/cluster.ts";
import type { GrpcTarget } from "./model/config-source.ts";

export type ServerAddress = Readonly<{
  target: string;
  /** `:authority`; empty leaves it to the target. */
  authority: string;
  metadata: readonly { readonly key: string; readonly value: string }[];
}>;

/** All addresses of the servers in their order, or why there is none. */
export function grpcTargets(
  servers: readonly GrpcTarget[],
  clusters: ReadonlyMap<string, Cluster>,
): ServerAddress[] | string {
  const addresses: ServerAddress[] = [];
  for (const server of servers) {
    const metadata = server.initialMetadata;
    if (server.kind === "target") {
      addresses.push({ target: server.name, authority: server.authority, metadata });
      continue;
    }
    const cluster = clusters.get(server.name);
    if (cluster === undefined) return `no static cluster is named ${JSON.stringify(server.name)}`;
    const { discovery } = cluster;
    if (discovery.kind === "eds" || discovery.kind === "original_dst") {
      return `the cluster ${JSON.stringify(server.name)} of a config source must be STATIC, STRICT_DNS or LOGICAL_DNS`;
    }
    // Envoy sends the cluster's name as the authority unless told otherwise.
    const authority = server.authority === "" ? cluster.name : server.authority;
    for (const locality of discovery.assignment.localities) {
      for (const { address } of locality.endpoints) addresses.push({ target: targetOf(address), authority, metadata });
    }
  }
  return addresses.length === 0 ? "its servers have no endpoints" : addresses;
}

function targetOf(address: Address): string {
  if (address.kind === "pipe") return `unix:${address.path}`;
  const { host, port } = address;
  if (/^\d+\.\d+\.\d+\.\d+$/.test(host)) return `ipv4:${host}:${port}`;
  return host.includes(":") ? `ipv6:[${host}]:${port}` : `dns:///${host}:${port}`;
}
