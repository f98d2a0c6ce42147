// Clusters in the proxy's words. Source: envoy.config.cluster.v3.
// Decoded by xds/decode/cluster.ts, compiled by sidecar/cluster/cluster.ts. Types only.

import type { ConfigSource, KeepAlive } from "./config-source.ts";
import type { ClusterLoadAssignment, SocketMatch } from "./endpoints.ts";
import type { BindConfig } from "./socket-options.ts";
import type { UpstreamTls } from "./tls.ts";

export interface CircuitBreakerThresholds {
  readonly priority: "default" | "high";
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRetries: number;
}

export interface Cluster {
  readonly name: string;
  /** Name in statistics; the cluster's own name when the configuration has none. */
  readonly statName: string;
  readonly discovery:
    | { readonly kind: "static" | "strict_dns" | "logical_dns"; readonly assignment: ClusterLoadAssignment }
    | { readonly kind: "eds"; readonly serviceName: string; readonly source: ConfigSource }
    | {
        readonly kind: "original_dst";
        /** Hosts that nobody uses are forgotten after one to two of these. */
        readonly cleanupIntervalMs: number;
        /** A request's own wish for its destination counts first; lower case, empty: none does. */
        readonly headerName: string;
        /** 0: the destination's own port. */
        readonly portOverride: number;
      };
  readonly lbPolicy: "round_robin" | "random" | "least_request" | "ring_hash" | "maglev";
  /** Where connections come from; undefined: the kernel chooses. */
  readonly bind: BindConfig | undefined;
  readonly connectTimeoutMs: number;
  readonly perConnectionBufferLimitBytes: number;
  /** Both priorities present, defaults filled in (1024, 1024, 1024, 3). */
  readonly circuitBreakers: readonly [CircuitBreakerThresholds, CircuitBreakerThresholds];
  /** Upstream keep-alive idle close, Envoy's default 3,600,000; 0 turns it off. */
  readonly idleTimeoutMs: number;
  /** 0 means unlimited. */
  readonly maxRequestsPerConnection: number;
  readonly maxResponseHeadersBytes: number;
  readonly maxResponseHeadersCount: number;
  readonly dnsRefreshRateMs: number;
  readonly dnsFailureRefreshMs: number;
  readonly dnsLookupFamily: "auto" | "v4_only" | "v6_only" | "v4_preferred" | "all";
  /** 0 to 100, Envoy's default 50; 0 turns panic routing off. */
  readonly healthyPanicThreshold: number;
  readonly waitForWarmOnInit: boolean;
  /** "http1", or "http2" (accepted, not in effect yet). */
  readonly upstreamProtocol: "http1" | "http2";
  readonly metadata: Uint8Array | undefined;
  /** HTTP/2 pings; undefined: none are asked for. In effect for control planes. */
  readonly http2KeepAlive: KeepAlive | undefined;
  /** Idle time before TCP probes its peer; undefined: it does not. */
  readonly tcpKeepAliveMs: number | undefined;
  /** Undefined for plain TCP. */
  readonly tls: UpstreamTls | undefined;
  /** The first that an endpoint has all of takes the place of `tls`. */
  readonly socketMatches: readonly { readonly match: SocketMatch; readonly tls: UpstreamTls | undefined }[];
  readonly source: ConfigSource | undefined;
}
