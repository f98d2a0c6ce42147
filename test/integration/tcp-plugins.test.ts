// Plugins on TCP connections (envoy.filters.network.wasm) end to end: what they see, change, hold and close.
// The stories are told to Envoy too, where there is one: what the plugins log and what the peers get must be the same.

import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, suite, test } from "node:test";
import { address, bootstrap, cluster, guest } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { until } from "../support/sidecar-story.ts";
import { TcpPeer, TcpServer } from "../support/tcp-peer.ts";

const NETWORK = "type.googleapis.com/envoy.extensions.filters.network";

/** A wasm network filter with a module of test/guests. */
function plugin(name: string, module: string, configuration = "", more: object = {}): object {
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
function tcp(name: string, ...plugins: readonly object[]): object {
  const proxy = { "@type": `${NETWORK}.tcp_proxy.v3.TcpProxy`, stat_prefix: name, cluster: "up" };
  return {
    name,
    stat_prefix: name,
    address: address(0),
    filter_chains: [{ filters: [...plugins, { name: "tcp", typed_config: proxy }] }],
  };
}

interface World {
  readonly proxy: ProxyProcess;
  readonly upstream: TcpServer;
  readonly auth: { status: number };
}

async function pair({ proxy, upstream }: World, listener: string): Promise<[TcpPeer, TcpPeer]> {
  const client = await TcpPeer.connect(proxy.port(listener));
  return [client, await upstream.next()];
}

async function bothClosed(...peers: readonly TcpPeer[]): Promise<void> {
  assert.deepEqual(
    await Promise.all(peers.map((peer) => peer.untilClosed())),
    peers.map(() => "end"),
  );
}

/** What a plugin has logged; those of a listener have names that begin with its own. */
function logged({ log, isEnvoy }: ProxyProcess, plugin: string): string[] {
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
async function logOf(
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

const names = (lines: readonly string[]): string[] => lines.map((line) => line.replace(/\[\d+(?:, )?/, "["));

const STORIES: Readonly<Record<string, (world: World) => Promise<void>>> = {
  async "every callback, in order, when the client ends first"(world) {
    const story = async (client: TcpPeer, server: TcpPeer): Promise<void> => {
      client.send("abc");
      await server.untilReceived("abc");
      server.send("de");
      await client.untilReceived("de");
      client.end();
      await server.untilEnd();
      server.end();
      await bothClosed(client, server);
    };
    assert.deepEqual(names(await logOf(world, "order", story, "proxy_on_delete")), [
      "proxy_on_context_create [1]",
      "proxy_on_new_connection []",
      "proxy_on_downstream_data [3, 0]",
      "proxy_on_upstream_data [2, 0]",
      "proxy_on_downstream_data [0, 1]",
      "proxy_on_upstream_data [0, 1]",
      "proxy_on_upstream_connection_close [0]",
      "proxy_on_downstream_connection_close [1]",
      "proxy_on_done []",
      "proxy_on_log []",
      "proxy_on_delete []",
    ]);
  },

  async "when the server ends first, and after resets"(world) {
    const close = (lines: readonly string[]) =>
      lines.filter((line) => line.includes("close")).map((line) => line.replace(/\d+, /, ""));
    const serverFirst = async (client: TcpPeer, server: TcpPeer): Promise<void> => {
      server.end();
      await client.untilEnd();
      client.end();
      await bothClosed(client, server);
    };
    assert.deepEqual(close(await logOf(world, "order", serverFirst, "proxy_on_delete")), [
      "proxy_on_upstream_connection_close [0]",
      "proxy_on_downstream_connection_close [2]",
    ]);
    for (const by of ["client", "server"] as const) {
      const reset = async (client: TcpPeer, server: TcpPeer): Promise<void> => {
        client.send("x");
        await server.untilReceived("x");
        (by === "client" ? client : server).reset();
        await (by === "client" ? server : client).untilClosed();
      };
      assert.deepEqual(close(await logOf(world, "order", reset, "proxy_on_delete")), [
        `proxy_on_downstream_connection_close [${by === "client" ? 2 : 1}]`,
      ]);
    }
  },

  async "data changed in both directions"(world) {
    const [client, server] = await pair(world, "edit");
    client.send("hello");
    await server.untilReceived("HELLO");
    server.send("world");
    await client.untilReceived(">world");
    client.end();
    await server.untilEnd();
    await bothClosed(server, client);
  },

  async "data held until there is enough of it; data that is dropped"(world) {
    const [client, server] = await pair(world, "lines");
    client.send("ab");
    await until(
      "the first part",
      () => logged(world.proxy, "lines"),
      (lines) => lines.includes("down 2 false"),
    );
    assert.equal(server.received, "");
    client.send("cd\n");
    await server.untilReceived("abcd\n");
    server.send("drop this");
    await until(
      "dropped",
      () => logged(world.proxy, "lines"),
      (lines) => lines.includes("up 9 false"),
    );
    server.send("keep");
    await client.untilReceived("keep");
    assert.equal(client.received, "keep");
    client.send("tail");
    client.end();
    await server.untilEnd();
    assert.equal(server.received, "abcd\ntail", "the end comes with what is held");
    await bothClosed(server, client);
  },

  async "a connection, and data, that wait for a tick"(world) {
    const story = async (client: TcpPeer, server: TcpPeer): Promise<void> => {
      client.send("hold");
      await server.untilReceived("hold");
      client.end();
      await server.untilEnd();
      await bothClosed(server, client);
    };
    assert.deepEqual(await logOf(world, "wait", story), [
      "new",
      "tick resumes downstream",
      "down 4 false",
      "tick resumes downstream",
      "down 0 true",
      "up 0 true",
      "up closed unknown",
      "down closed local",
      "done",
      "log",
      "deleted",
    ]);
  },

  async "a connection that waits for an HTTP call's answer, and is let in or not"(world) {
    world.auth.status = 200;
    const [client, server] = await pair(world, "call");
    client.send("x");
    await server.untilReceived("x");
    client.end();
    await server.untilEnd();
    await bothClosed(server, client);
    world.auth.status = 403;
    const refused = await TcpPeer.connect(world.proxy.port("call"));
    assert.equal(await refused.untilClosed(), "end");
  },

  async "closing from either side's call closes both; what came is not forwarded"(world) {
    for (const word of ["close", "close-up"]) {
      const [client, server] = await pair(world, "edit");
      client.send(word);
      await bothClosed(client, server);
      assert.equal(server.received, "");
    }
  },

  async "two plugins: downstream in order, upstream in reverse"(world) {
    const [client, server] = await pair(world, "two");
    client.send("ab\n");
    await server.untilReceived("ab\n");
    server.send("z");
    await client.untilReceived("ABz");
    client.end();
    await server.untilEnd();
    await bothClosed(server, client);
  },

  async "a plugin of ABI 0.1.0"(world) {
    const [client, server] = await pair(world, "old");
    client.send("ab");
    await until(
      "the first part",
      () => logged(world.proxy, "old"),
      (lines) => lines.includes("n"),
    );
    client.send("cd");
    await server.untilReceived("<abcd");
    server.send("z");
    await client.untilReceived("z>");
    client.end();
    await server.untilEnd();
    await bothClosed(server, client);
  },

  async "properties of the connection"(world) {
    const story = async (client: TcpPeer, server: TcpPeer): Promise<void> => {
      client.send("x");
      await server.untilReceived("x");
      client.destroy();
      await server.untilEnd();
      server.destroy();
    };
    const lines = (await logOf(world, "properties", story)).filter((line) => line.startsWith("property"));
    assert.match(lines[0] ?? "", /^property source\.address 127\.0\.0\.1:\d+$/);
    assert.match(lines[1] ?? "", /^property destination\.address 127\.0\.0\.1:\d+$/);
    assert.match(lines[2] ?? "", /^property upstream\.address 127\.0\.0\.1:\d+$/);
    assert.deepEqual(lines.slice(3), [
      "property xds.cluster_name up",
      "property plugin_name properties",
      "property request.path none",
      "property xds.node.id test-sidecar",
    ]);
  },

  async "a trap closes the connection, also those of others that ask the dead VM"(world) {
    const [client, server] = await pair(world, "trap");
    const [other, otherServer] = await pair(world, "trap");
    client.send("trap");
    await bothClosed(client, server);
    assert.equal(server.received, "");
    other.send("x");
    await bothClosed(other, otherServer);
  },
};

const envoy = findEnvoy();

for (const subject of ["ours", "Envoy"] as const) {
  const skip = subject === "Envoy" && envoy === undefined ? ENVOY_MISSING : false;
  suite(`network plugins on ${subject}`, { timeout: 60_000, skip }, () => {
    let world: World;
    let server: Server;
    before(async () => {
      const upstream = await TcpServer.start();
      const auth = { status: 200 };
      server = createServer((_request, response) => response.writeHead(auth.status).end("x"));
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const properties = [
        "source.address",
        "destination.address",
        "upstream.address",
        "xds.cluster_name",
        "plugin_name",
        "request.path",
        "xds.node.id",
      ];
      const config = bootstrap({
        listeners: [
          tcp("order", plugin("order", "callbacks")),
          tcp("edit", plugin("edit", "tcp", "upper\nprefix >")),
          tcp("lines", plugin("lines", "tcp", "lines\ndrop")),
          tcp("wait", plugin("wait", "tcp", "wait\nhold")),
          tcp("call", plugin("call", "tcp", "call auth")),
          tcp("two", plugin("two-a", "tcp", "prefix A"), plugin("two-b", "tcp", "prefix B\nlines")),
          tcp("old", plugin("old", "tcp-0-1-0")),
          tcp("properties", plugin("properties", "tcp", properties.map((path) => `property ${path}`).join("\n"))),
          tcp("trap", plugin("trap", "tcp")),
        ],
        clusters: [cluster("up", [upstream.port]), cluster("auth", [(server.address() as AddressInfo).port])],
      });
      const levels = ["--component-log-level", "wasm:info"];
      const proxy = await ProxyProcess.start(subject === "ours" ? undefined : envoy, config, levels);
      world = { proxy, upstream, auth };
    });
    after(async () => {
      await world.proxy[Symbol.asyncDispose]();
      await world.upstream[Symbol.asyncDispose]();
      server.closeAllConnections();
      server.close();
    });
    for (const [name, story] of Object.entries(STORIES)) {
      test(name, () => story(world));
    }
  });
}

suite("network plugins, where outrigger differs", { timeout: 60_000 }, () => {
  let upstream: TcpServer;
  let proxy: ProxyProcess;
  let world: World;
  before(async () => {
    upstream = await TcpServer.start();
    const config = bootstrap({
      listeners: [
        tcp("open", plugin("open", "tcp", "", { failure_policy: "FAIL_OPEN" })),
        tcp("closed", plugin("closed", "tcp")),
        tcp("hold-up", plugin("hold-up", "tcp", "hold-up")),
        tcp("late", plugin("late-a", "tcp"), plugin("late-b", "tcp", "lines")),
        { ...tcp("full", plugin("full", "tcp", "lines")), per_connection_buffer_limit_bytes: 16_384 },
      ],
      clusters: [cluster("up", [upstream.port])],
    });
    proxy = await ProxyProcess.start(undefined, config, ["--component-log-level", "wasm:info"]);
    world = { proxy, upstream, auth: { status: 0 } };
  });
  after(async () => {
    await proxy[Symbol.asyncDispose]();
    await upstream[Symbol.asyncDispose]();
  });

  test("FAIL_OPEN lets the connection that met the fault go on, and a new one gets a new VM", async () => {
    const [client, server] = await pair(world, "open");
    client.send("trap");
    await server.untilReceived("trap");
    client.send("more");
    await server.untilReceived("more");
    const story = async (next: TcpPeer, nextServer: TcpPeer): Promise<void> => {
      next.send("x");
      await nextServer.untilReceived("x");
      next.destroy();
      nextServer.destroy();
    };
    assert.equal((await logOf(world, "open", story))[0], "new");
    client.destroy();
  });

  test("FAIL_CLOSED: the next connection gets a new VM", async () => {
    const [client, server] = await pair(world, "closed");
    client.send("trap");
    await bothClosed(client, server);
    const [next, nextServer] = await pair(world, "closed");
    next.send("x");
    await nextServer.untilReceived("x");
    next.destroy();
  });

  test("upstream data can be held and continued", async () => {
    const [client, server] = await pair(world, "hold-up");
    server.send("hold");
    await client.untilReceived("hold");
    client.destroy();
  });

  test("a filter sees no byte twice when a later one holds it", async () => {
    const story = async (client: TcpPeer, server: TcpPeer): Promise<void> => {
      client.send("ab");
      await until(
        "the first part",
        () => logged(proxy, "late"),
        (lines) => lines.filter((line) => line === "down 2 false").length === 2,
      );
      client.send("c\n");
      await server.untilReceived("abc\n");
      client.destroy();
      server.destroy();
    };
    const seen = (await logOf(world, "late", story, "deleted", 2)).filter((line) => /^down \d/.test(line));
    assert.deepEqual(seen.slice(0, 4), ["down 2 false", "down 2 false", "down 2 false", "down 4 false"]);
  });

  test("what a plugin holds is bounded: above the limit the client has to wait", async () => {
    const [client] = await pair(world, "full");
    client.send(Buffer.alloc(8 * 1024 * 1024, "x"));
    await until(
      "pause",
      () => proxy.stat("tcp.full.downstream_flow_control_paused_reading_total"),
      (paused) => paused > 0,
    );
    assert.ok(client.socket.writableLength > 0);
    client.destroy();
  });
});
