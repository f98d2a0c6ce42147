// Cluster and endpoint models for tests: every field has a default, a test names what it is about.

import type { Cluster } from "../../xds/model/cluster.ts";
import type { ClusterLoadAssignment, Endpoint, HealthStatus, LocalityEndpoints } from "../../xds/model/endpoints.ts";

export interface EndpointParts {
  readonly host?: string;
  readonly port: number;
  readonly weight?: number;
  readonly health?: HealthStatus;
  readonly hostname?: string;
}

export function buildEndpoint(parts: EndpointParts): Endpoint {
  return {
    address: { kind: "tcp", host: parts.host ?? "127.0.0.1", port: parts.port },
    hostname: parts.hostname ?? "",
    health: parts.health ?? "unknown",
    weight: parts.weight ?? 1,
    metadata: undefined,
    socketMatch: undefined,
  };
}

export function buildLocality(endpoints: readonly EndpointParts[], priority = 0): LocalityEndpoints {
  return {
    locality: { region: "", zone: "", subZone: "" },
    weight: 0,
    priority,
    metadata: undefined,
    endpoints: endpoints.map(buildEndpoint),
  };
}

/** Each argument is the list of endpoints of one priority, starting with 0. */
export function buildAssignment(...priorities: readonly (readonly EndpointParts[])[]): ClusterLoadAssignment {
  return {
    clusterName: "backend",
    localities: priorities.map(buildLocality),
    overprovisioningFactor: 140,
    dropOverloads: [],
  };
}

/** A STATIC cluster named `backend` with Envoy's defaults. */
export function buildCluster(assignment: ClusterLoadAssignment, parts: Partial<Cluster> = {}): Cluster {
  const thresholds = { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3 };
  return {
    name: "backend",
    statName: "backend",
    discovery: { kind: "static", assignment },
    lbPolicy: "round_robin",
    bind: undefined,
    connectTimeoutMs: 5_000,
    perConnectionBufferLimitBytes: 1_048_576,
    circuitBreakers: [
      { priority: "default", ...thresholds },
      { priority: "high", ...thresholds },
    ],
    idleTimeoutMs: 3_600_000,
    maxRequestsPerConnection: 0,
    maxResponseHeadersBytes: 61_440,
    maxResponseHeadersCount: 100,
    dnsRefreshRateMs: 5_000,
    dnsFailureRefreshMs: 5_000,
    dnsLookupFamily: "auto",
    healthyPanicThreshold: 50,
    waitForWarmOnInit: true,
    upstreamProtocol: "http1",
    metadata: undefined,
    http2KeepAlive: undefined,
    tcpKeepAliveMs: undefined,
    tls: undefined,
    socketMatches: [],
    source: undefined,
    ...parts,
  };
}
