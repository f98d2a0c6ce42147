// Envoy bootstraps for tests end to end: admin and listeners on port 0 of 127.0.0.1, one HTTP filter chain a listener.
// Plain objects in proto3 JSON form, which Envoy takes too; whatever is not said has Envoy's default.

import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");
const TYPE = "type.googleapis.com/envoy";

export const EXAMPLE_PLUGINS = ["go", "rust", "assemblyscript", "cpp"] as const;

/** A committed module of plugins/examples. */
export function examplePlugin(language: (typeof EXAMPLE_PLUGINS)[number]): string {
  return join(ROOT, "plugins/examples", language, "plugin.wasm");
}

/** A committed module of test/guests. */
export function guest(name: string): string {
  return join(ROOT, "test/guests/wasm", `${name}.wasm`);
}

export function address(port: number): object {
  return { socket_address: { address: "127.0.0.1", port_value: port } };
}

/** `ports`: one endpoint each. `options` are further fields of the Cluster. */
export function cluster(name: string, ports: readonly number[], options: object = {}): object {
  return {
    name,
    type: "STATIC",
    connect_timeout: "1s",
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: ports.map((port) => ({ endpoint: { address: address(port) } })) }],
    },
    ...options,
  };
}

/** A cluster that is spoken to by HTTP/2: OTLP over gRPC, xDS. */
export function http2Cluster(name: string, port: number, options: object = {}): object {
  return cluster(name, [port], {
    typed_extension_protocol_options: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": `${TYPE}.extensions.upstreams.http.v3.HttpProtocolOptions`,
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
    ...options,
  });
}

export interface PluginOptions {
  readonly rootId?: string;
  readonly vmId?: string;
  readonly failurePolicy?: "FAIL_CLOSED" | "FAIL_OPEN" | "FAIL_RELOAD";
}

/** A Wasm HTTP filter. `configuration` is the plugin's configuration, as text. */
export function wasmFilter(name: string, module: string, configuration = "", options: PluginOptions = {}): object {
  const config = {
    name,
    root_id: options.rootId ?? name,
    ...(options.failurePolicy === undefined ? {} : { failure_policy: options.failurePolicy }),
    ...(configuration === ""
      ? {}
      : { configuration: { "@type": "type.googleapis.com/google.protobuf.StringValue", value: configuration } }),
    vm_config: {
      vm_id: options.vmId ?? name,
      runtime: "envoy.wasm.runtime.v8",
      code: { local: { filename: module } },
    },
  };
  return { name, typed_config: { "@type": `${TYPE}.extensions.filters.http.wasm.v3.Wasm`, config } };
}

export interface ListenerOptions {
  /** Default: one route of everything to the cluster `origin`. */
  readonly routes?: readonly object[];
  /** Instead of `routes`: the virtual hosts. */
  readonly virtualHosts?: readonly object[];
  /** HTTP filters before the router. */
  readonly filters?: readonly object[];
  readonly trafficDirection?: "INBOUND" | "OUTBOUND";
  /** Further fields of the HttpConnectionManager. */
  readonly manager?: object;
}

/** A listener; its name is its stat prefix too. */
export function listener(name: string, options: ListenerOptions = {}): object {
  const routes = options.routes ?? [{ match: { prefix: "/" }, route: { cluster: "origin" } }];
  const router = { "@type": `${TYPE}.extensions.filters.http.router.v3.Router` };
  const manager = {
    "@type": `${TYPE}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: name,
    route_config: {
      name: `${name}-routes`,
      virtual_hosts: options.virtualHosts ?? [{ name: "all", domains: ["*"], routes }],
    },
    http_filters: [...(options.filters ?? []), { name: "envoy.filters.http.router", typed_config: router }],
    ...options.manager,
  };
  return {
    name,
    ...(options.trafficDirection === undefined ? {} : { traffic_direction: options.trafficDirection }),
    address: address(0),
    filter_chains: [{ filters: [{ name: "envoy.filters.network.http_connection_manager", typed_config: manager }] }],
  };
}

/** An access log in a file, in Envoy's default format or the given one. */
export function fileAccessLog(path: string, format?: string): object {
  return {
    name: "envoy.access_loggers.file",
    typed_config: {
      "@type": `${TYPE}.extensions.access_loggers.file.v3.FileAccessLog`,
      path,
      ...(format === undefined ? {} : { log_format: { text_format_source: { inline_string: format } } }),
    },
  };
}

export interface BootstrapParts {
  readonly listeners?: readonly object[];
  readonly clusters?: readonly object[];
  /** Runtime keys of a static layer, as `outrigger.wasm.memory_mib`. */
  readonly runtime?: Readonly<Record<string, unknown>>;
  /** Further fields of the Bootstrap: `dynamic_resources`, `node`, … */
  readonly more?: object;
}

export function bootstrap(parts: BootstrapParts): object {
  return {
    node: { id: "test-sidecar", cluster: "test" },
    admin: { address: address(0) },
    ...(parts.runtime === undefined
      ? {}
      : { layered_runtime: { layers: [{ name: "test", static_layer: parts.runtime }] } }),
    static_resources: { listeners: parts.listeners ?? [], clusters: parts.clusters ?? [] },
    ...parts.more,
  };
}
