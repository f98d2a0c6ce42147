// Plugins on TCP connections, for tests end to end: bootstraps, both proxies with an upstream, and what plugins log.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { address, bootstrap, cluster, guest, listener } from "./bootstrap-builder.ts";
import { ProxyProcess } from "./proxy-process.ts";
import { until } from "./sidecar-story.ts";
import { TcpPeer, TcpServer } from "./tcp-peer.ts";

const NETWORK = "type.googleapis.com/envoy.extensions.filters.network";

/** A wasm network filter with a module of test/guests. */
export function plugin(name: string, module: string, configuration = "", more: object = {}): object {
  const value = { "@type": "type.googleapis.com/google.protobuf.StringValue", value: configuration };
  const config = {
    name,
    root_id: name,
    configuration: value,
    vm_config: { vm_id: name, runtime: "envoy.wasm.runtime.v8", code: { local: { filename: guest(module) } } },
    ...more,
  };
  return { name, typed_config: { "@type": `${NETWORK}.wasm.v3.Wasm`, config } };
}

/** A listener with plugins before the TCP proxy. */
export function tcp(name: string, ...plugins: readonly object[]): object {
  const proxy = { "@type": `${NETWORK}.tcp_proxy.v3.TcpProxy`, stat_prefix: name, cluster: "up" };
  return {
    name,
    stat_prefix: name,
    address: address(0),
    filter_chains: [{ filters: [...plugins, { name: "tcp", typed_config: proxy }] }],
  };
}

/** The same before the HTTP connection manager, which routes to the cluster of that name. */
export function http(name: string, ...plugins: readonly object[]): object {
  const made = listener(name, { routes: [{ match: { prefix: "/" }, route: { cluster: name } }] }) as {
    filter_chains: [{ filters: object[] }];
  };
  made.filter_chains[0].filters.unshift(...plugins);
  return made;
}

export const GET = "GET /path HTTP/1.1\r\nHost: a\r\n\r\n";

export interface World extends AsyncDisposable {
  readonly proxy: ProxyProcess;
  readonly upstream: TcpServer;
  readonly auth: { status: number };
}

export async function pair({ proxy, upstream }: World, listener: string): Promise<[TcpPeer, TcpPeer]> {
  const client = await TcpPeer.connect(proxy.port(listener));
  return [client, await upstream.next()];
}

export async function bothClosed(...peers: readonly TcpPeer[]): Promise<void> {
  assert.deepEqual(
    await Promise.all(peers.map((peer) => peer.untilClosed())),
    peers.map(() => "end"),
  );
}

/** What a plugin has logged; those of a listener have names that begin with its own. */
export function logged({ log, isEnvoy }: ProxyProcess, plugin: string): string[] {
  const lines = log.split("\n").slice(0, -1);
  if (isEnvoy) {
    return lines.flatMap((line) => {
      const [, name, text] = /wasm log (\S+)[^:]*: (.*)$/.exec(line) ?? [];
      return text !== undefined && name?.startsWith(plugin) === true ? [text] : [];
    });
  }
  return lines.flatMap((line) => {
    const entry = JSON.parse(line) as { message: string; plugin?: string };
    return entry.plugin?.startsWith(plugin) === true ? [entry.message] : [];
  });
}

/** Runs a story on a listener; answers what its plugins logged meanwhile, until `last` was there `times` times. */
export async function logOf(
  world: World,
  listener: string,
  story: (client: TcpPeer, server: TcpPeer) => Promise<void>,
  last = "deleted",
  times = 1,
): Promise<string[]> {
  const from = logged(world.proxy, listener).length;
  const [client, server] = await pair(world, listener);
  await story(client, server);
  return until(
    `"${last}" in the log`,
    () => logged(world.proxy, listener).slice(from),
    (lines) => lines.filter((line) => line === last || line.startsWith(`${last} `)).length >= times,
  );
}

export const names = (lines: readonly string[]): string[] => lines.map((line) => line.replace(/\[\d+(?:, )?/, "["));

/** Every cluster of `names` has the upstream; `auth` is an HTTP server that answers `auth.status`. */
export async function startWorld(
  envoy: string | undefined,
  listeners: readonly object[],
  clusters: readonly string[],
): Promise<World> {
  const upstream = await TcpServer.start();
  const auth = { status: 200 };
  const server = createServer((_request, response) => response.writeHead(auth.status).end("x"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const authPort = (server.address() as AddressInfo).port;
  const config = bootstrap({
    listeners,
    clusters: [...clusters.map((name) => cluster(name, [upstream.port])), cluster("auth", [authPort])],
  });
  const proxy = await ProxyProcess.start(envoy, config, ["--component-log-level", "wasm:info"]);
  return {
    proxy,
    upstream,
    auth,
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
      server.closeAllConnections();
      server.close();
    },
  };
}
