// Reconnection and answers of one gRPC source, with a stream and a clock that the test moves.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { StreamSink } from "../../xds/ads-stream.ts";
import type { DiscoveryRequest, DiscoveryResponse } from "../../xds/discovery-messages.ts";
import { GrpcSource } from "../../xds/grpc-source.ts";
import type { Outcome } from "../../xds/subscriptions.ts";
import { CLUSTER_TYPE, ENDPOINTS_TYPE } from "../../xds/type-urls.ts";
import { ManualXdsClock } from "../support/xds-clock.ts";
import { sotwResponse } from "./transcript.ts";

const GOOD: Outcome = { accepted: new Map(), removed: [], refused: [], error: undefined, fingerprint: "" };
const bad = (fingerprint: string): Outcome => ({
  ...GOOD,
  error: { code: 13, message: `refused ${fingerprint}` },
  fingerprint,
});

class Scene {
  readonly clock = new ManualXdsClock();
  readonly sinks: StreamSink[] = [];
  readonly sent: DiscoveryRequest[] = [];
  readonly flow: string[] = [];
  isFull = false;
  failures = 0;
  outcome: (response: DiscoveryResponse) => Outcome | Promise<Outcome> = () => GOOD;
  readonly source = new GrpcSource({
    name: "ads",
    variant: "sotw",
    nodeOnEveryRequest: false,
    backoff: { baseMs: 500, maxMs: 30_000, jitter: "full" },
    open: (attempt, sink) => {
      this.sinks.push(sink);
      const stream = {
        send: (request: DiscoveryRequest) => {
          this.sent.push(request);
          return !this.isFull;
        },
        pause: () => void this.flow.push("pause"),
        resume: () => void this.flow.push("resume"),
        close: () => void this.flow.push("close"),
      };
      return { target: `server-${attempt % 2}`, stream };
    },
    take: (response) => this.outcome(response),
    clock: this.clock,
    random: () => 0.5,
    log: { debug() {}, info() {}, warn() {} },
    onChange() {},
    onFailure: () => {
      this.failures += 1;
    },
  });

  get sink(): StreamSink {
    return this.sinks.at(-1) as StreamSink;
  }

  wantClusters(): void {
    this.source.setInterest(CLUSTER_TYPE, { isWildcard: true, names: new Set() });
  }

  /** What was sent since the last call, in short. */
  take(): string[] {
    return this.sent.splice(0).map((request) => {
      const error = request.error === undefined ? "" : ` NACK ${request.error.message}`;
      return `${request.kind === "sotw" ? request.version || "-" : ""} ${request.nonce || "-"}${error}`;
    });
  }
}

test("GrpcSource connects at the first interest and not before", () => {
  const scene = new Scene();
  scene.source.setInterest(ENDPOINTS_TYPE, { isWildcard: false, names: new Set() });
  assert.equal(scene.sinks.length, 0);
  scene.wantClusters();
  assert.equal(scene.sinks.length, 1);
  assert.deepEqual(scene.take(), ["- -"]);
});

test("GrpcSource reconnects with longer and longer pauses, and turns through the servers", () => {
  const scene = new Scene();
  scene.wantClusters();
  const pauses: number[] = [];
  for (let i = 0; i < 9; i++) {
    scene.sink.onEnd("refused");
    pauses.push(scene.clock.delays[0] ?? -1);
    scene.clock.advance(pauses.at(-1) ?? 0);
  }
  // Half of 500 ms · 2^n, at most half of 30 s: `random` is 0.5.
  assert.deepEqual(pauses, [250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
  assert.equal(scene.sinks.length, 10);
  assert.equal(scene.source.status.target, "server-1");
  assert.equal(scene.source.status.lastError, "refused");
  assert.equal(scene.failures, 9);
});

test("GrpcSource starts with short pauses again after a message, not after a mere connection", () => {
  const scene = new Scene();
  scene.wantClusters();
  for (let i = 0; i < 3; i++) {
    scene.sink.onEnd("refused");
    scene.clock.advance(60_000);
  }
  scene.sink.onConnected();
  assert.equal(scene.source.status.isConnected, true);
  scene.sink.onEnd("the server ended the stream");
  assert.equal(scene.clock.delays[0], 2_000);
  scene.clock.advance(2_000);
  scene.sink.onResponse(sotwResponse(CLUSTER_TYPE, "v1", "n1"));
  scene.sink.onEnd("the server ended the stream");
  assert.equal(scene.clock.delays[0], 250);
  assert.equal(scene.source.status.isConnected, false);
});

test("GrpcSource says on a new stream what it has accepted", () => {
  const scene = new Scene();
  scene.wantClusters();
  scene.sink.onResponse(sotwResponse(CLUSTER_TYPE, "v1", "n1"));
  scene.sink.onEnd("gone");
  scene.take();
  scene.clock.advance(250);
  assert.deepEqual(scene.take(), ["v1 -"]);
});

test("GrpcSource does not loop with a server that sends refused content again at once", () => {
  const scene = new Scene();
  scene.outcome = ({ version }) => bad(version);
  scene.wantClusters();
  scene.take();
  // The server: every answer is followed by the same push.
  let answers = 0;
  const serve = () => {
    for (let pushed = 0; pushed < 1_000; pushed++) {
      scene.sink.onResponse(sotwResponse(CLUSTER_TYPE, "v1", `n${answers}`));
      const sent = scene.take();
      answers += sent.length;
      if (sent.length === 0) return;
    }
    assert.fail("a loop");
  };
  serve();
  assert.equal(answers, 1);
  for (let seconds = 0; seconds < 60; seconds++) {
    scene.clock.advance(1_000);
    const sent = scene.take();
    answers += sent.length;
    if (sent.length > 0) serve();
  }
  assert.ok(answers >= 6 && answers <= 15, `${answers} answers in a minute`);
});

test("GrpcSource acknowledges repaired content at once, without the held refusal", () => {
  const scene = new Scene();
  scene.wantClusters();
  scene.take();
  scene.outcome = () => bad("v1");
  scene.sink.onResponse(sotwResponse(CLUSTER_TYPE, "v1", "n1"));
  scene.sink.onResponse(sotwResponse(CLUSTER_TYPE, "v1", "n2"));
  assert.deepEqual(scene.take(), ["- n1 NACK refused v1"]);
  scene.outcome = () => GOOD;
  scene.sink.onResponse(sotwResponse(CLUSTER_TYPE, "v2", "n3"));
  assert.deepEqual(scene.take(), ["v2 n3"]);
  scene.clock.advance(60_000);
  assert.deepEqual(scene.take(), []);
});

test("GrpcSource sends a held refusal soon after the server has moved on with another type", () => {
  const scene = new Scene();
  scene.wantClusters();
  scene.source.setInterest(ENDPOINTS_TYPE, { isWildcard: false, names: new Set(["a"]) });
  scene.take();
  scene.outcome = ({ typeUrl, version }) => (typeUrl === CLUSTER_TYPE ? bad(version) : GOOD);
  scene.sink.onResponse(sotwResponse(ENDPOINTS_TYPE, "v1", "e1"));
  scene.sink.onResponse(sotwResponse(CLUSTER_TYPE, "v2", "c1"));
  scene.sink.onResponse(sotwResponse(CLUSTER_TYPE, "v2", "c2"));
  assert.deepEqual(scene.take(), ["v1 e1", "- c1 NACK refused v2"]);
  // The same version again is no news, nor is the one that was refused.
  scene.sink.onResponse(sotwResponse(ENDPOINTS_TYPE, "v1", "e2"));
  scene.sink.onResponse(sotwResponse(ENDPOINTS_TYPE, "v2", "e3"));
  assert.deepEqual(scene.take(), ["v1 e2", "v2 e3"]);
  scene.clock.advance(100);
  assert.deepEqual(scene.take(), []);
  scene.sink.onResponse(sotwResponse(ENDPOINTS_TYPE, "v3", "e4"));
  assert.deepEqual(scene.take(), ["v3 e4"]);
  scene.clock.advance(49);
  // More news does not keep it waiting.
  scene.sink.onResponse(sotwResponse(ENDPOINTS_TYPE, "v4", "e5"));
  assert.deepEqual(scene.take(), ["v4 e5"]);
  scene.clock.advance(1);
  assert.deepEqual(scene.take(), ["- c2 NACK refused v2"]);
});

test("GrpcSource takes responses of one type in their order, and other types meanwhile", async () => {
  const scene = new Scene();
  scene.wantClusters();
  scene.source.setInterest(ENDPOINTS_TYPE, { isWildcard: false, names: new Set(["a"]) });
  scene.take();
  const prepared = Promise.withResolvers<Outcome>();
  const taken: string[] = [];
  scene.outcome = ({ nonce }) => {
    taken.push(nonce);
    return nonce === "n1" ? prepared.promise : GOOD;
  };
  scene.sink.onResponse(sotwResponse(CLUSTER_TYPE, "v1", "n1"));
  scene.sink.onResponse(sotwResponse(CLUSTER_TYPE, "v2", "n2"));
  scene.sink.onResponse(sotwResponse(ENDPOINTS_TYPE, "e1", "n3", "a"));
  assert.deepEqual([taken, scene.take()], [["n1", "n3"], ["e1 n3"]]);
  prepared.resolve(GOOD);
  await prepared.promise;
  await Promise.resolve();
  assert.deepEqual(taken, ["n1", "n3", "n2"]);
  assert.deepEqual(scene.take(), ["v1 n1", "v2 n2"]);
});

test("GrpcSource stops reading a server that floods it while something is prepared", async () => {
  const scene = new Scene();
  scene.wantClusters();
  const prepared = Promise.withResolvers<Outcome>();
  scene.outcome = ({ nonce }) => (nonce === "n0" ? prepared.promise : GOOD);
  for (let i = 0; i < 12; i++) scene.sink.onResponse(sotwResponse(CLUSTER_TYPE, `v${i}`, `n${i}`));
  assert.ok(scene.flow.includes("pause"));
  assert.ok(!scene.flow.includes("resume"));
  prepared.resolve(GOOD);
  await prepared.promise;
  await Promise.resolve();
  assert.equal(scene.flow.at(-1), "resume");
});

test("GrpcSource waits while the stream's buffer is full", () => {
  const scene = new Scene();
  scene.isFull = true;
  scene.wantClusters();
  scene.source.setInterest(ENDPOINTS_TYPE, { isWildcard: false, names: new Set(["a"]) });
  assert.equal(scene.take().length, 1);
  scene.isFull = false;
  scene.sink.onDrain();
  assert.equal(scene.take().length, 1);
});

test("GrpcSource does nothing more after close()", () => {
  const scene = new Scene();
  scene.wantClusters();
  const [sink] = scene.sinks;
  scene.source.close();
  sink?.onEnd("closed");
  scene.clock.advance(60_000);
  assert.equal(scene.sinks.length, 1);
  assert.deepEqual(scene.clock.delays, []);
  assert.equal(scene.flow.at(-1), "close");
});
