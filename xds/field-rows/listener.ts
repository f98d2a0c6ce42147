// Which fields have an effect: listeners, access logs and the TCP proxy. Keys of `accepted` and `refused` are field names, with what happens instead.
// Read by fields.ts; a test fails when a reachable field has no row here.

import type { MessageRows } from "../fields.ts";

export const LISTENER_ROWS: Readonly<Record<string, MessageRows>> = {
  "envoy.config.listener.v3.Listener": {
    supported:
      "name address additional_addresses stat_prefix filter_chains default_filter_chain per_connection_buffer_limit_bytes metadata deprecated_v1 listener_filters traffic_direction enable_reuse_port access_log tcp_backlog_size bind_to_port use_original_dst transparent freebind socket_options",
    accepted: {
      drain_type: "a listener drains on a removal and on a health failure alike",
      listener_filters_timeout: "listener filters do not wait",
      stats_matcher: "all statistics exist",
      per_connection_buffer_high_watermark_timeout: "buffers above the limit pause reading",
      continue_on_listener_filters_timeout: "listener filters do not wait",
      tcp_fast_open_queue_length: "not set on the listening socket",
      enable_mptcp: "not set on the listening socket",
      tcp_keepalive: "not set on the listening socket",
      connection_balance_config: "the kernel spreads connections over the workers",
      reuse_port: "use enable_reuse_port",
      max_connections_to_accept_per_socket_event: "the event loop decides",
      ignore_global_conn_limit: "there is no such limit",
      bypass_overload_manager: "there is no such limit",
    },
    refused: {
      fcds_config: "filter chain discovery is not supported",
      filter_chain_matcher: "use filter_chain_match",
      udp_listener_config: "UDP is not supported",
      api_listener: "API listeners are not supported",
      internal_listener: "internal listeners are not supported",
    },
  },
  "envoy.config.listener.v3.AdditionalAddress": {
    supported: "address",
    accepted: {
      socket_options: "not set on the listening socket",
      tcp_keepalive: "not set on the listening socket",
    },
  },
  "envoy.config.listener.v3.Listener.DeprecatedV1": {
    supported: "bind_to_port",
  },
  "envoy.config.listener.v3.FilterChain": {
    supported: "filter_chain_match filters transport_socket name metadata",
    accepted: {
      transport_socket_connect_timeout: "there is no handshake",
    },
    refused: {
      use_proxy_proto: "the PROXY protocol is not supported yet",
    },
  },
  "envoy.config.listener.v3.FilterChainMatch": {
    supported:
      "destination_port prefix_ranges direct_source_prefix_ranges source_type source_prefix_ranges source_ports server_names transport_protocol application_protocols",
    refused: {
      address_suffix: "Envoy does not implement it either",
      suffix_len: "Envoy does not implement it either",
    },
  },
  "envoy.config.listener.v3.Filter": {
    supported: "name typed_config",
    refused: {
      config_discovery: "discovered network filters are not supported",
    },
  },
  "envoy.config.listener.v3.ListenerFilter": {
    supported: "name typed_config",
    accepted: {
      filter_disabled: "the inspectors have no effect anyway; refused for original_dst and original_src",
    },
    refused: {
      config_discovery: "discovered listener filters are not supported",
    },
  },
  "envoy.extensions.filters.listener.original_src.v3.OriginalSrc": {
    supported: "bind_port mark",
  },
  "envoy.config.accesslog.v3.AccessLog": {
    supported: "name filter typed_config",
  },
  "envoy.config.accesslog.v3.AccessLogFilter": {
    supported:
      "status_code_filter duration_filter not_health_check_filter traceable_filter runtime_filter and_filter or_filter header_filter response_flag_filter",
    refused: {
      grpc_status_filter: "would log more than is wanted if it were left out",
      extension_filter: "would log more than is wanted if it were left out",
      metadata_filter: "would log more than is wanted if it were left out",
      log_type_filter: "would log more than is wanted if it were left out",
    },
  },
  "envoy.config.accesslog.v3.StatusCodeFilter": {
    supported: "comparison",
  },
  "envoy.config.accesslog.v3.ComparisonFilter": {
    supported: "op value",
  },
  "envoy.config.accesslog.v3.DurationFilter": {
    supported: "comparison",
  },
  "envoy.config.accesslog.v3.NotHealthCheckFilter": {
    supported: "",
  },
  "envoy.config.accesslog.v3.TraceableFilter": {
    supported: "",
  },
  "envoy.config.accesslog.v3.AndFilter": {
    supported: "filters",
  },
  "envoy.config.accesslog.v3.OrFilter": {
    supported: "filters",
  },
  "envoy.config.accesslog.v3.HeaderFilter": {
    supported: "header",
  },
  "envoy.config.accesslog.v3.ResponseFlagFilter": {
    supported: "flags",
  },
  "envoy.config.accesslog.v3.RuntimeFilter": {
    supported: "runtime_key percent_sampled",
    accepted: {
      use_independent_randomness: "randomness is independent always",
    },
  },
  "envoy.extensions.access_loggers.file.v3.FileAccessLog": {
    supported: "path format json_format typed_json_format log_format",
  },
  "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog": {
    supported: "log_format",
  },
  "envoy.extensions.access_loggers.stream.v3.StderrAccessLog": {
    supported: "log_format",
  },
  "envoy.extensions.access_loggers.wasm.v3.WasmAccessLog": {
    supported: "config",
  },
  "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer": {
    supported: "",
  },
  "envoy.extensions.filters.network.wasm.v3.Wasm": {
    supported: "config",
  },
  "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy": {
    supported:
      "stat_prefix cluster weighted_clusters idle_timeout max_connect_attempts backoff_options max_downstream_connection_duration max_downstream_connection_duration_jitter_percentage access_log access_log_flush_interval flush_access_log_on_connected access_log_options check_drain_close",
    accepted: {
      downstream_idle_timeout: "Envoy does not read it either; use idle_timeout",
      upstream_idle_timeout: "Envoy does not read it either; use idle_timeout",
      hash_policy: "hosts are picked without affinity",
      proxy_protocol_tlvs: "the PROXY protocol is not sent",
      proxy_protocol_tlv_merge_policy: "the PROXY protocol is not sent",
      max_early_data_bytes: "bytes are read when there is an upstream connection",
    },
    refused: {
      on_demand: "on-demand discovery is not supported",
      metadata_match: "subsets are not supported",
      tunneling_config: "tunnelling is not supported",
      upstream_connect_mode: "the upstream connection is made at once",
    },
  },
  "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster": {
    supported: "clusters",
  },
  "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster.ClusterWeight": {
    supported: "name weight",
    refused: { metadata_match: "subsets are not supported" },
  },
  "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.TcpAccessLogOptions": {
    supported: "access_log_flush_interval flush_access_log_on_connected flush_access_log_on_start",
  },
};
