// Routes in the proxy's words. Source: envoy.config.route.v3.
// Decoded by xds/decode/route.ts, compiled by sidecar/route/route-table.ts. Types only.

import type { CustomTag } from "./tracing.ts";
import type { MatchTree } from "./match-tree.ts";
import type { BuiltinSettings } from "./builtin-filter.ts";
import type { ConfigSource } from "./config-source.ts";
import type { BodyFormat } from "./local-reply.ts";
import type { DataSource, PluginConfig } from "./plugin-config.ts";
import type { RegexMatcher, RegexRewrite, RuntimeFraction, StringMatcher } from "./matcher.ts";

export type HeaderMatcher = {
  /** Lower case. */
  readonly name: string;
  readonly invert: boolean;
  readonly treatMissingAsEmpty: boolean;
} & (
  | { readonly kind: "string"; readonly matcher: StringMatcher }
  | { readonly kind: "range"; readonly start: number; readonly end: number }
  | { readonly kind: "present"; readonly present: boolean }
);

export type QueryParameterMatcher = { readonly name: string } & (
  | { readonly kind: "string"; readonly matcher: StringMatcher }
  | { readonly kind: "present"; readonly present: boolean }
);

export type PathMatcher =
  | {
      readonly kind: "prefix" | "path" | "path_separated_prefix";
      readonly value: string;
      readonly caseSensitive: boolean;
    }
  | { readonly kind: "regex"; readonly value: string }
  | { readonly kind: "connect" };

export interface RouteMatch {
  readonly path: PathMatcher;
  readonly headers: readonly HeaderMatcher[];
  readonly queryParameters: readonly QueryParameterMatcher[];
  readonly grpc: boolean;
  readonly runtimeFraction: RuntimeFraction | undefined;
}

export type HeaderAppendAction =
  | "APPEND_IF_EXISTS_OR_ADD"
  | "ADD_IF_ABSENT"
  | "OVERWRITE_IF_EXISTS_OR_ADD"
  | "OVERWRITE_IF_EXISTS";

export interface HeaderToAdd {
  readonly name: string;
  /** May hold `%OPERATOR%`s of Envoy's substitution format. */
  readonly value: string;
  readonly action: HeaderAppendAction;
  readonly keepEmptyValue: boolean;
}

/** Header changes at one level: weighted cluster, route, virtual host or route configuration. */
export interface HeaderMutations {
  readonly requestToAdd: readonly HeaderToAdd[];
  readonly requestToRemove: readonly string[];
  readonly responseToAdd: readonly HeaderToAdd[];
  readonly responseToRemove: readonly string[];
}

export interface WeightedCluster {
  /** Empty when `clusterHeader` names a request header that holds it. */
  readonly name: string;
  readonly clusterHeader: string;
  readonly weight: number;
  readonly hostRewrite: string;
  readonly headers: HeaderMutations;
  readonly perFilterConfig: PerFilterConfig;
}

export type ClusterChoice =
  | { readonly kind: "cluster"; readonly name: string }
  | { readonly kind: "header"; readonly header: string }
  | {
      readonly kind: "weighted";
      readonly clusters: readonly WeightedCluster[];
      readonly totalWeight: number;
      /** Request header that carries the random value; empty means none. */
      readonly randomHeader: string;
    };

export type HostRewrite =
  | { readonly kind: "literal"; readonly value: string }
  | { readonly kind: "auto" }
  | { readonly kind: "header"; readonly header: string }
  | { readonly kind: "path_regex"; readonly rewrite: RegexRewrite };

export interface UpgradeConfig {
  /** Lower case token, such as `websocket`. */
  readonly type: string;
  readonly enabled: boolean;
}

/** Decoded and validated; retrying beyond the pool's own stale-connection retry is not in effect yet. */
export interface RetryPolicy {
  readonly retryOn: readonly string[];
  readonly numRetries: number;
  readonly perTryTimeoutMs: number;
  readonly perTryIdleTimeoutMs: number;
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  readonly retriableStatusCodes: readonly number[];
  readonly retriableHeaders: readonly HeaderMatcher[];
  readonly retriableRequestHeaders: readonly HeaderMatcher[];
  readonly hostSelectionMaxAttempts: number;
}

export interface ForwardAction {
  readonly kind: "forward";
  readonly cluster: ClusterChoice;
  readonly clusterNotFoundStatus: 404 | 500 | 503;
  /** 0 turns it off; Envoy's default 15,000. */
  readonly timeoutMs: number;
  /** Overrides the connection manager's stream idle timeout; undefined keeps that, 0 turns it off. */
  readonly idleTimeoutMs: number | undefined;
  readonly maxStreamDurationMs: number | undefined;
  readonly grpcTimeoutHeaderMaxMs: number | undefined;
  readonly grpcTimeoutHeaderOffsetMs: number;
  /** For gRPC in the place of `timeoutMs`, and its offset: what the fields before replaced. Istio still sends it. */
  readonly maxGrpcTimeoutMs: number | undefined;
  readonly grpcTimeoutOffsetMs: number;
  /** Empty means none. */
  readonly prefixRewrite: string;
  readonly regexRewrite: RegexRewrite | undefined;
  readonly hostRewrite: HostRewrite | undefined;
  readonly appendXForwardedHost: boolean;
  readonly priority: "default" | "high";
  readonly upgrades: readonly UpgradeConfig[];
  readonly retryPolicy: RetryPolicy | undefined;
}

export interface RedirectAction {
  readonly kind: "redirect";
  readonly status: 301 | 302 | 303 | 307 | 308;
  readonly httpsRedirect: boolean;
  readonly schemeRedirect: string;
  readonly hostRedirect: string;
  /** 0 keeps the request's port. */
  readonly portRedirect: number;
  readonly pathRedirect: string;
  readonly prefixRewrite: string;
  readonly regexRewrite: RegexRewrite | undefined;
  readonly stripQuery: boolean;
}

export interface DirectResponseAction {
  readonly kind: "direct_response";
  readonly status: number;
  readonly body: DataSource | undefined;
  readonly bodyFormat: BodyFormat | undefined;
}

export type RouteAction = ForwardAction | RedirectAction | DirectResponseAction | { readonly kind: "non_forwarding" };

/**
 * What one level (weighted cluster, route, virtual host, route configuration) says of HTTP filters, by the filter's name in
 * the connection manager. The most specific level that names a filter counts alone; levels are not merged.
 */
export type PerFilterConfig = Readonly<Record<string, FilterOverride>>;

export interface FilterOverride {
  /** True: requests of this level pass the filter by. False: they pass through it, also when the connection manager disables it. */
  readonly disabled: boolean;
  /** What the plugin of a wasm filter reads as its configuration (buffer 7) here; undefined keeps the filter's own. */
  readonly configuration: Uint8Array | undefined;
  /** Another plugin in the filter's place, with a VM of its own; absent keeps the filter's. */
  readonly plugin?: PluginConfig;
  /** For a filter of the proxy's own. */
  readonly builtin?: BuiltinSettings;
  /** Another tree, for a filter that stands under one. */
  readonly matcher?: MatchTree;
}

export interface Route {
  readonly name: string;
  readonly match: RouteMatch;
  readonly action: RouteAction;
  readonly headers: HeaderMutations;
  readonly perFilterConfig: PerFilterConfig;
  /** Span name of `decorator.operation`; empty means none. */
  readonly operation: string;
  /** The operation is told to the other side of a traced request. */
  readonly operationPropagates: boolean;
  readonly tracing: RouteTracing | undefined;
  /** Serialised envoy.config.core.v3.Metadata for properties; undefined when absent. */
  readonly metadata: Uint8Array | undefined;
}

export interface RouteTracing {
  readonly clientSampling: RuntimeFraction | undefined;
  readonly randomSampling: RuntimeFraction | undefined;
  readonly overallSampling: RuntimeFraction | undefined;
  /** Before those of the connection manager with the same names. */
  readonly customTags: readonly CustomTag[];
}

export interface VirtualHost {
  readonly name: string;
  /** In small letters: exact, `*.suffix`, `prefix.*` or `*`. */
  readonly domains: readonly string[];
  readonly routes: readonly Route[];
  readonly requireTls: "none" | "external_only" | "all";
  readonly headers: HeaderMutations;
  readonly includeAttemptCount: boolean;
  readonly includeAttemptCountInResponse: boolean;
  readonly retryPolicy: RetryPolicy | undefined;
  readonly perFilterConfig: PerFilterConfig;
  /** It, one of its routes or a weighted cluster has such configuration: most have none, and there may be thousands. */
  readonly hasFilterConfig: boolean;
  readonly metadata: Uint8Array | undefined;
}

export interface RouteConfiguration {
  readonly name: string;
  /** In a snapshot those of VHDS too. */
  readonly virtualHosts: readonly VirtualHost[];
  /** VHDS brings more virtual hosts from there. */
  readonly virtualHostSource?: ConfigSource;
  readonly headers: HeaderMutations;
  readonly internalOnlyHeaders: readonly string[];
  readonly mostSpecificHeaderMutationsWins: boolean;
  /** undefined means Envoy's default: true for inline configurations, false for RDS. */
  readonly validateClusters: boolean | undefined;
  readonly ignorePortInHostMatching: boolean;
  readonly maxDirectResponseBodyBytes: number;
  readonly perFilterConfig: PerFilterConfig;
}

export type { RegexMatcher };
