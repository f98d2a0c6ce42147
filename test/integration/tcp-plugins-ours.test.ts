// Plugins on TCP connections where outrigger differs from Envoy on purpose, and what bounds them.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { ProxyProcess } from "../support/proxy-process.ts";
import { until } from "../support/sidecar-story.ts";
import type { TcpPeer } from "../support/tcp-peer.ts";
import { bothClosed, logged, logOf, pair, plugin, startWorld, tcp, type World } from "../support/tcp-plugins.ts";

suite("network plugins, where outrigger differs", { timeout: 60_000 }, () => {
  let proxy: ProxyProcess;
  let world: World;
  before(async () => {
    const listeners = [
      tcp("open", plugin("open", "tcp", "", { failure_policy: "FAIL_OPEN" })),
      tcp("closed", plugin("closed", "tcp")),
      tcp("hold-up", plugin("hold-up", "tcp", "hold-up")),
      tcp("late", plugin("late-a", "tcp"), plugin("late-b", "tcp", "lines")),
      { ...tcp("full", plugin("full", "tcp", "lines")), per_connection_buffer_limit_bytes: 16_384 },
    ];
    world = await startWorld(undefined, listeners, ["up"]);
    ({ proxy } = world);
  });
  after(() => world[Symbol.asyncDispose]());

  test("FAIL_OPEN lets the connection that met the fault go on, and a new one gets a new VM", async () => {
    const [client, server] = await pair(world, "open");
    client.send("trap");
    await server.untilReceived("trap");
    client.send("more");
    await server.untilReceived("more");
    const [next, nextServer] = await pair(world, "open");
    next.send("x");
    await nextServer.untilReceived("x");
    await until(
      "its callbacks",
      () => logged(proxy, "open").filter((line) => line === "new").length,
      (count) => count === 2,
    );
    next.destroy();
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
