// HTTP filters that are the proxy's own, as configuration names them. Decoded by xds/decode/builtin-filter.ts,
// run by sidecar/builtin/. Types only; plain values, because they travel to the workers.

import type { ConfigSource } from "./config-source.ts";
import type { RuntimeFraction, StringMatcher } from "./matcher.ts";
import type { HeaderAppendAction, HeaderMatcher, HeaderToAdd } from "./route.ts";

/** A filter of the connection manager. */
export type BuiltinFilter =
  | { readonly kind: "cors" }
  /** What its tree of matchers says. */
  | { readonly kind: "composite" }
  | { readonly kind: "on_demand"; readonly clusters: ClustersOnDemand | undefined }
  | { readonly kind: "fault"; readonly fault: Fault }
  | { readonly kind: "grpc_stats"; readonly stats: GrpcStats }
  | {
      readonly kind: "set_filter_state";
      readonly values: readonly FilterStateValue[];
      readonly clearRouteCache: boolean;
    }
  | { readonly kind: "header_mutation"; readonly mutations: Mutations; readonly mostSpecificWins: boolean }
  | { readonly kind: "peer_metadata"; readonly exchange: PeerMetadata }
  | { readonly kind: "istio_stats"; readonly stats: IstioStats };

/** What one level of a route says to such a filter (`typed_per_filter_config`). */
export type BuiltinSettings =
  | { readonly kind: "cors"; readonly policy: CorsPolicy }
  | { readonly kind: "on_demand"; readonly clusters: ClustersOnDemand | undefined }
  | { readonly kind: "header_mutation"; readonly mutations: Mutations }
  | { readonly kind: "fault"; readonly fault: Fault };

/** Source: envoy.extensions.filters.http.on_demand.v3.OnDemandCds. Where clusters come from that are not known yet. */
export interface ClustersOnDemand {
  readonly source: ConfigSource;
  /** Of a request's wait, at least 1. */
  readonly timeoutMs: number;
}

/** Source: envoy.extensions.filters.http.header_mutation.v3.Mutations. Each list is applied in its order. */
export interface Mutations {
  readonly request: readonly HeaderChange[];
  readonly query: readonly QueryChange[];
  readonly response: readonly HeaderChange[];
  readonly requestTrailers: readonly HeaderChange[];
  readonly responseTrailers: readonly HeaderChange[];
}

/** Source: envoy.config.common.mutation_rules.v3.HeaderMutation. Names to remove are in lower case. */
export type HeaderChange =
  | { readonly kind: "append"; readonly header: HeaderToAdd }
  | { readonly kind: "remove"; readonly name: string }
  | { readonly kind: "remove_on_match"; readonly matcher: StringMatcher };

/** Source: envoy.config.core.v3.KeyValueMutation. `value` is a substitution format. */
export type QueryChange =
  | { readonly kind: "append"; readonly key: string; readonly value: string; readonly action: HeaderAppendAction }
  | { readonly kind: "remove"; readonly key: string };

/** Source: envoy.extensions.filters.http.cors.v3.CorsPolicy. Empty or undefined: a less specific level says. */
export interface CorsPolicy {
  readonly allowOrigins: readonly StringMatcher[];
  readonly allowMethods: string;
  readonly allowHeaders: string;
  readonly exposeHeaders: string;
  readonly maxAge: string;
  readonly allowCredentials: boolean | undefined;
  readonly allowPrivateNetworkAccess: boolean | undefined;
  readonly forwardNotMatchingPreflights: boolean | undefined;
  /** undefined: always. */
  readonly filterEnabled: RuntimeFraction | undefined;
  /** undefined: never. */
  readonly shadowEnabled: RuntimeFraction | undefined;
}

/** Source: envoy.extensions.filters.http.fault.v3.HTTPFault. The percentages have their runtime keys. */
export interface Fault {
  readonly delay: FaultDelay | undefined;
  readonly abort: FaultAbort | undefined;
  readonly rateLimit: FaultRateLimit | undefined;
  /** Only requests that go there; empty for all. */
  readonly upstreamCluster: string;
  /** All must match. */
  readonly headers: readonly HeaderMatcher[];
  /** Only requests of these nodes; empty for all. */
  readonly downstreamNodes: readonly string[];
  /** undefined: no limit. */
  readonly maxActiveFaults: number | undefined;
  readonly delayDurationKey: string;
  readonly abortHttpStatusKey: string;
  readonly abortGrpcStatusKey: string;
  readonly maxActiveFaultsKey: string;
  /** Statistics by the caller's cluster as well. */
  readonly countsDownstreamClusters: boolean;
}

/** `by: "header"`: the request's own header says how much, and may lower the percentage. */
export interface FaultDelay {
  readonly by: "configuration" | "header";
  /** 0 with `by: "header"`. */
  readonly delayMs: number;
  readonly percentage: RuntimeFraction;
}

export interface FaultAbort {
  readonly by: "configuration" | "header";
  /** 0: none. */
  readonly httpStatus: number;
  /** undefined: none. */
  readonly grpcStatus: number | undefined;
  /** Empty: Envoy's text. */
  readonly body: string;
  readonly percentage: RuntimeFraction;
}

export interface FaultRateLimit {
  readonly by: "configuration" | "header";
  /** KiB a second; 0 with `by: "header"`. */
  readonly kibPerSecond: number;
  readonly percentage: RuntimeFraction;
}

/** Source: envoy.extensions.filters.http.grpc_stats.v3.FilterConfig. */
export interface GrpcStats {
  readonly emitsState: boolean;
  readonly allMethods: boolean;
  /** `service/method`: those with statistics of their own. */
  readonly methods: readonly string[];
  readonly replacesDots: boolean;
}

/** Source: envoy.extensions.filters.common.set_filter_state.v3.FilterStateValue. */
export interface FilterStateValue {
  readonly key: string;
  /** Which kind of object it is. */
  readonly factory: string;
  /** A substitution format. */
  readonly text: string;
  readonly omitEmptyValues: boolean;
  readonly skipIfEmpty: boolean;
}

/** Source: io.istio.http.peer_metadata.Config, what it says of Istio's headers. */
export interface PeerMetadata {
  readonly readsRequests: boolean;
  readonly readsResponses: boolean;
  /** undefined: it does not. */
  readonly tellsDownstream: { readonly skipExternal: boolean } | undefined;
  readonly tellsUpstream: { readonly skipExternal: boolean } | undefined;
  readonly additionalLabels: readonly string[];
}

/** Source: stats.PluginConfig of Istio. */
export interface IstioStats {
  /** The request's Host stands for a service that the cluster does not name. */
  readonly usesHostHeader: boolean;
  /** How often the bytes of TCP connections are counted. */
  readonly tcpReportingMs: number;
  readonly changes: readonly {
    /** Without `istio_`; empty for all. */
    readonly metric: string;
    readonly drops: boolean;
    readonly labelsToRemove: readonly string[];
  }[];
}
