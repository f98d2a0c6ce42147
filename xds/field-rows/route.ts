// Which fields have an effect: routes. Keys of `accepted` and `refused` are field names, with what happens instead.
// Read by fields.ts; a test fails when a reachable field has no row here.

import type { MessageRows } from "../fields.ts";

export const ROUTE_ROWS: Readonly<Record<string, MessageRows>> = {
  "envoy.config.route.v3.RouteConfiguration": {
    supported:
      "name virtual_hosts response_headers_to_add response_headers_to_remove request_headers_to_add request_headers_to_remove most_specific_header_mutations_wins validate_clusters max_direct_response_body_size_bytes ignore_port_in_host_matching typed_per_filter_config vhds internal_only_headers",
    accepted: {
      request_mirror_policies: "requests are not mirrored yet",
      metadata: "has no reader",
      cluster_specifier_plugins: "routes that name one are refused",
    },
    refused: {
      vhost_header: "the virtual host is chosen by Host",
      ignore_path_parameters_in_path_matching: "path parameters are part of the path",
      route_specifiers: "this extension point is not supported",
    },
  },
  "envoy.config.route.v3.ScopedRouteConfiguration": {
    supported: "name key route_configuration_name route_configuration on_demand",
  },
  "envoy.config.route.v3.Vhds": { supported: "config_source" },
  "envoy.config.route.v3.ScopedRouteConfiguration.Key": { supported: "fragments" },
  "envoy.config.route.v3.ScopedRouteConfiguration.Key.Fragment": { supported: "string_key" },
  "envoy.config.route.v3.VirtualHost": {
    supported:
      "name domains routes require_tls request_headers_to_add request_headers_to_remove response_headers_to_add response_headers_to_remove include_request_attempt_count include_attempt_count_in_response metadata typed_per_filter_config",
    accepted: {
      virtual_clusters: "no such statistics",
      rate_limits: "rate limits are not supported",
      cors: "give the CORS filter its policy in typed_per_filter_config",
      retry_policy: "requests are not retried yet",
      retry_policy_typed_config: "this extension point is not supported",
      hedge_policy: "requests are not hedged",
      include_is_timeout_retry_header: "requests are not hedged",
      per_request_buffer_limit_bytes: "bodies are streamed, not buffered",
      request_body_buffer_limit: "bodies are streamed, not buffered",
      request_mirror_policies: "requests are not mirrored yet",
    },
    refused: {
      matcher: "use routes",
      route_specifiers: "this extension point is not supported",
    },
  },
  "envoy.config.route.v3.Route": {
    supported:
      "name match route redirect direct_response non_forwarding_action metadata decorator request_headers_to_add request_headers_to_remove response_headers_to_add response_headers_to_remove tracing typed_per_filter_config",
    accepted: {
      stat_prefix: "no statistics of single routes",
      per_request_buffer_limit_bytes: "bodies are streamed, not buffered",
      request_body_buffer_limit: "bodies are streamed, not buffered",
    },
    refused: {
      filter_action: "this extension point is not supported",
      route_specifiers: "this extension point is not supported",
    },
  },
  "envoy.config.route.v3.RouteMatch": {
    supported:
      "prefix path safe_regex connect_matcher path_separated_prefix case_sensitive runtime_fraction headers query_parameters grpc",
    refused: {
      path_match_policy: "this extension point is not supported",
      cookies: "cookie matchers are not supported",
      tls_context: "listeners do not serve TLS yet",
      dynamic_metadata: "matching by state of filters is not supported",
      filter_state: "matching by state of filters is not supported",
    },
  },
  "envoy.config.route.v3.RouteMatch.ConnectMatcher": {
    supported: "",
  },
  "envoy.config.route.v3.RouteMatch.GrpcRouteMatchOptions": {
    supported: "",
  },
  "envoy.config.route.v3.HeaderMatcher": {
    supported:
      "name exact_match safe_regex_match range_match present_match prefix_match suffix_match contains_match string_match invert_match treat_missing_header_as_empty",
  },
  "envoy.config.route.v3.QueryParameterMatcher": {
    supported: "name string_match present_match",
  },
  "envoy.config.route.v3.RouteAction": {
    supported:
      "cluster cluster_header weighted_clusters cluster_not_found_response_code prefix_rewrite regex_rewrite host_rewrite_literal auto_host_rewrite host_rewrite_header host_rewrite_path_regex append_x_forwarded_host timeout idle_timeout priority max_grpc_timeout grpc_timeout_offset upgrade_configs max_stream_duration",
    accepted: {
      flush_timeout: "the idle timeout ends a stream that cannot be written",
      early_data_policy: "there is no early data",
      retry_policy: "requests are not retried yet",
      retry_policy_typed_config: "this extension point is not supported",
      request_mirror_policies: "requests are not mirrored yet",
      rate_limits: "rate limits are not supported",
      include_vh_rate_limits: "rate limits are not supported",
      hash_policy: "hosts are picked without affinity",
      cors: "give the CORS filter its policy in typed_per_filter_config",
      hedge_policy: "requests are not hedged",
    },
    refused: {
      cluster_specifier_plugin: "this extension point is not supported",
      inline_cluster_specifier_plugin: "this extension point is not supported",
      metadata_match: "subsets are not supported",
      path_rewrite_policy: "this extension point is not supported",
      path_rewrite: "use prefix_rewrite or regex_rewrite",
      host_rewrite: "use host_rewrite_literal",
      internal_redirect_policy: "redirects are not followed",
      internal_redirect_action: "redirects are not followed",
      max_internal_redirects: "redirects are not followed",
    },
  },
  "envoy.config.route.v3.WeightedCluster": {
    supported: "clusters header_name",
    accepted: {
      total_weight: "the weights' sum is used",
      runtime_key_prefix: "weights are those of the configuration",
    },
    refused: {
      use_hash_policy: "hash policies are not supported",
    },
  },
  "envoy.config.route.v3.WeightedCluster.ClusterWeight": {
    supported:
      "name cluster_header weight request_headers_to_add request_headers_to_remove response_headers_to_add response_headers_to_remove host_rewrite_literal typed_per_filter_config",
    refused: {
      metadata_match: "subsets are not supported",
    },
  },
  "envoy.config.route.v3.RouteAction.MaxStreamDuration": {
    supported: "max_stream_duration grpc_timeout_header_max grpc_timeout_header_offset",
  },
  "envoy.config.route.v3.RouteAction.UpgradeConfig": {
    supported: "upgrade_type enabled",
    refused: {
      connect_config: "CONNECT is not terminated here",
    },
  },
  "envoy.config.route.v3.RedirectAction": {
    supported:
      "https_redirect scheme_redirect host_redirect port_redirect path_redirect prefix_rewrite regex_rewrite response_code strip_query",
    refused: {
      path_rewrite: "use prefix_rewrite or regex_rewrite",
    },
  },
  "envoy.config.route.v3.DirectResponseAction": {
    supported: "status body body_format",
  },
  "envoy.config.route.v3.NonForwardingAction": {
    supported: "",
  },
  "envoy.config.route.v3.Decorator": {
    supported: "operation propagate",
  },
  "envoy.config.route.v3.Tracing": {
    supported: "client_sampling random_sampling overall_sampling custom_tags",
    accepted: {
      operation: "spans are named by method and route, or by the decorator",
      upstream_operation: "spans are named by method and route",
    },
  },
  "envoy.config.route.v3.FilterConfig": {
    supported: "config is_optional disabled",
  },
};
