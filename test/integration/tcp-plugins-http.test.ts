// Network plugins before the HTTP connection manager, end to end; the stories are told to Envoy too, where there is one.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { until } from "../support/sidecar-story.ts";
import { TcpPeer } from "../support/tcp-peer.ts";
import { GET, http, logged, names, plugin, startWorld, type World } from "../support/tcp-plugins.ts";

const LISTENERS = [
  http("http-order", plugin("http-order", "callbacks")),
  http("http-edit", plugin("http-edit", "tcp", "upper\nlines")),
  http("http-wait", plugin("http-wait", "tcp", "wait\nhold")),
  http("http-trap", plugin("http-trap", "tcp")),
];

const STORIES: Readonly<Record<string, (world: World) => Promise<void>>> = {
  async "every callback, in order"(world) {
    const from = logged(world.proxy, "http-order").length;
    const client = await TcpPeer.connect(world.proxy.port("http-order"));
    client.send(GET);
    const server = await world.upstream.next();
    await server.untilReceived("\r\n\r\n");
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    await client.untilReceived("ok");
    client.end();
    await client.untilClosed();
    const lines = await until(
      "delete",
      () => names(logged(world.proxy, "http-order").slice(from)),
      (all) => all.includes("proxy_on_delete []"),
    );
    // One write here is two of Envoy's: head and body.
    assert.deepEqual(
      lines
        .map((line) => line.replace(/stream_data \[\d+/, "stream_data [N"))
        .filter((line, index, all) => line !== all[index - 1]),
      [
        "proxy_on_context_create [1]",
        "proxy_on_new_connection []",
        "proxy_on_downstream_data [N, 0]",
        "proxy_on_upstream_data [N, 0]",
        "proxy_on_downstream_connection_close [2]",
        "proxy_on_done []",
        "proxy_on_log []",
        "proxy_on_delete []",
      ],
    );
    server.destroy();
  },

  async "data held and changed, a large body, keep-alive"(world) {
    const client = await TcpPeer.connect(world.proxy.port("http-edit"));
    client.send("GET /pa");
    await until(
      "the first part",
      () => logged(world.proxy, "http-edit"),
      (lines) => lines.includes("down 7 false"),
    );
    client.send("th HTTP/1.1\r\nHost: a\r\n\r\n");
    const server = await world.upstream.next();
    await server.untilReceived("\r\n\r\n");
    assert.match(server.received, /^GET \/PATH HTTP\/1\.1\r\n/);
    const answer = "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + "z".repeat(300_000);
    server.send(answer);
    await client.untilBytes(300_000);
    client.received = "";
    server.received = "";
    client.send(`POST /again HTTP/1.1\r\nHost: a\r\nContent-Length: 200001\r\n\r\n${"b".repeat(200_000)}\n`);
    await server.untilReceived("\n\r\n");
    await until(
      "the body",
      () => server.received,
      (text) => text.endsWith("B\n"),
    );
    assert.equal(/B+\n$/.exec(server.received)?.[0].length, 200_001);
    server.send("HTTP/1.1 204 No Content\r\n\r\n");
    await client.untilReceived("204");
    client.destroy();
    server.destroy();
  },

  async "a connection that waits, and one whose plugin traps"(world) {
    const client = await TcpPeer.connect(world.proxy.port("http-wait"));
    client.send(GET);
    const server = await world.upstream.next();
    await server.untilReceived("\r\n\r\n");
    client.destroy();
    server.destroy();
    const other = await TcpPeer.connect(world.proxy.port("http-trap"));
    other.send(`trap${GET}`);
    assert.equal(await other.untilClosed(), "end");
    assert.equal(other.received, "");
  },
};

const envoy = findEnvoy();

for (const subject of ["ours", "Envoy"] as const) {
  const skip = subject === "Envoy" && envoy === undefined ? ENVOY_MISSING : false;
  suite(`network plugins before HTTP on ${subject}`, { timeout: 60_000, skip }, () => {
    let world: World;
    before(async () => {
      world = await startWorld(subject === "ours" ? undefined : envoy, LISTENERS, [
        "http-order",
        "http-edit",
        "http-wait",
        "http-trap",
      ]);
    });
    after(() => world[Symbol.asyncDispose]());
    for (const [name, story] of Object.entries(STORIES)) {
      test(name, () => story(world));
    }
  });
}
