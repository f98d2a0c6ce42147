// Endpoints in the proxy's words. Source: envoy.config.endpoint.v3.
// Decoded by xds/decode/endpoints.ts, used by sidecar/cluster/host-set.ts. Types only.

import type { Address } from "./address.ts";
import type { JsonValue } from "./bootstrap.ts";

export type HealthStatus = "unknown" | "healthy" | "unhealthy" | "draining" | "timeout" | "degraded";

/** What an endpoint's metadata says under `envoy.transport_socket_match`. */
export type SocketMatch = Readonly<Record<string, JsonValue>>;

export interface Endpoint {
  readonly address: Address;
  readonly hostname: string;
  readonly health: HealthStatus;
  /** At least 1. */
  readonly weight: number;
  readonly metadata: Uint8Array | undefined;
  readonly socketMatch: SocketMatch | undefined;
}

export interface Locality {
  readonly region: string;
  readonly zone: string;
  readonly subZone: string;
}

export interface LocalityEndpoints {
  readonly locality: Locality;
  /** 0 when the configuration gives none. */
  readonly weight: number;
  readonly priority: number;
  readonly metadata: Uint8Array | undefined;
  readonly endpoints: readonly Endpoint[];
}

export interface ClusterLoadAssignment {
  readonly clusterName: string;
  readonly localities: readonly LocalityEndpoints[];
  /** Percent, Envoy's default 140. */
  readonly overprovisioningFactor: number;
  /** Percent of requests dropped by category before a host is chosen. */
  readonly dropOverloads: readonly { readonly category: string; readonly percent: number }[];
  /** Where `localities` are read anew each time they are asked for: what is known of them without. */
  readonly counted?: EndpointCounts;
}

/** Endpoints of an assignment in which no address stands twice. */
export interface EndpointCounts {
  readonly total: number;
  readonly healthy: number;
  readonly degraded: number;
}

export interface EndpointMetadata {
  /** Serialised, as in Endpoint.metadata. */
  readonly bytes: Uint8Array;
  readonly socketMatch: SocketMatch | undefined;
}

/** An assignment as it came (xds/endpoint-bytes.ts): what can be posted to a thread that reads it when it must. */
export interface EndpointBytes {
  readonly clusterName: string;
  /** The bytes of the ClusterLoadAssignment, as Latin-1. */
  readonly wire: string;
  /** Of its endpoints, each once, in the order in which they are met. */
  readonly metadata: readonly EndpointMetadata[];
  readonly counted: EndpointCounts;
}
