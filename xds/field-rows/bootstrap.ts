// Which fields have an effect: the bootstrap. Keys of `accepted` and `refused` are field names, with what happens instead.
// Read by fields.ts; a test fails when a reachable field has no row here.

import type { MessageRows } from "../fields.ts";

export const BOOTSTRAP_ROWS: Readonly<Record<string, MessageRows>> = {
  "envoy.config.bootstrap.v3.Bootstrap": {
    supported: "node static_resources dynamic_resources layered_runtime admin bootstrap_extensions cluster_manager",
    accepted: {
      node_context_params: "federation is not supported",
      hds_config: "health discovery is not supported",
      flags_path: "no such files are written",
      perf_tracing_file_path: "no such files are written",
      stats_sinks: "statistics are read from the admin port",
      deferred_stat_options: "a statistic exists when configuration names it",
      stats_eviction_interval: "a statistic exists when configuration names it",
      stats_config: "statistics have their default tags",
      stats_flush_interval: "statistics are not flushed",
      stats_flush_on_admin: "statistics are not flushed",
      watchdog: "the worker watchdog is outrigger.wasm.deadline_ms",
      watchdogs: "the worker watchdog is outrigger.wasm.deadline_ms",
      tracing: "use tracing of the connection manager",
      overload_manager: "connections and memory are not limited here",
      enable_dispatcher_stats: "there is no dispatcher",
      header_prefix: "x-envoy- is the prefix",
      stats_server_version_override: "the version is outrigger's own",
      use_tcp_for_dns_lookups: "names are resolved by the system",
      dns_resolution_config: "names are resolved by the system",
      typed_dns_resolver_config: "names are resolved by the system",
      fatal_actions: "this extension point is not supported",
      default_socket_interface: "sockets are the kernel's",
      certificate_provider_instances: "certificate providers are not supported; use secrets",
      inline_headers: "all headers are found alike",
      default_regex_engine: "there is one engine, with RE2 syntax",
      xds_config_tracker_extension: "this extension point is not supported",
      listener_manager: "there is one listener manager",
      application_log_config: "see --log-format",
      grpc_async_client_manager_config: "specific to Envoy",
      memory_allocator_manager: "specific to Envoy",
      enable_worker_cpu_affinity: "specific to Envoy",
    },
    refused: {
      config_sources: "federation is not supported",
      default_config_source: "federation is not supported",
      xds_delegate_extension: "this extension point is not supported",
    },
  },
  "envoy.config.bootstrap.v3.ClusterManager": {
    supported: "load_stats_config",
    accepted: {
      local_cluster_name: "there is no local cluster",
      outlier_detection: "outliers are not logged",
      upstream_bind_config: "the kernel chooses the address",
      enable_deferred_cluster_creation: "a cluster is made when configuration names it",
    },
  },
  "envoy.config.bootstrap.v3.Bootstrap.StaticResources": {
    supported: "listeners clusters secrets",
  },
  "envoy.config.bootstrap.v3.Bootstrap.DynamicResources": {
    supported: "lds_config cds_config ads_config",
    refused: {
      lds_resources_locator: "federation is not supported",
      cds_resources_locator: "federation is not supported",
    },
  },
  "envoy.config.bootstrap.v3.LayeredRuntime": {
    supported: "layers",
  },
  "envoy.config.bootstrap.v3.RuntimeLayer": {
    supported: "name static_layer admin_layer rtds_layer",
    accepted: {
      disk_layer: "its files are not read yet; use static_layer or rtds_layer",
    },
  },
  "envoy.config.bootstrap.v3.RuntimeLayer.AdminLayer": {
    supported: "",
  },
  "envoy.config.bootstrap.v3.RuntimeLayer.RtdsLayer": {
    supported: "name rtds_config",
  },
  "envoy.config.bootstrap.v3.Admin": {
    supported: "access_log access_log_path address",
    accepted: {
      profile_path: "no profile is written",
      socket_options: "not set on the admin socket",
      ignore_global_conn_limit: "there is no such limit",
    },
    refused: {
      allow_paths: "admin paths cannot be restricted yet",
    },
  },
};
