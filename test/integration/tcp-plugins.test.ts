// Plugins on TCP connections (envoy.filters.network.wasm) end to end: what they see, change, hold and close.
// The stories are told to Envoy too, where there is one: what the plugins log and what the peers get must be the same.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { until } from "../support/sidecar-story.ts";
import { TcpPeer } from "../support/tcp-peer.ts";
import { bothClosed, logged, logOf, names, pair, plugin, startWorld, tcp, type World } from "../support/tcp-plugins.ts";

const PROPERTIES = [
  "source.address",
  "destination.address",
  "upstream.address",
  "xds.cluster_name",
  "plugin_name",
  "request.path",
  "xds.node.id",
];

const LISTENERS = [
  tcp("order", plugin("order", "callbacks")),
  tcp("edit", plugin("edit", "tcp", "upper\nprefix >")),
  tcp("lines", plugin("lines", "tcp", "lines\ndrop")),
  tcp("wait", plugin("wait", "tcp", "wait\nhold")),
  tcp("call", plugin("call", "tcp", "call auth")),
  tcp("two", plugin("two-a", "tcp", "prefix A"), plugin("two-b", "tcp", "prefix B\nlines")),
  tcp("old", plugin("old", "tcp-0-1-0")),
  tcp("properties", plugin("properties", "tcp", PROPERTIES.map((path) => `property ${path}`).join("\n"))),
  tcp("trap", plugin("trap", "tcp")),
  tcp("route", plugin("route", "tcp", "state envoy.tcp_proxy.cluster other")),
  tcp("short", plugin("short", "tcp", "state envoy.tcp_proxy.per_connection_idle_timeout_ms 200")),
];

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

  async "a plugin chooses the cluster and the idle timeout of its connection"(world) {
    const [client] = await pair(world, "route");
    await until(
      "the connection to be counted",
      () => world.proxy.stat("cluster.other.upstream_cx_total"),
      (count) => count === 1,
    );
    client.destroy();
    const [idle, idleServer] = await pair(world, "short");
    await bothClosed(idle, idleServer);
    assert.equal(await world.proxy.stat("tcp.short.idle_timeout"), 1);
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
    before(async () => {
      world = await startWorld(subject === "ours" ? undefined : envoy, LISTENERS, ["up", "other"]);
    });
    after(() => world[Symbol.asyncDispose]());
    for (const [name, story] of Object.entries(STORIES)) {
      test(name, () => story(world));
    }
  });
}
