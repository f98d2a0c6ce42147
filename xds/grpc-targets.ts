// Where a gRPC server of a config source is reached: the endpoints of a bootstrap cluster, or a target URI, as targets
// that grpc-js understands, best first. Pure. Called by sources.ts.

import type { Address } from "./model/address.ts";
import type { Cluster } from "./model/cluster.ts";
import type { GrpcTarget, KeepAlive } from "./model/config-source.ts";
import type { Endpoint } from "./model/endpoints.ts";
import type { UpstreamTls } from "./model/tls.ts";

export type ServerAddress = Readonly<{
  target: string;
  /** `:authority`; empty leaves it to the target. */
  authority: string;
  /** The service that it is of, for its metadata. */
  service: GrpcTarget;
  /** Undefined for plaintext. */
  tls: UpstreamTls | undefined;
  /** Sent in the handshake; empty: none. */
  serverName: string;
  keepAlive: KeepAlive | undefined;
  tcpKeepAliveMs: number | undefined;
}>;

/** The servers, best first: services in their order, in each the endpoints by priority; equals together. Or why there is none. */
export function grpcTargets(
  servers: readonly GrpcTarget[],
  clusters: ReadonlyMap<string, Cluster>,
): readonly (readonly ServerAddress[])[] | string {
  const tiers: (readonly ServerAddress[])[] = [];
  for (const service of servers) {
    if (service.kind === "target") {
      tiers.push([targetAddress(service)]);
      continue;
    }
    const cluster = clusters.get(service.name);
    if (cluster === undefined) return `no static cluster is named ${JSON.stringify(service.name)}`;
    const found = clusterTiers(service, cluster);
    if (typeof found === "string") return found;
    tiers.push(...found);
  }
  return tiers.length === 0 ? "its servers have no endpoints" : tiers;
}

function targetAddress(service: GrpcTarget): ServerAddress {
  return {
    target: service.name,
    authority: service.authority,
    service,
    tls: service.tls,
    serverName: service.tls?.sni ?? "",
    keepAlive: service.keepAlive,
    tcpKeepAliveMs: undefined,
  };
}

function clusterTiers(service: GrpcTarget, cluster: Cluster): readonly (readonly ServerAddress[])[] | string {
  const { discovery, tls, http2KeepAlive: keepAlive, tcpKeepAliveMs } = cluster;
  const name = JSON.stringify(service.name);
  if (discovery.kind === "eds" || discovery.kind === "original_dst") {
    return `the cluster ${name} of a config source must be STATIC, STRICT_DNS or LOGICAL_DNS`;
  }
  if (cluster.socketMatches.length > 0) {
    return `the cluster ${name} of a config source must have one transport_socket, not transport_socket_matches`;
  }
  // Envoy sends the cluster's name as the authority unless told otherwise.
  const authority = service.authority === "" ? cluster.name : service.authority;
  const byPriority = new Map<number, ServerAddress[]>();
  for (const { priority, endpoints } of discovery.assignment.localities) {
    const tier = byPriority.get(priority) ?? [];
    byPriority.set(priority, tier);
    for (const endpoint of endpoints) {
      if (endpoint.health === "unhealthy" || endpoint.health === "draining") continue;
      const serverName = tls === undefined ? "" : serverNameOf(tls, endpoint);
      const target = targetOf(endpoint.address);
      tier.push({ target, authority, service, tls, serverName, keepAlive, tcpKeepAliveMs });
    }
  }
  const tiers = [...byPriority].toSorted(([a], [b]) => a - b).map(([, tier]) => tier);
  return tiers.filter((tier) => tier.length > 0);
}

function serverNameOf({ sni, autoHostSni }: UpstreamTls, { hostname, address }: Endpoint): string {
  if (!autoHostSni) return sni;
  if (hostname !== "") return hostname;
  return address.kind === "tcp" ? address.host : sni;
}

function targetOf(address: Address): string {
  if (address.kind === "pipe") return `unix:${address.path}`;
  const { host, port } = address;
  if (/^\d+\.\d+\.\d+\.\d+$/.test(host)) return `ipv4:${host}:${port}`;
  return host.includes(":") ? `ipv6:[${host}]:${port}` : `dns:///${host}:${port}`;
}
