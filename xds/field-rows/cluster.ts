// Which fields have an effect: clusters, endpoints and load balancing. Keys of `accepted` and `refused` are field names, with what happens instead.
// Read by fields.ts; a test fails when a reachable field has no row here.

import type { MessageRows } from "../fields.ts";

export const CLUSTER_ROWS: Readonly<Record<string, MessageRows>> = {
  "envoy.config.cluster.v3.Cluster": {
    supported:
      "transport_socket_matches name alt_stat_name type eds_cluster_config connect_timeout per_connection_buffer_limit_bytes lb_policy load_assignment max_requests_per_connection circuit_breakers common_http_protocol_options http2_protocol_options typed_extension_protocol_options dns_refresh_rate dns_failure_refresh_rate dns_lookup_family wait_for_warm_on_init common_lb_config transport_socket metadata filters load_balancing_policy upstream_connection_options cleanup_interval original_dst_lb_config upstream_bind_config",
    accepted: {
      stats_matcher: "the default statistics exist",
      track_timeout_budgets: "the default statistics exist",
      track_cluster_stats: "the default statistics exist",
      per_connection_buffer_high_watermark_timeout: "buffers above the limit pause reading",
      health_checks: "hosts are not checked yet; EDS health status counts",
      upstream_http_protocol_options: "requests are not sent by TLS yet",
      http_protocol_options: "HTTP/1.1 to upstreams has its defaults",
      dns_jitter: "names are resolved every dns_refresh_rate",
      respect_dns_ttl: "names are resolved every dns_refresh_rate",
      dns_resolvers: "names are resolved by the system",
      use_tcp_for_dns_lookups: "names are resolved by the system",
      dns_resolution_config: "names are resolved by the system",
      typed_dns_resolver_config: "names are resolved by the system",
      outlier_detection: "hosts are not ejected yet",
      ring_hash_lb_config: "the policy has its defaults",
      maglev_lb_config: "the policy has its defaults",
      least_request_lb_config: "the policy has its defaults",
      round_robin_lb_config: "the policy has its defaults",
      protocol_selection: "see typed_extension_protocol_options",
      close_connections_on_host_health_failure: "hosts are not checked",
      ignore_health_on_host_removal: "hosts are not checked",
      lrs_server: "load is not reported",
      lrs_report_endpoint_metrics: "load is not reported",
      preconnect_policy: "connections are made when they are needed",
      queuing_policies: "pending requests wait in order",
    },
    refused: {
      transport_socket_matcher: "use transport_socket",
      cluster_type: "cluster types by extension are not supported",
      lb_subset_config: "subsets are not supported",
      upstream_config: "this extension point is not supported",
      connection_pool_per_downstream_connection: "connections are shared",
    },
  },
  "envoy.config.cluster.v3.UpstreamConnectionOptions": {
    supported: "tcp_keepalive",
    accepted: {
      set_local_interface_name_on_upstream_connections: "no such property",
      happy_eyeballs_config: "the first address is used",
    },
  },
  "envoy.config.cluster.v3.Cluster.TransportSocketMatch": {
    supported: "name match transport_socket",
  },
  "envoy.config.cluster.v3.Cluster.OriginalDstLbConfig": {
    supported: "use_http_header http_header_name upstream_port_override",
    accepted: {
      metadata_key: "no filter here sets dynamic metadata",
    },
  },
  "envoy.config.cluster.v3.Cluster.EdsClusterConfig": {
    supported: "eds_config service_name",
  },
  "envoy.config.cluster.v3.Cluster.RefreshRate": {
    supported: "base_interval",
    accepted: {
      max_interval: "the interval does not grow",
    },
  },
  "envoy.config.cluster.v3.Cluster.CommonLbConfig": {
    supported: "healthy_panic_threshold",
    accepted: {
      zone_aware_lb_config: "hosts of all localities are alike",
      locality_weighted_lb_config: "hosts of all localities are alike",
      update_merge_window: "updates apply at once",
      ignore_new_hosts_until_first_hc: "hosts are not checked",
      close_connections_on_host_set_change: "connections stay",
      consistent_hashing_lb_config: "hosts are picked without affinity",
      override_host_status: "the host cannot be overridden",
    },
  },
  "envoy.config.cluster.v3.CircuitBreakers": {
    supported: "thresholds",
    accepted: {
      per_host_thresholds: "limits are the cluster's",
    },
  },
  "envoy.config.cluster.v3.CircuitBreakers.Thresholds": {
    supported: "priority max_connections max_pending_requests max_requests max_retries",
    accepted: {
      retry_budget: "requests are not retried yet",
      track_remaining: "no such statistic",
      max_connection_pools: "pools are not limited",
    },
  },
  "envoy.config.cluster.v3.Filter": {
    supported: "name typed_config",
    refused: {
      config_discovery: "discovered upstream filters are not supported",
    },
  },
  "envoy.config.cluster.v3.LoadBalancingPolicy": {
    supported: "policies",
  },
  "envoy.config.cluster.v3.LoadBalancingPolicy.Policy": {
    supported: "typed_extension_config",
  },
  "envoy.config.endpoint.v3.ClusterLoadAssignment": {
    supported: "cluster_name endpoints policy",
    refused: {
      named_endpoints: "give each endpoint in its place",
    },
  },
  "envoy.config.endpoint.v3.ClusterLoadAssignment.Policy": {
    supported: "drop_overloads overprovisioning_factor",
    accepted: {
      endpoint_stale_after: "endpoints do not grow stale",
      weighted_priority_health: "health counts hosts",
    },
  },
  "envoy.config.endpoint.v3.ClusterLoadAssignment.Policy.DropOverload": {
    supported: "category drop_percentage",
  },
  "envoy.config.endpoint.v3.LocalityLbEndpoints": {
    supported: "locality lb_endpoints load_balancing_weight priority metadata",
    accepted: {
      proximity: "has no reader",
    },
    refused: {
      load_balancer_endpoints: "locality endpoint discovery is not supported",
      leds_cluster_locality_config: "locality endpoint discovery is not supported",
    },
  },
  "envoy.config.endpoint.v3.LbEndpoint": {
    supported: "endpoint health_status metadata load_balancing_weight",
    refused: {
      endpoint_name: "give the endpoint in its place",
    },
  },
  "envoy.config.endpoint.v3.Endpoint": {
    supported: "address hostname",
    accepted: {
      health_check_config: "hosts are not checked",
      additional_addresses: "the first address is used",
      observability_name: "hosts are named by address",
    },
  },
  "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
    supported: "common_http_protocol_options explicit_http_config use_downstream_protocol_config",
    accepted: {
      upstream_http_protocol_options: "requests are not sent by TLS yet",
      outlier_detection: "hosts are not ejected yet",
      request_mirror_policies: "requests are not mirrored yet",
      hash_policy: "hosts are picked without affinity",
      retry_policy: "requests are not retried yet",
    },
    refused: {
      http_filters: "upstream HTTP filters are not supported",
      header_validation_config: "this extension point is not supported",
      auto_config: "needs TLS, by which requests are not sent yet; use explicit_http_config",
    },
  },
  "envoy.extensions.upstreams.http.v3.HttpProtocolOptions.ExplicitHttpConfig": {
    supported: "http_protocol_options http2_protocol_options",
    refused: {
      http3_protocol_options: "HTTP/3 is not supported",
    },
  },
  "envoy.extensions.upstreams.http.v3.HttpProtocolOptions.UseDownstreamHttpConfig": {
    supported: "http_protocol_options",
    accepted: {
      http2_protocol_options: "HTTP/2 is not supported yet",
      http3_protocol_options: "HTTP/3 is not supported",
    },
  },
  "envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin": {
    supported: "",
    accepted: {
      slow_start_config: "the policy has its defaults",
      locality_lb_config: "hosts of all localities are alike",
    },
  },
  "envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest": {
    supported: "",
    accepted: {
      choice_count: "the policy has its defaults",
      active_request_bias: "the policy has its defaults",
      slow_start_config: "the policy has its defaults",
      enable_full_scan: "the policy has its defaults",
      selection_method: "the policy has its defaults",
      locality_lb_config: "hosts of all localities are alike",
    },
  },
  "envoy.extensions.load_balancing_policies.random.v3.Random": {
    supported: "",
    accepted: {
      locality_lb_config: "hosts of all localities are alike",
    },
  },
  "envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash": {
    supported: "",
    accepted: {
      hash_function: "hosts are picked without affinity",
      minimum_ring_size: "hosts are picked without affinity",
      maximum_ring_size: "hosts are picked without affinity",
      use_hostname_for_hashing: "hosts are picked without affinity",
      hash_balance_factor: "hosts are picked without affinity",
      consistent_hashing_lb_config: "hosts are picked without affinity",
      locality_weighted_lb_config: "hosts of all localities are alike",
    },
  },
  "envoy.extensions.load_balancing_policies.maglev.v3.Maglev": {
    supported: "",
    accepted: {
      table_size: "hosts are picked without affinity",
      consistent_hashing_lb_config: "hosts are picked without affinity",
      locality_weighted_lb_config: "hosts of all localities are alike",
    },
  },
};
