// Many requests against an upstream that does everything wrong, in an order that a seed decides: whatever happens, each
// request gets exactly one ending, no request ever gets another one's response, and nothing is left behind.

import assert from "node:assert/strict";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { it } from "node:test";

import { within } from "../../support/fake-upstream.ts";
import { buildBreakers, PoolFixture } from "../../support/pool-fixture.ts";
import { buildRequest, RecordingWaiter } from "../../support/recording-waiter.ts";
import { seededRandom } from "../../support/seeded-random.ts";

const REQUESTS = 1_500;
const CONCURRENCY = 40;
const ENDINGS = /^(end|reset|failure)/;

/** Answers with the path as body; mostly well, sometimes in one of the ways in which upstreams fail. */
function misbehave(socket: Socket, path: string, random: () => number): void {
  const body = path.repeat(1 + Math.floor(random() * 40));
  const plain = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const chunked = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
  const choices: (() => void)[] = [
    () => socket.end(plain, "latin1"),
    () => socket.end(plain.replace("OK\r\n", "OK\r\nConnection: close\r\n"), "latin1"),
    () => socket.write(`${plain}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison`, "latin1"),
    () => socket.resetAndDestroy(),
    () => socket.end(),
    () => socket.end(plain.slice(0, -1), "latin1"),
    () => socket.write(plain.slice(0, 20), "latin1", () => socket.resetAndDestroy()),
    () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: nonsense\r\n\r\n", "latin1"),
    () => socket.end(`HTTP/1.1 200 OK\r\n\r\n${body}`, "latin1"),
    () => socket.write(`HTTP/1.1 100 Continue\r\n\r\n${plain}`, "latin1"),
    () => socket.write(plain, "latin1", () => setImmediate(() => socket.end())),
  ];
  const choice = random() < 0.6 ? undefined : choices[Math.floor(random() * choices.length)];
  if (choice === undefined) {
    const text = random() < 0.5 ? plain : chunked;
    const cut = Math.floor(random() * text.length);
    socket.write(text.slice(0, cut), "latin1", () => socket.write(text.slice(cut), "latin1"));
  } else {
    choice();
  }
}

for (const seed of [1, 2, 3]) {
  it(`the pool survives an upstream that does everything wrong, seed ${seed}`, async () => {
    const random = seededRandom(seed);
    const sockets = new Set<Socket>();
    const server = createServer({ noDelay: true }, (socket) => {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => sockets.delete(socket));
      socket.on("data", (chunk) => {
        const path = /^\w+ (\S+)/.exec(chunk.toString("latin1"))?.[1];
        if (path !== undefined && !socket.writableEnded) {
          misbehave(socket, path, random);
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const fixture = new PoolFixture([(server.address() as AddressInfo).port], {
      circuitBreakers: buildBreakers({ maxConnections: 20, maxPendingRequests: 30 }),
      idleTimeoutMs: 20,
    });
    const { pool } = fixture;
    const waiters: RecordingWaiter[] = [];
    const ended = new Set<RecordingWaiter>();
    const done = Promise.withResolvers<void>();
    let given = 0;

    const next = (): void => {
      if (given === REQUESTS) {
        if (ended.size === REQUESTS) {
          done.resolve();
        }
        return;
      }
      const path = `/${given++}`;
      const waiter = RecordingWaiter.sending(buildRequest("GET", path));
      waiters.push(waiter);
      const finish = (): void => {
        assert.ok(!ended.has(waiter), `${path} ended twice: ${waiter.story}`);
        ended.add(waiter);
        // From within the pool's call about every second time, from a turn of its own otherwise.
        if (random() < 0.5) {
          next();
        } else {
          setImmediate(next);
        }
      };
      waiter.onEnd = finish;
      pool.acquire(waiter, random() < 0.2 ? 1 : 0, random() < 0.1);
      if (random() < 0.05 && !ended.has(waiter)) {
        setImmediate(() => {
          if (!ended.has(waiter)) {
            if (!pool.cancel(waiter)) {
              waiter.stream.abort();
            }
            waiter.gaveUp = true;
            finish();
          }
        });
      }
    };
    for (let index = 0; index < CONCURRENCY; index++) {
      next();
    }
    await within(done.promise, "the end of all requests", 20_000);

    let complete = 0;
    for (const [index, waiter] of waiters.entries()) {
      const endings = waiter.events.filter((event) => ENDINGS.test(event)).length;
      assert.equal(endings, waiter.gaveUp ? 0 : 1, waiter.story);
      if (waiter.events.at(-1) === "end") {
        complete++;
        assert.equal(waiter.body.replaceAll(`/${index}`, ""), "", `request ${index} got ${waiter.body.slice(0, 40)}`);
      }
    }
    assert.ok(complete > REQUESTS / 2, `${complete} complete`);
    fixture.cluster.dispose();
    assert.equal(pool.isEmpty, true);
    for (const gauge of ["upstream_cx_active", "upstream_rq_active", "upstream_rq_pending_active"]) {
      assert.equal(fixture.gauge(gauge), 0, gauge);
    }
    for (const limit of ["cx_open", "rq_pending_open", "rq_open"]) {
      assert.equal(fixture.gauge(`circuit_breakers.default.${limit}`), 0, limit);
    }
    assert.equal(fixture.counter("upstream_cx_destroy"), fixture.counter("upstream_cx_total"));
    fixture.wheel.close();
    for (const socket of sockets) {
      socket.destroy();
    }
    await new Promise((resolve) => server.close(resolve));
  });
}
