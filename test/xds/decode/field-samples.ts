// What field-effect.test.ts cannot guess: values that a field takes, the types inside its Any fields, and the fields
// whose effect is not in the decoded model.

import type { JsonValue } from "@bufbuild/protobuf";

const EXTENSIONS = "envoy.extensions";
const WASM = `${EXTENSIONS}.filters.http.wasm.v3.Wasm`;
const LB = `${EXTENSIONS}.load_balancing_policies`;
const TLS = `${EXTENSIONS}.transport_sockets.tls.v3`;
const GRPC_SERVICE = "envoy.config.core.v3.GrpcService";
const ROUTER = `${EXTENSIONS}.filters.http.router.v3.Router`;
const FILTER_CONFIG = "envoy.config.route.v3.FilterConfig";

const ANY_TYPES: Readonly<Record<string, readonly string[]>> = {
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter.typed_config": [
    WASM,
    ROUTER,
    `${EXTENSIONS}.filters.http.fault.v3.HTTPFault`,
    `${EXTENSIONS}.filters.http.cors.v3.Cors`,
    `${EXTENSIONS}.filters.http.grpc_stats.v3.FilterConfig`,
    `${EXTENSIONS}.filters.http.set_filter_state.v3.Config`,
    `${EXTENSIONS}.filters.http.header_mutation.v3.HeaderMutation`,
    "io.istio.http.peer_metadata.Config",
    "stats.PluginConfig",
  ],
  "envoy.config.listener.v3.Filter.typed_config": [
    `${EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
  ],
  "envoy.config.listener.v3.ListenerFilter.typed_config": [
    `${EXTENSIONS}.filters.listener.tls_inspector.v3.TlsInspector`,
  ],
  "envoy.config.accesslog.v3.AccessLog.typed_config": [
    `${EXTENSIONS}.access_loggers.file.v3.FileAccessLog`,
    `${EXTENSIONS}.access_loggers.stream.v3.StdoutAccessLog`,
    `${EXTENSIONS}.access_loggers.stream.v3.StderrAccessLog`,
    `${EXTENSIONS}.access_loggers.wasm.v3.WasmAccessLog`,
  ],
  "envoy.config.core.v3.TransportSocket.typed_config": [
    `${TLS}.UpstreamTlsContext`,
    `${TLS}.DownstreamTlsContext`,
    `${EXTENSIONS}.transport_sockets.raw_buffer.v3.RawBuffer`,
  ],
  "envoy.config.core.v3.GrpcService.GoogleGrpc.CallCredentials.MetadataCredentialsFromPlugin.typed_config": [
    "envoy.config.grpc_credential.v3.FileBasedMetadataConfig",
  ],
  "envoy.config.cluster.v3.Cluster.typed_extension_protocol_options": [
    `${EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions`,
  ],
  // The first that a cluster takes counts, and Maglev is not the default.
  "envoy.config.core.v3.TypedExtensionConfig.typed_config": [
    `${LB}.maglev.v3.Maglev`,
    `${LB}.random.v3.Random`,
    `${LB}.ring_hash.v3.RingHash`,
    `${LB}.least_request.v3.LeastRequest`,
    `${LB}.round_robin.v3.RoundRobin`,
  ],
  "envoy.config.core.v3.ExtensionConfigSource.default_config": [WASM],
  "envoy.config.trace.v3.Tracing.Http.typed_config": ["envoy.config.trace.v3.OpenTelemetryConfig"],
  "envoy.extensions.wasm.v3.PluginConfig.configuration": ["google.protobuf.StringValue"],
  "envoy.extensions.wasm.v3.VmConfig.configuration": ["google.protobuf.StringValue"],
  "envoy.config.route.v3.RouteConfiguration.typed_per_filter_config": [FILTER_CONFIG],
  "envoy.config.route.v3.VirtualHost.typed_per_filter_config": [FILTER_CONFIG],
  "envoy.config.route.v3.Route.typed_per_filter_config": [
    FILTER_CONFIG,
    `${EXTENSIONS}.filters.http.cors.v3.CorsPolicy`,
    `${EXTENSIONS}.filters.http.header_mutation.v3.HeaderMutationPerRoute`,
  ],
  "envoy.config.route.v3.WeightedCluster.ClusterWeight.typed_per_filter_config": [FILTER_CONFIG],
  "envoy.config.core.v3.Metadata.typed_filter_metadata": ["google.protobuf.StringValue"],
};

/** The types that the Any in a field can hold. */
export function anyTypes(field: string): readonly string[] {
  return ANY_TYPES[field] ?? [];
}

/** What is being tried: the field, and the messages on the way to it, by full names. */
export type Trial = { readonly field: string; readonly way: readonly string[] };

type Samples = (trial: Trial) => readonly JsonValue[];

const always =
  (...values: readonly JsonValue[]): Samples =>
  () =>
    values;

/** Not while one of these is tried, because this field would outvote it. The names are ends of full names. */
const exceptFor =
  (value: JsonValue, ...outvoted: readonly string[]): Samples =>
  ({ field, way }) =>
    outvoted.some((name) => field.endsWith(name) || way.some((each) => each.endsWith(name))) ? [] : [value];

const STRANGE = {
  "@type": "type.googleapis.com/xds.type.v3.TypedStruct",
  type_url: "type.googleapis.com/made.Up",
  value: {},
};

const MAGLEV = {
  policies: [
    { typed_extension_config: { name: "m", typed_config: { "@type": `type.googleapis.com/${LB}.maglev.v3.Maglev` } } },
  ],
};

const CLUSTER = "envoy.config.cluster.v3.Cluster";
const HTTP_OPTIONS = `${EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions`;

/** Values for fields that do not take just any, or that outvote others. An empty list leaves the field out. */
export const SAMPLES: Readonly<Record<string, Samples>> = {
  [`${FILTER_CONFIG}.disabled`]: exceptFor(true, ".FilterConfig.config", ".FilterConfig.is_optional"),
  [`${FILTER_CONFIG}.is_optional`]: exceptFor(true, ".FilterConfig.config"),
  // What is optional makes a difference where the filter has no such configuration.
  [`${FILTER_CONFIG}.config`]: always({ "@type": `type.googleapis.com/${ROUTER}` }),
  "envoy.config.core.v3.SocketAddress.address": always("127.0.0.1"),
  [`${TLS}.SubjectAltNameMatcher.san_type`]: always("DNS", "URI"),
  // Typed names outvote the others.
  [`${TLS}.CertificateValidationContext.match_typed_subject_alt_names`]: exceptFor(
    [{ san_type: "DNS", matcher: { exact: "x" } }],
    ".match_subject_alt_names",
  ),
  [`${GRPC_SERVICE}.EnvoyGrpc.retry_policy`]: exceptFor(
    { retry_back_off: { base_interval: "9s" } },
    "GrpcService.retry_policy",
    "core.v3.RetryPolicy",
    ".BackoffStrategy",
  ),
  [`${GRPC_SERVICE}.GoogleGrpc.channel_args`]: always({ args: { "grpc.default_authority": { string_value: "x" } } }),
  [`${GRPC_SERVICE}.GoogleGrpc.ChannelArgs.args`]: always({ "grpc.default_authority": { string_value: "x" } }),
  "envoy.config.core.v3.KeyValuePair.value": always("x", "y"),
  "envoy.config.core.v3.SocketAddress.protocol": always("TCP", "UDP"),
  "envoy.config.core.v3.CidrRange.address_prefix": always("10.0.0.0"),
  "envoy.config.core.v3.ApiConfigSource.api_type": always("GRPC", "DELTA_GRPC"),
  "envoy.config.core.v3.ApiConfigSource.transport_api_version": always("V3", "V2"),
  "envoy.config.core.v3.ConfigSource.resource_api_version": always("V3", "V2"),
  "envoy.config.core.v3.SelfConfigSource.transport_api_version": always("V3", "V2"),
  "envoy.config.core.v3.SubstitutionFormatString.text_format": exceptFor("x", ".omit_empty_values"),
  "envoy.config.listener.v3.Listener.bind_to_port": ({ field, way }) =>
    field.endsWith("deprecated_v1") || way.some((name) => name.endsWith("DeprecatedV1")) ? [] : [true, false],
  "envoy.config.listener.v3.Listener.deprecated_v1": always({ bind_to_port: false }),
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.access_log_options": exceptFor(
    { flush_access_log_on_new_request: true },
    "HttpConnectionManager.access_log_flush_interval",
    "HttpConnectionManager.flush_access_log_on_new_request",
  ),
  "envoy.extensions.filters.network.http_connection_manager.v3.RequestIDExtension.typed_config": always(STRANGE),
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.request_id_extension": always({
    typed_config: STRANGE,
  }),
  "envoy.config.trace.v3.OpenTelemetryConfig.grpc_service": exceptFor(
    { envoy_grpc: { cluster_name: "x" } },
    ".http_service",
    ".HttpService",
    ".HttpUri",
  ),
  "envoy.config.route.v3.RouteAction.max_stream_duration": exceptFor(
    { max_stream_duration: "7s" },
    ".grpc_timeout_offset",
    ".max_grpc_timeout",
  ),
  "envoy.extensions.wasm.v3.VmConfig.capability_restriction_config": exceptFor(
    { allowed_capabilities: { proxy_log: {} } },
    ".PluginConfig.capability_restriction_config",
    ".CapabilityRestrictionConfig",
  ),
  "envoy.extensions.wasm.v3.PluginConfig.capability_restriction_config": exceptFor(
    { allowed_capabilities: { proxy_on_log: {} } },
    ".VmConfig.capability_restriction_config",
  ),
  "envoy.config.core.v3.SocketOption.type": ({ field }) =>
    field.endsWith("SocketOption.type") ? [{ datagram: {} }] : [],
  // Without it the option is not for our sockets at all.
  "envoy.config.core.v3.SocketOption.SocketType.stream": exceptFor({}, ".SocketType.datagram"),
  "envoy.config.core.v3.ExtraSourceAddress.socket_options": always({ socket_options: [] }),
  [`${CLUSTER}.type`]: ({ field, way }) =>
    /cleanup_interval|original_dst_lb_config|OriginalDstLbConfig/.test([field, ...way].join(" "))
      ? ["ORIGINAL_DST"]
      : way.some((name) => name.endsWith("EdsClusterConfig"))
        ? ["EDS", "STATIC"]
        : ["STATIC", "EDS"],
  [`${CLUSTER}.lb_policy`]: always("RANDOM"),
  [`${CLUSTER}.load_balancing_policy`]: exceptFor(MAGLEV, ".lb_policy"),
  [`${CLUSTER}.dns_failure_refresh_rate`]: always({ base_interval: "9s" }),
  [`${CLUSTER}.common_http_protocol_options`]: exceptFor(
    { idle_timeout: "7s" },
    ".Cluster.max_requests_per_connection",
  ),
  [`${CLUSTER}.typed_extension_protocol_options`]: exceptFor(
    { [HTTP_OPTIONS]: { "@type": `type.googleapis.com/${HTTP_OPTIONS}`, explicit_http_config: {} } },
    "http_protocol_options",
    "http2_protocol_options",
    ".Cluster.max_requests_per_connection",
    "core.v3.HttpProtocolOptions",
    "core.v3.Http2ProtocolOptions",
  ),
  "envoy.config.cluster.v3.Filter.typed_config": always(STRANGE),
  [`${HTTP_OPTIONS}.explicit_http_config`]: always({ http2_protocol_options: {} }),
};

const LABEL = "a label, as in Envoy";

/** Supported fields that make no difference to the decoded model, and why they are supported nevertheless. */
export const EFFECT_ELSEWHERE: Readonly<Record<string, string>> = {
  "envoy.config.route.v3.ScopedRouteConfiguration.on_demand": "is read over SRDS, not of scopes inside a listener",
  "io.istio.http.peer_metadata.Config.IstioHeaders.skip_external_clusters":
    "in propagation, which the shortest way does not lead to: integration/istio-filters.test.ts",
  "envoy.extensions.filters.network.http_connection_manager.v3.ScopedRoutes.rds_config_source":
    "is read with scoped_rds, not with a list",
  "envoy.config.cluster.v3.Cluster.TransportSocketMatch.name": LABEL,
  "envoy.config.cluster.v3.Filter.name": LABEL,
  [`${GRPC_SERVICE}.GoogleGrpc.CallCredentials.MetadataCredentialsFromPlugin.name`]: LABEL,
  [`${GRPC_SERVICE}.GoogleGrpc.ChannelCredentials.local_credentials`]: "means plaintext, as no credentials do",
  [`${GRPC_SERVICE}.GoogleGrpc.ChannelArgs.Value.string_value`]: "means something by its name: see args",
  [`${GRPC_SERVICE}.GoogleGrpc.ChannelArgs.Value.int_value`]: "means something by its name: see args",
  "envoy.config.core.v3.TransportSocket.name": LABEL,
  "envoy.config.core.v3.TypedExtensionConfig.name": LABEL,
  "envoy.config.listener.v3.Filter.name": LABEL,
  "envoy.config.trace.v3.Tracing.Http.name": LABEL,
  [`${HTTP_OPTIONS}.use_downstream_protocol_config`]: "means HTTP/1.1, as long as the downstream protocol is",
  [`${HTTP_OPTIONS}.ExplicitHttpConfig.http_protocol_options`]: "means HTTP/1.1, the default",
  [`${HTTP_OPTIONS}.UseDownstreamHttpConfig.http_protocol_options`]: "means HTTP/1.1, the default",
};
