// What Envoy demands of field values (extensions: connection manager, wasm, TLS, load balancing): the validation rules of Envoy 1.40's API as data.
// Keys are full message names, then proto field or oneof names. Checked by constraint.ts.

import type { Constraints } from "../constraint.ts";
import { FORMATTERS } from "./core.ts";

export const EXTENSIONS_CONSTRAINTS: Constraints = {
  "envoy.extensions.access_loggers.file.v3.FileAccessLog": { path: { minLen: 1 }, log_format: { required: true } },
  "envoy.extensions.access_loggers.stream.v3.StderrAccessLog": { log_format: { required: true } },
  "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog": { log_format: { required: true } },
  "envoy.extensions.filters.common.fault.v3.FaultDelay": {
    fault_delay_secifier: { oneofRequired: true },
    fixed_delay: { gt: 0 },
  },
  "envoy.extensions.filters.common.fault.v3.FaultRateLimit": { limit_type: { oneofRequired: true } },
  "envoy.extensions.filters.common.fault.v3.FaultRateLimit.FixedLimit": { limit_kbps: { gte: 1 } },
  "envoy.extensions.filters.common.set_filter_state.v3.FilterStateValue": {
    key: { oneofRequired: true },
    object_key: { minLen: 1 },
    value: { oneofRequired: true },
  },
  "envoy.config.core.v3.GrpcMethodList.Service": { name: { minLen: 1 }, method_names: { minItems: 1 } },
  "envoy.extensions.common.matching.v3.ExtensionWithMatcher": { extension_config: { required: true } },
  "xds.type.matcher.v3.Matcher.OnMatch": { on_match: { oneofRequired: true } },
  "xds.type.matcher.v3.Matcher.MatcherList": { matchers: { minItems: 1 } },
  "xds.type.matcher.v3.Matcher.MatcherList.FieldMatcher": {
    predicate: { required: true },
    on_match: { required: true },
  },
  "xds.type.matcher.v3.Matcher.MatcherList.Predicate": { match_type: { oneofRequired: true } },
  "xds.type.matcher.v3.Matcher.MatcherList.Predicate.SinglePredicate": {
    input: { required: true },
    matcher: { oneofRequired: true },
  },
  "xds.type.matcher.v3.Matcher.MatcherList.Predicate.PredicateList": { predicate: { minItems: 2 } },
  "xds.type.matcher.v3.Matcher.MatcherTree": { input: { required: true }, tree_type: { oneofRequired: true } },
  "xds.type.matcher.v3.Matcher.MatcherTree.MatchMap": { map: { minItems: 1 } },
  "xds.type.matcher.v3.ServerNameMatcher.DomainMatcher": { domains: { minItems: 1 } },
  "envoy.extensions.matching.common_inputs.environment_variable.v3.Config": { name: { minLen: 1 } },
  "envoy.extensions.matching.common_inputs.network.v3.DynamicMetadataInput": {
    filter: { minLen: 1 },
    path: { minItems: 1 },
  },
  "envoy.extensions.matching.common_inputs.network.v3.DynamicMetadataInput.PathSegment": {
    key: { minLen: 1 },
    segment: { oneofRequired: true },
  },
  "envoy.extensions.matching.common_inputs.network.v3.FilterStateInput": { key: { minLen: 1 } },
  "envoy.extensions.matching.input_matchers.ip.v3.Ip": { cidr_ranges: { minItems: 1 }, stat_prefix: { minLen: 1 } },
  "xds.type.matcher.v3.RegexMatcher": { engine_type: { oneofRequired: true }, regex: { minLen: 1 } },
  "xds.type.matcher.v3.StringMatcher": {
    match_pattern: { oneofRequired: true },
    prefix: { minLen: 1 },
    suffix: { minLen: 1 },
    contains: { minLen: 1 },
  },
  "envoy.config.core.v3.KeyValue": { key: { minLen: 1, maxBytes: 16384 } },
  "envoy.config.core.v3.KeyValuePair": { key: { minLen: 1, maxBytes: 16384 } },
  "envoy.config.core.v3.KeyValueAppend": { action: { definedOnly: true } },
  "envoy.config.core.v3.KeyValueMutation": { remove: { maxBytes: 16384 } },
  "envoy.extensions.filters.http.composite.v3.DynamicConfig": { name: { minLen: 1 } },
  "envoy.extensions.filters.http.header_mutation.v3.Mutations": { formatters: { types: FORMATTERS } },
  "envoy.extensions.filters.http.fault.v3.FaultAbort": {
    error_type: { oneofRequired: true },
    http_status: { lt: 600, gte: 200 },
  },
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.Tracing": {
    operation: { format: true },
    upstream_operation: { format: true },
  },
  "envoy.extensions.filters.http.router.v3.Router": {
    strict_check_headers: {
      items: {
        in: [
          "x-envoy-upstream-rq-timeout-ms",
          "x-envoy-upstream-rq-per-try-timeout-ms",
          "x-envoy-max-retries",
          "x-envoy-retry-grpc-on",
          "x-envoy-retry-on",
        ],
      },
    },
  },
  "envoy.extensions.filters.http.router.v3.Router.UpstreamAccessLogOptions": {
    upstream_log_flush_interval: { gte: 0.001 },
  },
  "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol.KeyValuePair": { key: { minLen: 1 } },
  "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol.Rule": { tlv_type: { lt: 256 } },
  "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector": {
    initial_read_buffer_size: { lt: 65537, gt: 255 },
    max_client_hello_size: { lte: 16384, gt: 255 },
  },
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager": {
    codec_type: { definedOnly: true },
    stat_prefix: { minLen: 1 },
    server_name: { header: "text" },
    server_header_transformation: { definedOnly: true },
    max_request_headers_kb: { lte: 8192, gt: 0 },
    request_headers_timeout: { gte: 0 },
    access_log_flush_interval: { gte: 0.001 },
    via: { header: "text" },
    forward_client_cert_details: { definedOnly: true },
    route_specifier: { oneofRequired: true },
  },
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.HcmAccessLogOptions": {
    access_log_flush_interval: { gte: 0.001 },
  },
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter": { name: { minLen: 1 } },
  "envoy.extensions.filters.network.http_connection_manager.v3.ResponseMapper": {
    filter: { required: true },
    status_code: { lt: 600, gte: 200 },
    headers_to_add: { maxItems: 1000 },
  },
  "envoy.extensions.filters.network.http_connection_manager.v3.ScopedRds": {
    scoped_rds_config_source: { required: true },
  },
  "envoy.extensions.filters.network.http_connection_manager.v3.ScopedRouteConfigurationsList": {
    scoped_route_configurations: { minItems: 1 },
  },
  "envoy.extensions.filters.network.http_connection_manager.v3.ScopedRoutes": {
    name: { minLen: 1 },
    scope_key_builder: { required: true },
    config_specifier: { oneofRequired: true },
  },
  "envoy.extensions.filters.network.http_connection_manager.v3.ScopedRoutes.ScopeKeyBuilder": {
    fragments: { minItems: 1 },
  },
  "envoy.extensions.filters.network.http_connection_manager.v3.ScopedRoutes.ScopeKeyBuilder.FragmentBuilder": {
    type: { oneofRequired: true },
  },
  "envoy.extensions.filters.network.http_connection_manager.v3.ScopedRoutes.ScopeKeyBuilder.FragmentBuilder.HeaderValueExtractor":
    { name: { minLen: 1, header: "text" } },
  "envoy.extensions.filters.network.http_connection_manager.v3.ScopedRoutes.ScopeKeyBuilder.FragmentBuilder.HeaderValueExtractor.KvElement":
    { separator: { minLen: 1 }, key: { minLen: 1 } },
  "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy": {
    stat_prefix: { minLen: 1 },
    max_connect_attempts: { gte: 1 },
    hash_policy: { maxItems: 1 },
    max_downstream_connection_duration: { gte: 0.001 },
    access_log_flush_interval: { gte: 0.001 },
    proxy_protocol_tlv_merge_policy: { definedOnly: true },
    upstream_connect_mode: { definedOnly: true },
    max_early_data_bytes: { lte: 1048576 },
    cluster_specifier: { oneofRequired: true },
  },
  "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.TcpAccessLogOptions": {
    access_log_flush_interval: { gte: 0.001 },
  },
  "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.TunnelingConfig": {
    hostname: { minLen: 1 },
    headers_to_add: { maxItems: 1000 },
  },
  "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster": { clusters: { minItems: 1 } },
  "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster.ClusterWeight": {
    name: { minLen: 1 },
    weight: { gte: 1 },
  },
  "envoy.extensions.load_balancing_policies.common.v3.ConsistentHashingLbConfig": { hash_balance_factor: { gte: 100 } },
  "envoy.extensions.load_balancing_policies.common.v3.LocalityLbConfig": {
    locality_config_specifier: { oneofRequired: true },
  },
  "envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest": {
    choice_count: { gte: 2 },
    selection_method: { definedOnly: true },
  },
  "envoy.extensions.load_balancing_policies.maglev.v3.Maglev": { table_size: { lte: 5000011 } },
  "envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash": {
    hash_function: { definedOnly: true },
    minimum_ring_size: { lte: 8388608, gte: 1 },
    maximum_ring_size: { lte: 8388608 },
    hash_balance_factor: { gte: 100 },
  },
  "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig": {
    query_timeout_seconds: { gte: 1 },
    query_tries: { gte: 1 },
    edns0_max_payload_size: { lte: 4096, gte: 512 },
    max_udp_channel_duration: { gte: 0 },
    qcache_max_ttl: { gte: 0 },
  },
  "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig": {
    max_active_downstream_connections: { gt: 0 },
  },
  "envoy.extensions.transport_sockets.tls.v3.CertificateProviderPluginInstance": { instance_name: { minLen: 1 } },
  "envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext": {
    verify_certificate_spki: { items: { minLen: 44, maxBytes: 44 } },
    verify_certificate_hash: { items: { minLen: 64, maxBytes: 95 } },
    trust_chain_verification: { definedOnly: true },
    max_verify_depth: { lte: 100 },
  },
  "envoy.extensions.transport_sockets.tls.v3.CommonTlsContext.CertificateProvider": {
    name: { minLen: 1 },
    config: { oneofRequired: true },
  },
  "envoy.extensions.transport_sockets.tls.v3.CommonTlsContext.CombinedCertificateValidationContext": {
    default_validation_context: { required: true },
    validation_context_sds_secret_config: { required: true },
  },
  "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext": {
    session_timeout: { lt: 4294967296, gte: 0 },
    ocsp_staple_policy: { definedOnly: true },
  },
  "envoy.extensions.transport_sockets.tls.v3.PrivateKeyProvider": { provider_name: { minLen: 1 } },
  "envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig": { name: { minLen: 1 } },
  "envoy.extensions.transport_sockets.tls.v3.SubjectAltNameMatcher": {
    san_type: { definedOnly: true, notIn: [0] },
    matcher: { required: true },
  },
  "envoy.extensions.transport_sockets.tls.v3.TlsKeyLog": { path: { minLen: 1 } },
  "envoy.extensions.transport_sockets.tls.v3.TlsParameters": {
    tls_minimum_protocol_version: { definedOnly: true },
    tls_maximum_protocol_version: { definedOnly: true },
    compliance_policies: { maxItems: 1 },
  },
  "envoy.extensions.transport_sockets.tls.v3.TlsSessionTicketKeys": { keys: { minItems: 1 } },
  "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext": { sni: { maxBytes: 255 } },
  "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": { upstream_protocol_options: { oneofRequired: true } },
  "envoy.extensions.upstreams.http.v3.HttpProtocolOptions.ExplicitHttpConfig": {
    protocol_config: { oneofRequired: true },
  },
  "envoy.extensions.upstreams.http.v3.HttpProtocolOptions.OutlierDetection": { error_matcher: { required: true } },
};
