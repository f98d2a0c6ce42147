// Large bodies through the real process: streamed in both directions, at the pace of the slower side, with bounded memory;
// and a filter that wants a whole body gets it up to the buffer limit and no further.

import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { after, before, suite, test } from "node:test";
import { bootstrap, cluster, guest, listener, wasmFilter } from "../support/bootstrap-builder.ts";
import { RawClient } from "../support/raw-client.ts";
import { RecordingOrigin } from "../support/recording-origin.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";
import { until } from "../support/sidecar-story.ts";

const MIB = 1024 * 1024;
const LARGE = 192 * MIB;
const CHUNK = Buffer.alloc(64 * 1024, "x");
/** Kernel buffers of four sockets and the proxy's own 1 MiB a side, with room. */
const MOST_IN_FLIGHT = 24 * MIB;
const BUFFER_LIMIT = 8_192;

/** Writes `total` bytes as fast as the socket takes them, counting what it took. */
class Writer {
  sent = 0;
  readonly #socket: Socket;
  readonly #total: number;

  constructor(socket: Socket, total: number) {
    this.#socket = socket;
    this.#total = total;
    socket.on("drain", () => this.#fill());
    this.#fill();
  }

  #fill(): void {
    while (this.sent < this.#total) {
      this.sent += CHUNK.length;
      if (!this.#socket.write(CHUNK)) {
        return;
      }
    }
  }
}

/** Resolves once the writer has got no further for 150 ms. */
async function untilStalled(writer: Writer): Promise<number> {
  let last = -1;
  let since = performance.now();
  await until(
    "a writer that is held back",
    () => {
      if (writer.sent !== last) {
        last = writer.sent;
        since = performance.now();
      }
      return performance.now() - since;
    },
    (quietMs) => quietMs > 150 && writer.sent > 0,
  );
  return writer.sent;
}

/** An origin that hands each accepted socket to the test. */
class RawOrigin implements AsyncDisposable {
  readonly #server = createServer();
  readonly #sockets: Socket[] = [];

  static async start(): Promise<RawOrigin> {
    const origin = new RawOrigin();
    origin.#server.on("connection", (socket) => {
      socket.on("error", () => undefined);
      origin.#sockets.push(socket);
    });
    await once(origin.#server.listen(0, "127.0.0.1"), "listening");
    return origin;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The next connection, once it has been accepted. */
  async accepted(): Promise<Socket> {
    const [socket] = (await once(this.#server, "connection")) as [Socket];
    return socket;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#sockets.forEach((socket) => socket.destroy());
    this.#server.close();
    await once(this.#server, "close");
  }
}

async function connected(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  await once(socket, "connect");
  return socket;
}

/** Reads to the end of `total` body bytes; the head is not counted. */
async function readBody(socket: Socket, total: number): Promise<number> {
  let head = "";
  let body = 0;
  const done = Promise.withResolvers<number>();
  socket.on("close", () => done.resolve(body));
  socket.on("data", (chunk: Buffer) => {
    if (head.includes("\r\n\r\n")) {
      body += chunk.length;
    } else {
      head += chunk.toString("latin1");
      const end = head.indexOf("\r\n\r\n");
      body = end < 0 ? 0 : head.length - end - 4;
    }
    if (body >= total) {
      done.resolve(body);
    }
  });
  return done.promise;
}

suite("large bodies", { timeout: 60_000 }, () => {
  const owned = new AsyncDisposableStack();
  let origin: RawOrigin;
  let recording: RecordingOrigin;
  let sidecar: SidecarProcess;

  before(async () => {
    origin = owned.use(await RawOrigin.start());
    recording = owned.use(await RecordingOrigin.start(() => undefined));
    const buffering = listener("buffering", {
      routes: [{ match: { prefix: "/" }, route: { cluster: "recording" } }],
      filters: [wasmFilter("body-buffer", guest("body-buffer"), "request append !")],
    });
    sidecar = owned.use(
      await SidecarProcess.start(
        bootstrap({
          listeners: [
            listener("plain", { routes: [{ match: { prefix: "/" }, route: { cluster: "origin", timeout: "0s" } }] }),
            { ...buffering, per_connection_buffer_limit_bytes: BUFFER_LIMIT },
          ],
          clusters: [cluster("origin", [origin.port]), cluster("recording", [recording.port])],
        }),
      ),
    );
  });
  after(() => owned.disposeAsync());

  /** Also after a failure: a connection that stays in the pool would serve the next test's request, which waits for a new one. */
  async function close(...sockets: readonly Socket[]): Promise<void> {
    sockets.forEach((socket) => socket.destroy());
    await until(
      "no upstream connection",
      () => sidecar.stat("cluster.origin.upstream_cx_active"),
      (active) => active === 0,
    );
  }

  test("a response waits for a client that does not read, in bounded memory, and then arrives whole", async (t) => {
    const restBytes = sidecar.residentBytes;
    const accepted = origin.accepted();
    const client = await connected(sidecar.port("plain"));
    client.pause();
    client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const upstream = await accepted;
    t.after(() => close(upstream, client));
    await once(upstream, "data");
    upstream.write(`HTTP/1.1 200 OK\r\ncontent-length: ${LARGE}\r\n\r\n`);
    const writer = new Writer(upstream, LARGE);
    const held = await untilStalled(writer);
    assert.ok(held < MOST_IN_FLIGHT, `${held} bytes were taken`);
    const body = readBody(client, LARGE);
    client.resume();
    assert.equal(await body, LARGE);
    const grown = sidecar.residentBytes - restBytes;
    assert.ok(grown < LARGE / 2, `the process grew by ${grown} bytes`);
  });

  test("a request waits for an upstream that does not read, in bounded memory, and then arrives whole", async (t) => {
    const restBytes = sidecar.residentBytes;
    const accepted = origin.accepted();
    const client = await connected(sidecar.port("plain"));
    client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${LARGE}\r\n\r\n`);
    const upstream = await accepted;
    t.after(() => close(upstream, client));
    upstream.pause();
    const writer = new Writer(client, LARGE);
    const held = await untilStalled(writer);
    assert.ok(held < MOST_IN_FLIGHT, `${held} bytes were taken`);
    const body = readBody(upstream, LARGE);
    upstream.resume();
    assert.equal(await body, LARGE);
    upstream.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    const [answer] = (await once(client, "data")) as [Buffer];
    assert.match(answer.toString("latin1"), /^HTTP\/1\.1 200 OK\r\n/);
    const grown = sidecar.residentBytes - restBytes;
    assert.ok(grown < LARGE / 2, `the process grew by ${grown} bytes`);
  });

  test("a plugin that buffers gets a body below the limit whole; one above is answered with 413", async () => {
    const post = (size: number): string =>
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n${"b".repeat(size)}`;
    const client = await RawClient.connect(sidecar.port("buffering"));
    client.send(post(BUFFER_LIMIT - 1_000));
    assert.match(await client.receiveUntil("POST /"), /^HTTP\/1\.1 200 OK\r\n/);
    assert.equal(recording.requests.at(-1)?.body, `${"b".repeat(BUFFER_LIMIT - 1_000)}!`);
    client.send(post(1 * MIB));
    const received = await client.receive((text) => text.endsWith("Payload Too Large"));
    assert.match(received, /^HTTP\/1\.1 413 Payload Too Large\r\n/);
    assert.equal(recording.requests.length, 1, "the body did not reach the upstream");
    assert.equal(await sidecar.stat("http.buffering.downstream_rq_too_large"), 1);
    client.destroy();
  });
});
