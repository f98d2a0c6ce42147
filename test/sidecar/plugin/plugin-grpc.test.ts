// The transport of plugins' gRPC calls against real HTTP/2 servers: sessions and their end, limits, circuit breakers, counts.

import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { suite, test } from "node:test";
import type { GrpcCall, GrpcReceiver, PendingGrpcCall } from "../../../plugins/grpc-port.ts";
import { PluginGrpcCalls } from "../../../sidecar/plugin/plugin-grpc.ts";
import type { Cluster } from "../../../xds/model/cluster.ts";
import { buildAssignment } from "../../support/cluster-builders.ts";
import { EventLog } from "../../support/events.ts";
import { grpcFrame, type OddAnswers, OddGrpcOrigin } from "../../support/grpc-origin.ts";
import { buildBreakers, PoolFixture } from "../../support/pool-fixture.ts";
import { until } from "../../support/sidecar-story.ts";
import { RecorderBench } from "../telemetry/fake-requests.ts";

const PLUGIN = { index: 0, name: "p", rootId: "", vmId: "", digest: "", abiVersion: "0.2.1" };

const ANSWERS: OddAnswers = {
  Slow: () => {},
  Echo: (stream) => {
    stream.respond({ ":status": 200 }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(grpcFrame("hi"));
  },
  /** Reads nothing: what is sent to it piles up. */
  Deaf: (stream) => {
    stream.respond({ ":status": 200 });
    stream.pause();
  },
};

class Bench implements AsyncDisposable {
  readonly fixture: PoolFixture;
  readonly calls: PluginGrpcCalls;
  readonly events = new EventLog<string>();
  #tokens = 0;

  constructor(port: number, parts: Partial<Cluster> = {}) {
    this.fixture = new PoolFixture([port], parts);
    this.calls = new PluginGrpcCalls({
      clusters: () => new Map([["backend", this.fixture.cluster]]),
      recorder: new RecorderBench().recorder,
      scope: this.fixture.scope,
    });
  }

  /** Starts a call, whose events are noted under `name`; a stream when it has no message. */
  start(name: string, method: string, call: Partial<GrpcCall> = {}): PendingGrpcCall {
    const started = this.tryStart(name, method, call);
    assert.ok(started !== "unavailable");
    return started;
  }

  tryStart(name: string, method: string, call: Partial<GrpcCall> = {}): PendingGrpcCall | "unavailable" {
    const receiver: GrpcReceiver = {
      onInitialMetadata: () => {},
      onMessage: (message) => this.events.push(`${name} message ${message.length}`),
      onTrailingMetadata: () => {},
      onClose: (status, message) => this.events.push(`${name} close ${status} ${message}`),
    };
    const defaults = {
      plugin: PLUGIN,
      token: (this.#tokens += 4),
      stream: undefined,
      cluster: "backend",
      authority: "",
      path: `/test.Odd/${method}`,
      metadata: [],
      message: undefined,
      timeoutMs: 0,
      maxMessageBytes: 0,
    };
    return this.calls.call({ ...defaults, ...call }, receiver);
  }

  /** How a call ended. */
  end(name: string): Promise<string> {
    return this.events.first(`${name}'s end`, (event) => event.startsWith(`${name} close`));
  }

  untilGauge(name: string, value: number): Promise<number> {
    return until(
      `${name} = ${value}`,
      () => this.fixture.gauge(name),
      (now) => now === value,
    );
  }

  refused(reason: string): number {
    return this.fixture.scope.counter(`outrigger_wasm_grpc_refused_total{plugin="p",reason="${reason}"}`).value + 0;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.calls.close();
    this.fixture[Symbol.dispose]();
    return Promise.resolve();
  }
}

/** A port on which nobody listens. */
const NOBODY = 1;
const MESSAGE = { message: Buffer.from("x") };
const RESET = "upstream connect error or disconnect/reset before headers. reset reason:";

suite("gRPC calls of a worker", { timeout: 30_000 }, () => {
  test("share one session, which closes when it has been idle", async () => {
    await using origin = await OddGrpcOrigin.start(ANSWERS);
    await using bench = new Bench(origin.port, { idleTimeoutMs: 150 });
    for (const name of ["a", "b", "c"]) bench.start(name, "Echo", MESSAGE);
    for (const name of ["a", "b", "c"]) assert.equal(await bench.end(name), `${name} close 0 `);
    bench.start("d", "Echo", MESSAGE);
    assert.equal(await bench.end("d"), "d close 0 ");
    assert.equal(origin.opened, 1);
    assert.equal(bench.fixture.counter("upstream_cx_total"), 1);
    assert.equal(bench.fixture.counter("upstream_cx_http2_total"), 1);
    assert.equal(bench.fixture.counter("upstream_rq_total"), 4);
    assert.equal(bench.fixture.counter("upstream_rq_200"), 4);
    assert.equal(bench.fixture.counter("upstream_rq_pending_total"), 3, "those that waited for the session");
    assert.equal(bench.fixture.host.counts.rqTotal, 4);
    await bench.untilGauge("upstream_cx_active", 0);
    assert.equal(bench.fixture.counter("upstream_cx_idle_timeout"), 1);
    assert.equal(bench.fixture.counter("upstream_cx_destroy_local"), 1);
    bench.start("e", "Echo", MESSAGE);
    assert.equal(await bench.end("e"), "e close 0 ");
    assert.equal(origin.opened, 2);
  });

  test("an idle timeout does not end a stream that is open", async () => {
    await using origin = await OddGrpcOrigin.start(ANSWERS);
    await using bench = new Bench(origin.port, { idleTimeoutMs: 20 });
    bench.start("open", "Slow");
    bench.start("slow", "Slow", { ...MESSAGE, timeoutMs: 100 });
    assert.equal(await bench.end("slow"), "slow close 14 upstream request timeout");
    assert.equal(bench.fixture.gauge("upstream_cx_active"), 1);
    assert.equal(bench.fixture.gauge("upstream_rq_active"), 1);
  });

  test("a host that is gone keeps its session until the last stream ends", async () => {
    await using origin = await OddGrpcOrigin.start(ANSWERS);
    await using bench = new Bench(origin.port);
    const open = bench.start("open", "Slow");
    await bench.untilGauge("upstream_rq_active", 1);
    bench.fixture.cluster.updateEndpoints(buildAssignment([]));
    bench.calls.onConfigured();
    bench.start("none", "Echo", MESSAGE);
    assert.equal(await bench.end("none"), "none close 14 no healthy upstream");
    assert.equal(bench.fixture.gauge("upstream_cx_active"), 1);
    open.cancel();
    await bench.untilGauge("upstream_cx_active", 0);
    assert.equal(bench.fixture.gauge("upstream_rq_active"), 0);
  });

  test("an idle session to a host that is gone closes at once, one to a host that stays does not", async () => {
    await using origin = await OddGrpcOrigin.start(ANSWERS);
    await using bench = new Bench(origin.port);
    bench.start("a", "Echo", MESSAGE);
    await bench.end("a");
    bench.calls.onConfigured();
    bench.start("b", "Echo", MESSAGE);
    await bench.end("b");
    assert.equal(origin.opened, 1);
    bench.fixture.cluster.updateEndpoints(buildAssignment([]));
    bench.calls.onConfigured();
    await bench.untilGauge("upstream_cx_active", 0);
  });

  test("fail with Envoy's words: refused, too slow to connect, over the circuit breaker's limits", async () => {
    await using dead = new Bench(NOBODY);
    dead.start("dead", "Echo", MESSAGE);
    assert.equal(await dead.end("dead"), `dead close 14 ${RESET} remote connection failure`);
    assert.equal(dead.fixture.counter("upstream_cx_connect_fail"), 1);
    assert.equal(dead.fixture.gauge("upstream_cx_active"), 0);

    await using origin = await OddGrpcOrigin.start(ANSWERS);
    await using narrow = new Bench(origin.port, { circuitBreakers: buildBreakers({ maxRequests: 1 }) });
    const open = narrow.start("open", "Slow");
    await narrow.untilGauge("upstream_rq_active", 1);
    narrow.start("over", "Echo", MESSAGE);
    assert.equal(await narrow.end("over"), `over close 14 ${RESET} overflow`);
    assert.equal(narrow.fixture.counter("upstream_rq_active_overflow"), 1);
    open.cancel();
    narrow.start("again", "Echo", MESSAGE);
    assert.equal(await narrow.end("again"), "again close 0 ");

    await using hasty = new Bench(origin.port, { circuitBreakers: buildBreakers({ maxPendingRequests: 1 }) });
    hasty.start("first", "Echo", MESSAGE);
    hasty.start("second", "Echo", MESSAGE);
    assert.equal(await hasty.end("second"), `second close 14 ${RESET} overflow`);
    assert.equal(await hasty.end("first"), "first close 0 ");
    assert.equal(hasty.fixture.counter("upstream_rq_pending_overflow"), 1);
    assert.equal(hasty.fixture.gauge("upstream_rq_pending_active"), 0);
  });

  test("calls that are given up in the same turn never reach the server, and others on the session do not suffer", async () => {
    await using origin = await OddGrpcOrigin.start(ANSWERS);
    await using bench = new Bench(origin.port);
    bench.start("open", "Slow");
    await bench.untilGauge("upstream_rq_active", 1);
    for (let i = 0; i < 3_000; i++) bench.start("given up", "Echo", MESSAGE).cancel();
    bench.start("after", "Echo", MESSAGE);
    assert.equal(await bench.end("after"), "after close 0 ");
    assert.equal(bench.fixture.counter("upstream_rq_total"), 2);
    assert.equal(bench.fixture.gauge("upstream_rq_active"), 1);
  });

  test("empty messages that wait take room, too", async () => {
    await using origin = await OddGrpcOrigin.start(ANSWERS);
    await using bench = new Bench(origin.port);
    const chatty = bench.start("chatty", "Slow");
    for (let i = 0; i < 100_000; i++) chatty.send(Buffer.alloc(0), false);
    assert.equal(await bench.end("chatty"), "chatty close 8 too much waits to be sent");
  });

  // 9 bytes of a frame's head, then its payload: length, type, flags, stream.
  const frame = (type: number, flags: number, stream: number, payload: Buffer): Buffer => {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head.writeUInt8(type, 3);
    head.writeUInt8(flags, 4);
    head.writeUInt32BE(stream, 5);
    return Buffer.concat([head, payload]);
  };
  const SETTINGS = frame(4, 0, 0, Buffer.alloc(0));
  const hostile: Readonly<Record<string, readonly [what: Buffer, status: number]>> = {
    "speaks HTTP/1": [Buffer.from("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n"), 14],
    "sends noise": [Buffer.from(Array.from({ length: 4_096 }, (_, i) => (i * 7919) & 0xff)), 14],
    "sends a frame that is too long": [
      Buffer.concat([SETTINGS, Buffer.from([0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1])]),
      14,
    ],
    "sends headers that are no HPACK": [
      Buffer.concat([SETTINGS, frame(1, 5, 1, Buffer.from([0xff, 0xff, 0xff, 0xff]))]),
      14,
    ],
    "sends data before headers": [Buffer.concat([SETTINGS, frame(0, 0, 1, Buffer.from("x"))]), 14],
    "says goodbye with an error": [
      Buffer.concat([SETTINGS, frame(7, 0, 0, Buffer.from([0, 0, 0, 1, 0, 0, 0, 11]))]),
      14,
    ],
    // :status 200 by the static table, then the end: no grpc-status.
    "ends without a status": [Buffer.concat([SETTINGS, frame(1, 5, 1, Buffer.from([0x88]))]), 2],
    "ends with a head that has no status": [Buffer.concat([SETTINGS, frame(1, 5, 1, Buffer.from([0x84]))]), 14],
  };
  for (const [name, [answer, status]] of Object.entries(hostile)) {
    test(`a peer that ${name} costs its call, and nothing is left open`, async () => {
      const sockets = new Set<Socket>();
      const server = createServer((socket) => {
        sockets.add(socket);
        socket.on("error", () => {});
        socket.once("data", () => socket.write(answer));
      });
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      try {
        await using bench = new Bench((server.address() as AddressInfo).port);
        const call = bench.start("a", "Echo", { ...MESSAGE, timeoutMs: 2_000 });
        const end = await bench.end("a");
        assert.match(end, new RegExp(`^a close ${status} `));
        assert.doesNotMatch(end, /timeout/);
        call.cancel();
        await bench.untilGauge("upstream_rq_active", 0);
        assert.equal(bench.events.all.filter((event) => event.startsWith("a close")).length, 1);
      } finally {
        for (const socket of sockets) socket.destroy();
        server.close();
      }
    });
  }

  test("a call that is cancelled before there is a session leaves nothing behind", async () => {
    await using origin = await OddGrpcOrigin.start(ANSWERS);
    await using bench = new Bench(origin.port);
    const given = bench.start("a", "Echo", MESSAGE);
    await Promise.resolve();
    assert.equal(bench.fixture.gauge("upstream_rq_pending_active"), 1);
    given.cancel();
    assert.equal(bench.fixture.gauge("upstream_rq_pending_active"), 0);
    assert.equal(bench.fixture.counter("upstream_rq_cancelled"), 1);
    bench.start("b", "Echo", MESSAGE);
    assert.equal(await bench.end("b"), "b close 0 ");
    assert.ok(!bench.events.all.some((event) => event.startsWith("a ")));
  });

  test("what a deaf server does not read is kept up to 16 MiB, then its stream ends and no other does", async () => {
    await using origin = await OddGrpcOrigin.start(ANSWERS);
    await using bench = new Bench(origin.port);
    const deaf = bench.start("deaf", "Deaf");
    await bench.untilGauge("upstream_rq_active", 1);
    for (let i = 0; i < 20; i++) deaf.send(Buffer.alloc(1024 * 1024), false);
    assert.equal(await bench.end("deaf"), "deaf close 8 too much waits to be sent");
    assert.equal(bench.refused("send_buffer_full"), 1);
    bench.start("b", "Echo", { message: Buffer.alloc(15 * 1024 * 1024) });
    assert.equal(await bench.end("b"), "b close 0 ", "the room has been given back");
  });

  test("at most 1024 are under way, and room comes back", async () => {
    await using bench = new Bench(NOBODY);
    const open = Array.from({ length: 1024 }, (_, i) => bench.start(`n${i}`, "Slow"));
    assert.equal(bench.tryStart("over", "Slow"), "unavailable");
    assert.equal(bench.refused("too_many_calls"), 1);
    open[0]?.cancel();
    bench.start("fits", "Slow");
    await bench.end("fits");
    assert.equal(bench.events.all.length, 1024);
  });

  test("close() cancels what is under way and closes all sessions", async () => {
    await using origin = await OddGrpcOrigin.start(ANSWERS);
    await using bench = new Bench(origin.port);
    bench.start("open", "Slow");
    await bench.untilGauge("upstream_rq_active", 1);
    bench.calls.close();
    await bench.untilGauge("upstream_cx_active", 0);
    assert.deepEqual(bench.events.all, []);
    assert.equal(bench.fixture.gauge("upstream_rq_active"), 0);
  });
});
