// Which fields have an effect: the HTTP connection manager, its filters, plugins and tracing. Keys of `accepted` and `refused` are field names, with what happens instead.
// Read by fields.ts; a test fails when a reachable field has no row here.

import type { MessageRows } from "../fields.ts";
import { MATCHING_ROWS } from "./matching.ts";

export const CONNECTION_MANAGER_ROWS: Readonly<Record<string, MessageRows>> = {
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager": {
    supported:
      "codec_type stat_prefix rds route_config scoped_routes http_filters tracing common_http_protocol_options http_protocol_options server_name server_header_transformation max_request_headers_kb local_reply_config stream_idle_timeout request_timeout request_headers_timeout delayed_close_timeout access_log access_log_flush_interval flush_access_log_on_new_request access_log_options use_remote_address xff_num_trusted_hops internal_address_config skip_xff_append via append_x_forwarded_port add_user_agent scheme_header_transformation proxy_status_config generate_request_id preserve_external_request_id always_set_request_id_in_response forward_client_cert_details proxy_100_continue upgrade_configs normalize_path merge_slashes path_with_escaped_slashes_action request_id_extension strip_matching_host_port strip_any_host_port strip_trailing_host_dot",
    accepted: {
      drain_timeout: "see --drain-time-s",
      http1_safe_max_connection_duration: "a connection ends between requests",
      http2_protocol_options: "HTTP/2 is not supported yet",
      http3_protocol_options: "HTTP/3 is not supported",
      stream_flush_timeout: "the idle timeout ends a stream that cannot be written",
      drain_timeout_jitter: "there is no jitter",
      set_current_client_cert_details: "listeners do not serve TLS yet",
      represent_ipv4_remote_address_as_ipv4_mapped_ipv6: "addresses are shown as they are",
      stream_error_on_invalid_http_message: "a malformed message ends the connection",
      append_local_overload: "there is no overload manager",
      add_proxy_protocol_connection_state: "the PROXY protocol is not supported",
      forward_proto_config: "x-forwarded-proto is that of the connection",
      record_route_resolution_stats: "no such statistic",
    },
    refused: {
      original_ip_detection_extensions: "this extension point is not supported",
      early_header_mutation_extensions: "this extension point is not supported",
      typed_header_validation_config: "this extension point is not supported",
      forward_client_cert_matcher: "listeners do not serve TLS yet",
      path_normalization_options: "use normalize_path and merge_slashes",
    },
  },
  "envoy.extensions.filters.network.http_connection_manager.v3.ScopedRoutes": {
    supported: "name scope_key_builder rds_config_source scoped_route_configurations_list scoped_rds",
  },
  "envoy.extensions.filters.network.http_connection_manager.v3.ScopedRoutes.ScopeKeyBuilder": {
    supported: "fragments",
  },
  "envoy.extensions.filters.network.http_connection_manager.v3.ScopedRoutes.ScopeKeyBuilder.FragmentBuilder": {
    supported: "header_value_extractor",
  },
  "envoy.extensions.filters.network.http_connection_manager.v3.ScopedRoutes.ScopeKeyBuilder.FragmentBuilder.HeaderValueExtractor":
    {
      supported: "name element_separator index element",
    },
  "envoy.extensions.filters.network.http_connection_manager.v3.ScopedRoutes.ScopeKeyBuilder.FragmentBuilder.HeaderValueExtractor.KvElement":
    {
      supported: "separator key",
    },
  "envoy.extensions.filters.network.http_connection_manager.v3.ScopedRouteConfigurationsList": {
    supported: "scoped_route_configurations",
  },
  "envoy.extensions.filters.network.http_connection_manager.v3.ScopedRds": {
    supported: "scoped_rds_config_source",
    refused: { srds_resources_locator: "xdstp:// names are not supported" },
  },
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.Tracing": {
    supported: "client_sampling random_sampling overall_sampling custom_tags provider max_path_tag_length",
    accepted: {
      verbose: "there are no timed events",
      spawn_upstream_span: "there is one span for a request",
      operation: "spans are named by method and route, or by the decorator",
      upstream_operation: "spans are named by method and route",
      no_context_propagation: "the context is propagated",
    },
  },
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.InternalAddressConfig": {
    supported: "cidr_ranges",
    accepted: {
      unix_sockets: "peers on Unix sockets count as internal",
    },
  },
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.UpgradeConfig": {
    supported: "upgrade_type enabled",
    refused: {
      filters: "an upgrade has the filters of the connection manager",
    },
  },
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.HcmAccessLogOptions": {
    supported: "access_log_flush_interval flush_access_log_on_new_request",
    accepted: {
      flush_log_on_tunnel_successfully_established: "CONNECT is not terminated here",
    },
  },
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.ProxyStatusConfig": {
    supported: "use_node_id literal_proxy_name remove_details remove_response_flags set_recommended_response_code",
    accepted: {
      remove_connection_termination_details: "there are no such details",
    },
  },
  "envoy.extensions.filters.network.http_connection_manager.v3.LocalReplyConfig": {
    supported: "mappers body_format",
  },
  "envoy.extensions.filters.network.http_connection_manager.v3.ResponseMapper": {
    supported: "filter status_code body body_format_override headers_to_add",
  },
  "envoy.extensions.filters.network.http_connection_manager.v3.Rds": {
    supported: "config_source route_config_name",
  },
  "envoy.extensions.filters.network.http_connection_manager.v3.RequestIDExtension": {
    supported: "typed_config",
  },
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter": {
    supported: "name typed_config config_discovery is_optional disabled",
  },
  "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig": {
    supported: "",
    accepted: {
      pack_trace_reason: "sampling does not depend on the request ID",
      use_request_id_for_trace_sampling: "sampling does not depend on the request ID",
    },
  },
  "envoy.config.trace.v3.Tracing.Http": {
    supported: "name typed_config",
  },
  "envoy.config.trace.v3.OpenTelemetryConfig": {
    supported: "grpc_service http_service service_name",
    accepted: {
      exporter: "this extension point is not supported",
      resource_detectors: "this extension point is not supported",
      sampler: "this extension point is not supported",
      max_cache_size: "spans are batched with the defaults of OpenTelemetry",
      set_telemetry_sdk_resource_attributes: "these attributes are always set",
      set_service_name_resource_attribute: "these attributes are always set",
      set_instrumentation_scope: "these attributes are always set",
    },
  },
  "envoy.extensions.filters.http.router.v3.Router": {
    supported: "suppress_envoy_headers strict_check_headers respect_expected_rq_timeout",
    accepted: {
      start_child_span: "there is one span for a request",
      dynamic_stats: "statistics are always kept",
      upstream_log: "upstream attempts are not logged",
      upstream_log_options: "upstream attempts are not logged",
      suppress_grpc_request_failure_code_stats: "no such statistic",
      reject_connect_request_early_data: "there is no early data",
    },
    refused: {
      upstream_http_filters: "upstream HTTP filters are not supported",
    },
  },
  "envoy.extensions.filters.http.on_demand.v3.OnDemand": {
    supported: "odcds",
  },
  "envoy.extensions.filters.http.on_demand.v3.PerRouteConfig": {
    supported: "odcds",
  },
  "envoy.extensions.filters.http.on_demand.v3.OnDemandCds": {
    supported: "source timeout",
    refused: { resources_locator: "xdstp: names are not supported" },
  },
  "envoy.extensions.filters.http.cors.v3.Cors": {
    supported: "",
  },
  "envoy.extensions.filters.http.cors.v3.CorsPolicy": {
    supported:
      "allow_origin_string_match allow_methods allow_headers expose_headers max_age allow_credentials filter_enabled shadow_enabled allow_private_network_access forward_not_matching_preflights",
  },
  "envoy.extensions.filters.http.fault.v3.HTTPFault": {
    supported:
      "delay abort upstream_cluster headers downstream_nodes max_active_faults response_rate_limit delay_percent_runtime abort_percent_runtime delay_duration_runtime abort_http_status_runtime max_active_faults_runtime response_rate_limit_percent_runtime abort_grpc_status_runtime disable_downstream_cluster_stats",
    accepted: {
      filter_metadata: "filters leave no metadata on a request",
    },
  },
  "envoy.extensions.filters.http.fault.v3.FaultAbort": {
    supported: "http_status grpc_status header_abort percentage response_body",
  },
  "envoy.extensions.filters.http.fault.v3.FaultAbort.HeaderAbort": {
    supported: "",
  },
  "envoy.extensions.filters.common.fault.v3.FaultDelay": {
    supported: "fixed_delay header_delay percentage",
  },
  "envoy.extensions.filters.common.fault.v3.FaultDelay.HeaderDelay": {
    supported: "",
  },
  "envoy.extensions.filters.common.fault.v3.FaultRateLimit": {
    supported: "fixed_limit header_limit percentage",
  },
  "envoy.extensions.filters.common.fault.v3.FaultRateLimit.FixedLimit": {
    supported: "limit_kbps",
  },
  "envoy.extensions.filters.common.fault.v3.FaultRateLimit.HeaderLimit": {
    supported: "",
  },
  "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig": {
    supported:
      "emit_filter_state individual_method_stats_allowlist stats_for_all_methods replace_dots_in_grpc_service_name",
    accepted: {
      enable_upstream_stats: "no such statistic",
    },
  },
  "envoy.config.core.v3.GrpcMethodList": {
    supported: "services",
  },
  "envoy.config.core.v3.GrpcMethodList.Service": {
    supported: "name method_names",
  },
  "envoy.extensions.filters.http.set_filter_state.v3.Config": {
    supported: "on_request_headers clear_route_cache",
  },
  "envoy.extensions.filters.common.set_filter_state.v3.FilterStateValue": {
    supported: "object_key factory_key format_string skip_if_empty",
    accepted: {
      read_only: "a later value replaces it",
      shared_with_upstream: "there are no upstream filters",
    },
  },
  ...MATCHING_ROWS,
  "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation": {
    supported: "mutations most_specific_header_mutations_wins",
  },
  "envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute": {
    supported: "mutations",
  },
  "envoy.extensions.filters.http.header_mutation.v3.Mutations": {
    supported:
      "request_mutations query_parameter_mutations response_mutations response_trailers_mutations request_trailers_mutations",
    accepted: {
      formatters: "METADATA, CEL and REQ_WITHOUT_QUERY are there without; operators of others are refused",
    },
  },
  "envoy.config.common.mutation_rules.v3.HeaderMutation": {
    supported: "remove append remove_on_match",
  },
  "envoy.config.common.mutation_rules.v3.HeaderMutation.RemoveOnMatch": {
    supported: "key_matcher",
  },
  "envoy.config.core.v3.KeyValueMutation": {
    supported: "append remove",
  },
  "envoy.config.core.v3.KeyValueAppend": {
    supported: "record action",
    refused: {
      entry: "use record, as Envoy demands",
    },
  },
  "envoy.config.core.v3.KeyValuePair": {
    supported: "key value",
  },
  "io.istio.http.peer_metadata.Config": {
    supported: "downstream_discovery upstream_discovery downstream_propagation upstream_propagation additional_labels",
    accepted: {
      shared_with_upstream: "there are no upstream filters",
    },
  },
  "io.istio.http.peer_metadata.Config.DiscoveryMethod": {
    supported: "istio_headers",
    accepted: {
      baggage: "peers are known by Istio's headers",
      workload_discovery: "peers are known by Istio's headers",
      upstream_filter_state: "peers are known by Istio's headers",
    },
  },
  "io.istio.http.peer_metadata.Config.PropagationMethod": {
    supported: "istio_headers",
    accepted: {
      baggage: "peers are told by Istio's headers",
    },
  },
  "io.istio.http.peer_metadata.Config.IstioHeaders": {
    supported: "skip_external_clusters",
  },
  "stats.PluginConfig": {
    supported: "disable_host_header_fallback tcp_reporting_duration metrics",
    accepted: {
      definitions: "only the standard metrics are kept",
      reporter: "the direction of the listener decides",
      rotation_interval: "a metric stays until the end",
      graceful_deletion_interval: "a metric stays until the end",
    },
  },
  "stats.MetricConfig": {
    supported: "name tags_to_remove drop",
    accepted: {
      dimensions: "labels keep their values, and none is added",
      match: "the change holds for all requests",
    },
  },
  "envoy.extensions.filters.http.wasm.v3.Wasm": {
    supported: "config",
  },
  "envoy.extensions.wasm.v3.PluginConfig": {
    supported:
      "name root_id vm_config configuration fail_open failure_policy reload_config capability_restriction_config allow_on_headers_stop_iteration",
  },
  "envoy.extensions.wasm.v3.WasmService": {
    supported: "config singleton",
  },
  "envoy.extensions.wasm.v3.ReloadConfig": {
    supported: "backoff",
  },
  "envoy.extensions.wasm.v3.VmConfig": {
    supported:
      "vm_id runtime code configuration environment_variables capability_restriction_config nack_on_code_cache_miss",
    accepted: {
      allow_precompiled: "modules are compiled here",
    },
  },
  "envoy.extensions.wasm.v3.EnvironmentVariables": {
    supported: "host_env_keys key_values",
  },
  "envoy.extensions.wasm.v3.CapabilityRestrictionConfig": {
    supported: "allowed_capabilities",
  },
  "envoy.extensions.wasm.v3.SanitizationConfig": {
    supported: "",
  },
};
