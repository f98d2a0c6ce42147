// The TCP proxy end to end: bytes both ways, half-closes, resets, timeouts, limits, logs, statistics, drain.
// Most stories are told to Envoy too, where there is one, and must end alike there.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { address, bootstrap, cluster, fileAccessLog } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";
import { freePort, until } from "../support/sidecar-story.ts";
import { TcpPeer, TcpServer } from "../support/tcp-peer.ts";

const TCP_PROXY = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";

/** A listener whose only filter is the TCP proxy; its name is its stat prefix too. */
function tcp(name: string, proxy: object, listener: object = {}): object {
  return {
    name,
    stat_prefix: name,
    address: address(0),
    filter_chains: [{ filters: [{ name: "tcp", typed_config: { "@type": TCP_PROXY, stat_prefix: name, ...proxy } }] }],
    ...listener,
  };
}

interface World {
  readonly port: (listener: string) => number;
  readonly stat: (name: string) => Promise<number>;
  readonly upstream: TcpServer;
  readonly other: TcpServer;
}

const stat = async (world: World, name: string, value: number): Promise<void> => {
  await until(
    `${name} = ${value}`,
    () => world.stat(name),
    (seen) => seen === value,
  );
};

async function pair(world: World, listener: string): Promise<[TcpPeer, TcpPeer]> {
  const client = await TcpPeer.connect(world.port(listener));
  return [client, await world.upstream.next()];
}

const STORIES: Readonly<Record<string, (world: World) => Promise<void>>> = {
  async "bytes both ways; the client ends first and still gets what comes"(world) {
    const [client, server] = await pair(world, "echo");
    client.send("hello");
    await server.untilReceived("hello");
    server.send("world");
    await client.untilReceived("world");
    client.end();
    await server.untilEnd();
    server.send("late");
    await client.untilReceived("late");
    assert.equal(client.hasEnd, false);
    assert.deepEqual(await Promise.all([server.untilClosed(), client.untilClosed()]), ["end", "end"]);
  },

  async "the server ends first and still gets what comes"(world) {
    const [client, server] = await pair(world, "echo");
    server.send("bye");
    server.end();
    await client.untilEnd();
    client.send("more");
    await server.untilReceived("more");
    assert.equal(server.hasEnd, false);
    assert.deepEqual(await Promise.all([client.untilClosed(), server.untilClosed()]), ["end", "end"]);
    assert.equal(client.received, "bye");
  },

  async "bytes and the end that come before there is an upstream connection wait for it"(world) {
    const client = await TcpPeer.connect(world.port("echo"));
    client.send("early");
    client.end();
    const server = await world.upstream.next();
    await server.untilEnd();
    assert.equal(server.received, "early");
    server.send(Buffer.alloc(3_000_000, "x"));
    server.end();
    await client.untilBytes(3_000_000);
    assert.equal(await client.untilClosed(), "end");
    assert.equal(client.received.length, 3_000_000);
  },

  async "a reset goes on to the other side"(world) {
    const [client, server] = await pair(world, "echo");
    client.send("x");
    await server.untilReceived("x");
    server.reset();
    assert.equal(await client.untilClosed(), "ECONNRESET");
    const [other, otherServer] = await pair(world, "echo");
    other.send("x");
    await otherServer.untilReceived("x");
    other.reset();
    assert.equal(await otherServer.untilClosed(), "ECONNRESET");
  },

  async "an upstream that refuses is tried max_connect_attempts times"(world) {
    const client = await TcpPeer.connect(world.port("refused"));
    client.send("abc");
    await client.untilClosed();
    await stat(world, "cluster.dead.upstream_cx_connect_fail", 2);
    await stat(world, "cluster.dead.upstream_cx_connect_attempts_exceeded", 1);
    await stat(world, "cluster.dead.upstream_cx_active", 0);
    await stat(world, "tcp.refused.downstream_cx_rx_bytes_total", 0);
    await stat(world, "listener.refused.downstream_cx_active", 0);
  },

  async "no such cluster, no host"(world) {
    const lost = await TcpPeer.connect(world.port("none"));
    assert.equal(await lost.untilClosed(), "end");
    await stat(world, "tcp.none.downstream_cx_no_route", 1);
    const alone = await TcpPeer.connect(world.port("empty"));
    assert.equal(await alone.untilClosed(), "end");
    await stat(world, "cluster.empty.upstream_cx_none_healthy", 1);
  },

  async "an idle connection ends on both sides"(world) {
    const [client, server] = await pair(world, "idle");
    const from = performance.now();
    client.send("x");
    assert.deepEqual(await Promise.all([client.untilClosed(), server.untilClosed()]), ["end", "end"]);
    assert.ok(performance.now() - from > 190);
    await stat(world, "tcp.idle.idle_timeout", 1);
  },

  async "max_downstream_connection_duration ends a busy one"(world) {
    const [client, server] = await pair(world, "duration");
    const busy = setInterval(() => client.send("x"), 20);
    await client.untilClosed().finally(() => clearInterval(busy));
    await server.untilEnd();
    await stat(world, "tcp.duration.max_downstream_connection_duration", 1);
  },

  async "max_connections: one more is refused, another when it has ended is not"(world) {
    const [client, server] = await pair(world, "limit");
    const refused = await TcpPeer.connect(world.port("limit"));
    assert.equal(await refused.untilClosed(), "end");
    await stat(world, "cluster.limit.upstream_cx_overflow", 1);
    client.end();
    await Promise.all([server.untilClosed(), client.untilClosed()]);
    await stat(world, "cluster.limit.upstream_cx_active", 0);
    const [again] = await pair(world, "limit");
    again.destroy();
  },

  async "readers that are slow hold their writers up, both ways, and get their own bytes"(world) {
    const pairs = [await pair(world, "small"), await pair(world, "small")] as const;
    const size = 12 * 1024 * 1024;
    for (const way of [0, 1] as const) {
      for (const [index, peers] of pairs.entries()) {
        peers[1 - way]?.socket.pause();
        peers[way].send(Buffer.alloc(size, "yz"[index]));
      }
      const side = way === 0 ? "tcp.small.downstream" : "cluster.small.upstream";
      await until(
        "pauses",
        () => world.stat(`${side}_flow_control_paused_reading_total`),
        (paused) => paused > 1,
      );
      for (const peers of pairs) {
        assert.ok(peers[way].socket.writableLength > 0);
        peers[1 - way]?.socket.resume();
      }
      for (const [index, peers] of pairs.entries()) {
        const to = peers[1 - way] as TcpPeer;
        await to.untilBytes(size);
        assert.equal(to.received.replaceAll("yz"[index] ?? "", ""), "");
        to.received = "";
      }
    }
    pairs.forEach(([client]) => client.destroy());
  },

  async "weighted clusters: each gets its share"(world) {
    const clients = await Promise.all(Array.from({ length: 200 }, () => TcpPeer.connect(world.port("weighted"))));
    const total = async () =>
      (await world.stat("cluster.heavy.upstream_cx_total")) + (await world.stat("cluster.light.upstream_cx_total"));
    await until("all", total, (count) => count === 200);
    const heavy = await world.stat("cluster.heavy.upstream_cx_total");
    // 180 are expected, give or take 4.2: this is six times that.
    assert.ok(heavy >= 155 && heavy < 200, `${heavy} of 200`);
    for (const client of clients) {
      client.destroy();
    }
  },
};

const COUNTS: readonly (readonly [name: string, value: number])[] = [
  ["tcp.echo.downstream_cx_total", 5],
  ["tcp.echo.downstream_cx_rx_bytes_total", 5 + 4 + 5 + 2],
  ["tcp.echo.downstream_cx_tx_bytes_total", 9 + 3 + 3_000_000],
  ["cluster.up.upstream_cx_total", 5],
  ["cluster.up.upstream_cx_active", 0],
  ["cluster.up.upstream_rq_total", 5],
  ["cluster.up.upstream_rq_active", 0],
  ["cluster.up.upstream_cx_rx_bytes_total", 9 + 3 + 3_000_000],
  ["cluster.up.upstream_cx_tx_bytes_total", 5 + 4 + 5 + 2],
  ["cluster.up.upstream_cx_destroy", 5],
  ["cluster.up.upstream_cx_destroy_with_active_rq", 5],
  ["listener.echo.downstream_cx_total", 5],
  ["listener.echo.downstream_cx_active", 0],
];

async function parts(upstream: TcpServer, other: TcpServer): Promise<object> {
  const dead = await TcpServer.start();
  const deadPort = dead.port;
  await dead[Symbol.asyncDispose]();
  const one = { thresholds: [{ max_connections: 1 }] };
  return bootstrap({
    listeners: [
      tcp("echo", { cluster: "up" }),
      tcp("refused", { cluster: "dead", max_connect_attempts: 2 }),
      tcp("none", { cluster: "nowhere" }),
      tcp("empty", { cluster: "empty" }),
      tcp("idle", { cluster: "idle", idle_timeout: "0.2s" }),
      tcp("duration", { cluster: "duration", max_downstream_connection_duration: "0.3s" }),
      tcp("limit", { cluster: "limit" }),
      tcp("small", { cluster: "small" }, { per_connection_buffer_limit_bytes: 16_384 }),
      tcp("weighted", {
        weighted_clusters: {
          clusters: [
            { name: "heavy", weight: 9 },
            { name: "light", weight: 1 },
          ],
        },
      }),
    ],
    clusters: [
      cluster("up", [upstream.port]),
      cluster("dead", [deadPort]),
      cluster("empty", []),
      cluster("idle", [upstream.port]),
      cluster("duration", [upstream.port]),
      cluster("limit", [upstream.port], { circuit_breakers: one }),
      cluster("small", [upstream.port], { per_connection_buffer_limit_bytes: 16_384 }),
      cluster("heavy", [other.port]),
      cluster("light", [other.port]),
    ],
  });
}

const envoy = findEnvoy();

for (const subject of ["ours", "Envoy"] as const) {
  const skip = subject === "Envoy" && envoy === undefined ? ENVOY_MISSING : false;
  suite(`tcp_proxy on ${subject}`, { timeout: 60_000, skip }, () => {
    let proxy: ProxyProcess;
    let world: World;
    before(async () => {
      const upstream = await TcpServer.start();
      const other = await TcpServer.start();
      proxy = await ProxyProcess.start(subject === "ours" ? undefined : envoy, await parts(upstream, other));
      world = { upstream, other, port: (name) => proxy.port(name), stat: (name) => proxy.stat(name) };
    });
    after(async () => {
      await proxy[Symbol.asyncDispose]();
      await world.upstream[Symbol.asyncDispose]();
      await world.other[Symbol.asyncDispose]();
    });
    for (const [name, story] of Object.entries(STORIES)) {
      test(name, () => story(world));
    }
    test("counts under Envoy's names", async () => {
      for (const [name, value] of COUNTS) {
        await stat(world, name, value);
      }
    });
  });
}

const FORMAT =
  "%RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %UPSTREAM_CLUSTER% %UPSTREAM_REQUEST_ATTEMPT_COUNT% %ACCESS_LOG_TYPE% %RESPONSE_CODE% %PROTOCOL% %REQ(:METHOD)%\n";

suite("tcp_proxy", { timeout: 60_000 }, () => {
  test("writes access logs: at start, when connected, at the end with flags", async () => {
    await using upstream = await TcpServer.start();
    await using sidecar = await SidecarProcess.start(
      (folder) =>
        bootstrap({
          listeners: [
            tcp("logged", {
              cluster: "up",
              access_log: [fileAccessLog(join(folder, "log"), FORMAT)],
              access_log_options: { flush_access_log_on_start: true, flush_access_log_on_connected: true },
            }),
            tcp("lost", { cluster: "none", access_log: [fileAccessLog(join(folder, "lost"), FORMAT)] }),
          ],
          clusters: [cluster("up", [upstream.port])],
        }),
      { args: ["--file-flush-interval-msec", "20"] },
    );
    const client = await TcpPeer.connect(sidecar.port("logged"));
    const server = await upstream.next();
    client.send("abc");
    await server.untilReceived("abc");
    server.send("de");
    await client.untilReceived("de");
    server.reset();
    await client.untilClosed();
    const lost = await TcpPeer.connect(sidecar.port("lost"));
    await lost.untilClosed();
    const lines = (name: string) => () => {
      const file = join(sidecar.folder, name);
      const text = existsSync(file) ? readFileSync(file, "utf8").trim() : "";
      return text === "" ? [] : text.split("\n");
    };
    assert.deepEqual(await until("the log", lines("log"), ({ length }) => length === 3), [
      "- 0 0 - 0 TcpConnectionStart 0 - -",
      "- 0 0 up 1 TcpUpstreamConnected 0 - -",
      "UR 3 2 up 1 TcpConnectionEnd 0 - -",
    ]);
    assert.deepEqual(await until("the log", lines("lost"), ({ length }) => length === 1), [
      "NC 0 0 - 0 TcpConnectionEnd 0 - -",
    ]);
  });

  test("tries again after a while, logs at intervals, and closes on drain when it is told to", async () => {
    await using upstream = await TcpServer.start();
    const port = await freePort();
    await using sidecar = await SidecarProcess.start(
      (folder) =>
        bootstrap({
          listeners: [
            tcp("late", {
              cluster: "late",
              max_connect_attempts: 1_000,
              backoff_options: { base_interval: "0.01s", max_interval: "0.02s" },
            }),
            tcp("draining", {
              cluster: "up",
              check_drain_close: true,
              access_log: [fileAccessLog(join(folder, "log"), "%ACCESS_LOG_TYPE% %BYTES_RECEIVED%\n")],
              access_log_options: { access_log_flush_interval: "0.05s" },
            }),
          ],
          clusters: [cluster("up", [upstream.port]), cluster("late", [port])],
        }),
      { args: ["--file-flush-interval-msec", "20", "--drain-time-s", "60"] },
    );
    const waiting = await TcpPeer.connect(sidecar.port("late"));
    await sidecar.untilStat("cluster.late.upstream_cx_connect_fail", 3);
    await using late = await TcpServer.start(port);
    waiting.send("at last");
    const lateServer = await late.next();
    await lateServer.untilReceived("at last");
    lateServer.destroy();
    waiting.destroy();

    const client = await TcpPeer.connect(sidecar.port("draining"));
    const server = await upstream.next();
    client.send("abc");
    await server.untilReceived("abc");
    const log = () => {
      const file = join(sidecar.folder, "log");
      return existsSync(file) ? readFileSync(file, "utf8") : "";
    };
    await until("two lines", log, (text) => text.split("TcpPeriodic 3\n").length > 2);
    sidecar.signal("SIGTERM");
    await until(
      "draining",
      async () => (await sidecar.admin("/ready")).status,
      (status) => status === 503,
    );
    assert.equal(client.hasEnd, false, "nothing has moved");
    client.send("d");
    await Promise.all([client.untilClosed(), server.untilClosed()]);
    assert.equal((await sidecar.untilEnded()).code, 0);
  });

  test("lets connections live until the drain time is over", async () => {
    await using upstream = await TcpServer.start();
    await using sidecar = await SidecarProcess.start(
      bootstrap({ listeners: [tcp("main", { cluster: "up" })], clusters: [cluster("up", [upstream.port])] }),
      { args: ["--drain-time-s", "1"] },
    );
    const client = await TcpPeer.connect(sidecar.port("main"));
    const server = await upstream.next();
    sidecar.signal("SIGTERM");
    await until(
      "draining",
      async () => (await sidecar.admin("/ready")).status,
      (status) => status === 503,
    );
    client.send("still");
    await server.untilReceived("still");
    await client.untilClosed();
    assert.equal((await sidecar.untilEnded()).code, 0);
  });
});
