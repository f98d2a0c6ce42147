/**
 * CPU time of one request through the pool, a connection, the codec and a loopback socket, client side only: the upstream
 * runs in a process of its own. Beside it the same exchange by hand over `net.Socket`, which is the floor.
 * Run: node test/bench/pool.ts [requests]
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { Socket } from "node:net";
import { fileURLToPath } from "node:url";

import type { ResponseHead } from "../../sidecar/http/message.ts";
import type { StreamWaiter, UpstreamStream } from "../../sidecar/http/stream.ts";
import { PoolFixture } from "../support/pool-fixture.ts";
import { buildRequest } from "../support/recording-waiter.ts";

const CONCURRENCY = 50;
const REQUESTS = Number(process.argv[2] ?? 200_000);
const HEAD = buildRequest("GET", "/", { "User-Agent": "bench", Accept: "*/*" });

/** Sends requests one after the other until the work is done. */
class Loop implements StreamWaiter {
  readonly #fixture: PoolFixture;
  readonly #work: { left: number; onDone: () => void };

  constructor(fixture: PoolFixture, work: { left: number; onDone: () => void }) {
    this.#fixture = fixture;
    this.#work = work;
  }

  next(): void {
    if (this.#work.left-- > 0) {
      this.#fixture.cluster.choose()?.pool.acquire(this);
    } else if (this.#work.left === -CONCURRENCY) {
      this.#work.onDone();
    }
  }

  onPoolReady(stream: UpstreamStream): void {
    stream.request(HEAD, true);
  }

  onPoolFailure(error: Error): void {
    throw error;
  }

  onInformational(_head: ResponseHead): void {}

  onResponse(_head: ResponseHead, end: boolean): void {
    if (end) {
      this.next();
    }
  }

  onResponseData(_chunk: Uint8Array, end: boolean): void {
    if (end) {
      this.next();
    }
  }

  onResponseTrailers(): void {
    this.next();
  }

  onUpstreamReset(error: Error): void {
    throw error;
  }

  onRequestBlocked(): void {}
}

function cpuMicros(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

async function throughPool(port: number): Promise<number> {
  using fixture = new PoolFixture([port]);
  const done = Promise.withResolvers<void>();
  const work = { left: REQUESTS, onDone: done.resolve };
  const before = cpuMicros();
  for (let index = 0; index < CONCURRENCY; index++) {
    new Loop(fixture, work).next();
  }
  await done.promise;
  return (cpuMicros() - before) / REQUESTS;
}

async function byHand(port: number): Promise<number> {
  const request = `GET / HTTP/1.1\r\n${HEAD.headers.write()}\r\n`;
  const buffer = Buffer.alloc(65_536);
  const done = Promise.withResolvers<void>();
  let left = REQUESTS;
  const sockets: Socket[] = [];
  const before = cpuMicros();
  for (let index = 0; index < CONCURRENCY; index++) {
    const socket: Socket = new Socket({
      noDelay: true,
      onread: {
        buffer,
        callback: () => {
          if (left-- > 0) {
            socket.write(request, "latin1");
          } else if (left === -CONCURRENCY) {
            done.resolve();
          }
          return true;
        },
      },
    });
    sockets.push(socket);
    socket.connect({ host: "127.0.0.1", port });
    left--;
    socket.write(request, "latin1");
  }
  await done.promise;
  for (const socket of sockets) {
    socket.destroy();
  }
  return (cpuMicros() - before) / REQUESTS;
}

const origin = spawn(process.execPath, [fileURLToPath(new URL("pool-origin.ts", import.meta.url))], {
  stdio: ["ignore", "pipe", "inherit"],
});
try {
  const [line] = (await once(origin.stdout, "data")) as [Buffer];
  const port = Number(line.toString().trim());
  for (let round = 0; round < 3; round++) {
    const hand = await byHand(port);
    const pool = await throughPool(port);
    console.log(`by hand ${hand.toFixed(2)} µs, through the pool ${pool.toFixed(2)} µs of CPU for each request`);
  }
} finally {
  origin.kill();
}
