// Listeners in the proxy's words. Source: envoy.config.listener.v3 and the HTTP connection manager.
// Decoded by xds/decode/listener.ts and http-connection-manager.ts, run by sidecar/worker.ts. Types only.

import type { MatchTree } from "./match-tree.ts";
import type { AccessLog } from "./access-log.ts";
import type { Address, CidrRange } from "./address.ts";
import type { BuiltinFilter, IstioStats } from "./builtin-filter.ts";
import type { ConfigSource } from "./config-source.ts";
import type { LocalReplyConfig } from "./local-reply.ts";
import type { PluginConfig } from "./plugin-config.ts";
import type { RouteConfiguration } from "./route.ts";
import type { ScopedRoutes } from "./scoped-routes.ts";
import type { SocketOption } from "./socket-options.ts";
import type { DownstreamTls } from "./tls.ts";
import type { Tracing } from "./tracing.ts";

export type TrafficDirection = "unspecified" | "inbound" | "outbound";

export interface FilterChainMatch {
  /** 0 means any. */
  readonly destinationPort: number;
  readonly prefixRanges: readonly CidrRange[];
  readonly directSourcePrefixRanges: readonly CidrRange[];
  readonly sourceType: "any" | "same_ip_or_loopback" | "external";
  readonly sourcePrefixRanges: readonly CidrRange[];
  readonly sourcePorts: readonly number[];
  readonly serverNames: readonly string[];
  readonly transportProtocol: string;
  readonly applicationProtocols: readonly string[];
}

export interface HttpFilter {
  readonly name: string;
  /** Which streams pass the filter by; absent: it stands under no tree, and no route gives it one. */
  readonly matcher?: MatchTree;
  readonly disabled: boolean;
  readonly isOptional: boolean;
  readonly config:
    | {
        readonly kind: "router";
        readonly suppressEnvoyHeaders: boolean;
        readonly startChildSpan: boolean;
        /** Fields of requests that must make sense. */
        readonly strictCheckHeaders: readonly string[];
        /** A proxy before this one has settled the timeout. */
        readonly respectExpectedTimeout: boolean;
      }
    | FilterConfig
    | DiscoveredConfig;
  /** Those that its tree names by name; absent for none. */
  readonly dynamic?: readonly { readonly name: string; readonly config: DiscoveredConfig }[];
}

/** ECDS: the filter arrives by its own name. */
export interface DiscoveredConfig {
  readonly kind: "discovered";
  readonly source: ConfigSource;
  readonly defaultFilter: DiscoveredFilter | undefined;
  readonly applyDefaultWithoutWarming: boolean;
  readonly typeUrls: readonly string[];
}

/** Source: HttpConnectionManager.ProxyStatusConfig. */
export interface ProxyStatusConfig {
  /** Which name the proxy gives itself. */
  readonly name: "server" | "node" | "literal";
  readonly literalName: string;
  /** Neither details nor flags. */
  readonly removesDetails: boolean;
  readonly removesFlags: boolean;
  readonly setsRecommendedStatus: boolean;
}

/** What a filter is by itself, wherever it stands. `inert`: known by name, accepted, without effect; `typeUrl` says which. */
export type FilterConfig =
  | { readonly kind: "wasm"; readonly plugin: PluginConfig }
  | { readonly kind: "builtin"; readonly filter: BuiltinFilter }
  | { readonly kind: "inert"; readonly typeUrl: string };

/** What arrives by the name of a filter (ECDS), or stands for it until then. */
export interface DiscoveredFilter {
  /** The plugin's own; of others the filter's. */
  readonly name: string;
  /** Of the outermost message; empty for what may stand in any filter's place. */
  readonly typeName: string;
  readonly matcher: MatchTree | undefined;
  readonly config: FilterConfig;
}

export interface HttpConnectionManager {
  readonly kind: "http";
  readonly statPrefix: string;
  readonly codec: "auto" | "http1" | "http2";
  /** Inline routes, or the name and source of an RDS resource, or one of many by the request's headers. */
  readonly routes:
    | { readonly kind: "inline"; readonly routeConfig: RouteConfiguration }
    | { readonly kind: "rds"; readonly name: string; readonly source: ConfigSource }
    | ScopedRoutes;
  /** In request order; the router is last. */
  readonly httpFilters: readonly HttpFilter[];
  readonly useRemoteAddress: boolean;
  readonly xffNumTrustedHops: number;
  readonly skipXffAppend: boolean;
  readonly internalAddressCidrs: readonly CidrRange[];
  readonly generateRequestId: boolean;
  readonly preserveExternalRequestId: boolean;
  readonly alwaysSetRequestIdInResponse: boolean;
  readonly serverName: string;
  readonly serverHeader: "overwrite" | "append_if_absent" | "pass_through";
  readonly via: string;
  readonly appendXForwardedPort: boolean;
  /** Tells upstreams which node this is; User-Agent where there is none. */
  readonly addUserAgent: boolean;
  /** `http` or `https`; empty: the scheme is as it came. */
  readonly schemeToOverwrite: string;
  /** The scheme upstreams are told is that of the connection to them. */
  readonly schemeMatchesUpstream: boolean;
  /** Undefined: no Proxy-Status field. */
  readonly proxyStatus: ProxyStatusConfig | undefined;
  readonly maxRequestHeadersBytes: number;
  readonly maxHeadersCount: number;
  readonly headersWithUnderscores: "allow" | "reject_request" | "drop_header";
  readonly normalizePath: boolean;
  readonly mergeSlashes: boolean;
  readonly escapedSlashes: "keep_unchanged" | "reject_request" | "unescape_and_redirect" | "unescape_and_forward";
  readonly stripMatchingHostPort: boolean;
  readonly stripAnyHostPort: boolean;
  readonly stripTrailingHostDot: boolean;
  readonly acceptHttp10: boolean;
  readonly defaultHostForHttp10: string;
  readonly enableTrailers: boolean;
  readonly allowAbsoluteUrl: boolean;
  readonly proxy100Continue: boolean;
  /** 0 turns a timeout off. */
  readonly streamIdleTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly requestHeadersTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly maxConnectionDurationMs: number;
  readonly maxStreamDurationMs: number;
  readonly drainTimeoutMs: number;
  readonly delayedCloseTimeoutMs: number;
  /** 0 means unlimited. */
  readonly maxRequestsPerConnection: number;
  readonly upgrades: readonly { readonly type: string; readonly enabled: boolean }[];
  readonly accessLogs: readonly AccessLog[];
  /** A line also while the stream lives; 0: only at its end. */
  readonly accessLogFlushIntervalMs: number;
  /** A line also when the request has come. */
  readonly logsOnStart: boolean;
  /** Undefined: local replies are as they are. */
  readonly localReplies: LocalReplyConfig | undefined;
  readonly tracing: Tracing | undefined;
}

/** Source: envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy. */
export interface TcpProxy {
  readonly kind: "tcp";
  readonly statPrefix: string;
  /** At least one; weights are at least 1. */
  readonly clusters: readonly { readonly name: string; readonly weight: number }[];
  /** 0 turns it off. */
  readonly idleTimeoutMs: number;
  readonly maxConnectAttempts: number;
  /** Waits between attempts; undefined: none. */
  readonly backoff: { readonly baseMs: number; readonly maxMs: number } | undefined;
  /** 0 turns it off. Up to `jitterPercent` more. */
  readonly maxDownstreamConnectionDurationMs: number;
  readonly maxDownstreamConnectionDurationJitterPercent: number;
  /** A connection that moves bytes while the listener drains is closed. */
  readonly checkDrainClose: boolean;
  readonly accessLogs: readonly AccessLog[];
  /** A line also while the connection lives; 0: only at its end. */
  readonly accessLogFlushIntervalMs: number;
  readonly logsOnStart: boolean;
  readonly logsOnConnected: boolean;
  /** Istio's metrics of its connections: the filter stands before it. */
  readonly istioStats: IstioStats | undefined;
}

export interface NetworkFilter {
  readonly name: string;
  readonly plugin: PluginConfig;
}

export interface FilterChain {
  /** Unique within the listener; generated when the configuration gives none. */
  readonly name: string;
  readonly match: FilterChainMatch | undefined;
  /** Undefined for plain TCP. */
  readonly tls: DownstreamTls | undefined;
  /** Before `filter`, in order: plugins on the connection (envoy.filters.network.wasm). */
  readonly networkFilters: readonly NetworkFilter[];
  readonly metadata: Uint8Array | undefined;
  readonly filter: HttpConnectionManager | TcpProxy;
}

/** How connections are taken that were meant for other addresses. */
export interface Interception {
  /** Their destination is what they were meant for (listener filter original_dst, or `handsOff`). */
  readonly restoresDestination: boolean;
  /** The listener of that destination gets the connection, when there is one (use_original_dst). */
  readonly handsOff: boolean;
  /** Connections upstream come from the client's address (listener filter original_src); `mark` 0: none. */
  readonly source: { readonly bindsPort: boolean; readonly mark: number } | undefined;
  /** Takes connections to any address (IP_TRANSPARENT). */
  readonly transparent: boolean;
  readonly freebind: boolean;
  /** Of the listening socket. */
  readonly socketOptions: readonly SocketOption[];
}

export interface Listener {
  readonly name: string;
  readonly statPrefix: string;
  readonly address: Address;
  readonly additionalAddresses: readonly Address[];
  readonly trafficDirection: TrafficDirection;
  readonly bindToPort: boolean;
  readonly reusePort: boolean;
  readonly tcpBacklog: number;
  readonly perConnectionBufferLimitBytes: number;
  readonly interception: Interception;
  readonly listenerFilters: readonly string[];
  readonly listenerFiltersTimeoutMs: number;
  readonly drainType: "default" | "modify_only";
  readonly filterChains: readonly FilterChain[];
  readonly defaultFilterChain: FilterChain | undefined;
  readonly accessLogs: readonly AccessLog[];
  readonly metadata: Uint8Array | undefined;
}
