// Endpoints in the proxy's words. Source: envoy.config.endpoint.v3.
// Decoded by xds/decode/endpoints.ts, used by sidecar/cluster/host-set.ts. Types only.

import type { Address } from "./address.ts";

export type HealthStatus = "unknown" | "healthy" | "unhealthy" | "draining" | "timeout" | "degraded";

export interface Endpoint {
  readonly address: Address;
  readonly hostname: string;
  readonly health: HealthStatus;
  /** At least 1. */
  readonly weight: number;
  readonly metadata: Uint8Array | undefined;
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
}
