// Filters that are the proxy's own → model: the filter of a connection manager, and what routes say to it.
// Called by http-filter.ts and per-filter-config.ts with the unpacked message of a type that they do not know themselves.

import type { Message } from "@bufbuild/protobuf";
import type { Composite } from "../gen/envoy/extensions/filters/http/composite/v3/composite_pb.ts";
import type { Cors, CorsPolicy as CorsPolicyMessage } from "../gen/envoy/extensions/filters/http/cors/v3/cors_pb.ts";
import type { HTTPFault } from "../gen/envoy/extensions/filters/http/fault/v3/fault_pb.ts";
import type {
  HeaderMutation,
  HeaderMutationPerRoute,
} from "../gen/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.ts";
import type { OnDemand, PerRouteConfig } from "../gen/envoy/extensions/filters/http/on_demand/v3/on_demand_pb.ts";
import type { FilterConfig as GrpcStatsConfig } from "../gen/envoy/extensions/filters/http/grpc_stats/v3/config_pb.ts";
import type { Config as SetFilterState } from "../gen/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state_pb.ts";
import type { Config as PeerMetadataConfig } from "../gen/io/istio/http/peer_metadata/config_pb.ts";
import type { PluginConfig as IstioStatsConfig } from "../gen/stats/config_pb.ts";
import type { BuiltinFilter, BuiltinSettings, CorsPolicy, GrpcStats } from "../model/builtin-filter.ts";
import { decodeFault } from "./fault.ts";
import { decodeMutations } from "./header-mutation-filter.ts";
import { decodeIstioStats, decodePeerMetadata } from "./istio-filter.ts";
import { child, type Findings } from "./issues.ts";
import { decodeEach, decodeRuntimeFraction, decodeStringMatcher } from "./matcher.ts";
import { decodeClustersOnDemand } from "./on-demand-filter.ts";
import { decodeFilterStateValue } from "./set-filter-state.ts";

type Decoder<T> = (message: Message, path: string, findings: Findings) => T | undefined;

const FILTERS: Readonly<Record<string, Decoder<BuiltinFilter>>> = {
  ["envoy.extensions.filters.http.cors.v3.Cors" satisfies Cors["$typeName"]]: () => ({ kind: "cors" }),
  ["envoy.extensions.filters.http.composite.v3.Composite" satisfies Composite["$typeName"]]: () => ({
    kind: "composite",
  }),
  ["envoy.extensions.filters.http.on_demand.v3.OnDemand" satisfies OnDemand["$typeName"]]: (
    message,
    path,
    findings,
  ) => ({
    kind: "on_demand",
    clusters: decodeClustersOnDemand((message as OnDemand).odcds, child(path, "odcds"), findings),
  }),
  ["envoy.extensions.filters.http.fault.v3.HTTPFault" satisfies HTTPFault["$typeName"]]: (message, path, findings) => ({
    kind: "fault",
    fault: decodeFault(message as HTTPFault, path, findings),
  }),
  ["envoy.extensions.filters.http.grpc_stats.v3.FilterConfig" satisfies GrpcStatsConfig["$typeName"]]: (message) => ({
    kind: "grpc_stats",
    stats: decodeGrpcStats(message as GrpcStatsConfig),
  }),
  ["envoy.extensions.filters.http.set_filter_state.v3.Config" satisfies SetFilterState["$typeName"]]: (
    message,
    path,
    findings,
  ) => ({
    kind: "set_filter_state",
    clearRouteCache: (message as SetFilterState).clearRouteCache,
    values: decodeEach(
      (message as SetFilterState).onRequestHeaders,
      child(path, "on_request_headers"),
      findings,
      decodeFilterStateValue,
    ),
  }),
  ["envoy.extensions.filters.http.header_mutation.v3.HeaderMutation" satisfies HeaderMutation["$typeName"]]: (
    message,
    path,
    findings,
  ) => ({
    kind: "header_mutation",
    mutations: decodeMutations((message as HeaderMutation).mutations, path, findings),
    mostSpecificWins: (message as HeaderMutation).mostSpecificHeaderMutationsWins,
  }),
  ["io.istio.http.peer_metadata.Config" satisfies PeerMetadataConfig["$typeName"]]: (message) => ({
    kind: "peer_metadata",
    exchange: decodePeerMetadata(message as PeerMetadataConfig),
  }),
  ["stats.PluginConfig" satisfies IstioStatsConfig["$typeName"]]: (message) => ({
    kind: "istio_stats",
    stats: decodeIstioStats(message as IstioStatsConfig),
  }),
};

const SETTINGS: Readonly<Record<string, Decoder<BuiltinSettings>>> = {
  ["envoy.extensions.filters.http.cors.v3.CorsPolicy" satisfies CorsPolicyMessage["$typeName"]]: (
    message,
    path,
    findings,
  ) => ({ kind: "cors", policy: decodeCorsPolicy(message as CorsPolicyMessage, path, findings) }),
  ["envoy.extensions.filters.http.on_demand.v3.PerRouteConfig" satisfies PerRouteConfig["$typeName"]]: (
    message,
    path,
    findings,
  ) => ({
    kind: "on_demand",
    clusters: decodeClustersOnDemand((message as PerRouteConfig).odcds, child(path, "odcds"), findings),
  }),
  ["envoy.extensions.filters.http.fault.v3.HTTPFault" satisfies HTTPFault["$typeName"]]: (message, path, findings) => ({
    kind: "fault",
    fault: decodeFault(message as HTTPFault, path, findings),
  }),
  ["envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute" satisfies HeaderMutationPerRoute["$typeName"]]:
    (message, path, findings) => ({
      kind: "header_mutation",
      mutations: decodeMutations((message as HeaderMutationPerRoute).mutations, path, findings),
    }),
};

/** Full names, for messages. */
export const BUILTIN_FILTER_TYPES: readonly string[] = Object.keys(FILTERS);
export const BUILTIN_SETTINGS_TYPES: readonly string[] = Object.keys(SETTINGS);

/** How to decode a filter of this type; undefined: it is none of ours. */
export function builtinFilterDecoder(typeName: string): Decoder<BuiltinFilter> | undefined {
  return Object.hasOwn(FILTERS, typeName) ? FILTERS[typeName] : undefined;
}

export function builtinSettingsDecoder(typeName: string): Decoder<BuiltinSettings> | undefined {
  return Object.hasOwn(SETTINGS, typeName) ? SETTINGS[typeName] : undefined;
}

function decodeCorsPolicy(message: CorsPolicyMessage, path: string, findings: Findings): CorsPolicy {
  const origins = child(path, "allow_origin_string_match");
  return {
    allowOrigins: decodeEach(message.allowOriginStringMatch, origins, findings, decodeStringMatcher),
    allowMethods: message.allowMethods,
    allowHeaders: message.allowHeaders,
    exposeHeaders: message.exposeHeaders,
    maxAge: message.maxAge,
    allowCredentials: message.allowCredentials,
    allowPrivateNetworkAccess: message.allowPrivateNetworkAccess,
    forwardNotMatchingPreflights: message.forwardNotMatchingPreflights,
    filterEnabled: decodeRuntimeFraction(message.filterEnabled),
    shadowEnabled: decodeRuntimeFraction(message.shadowEnabled),
  };
}

function decodeGrpcStats(message: GrpcStatsConfig): GrpcStats {
  const methods = message.perMethodStatSpecifier;
  const services = methods.case === "individualMethodStatsAllowlist" ? methods.value.services : [];
  return {
    emitsState: message.emitFilterState,
    allMethods: methods.case === "statsForAllMethods" && methods.value.value,
    methods: services.flatMap(({ name, methodNames }) => methodNames.map((method) => `${name}/${method}`)),
    replacesDots: message.replaceDotsInGrpcServiceName,
  };
}
