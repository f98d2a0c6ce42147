// What a host is started with: an Envoy bootstrap with one listener for each ABI version, on which most cases run in one
// VM, and one for each case that has plugins of its own.

import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  address,
  bootstrap,
  cluster,
  fileAccessLog,
  guest,
  http2Cluster,
  listener,
} from "../support/bootstrap-builder.ts";
import { ABI_VERSIONS, type Abi, type Case, type CasePlugin, forCase } from "./case.ts";

const LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener";
/** Nobody listens there, and nobody is given it who asks for any port: a free one would soon be a listener's. */
const DEAD_PORT = 1;
const BUFFER_LIMIT = 65_536;
const WASM = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
const NETWORK_WASM = "type.googleapis.com/envoy.extensions.filters.network.wasm.v3.Wasm";
const LOG_WASM = "type.googleapis.com/envoy.extensions.access_loggers.wasm.v3.WasmAccessLog";
const TCP_PROXY = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";
const TEXT = "type.googleapis.com/google.protobuf.StringValue";

const CLUSTER = {
  per_connection_buffer_limit_bytes: BUFFER_LIMIT,
  typed_extension_protocol_options: {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
      "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
      explicit_http_config: { http_protocol_options: { enable_trailers: true } },
    },
  },
};

/** One line a request: the case, then what the host says about its end. */
const ACCESS_FORMAT = "%REQ(x-case)%|%RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %RESPONSE_FLAGS%\n";

export interface Scene {
  readonly bootstrap: object;
  /** File name of the access log, in the folder. */
  readonly accessLog: string;
  /** Takes away the listeners of the cases that want it. */
  readonly removeListeners: () => void;
}

/** Which listener a case's requests go to. */
export function listenerOf(one: Case): string {
  return one.row.plugins === undefined ? `shared-${one.abi}` : one.id;
}

export interface Ports {
  readonly origin: number;
  /** A gRPC server: support/grpc-origin.ts. */
  readonly grpc: number;
  /** The upstream of each case with `tcp`, by its id. */
  readonly tcp: ReadonlyMap<string, number>;
}

/** `folder`: where the access log goes, and the listeners are. */
export function sceneOf(cases: readonly Case[], folder: string, ports: Ports): Scene {
  const accessLog = join(folder, "access.log");
  const own = cases.filter(({ row }) => row.plugins !== undefined);
  const listenersOf = (kept: readonly Case[]) => [
    ...ABI_VERSIONS.map((abi) => httpListener(`shared-${abi}`, [sharedPlugin(abi)], [], accessLog)),
    ...kept.map((one) => ownListener(one, accessLog)),
  ];
  // A listener that cannot be made must not keep the host from starting: that is why they come by LDS.
  const listenersFile = join(folder, "listeners.json");
  const write = (version: string, kept: readonly Case[]) => {
    writeFileSync(`${listenersFile}.new`, JSON.stringify({ version_info: version, resources: listenersOf(kept) }));
    renameSync(`${listenersFile}.new`, listenersFile);
  };
  write("1", own);
  return {
    accessLog,
    removeListeners: () =>
      write(
        "2",
        own.filter(({ row }) => row.removed !== true),
      ),
    bootstrap: bootstrap({
      clusters: [
        cluster("origin", [ports.origin], CLUSTER),
        cluster("other", [ports.origin], CLUSTER),
        cluster("dead", [DEAD_PORT]),
        cluster("empty", []),
        http2Cluster("grpc", ports.grpc),
        ...[...ports.tcp].map(([id, port]) => cluster(`tcp-${id}`, [port])),
      ],
      // Every line counts here.
      runtime: { "outrigger.wasm.log_lines_per_s": 1_000_000 },
      more: {
        dynamic_resources: {
          // However long it takes: without them there is nothing to see.
          lds_config: {
            initial_fetch_timeout: "0s",
            resource_api_version: "V3",
            path_config_source: { path: listenersFile },
          },
        },
      },
    }),
  };
}

function httpListener(name: string, filters: readonly object[], loggers: readonly object[], accessLog: string): object {
  return {
    "@type": LISTENER,
    per_connection_buffer_limit_bytes: BUFFER_LIMIT,
    ...listener(name, {
      filters,
      routes: [
        {
          match: { path: "/other" },
          route: { cluster: "other" },
          request_headers_to_add: [{ header: { key: "x-route", value: "other" } }],
        },
        { match: { prefix: "/" }, route: { cluster: "origin" } },
      ],
      manager: {
        generate_request_id: false,
        http_protocol_options: { enable_trailers: true },
        access_log: [fileAccessLog(accessLog, ACCESS_FORMAT), ...loggers],
      },
    }),
  };
}

function ownListener(one: Case, accessLog: string): object {
  const rows = one.row.plugins ?? [];
  const made = rows.map((row, index) => ({ row, name: `${one.id}-${index}`, config: ownPlugin(one, row, index) }));
  if (one.row.tcp !== undefined) {
    const filters = made.map(({ name, config }) => ({ name, typed_config: { "@type": NETWORK_WASM, config } }));
    const proxy = { "@type": TCP_PROXY, stat_prefix: one.id, cluster: `tcp-${one.id}` };
    return {
      "@type": LISTENER,
      name: one.id,
      address: address(0),
      filter_chains: [{ filters: [...filters, { name: "envoy.filters.network.tcp_proxy", typed_config: proxy }] }],
    };
  }
  const typed = (type: string, which: typeof made) =>
    which.map(({ name, config }) => ({ name, typed_config: { "@type": type, config } }));
  return httpListener(
    one.id,
    typed(
      WASM,
      made.filter(({ row }) => row.as === undefined),
    ),
    typed(
      LOG_WASM,
      made.filter(({ row }) => row.as === "access_log"),
    ),
    accessLog,
  );
}

function sharedPlugin(abi: Abi): object {
  const config = pluginConfig(`shared-${abi}`, {
    module: moduleOf(abi),
    vm_id: `shared-${abi}`,
    configuration: "tick 20",
  });
  return { name: "shared", typed_config: { "@type": WASM, config } };
}

function ownPlugin(one: Case, row: CasePlugin, index: number): object {
  const head = `case ${one.id};${(one.row.plugins?.length ?? 0) > 1 ? `plugin ${index + 1};` : ""}`;
  return pluginConfig(`${one.id}-${index}`, {
    ...row,
    module: row.module ?? moduleOf(one.abi),
    vm_id: forCase(one, row.vm_id ?? one.id),
    configuration: head + forCase(one, row.configuration ?? ""),
    vm_configuration: head + forCase(one, row.vm_configuration ?? ""),
  });
}

function moduleOf(abi: Abi): string {
  return `conformance-${abi.replaceAll(".", "-")}`;
}

function pluginConfig(name: string, row: CasePlugin & { readonly module: string }): object {
  return {
    name,
    root_id: row.root_id ?? name,
    configuration: { "@type": TEXT, value: row.configuration ?? "" },
    ...(row.failure_policy === undefined ? {} : { failure_policy: row.failure_policy }),
    ...(row.allow_on_headers_stop_iteration === true ? { allow_on_headers_stop_iteration: true } : {}),
    ...(row.capabilities === undefined
      ? {}
      : {
          capability_restriction_config: {
            allowed_capabilities: Object.fromEntries(row.capabilities.map((capability) => [capability, {}])),
          },
        }),
    vm_config: {
      vm_id: row.vm_id,
      runtime: "envoy.wasm.runtime.v8",
      code: { local: { filename: guest(row.module) } },
      ...(row.vm_configuration === undefined ? {} : { configuration: { "@type": TEXT, value: row.vm_configuration } }),
      ...(row.environment === undefined ? {} : { environment_variables: { key_values: row.environment } }),
    },
  };
}
