// Frames of gRPC, cut anywhere: what goes in as messages comes out as messages, and what is too large or compressed is said.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { grpcFrame, GrpcFrameReader } from "../../../sidecar/upstream/grpc-frames.ts";

function read(chunks: readonly Uint8Array[], maxMessageBytes = 1_000) {
  const messages: Buffer[] = [];
  const reader = new GrpcFrameReader(maxMessageBytes, (message) => messages.push(Buffer.from(message)));
  for (const chunk of chunks) {
    const problem = reader.push(chunk);
    if (problem !== undefined) return { messages, problem };
  }
  return { messages, problem: undefined };
}

test("messages come out whole, however the bytes are cut", () => {
  const message = fc.uint8Array({ maxLength: 40 });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 6 }), fc.array(fc.nat(300), { maxLength: 8 }), (messages, cuts) => {
      const bytes = Buffer.concat(messages.map(grpcFrame));
      const places = [...cuts.filter((cut) => cut < bytes.length).toSorted((a, b) => a - b), bytes.length];
      const chunks = places.map((place, i) => bytes.subarray(places[i - 1] ?? 0, place));
      assert.deepEqual(read(chunks), { messages: messages.map((each) => Buffer.from(each)), problem: undefined });
    }),
  );
});

test("a message over the limit is refused by its length alone, one at the limit passes", () => {
  assert.equal(read([grpcFrame(Buffer.alloc(10))], 10).messages.length, 1);
  const head = grpcFrame(Buffer.alloc(11)).subarray(0, 5);
  assert.equal(read([head], 10).problem, "too-large");
  assert.equal(read([Uint8Array.of(0, 0xff, 0xff, 0xff, 0xff)]).problem, "too-large");
});

test("a compressed message is refused, an empty one is not", () => {
  assert.equal(read([Uint8Array.of(1, 0, 0, 0, 1, 7)]).problem, "compressed");
  assert.deepEqual(read([Uint8Array.of(1, 0, 0, 0, 0)]), { messages: [Buffer.alloc(0)], problem: undefined });
});

test("messages before a bad one are given out", () => {
  const { messages, problem } = read([Buffer.concat([grpcFrame(Buffer.from("ok")), Uint8Array.of(1, 0, 0, 0, 1, 7)])]);
  assert.deepEqual([messages.map(String), problem], [["ok"], "compressed"]);
});
