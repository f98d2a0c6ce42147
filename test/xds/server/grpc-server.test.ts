// Large messages over a real connection: each arrives whole, and what it was encoded into is freed as soon as it is sent.

import assert from "node:assert/strict";
import { test } from "node:test";
import { openMessages } from "../../../xds/ads-stream.ts";
import { systemClock } from "../../../xds/clock.ts";
import { GrpcServer } from "../../../xds/server/grpc-server.ts";

const PATH = "/test.Service/Stream";
const SMALL = 1000;
const LARGE = 1_000_000;

test("a response arrives as it was encoded; large ones leave no garbage behind", async (t) => {
  const sizes = [SMALL, LARGE, SMALL, LARGE, LARGE];
  const encoded: Uint8Array[] = [];
  const server = new GrpcServer(systemClock);
  t.after(() => server.close());
  server.serve<Uint8Array, number>({
    path: PATH,
    decode: (bytes) => ({ ok: true, value: bytes }),
    encode: (size) => {
      const bytes = new Uint8Array(size).fill(encoded.length + 1);
      encoded.push(bytes);
      return bytes;
    },
    onStream: (_peer, stream) => {
      sizes.forEach((size) => stream.send(size));
      return { onRequest() {}, onEnd() {} };
    },
  });
  const port = await server.listen("127.0.0.1", 0);
  const settings = { target: `ipv4:127.0.0.1:${port}`, authority: "", method: PATH, metadata: [], tls: undefined };
  const limits = {
    keepAlive: undefined,
    tcpKeepAliveMs: undefined,
    connectTimeoutMs: 5000,
    maxMessageBytes: 2 * LARGE,
  };
  const received: Uint8Array[] = [];
  await new Promise<void>((resolve, reject) => {
    const sink = {
      onConnected() {},
      onDrain() {},
      onEnd: (reason: string) => reject(new Error(reason)),
      onResponse: (bytes: Uint8Array) => {
        received.push(bytes);
        if (received.length === sizes.length) resolve();
      },
    };
    const codec = {
      encode: (bytes: Uint8Array) => bytes,
      decode: (bytes: Uint8Array) => ({ ok: true, value: bytes }) as const,
    };
    const stream = openMessages<Uint8Array, Uint8Array>({ ...settings, ...limits }, sink, codec);
    stream.send(new Uint8Array(1));
    t.after(() => stream.close());
  });
  assert.deepEqual(
    received.map((bytes) => [bytes.length, [...new Set(bytes)]]),
    sizes.map((size, i) => [size, [i + 1]]),
  );
  assert.deepEqual(
    encoded.map(({ buffer }) => (buffer as ArrayBuffer).detached),
    sizes.map((size) => size === LARGE),
  );
});
