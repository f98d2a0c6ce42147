// What a host is started with: an Envoy bootstrap with one listener for each ABI version, on which most cases run in one
// VM, and one for each case that has plugins of its own.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { bootstrap, cluster, fileAccessLog, guest, listener } from "../support/bootstrap-builder.ts";
import { ABI_VERSIONS, type Abi, type Case, type CasePlugin, forCase } from "./case.ts";

const LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener";
const BUFFER_LIMIT = 65_536;
const WASM = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
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
}

/** Which listener a case's requests go to. */
export function listenerOf(one: Case): string {
  return one.row.plugins === undefined ? `shared-${one.abi}` : one.id;
}

export interface Ports {
  readonly origin: number;
  /** Nobody listens there. */
  readonly dead: number;
}

/** `folder`: where the access log goes, and the listeners are. */
export function sceneOf(cases: readonly Case[], folder: string, ports: Ports): Scene {
  const accessLog = join(folder, "access.log");
  const own = cases.filter(({ row }) => row.plugins !== undefined);
  const plugins = (filters: readonly object[], name: string) => ({
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
        access_log: [fileAccessLog(accessLog, ACCESS_FORMAT)],
      },
    }),
  });
  const listeners = [
    ...ABI_VERSIONS.map((abi) => plugins([sharedPlugin(abi)], `shared-${abi}`)),
    ...own.map((one) =>
      plugins(
        (one.row.plugins ?? []).map((plugin, index) => ownPlugin(one, plugin, index)),
        one.id,
      ),
    ),
  ];
  // A listener that cannot be made must not keep the host from starting: that is why they come by LDS.
  const listenersFile = join(folder, "listeners.json");
  writeFileSync(listenersFile, JSON.stringify({ version_info: "1", resources: listeners }));
  return {
    accessLog,
    bootstrap: bootstrap({
      clusters: [
        cluster("origin", [ports.origin], CLUSTER),
        cluster("other", [ports.origin], CLUSTER),
        cluster("dead", [ports.dead]),
        cluster("empty", []),
      ],
      // Every line counts here.
      runtime: { "outrigger.wasm.log_lines_per_s": 1_000_000 },
      more: {
        dynamic_resources: { lds_config: { resource_api_version: "V3", path_config_source: { path: listenersFile } } },
      },
    }),
  };
}

function sharedPlugin(abi: Abi): object {
  return plugin(`shared-${abi}`, {
    module: moduleOf(abi),
    vm_id: `shared-${abi}`,
    configuration: "tick 20",
  });
}

function ownPlugin(one: Case, row: CasePlugin, index: number): object {
  const head = `case ${one.id};${(one.row.plugins?.length ?? 0) > 1 ? `plugin ${index + 1};` : ""}`;
  return plugin(`${one.id}-${index}`, {
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

function plugin(name: string, row: CasePlugin & { readonly module: string }): object {
  const config = {
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
  return { name, typed_config: { "@type": WASM, config } };
}
