import assert from "node:assert/strict";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { describe, it } from "node:test";

import { FakeUpstream } from "../../support/fake-upstream.ts";
import { buildBreakers, OK, PoolFixture, sending } from "../../support/pool-fixture.ts";

/** A port that nobody listens on. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe("ConnectionPool reuse", () => {
  it("acquire() reuses an idle connection at once, before it returns", async () => {
    await using upstream = await FakeUpstream.start({ respond: OK });
    using fixture = new PoolFixture([upstream.port]);
    const first = await fixture.serve();
    assert.equal(first.stream.reused, false);
    for (let request = 0; request < 5; request++) {
      const waiter = sending();
      fixture.pool.acquire(waiter);
      assert.equal(waiter.story, "ready");
      assert.equal(waiter.stream.reused, true);
      assert.equal(waiter.stream.remoteAddress, `127.0.0.1:${upstream.port}`);
      assert.match(waiter.stream.localAddress, /^127\.0\.0\.1:\d+$/);
      await waiter.untilEnd();
    }
    assert.equal(upstream.connections.length, 1);
    assert.equal(fixture.counter("upstream_cx_total"), 1);
    assert.equal(fixture.counter("upstream_cx_http1_total"), 1);
    assert.equal(fixture.counter("upstream_rq_total"), 6);
    assert.equal(fixture.counter("upstream_rq_pending_total"), 1);
    assert.equal(fixture.gauge("upstream_rq_active"), 0);
    assert.equal(fixture.host.counts.rqTotal, 6);
  });

  it("acquire() prefers the connection that was used last", async () => {
    await using upstream = await FakeUpstream.start();
    using fixture = new PoolFixture([upstream.port]);
    const waiters = [sending(), sending()];
    for (const waiter of waiters) {
      fixture.pool.acquire(waiter);
    }
    const connections = [await upstream.connection(0), await upstream.connection(1)] as const;
    for (const connection of connections) {
      await connection.untilRequests(1);
      connection.send(OK);
    }
    await Promise.all(waiters.map((waiter) => waiter.untilEnd()));
    const first = sending();
    fixture.pool.acquire(first);
    const address = first.stream.localAddress;
    const connection = connections.find((c) => address.endsWith(`:${c.socket.remotePort}`));
    await connection?.untilRequests(2);
    connection?.send(OK);
    await first.untilEnd();
    const second = sending();
    fixture.pool.acquire(second);
    assert.equal(second.stream.localAddress, address);
    second.stream.abort();
  });

  it("a stream that is over cannot disturb the connection's next request", async () => {
    await using upstream = await FakeUpstream.start({ respond: OK });
    using fixture = new PoolFixture([upstream.port]);
    const old = await fixture.serve();
    const waiter = sending();
    fixture.pool.acquire(waiter);
    old.stream.pauseResponse();
    old.stream.data(Buffer.from("x"), true);
    old.stream.abort();
    await waiter.untilEnd();
    assert.equal(waiter.body, "ok");
    assert.ok(!upstream.connections[0]?.received.includes("x"));
  });

  it("a pause that outlives its response does not stop the connection", async () => {
    const respond = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n";
    await using upstream = await FakeUpstream.start({ respond });
    using fixture = new PoolFixture([upstream.port]);
    const waiter = sending();
    waiter.onData = () => waiter.stream.pauseResponse();
    fixture.pool.acquire(waiter);
    await waiter.untilEnd();
    await fixture.serve();
    assert.equal(upstream.connections.length, 1);
  });

  it("drops an idle connection when the upstream closes it", async () => {
    await using upstream = await FakeUpstream.start({ respond: OK });
    using fixture = new PoolFixture([upstream.port]);
    await fixture.serve();
    upstream.connections[0]?.end();
    await upstream.connections[0]?.untilClosed();
    assert.equal(fixture.pool.isEmpty, true);
    assert.equal(fixture.counter("upstream_cx_destroy_remote"), 1);
    assert.equal(fixture.counter("upstream_cx_destroy_with_active_rq"), 0);
    const next = await fixture.serve();
    assert.equal(next.stream.reused, false);
  });

  it("closes an idle connection on which a byte comes: it would poison the next response", async () => {
    await using upstream = await FakeUpstream.start({ respond: OK });
    using fixture = new PoolFixture([upstream.port]);
    await fixture.serve();
    upstream.connections[0]?.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
    await upstream.connections[0]?.untilClosed();
    assert.equal((await fixture.serve()).body, "ok");
    assert.equal(upstream.connections.length, 2);
    assert.equal(fixture.counter("upstream_cx_protocol_error"), 1);
  });

  it("closes idle connections before the upstream's own keep-alive ends", async () => {
    const respond = "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok";
    await using upstream = await FakeUpstream.start({ respond });
    using fixture = new PoolFixture([upstream.port]);
    const before = performance.now();
    await fixture.serve();
    await upstream.connections[0]?.untilClosed();
    const elapsed = performance.now() - before;
    assert.ok(elapsed > 450 && elapsed < 950, `${elapsed} ms`);
    assert.equal(fixture.counter("upstream_cx_idle_timeout"), 1);
    assert.equal(fixture.counter("upstream_cx_destroy_local"), 1);
  });

  it("closes idle connections after the cluster's idle timeout", async () => {
    await using upstream = await FakeUpstream.start({ respond: OK });
    using fixture = new PoolFixture([upstream.port], { idleTimeoutMs: 50 });
    await fixture.serve();
    await upstream.connections[0]?.untilClosed();
    assert.equal(fixture.counter("upstream_cx_idle_timeout"), 1);
    assert.equal(fixture.gauge("upstream_cx_active"), 0);
  });

  it("an idle timeout ends with the next request, and with the connection", async () => {
    await using upstream = await FakeUpstream.start();
    using fixture = new PoolFixture([upstream.port], { idleTimeoutMs: 40 });
    const first = sending();
    fixture.pool.acquire(first);
    const connection = await upstream.connection(0);
    await connection.untilRequests(1);
    connection.send(OK);
    await first.untilEnd();
    const slow = sending();
    fixture.pool.acquire(slow);
    await connection.untilRequests(2);
    // Longer than the idle timeout: the connection is busy, not idle.
    setTimeout(() => connection.send(OK), 100);
    await slow.untilEnd();
    connection.end();
    await connection.untilClosed();
    await new Promise((resolve) => setTimeout(resolve, 60));
    assert.equal(fixture.counter("upstream_cx_idle_timeout"), 0);
    assert.equal(fixture.counter("upstream_cx_destroy"), 1);
  });

  it("closes a connection after max_requests_per_connection", async () => {
    await using upstream = await FakeUpstream.start({ respond: OK });
    using fixture = new PoolFixture([upstream.port], { maxRequestsPerConnection: 2 });
    await fixture.serve();
    assert.equal(fixture.gauge("upstream_cx_active"), 1);
    await fixture.serve();
    assert.equal(fixture.gauge("upstream_cx_active"), 0);
    assert.equal(fixture.counter("upstream_cx_max_requests"), 1);
    await fixture.serve();
    assert.equal(upstream.connections.length, 2);
  });
});

describe("ConnectionPool limits", () => {
  it("max_connections makes requests wait, and serves them in order", async () => {
    await using upstream = await FakeUpstream.start();
    using fixture = new PoolFixture([upstream.port], { circuitBreakers: buildBreakers({ maxConnections: 1 }) });
    const waiters = [sending(), sending(), sending()];
    for (const waiter of waiters) {
      fixture.pool.acquire(waiter);
    }
    const connection = await upstream.connection(0);
    for (const [index, waiter] of waiters.entries()) {
      await connection.untilRequests(index + 1);
      assert.equal(fixture.gauge("upstream_rq_pending_active"), 2 - index);
      connection.send(OK);
      await waiter.untilEnd();
    }
    assert.equal(upstream.connections.length, 1);
    assert.equal(fixture.counter("upstream_cx_overflow"), 2);
    assert.equal(fixture.gauge("circuit_breakers.default.cx_open"), 1);
  });

  it("a host without a connection may open one above max_connections", async () => {
    await using one = await FakeUpstream.start({ respond: OK });
    await using two = await FakeUpstream.start({ respond: OK });
    using fixture = new PoolFixture([one.port, two.port], { circuitBreakers: buildBreakers({ maxConnections: 1 }) });
    for (const host of fixture.cluster.hosts) {
      const waiter = sending();
      host.pool.acquire(waiter);
      await waiter.untilEnd();
    }
    assert.equal(fixture.gauge("upstream_cx_active"), 2);
  });

  it("max_pending_requests fails further requests at once with upstream_overflow", async () => {
    await using upstream = await FakeUpstream.start();
    using fixture = new PoolFixture([upstream.port], {
      circuitBreakers: buildBreakers({ maxConnections: 1, maxPendingRequests: 1 }),
    });
    const waiting = sending();
    const refused = sending();
    fixture.pool.acquire(waiting);
    fixture.pool.acquire(refused);
    assert.equal(waiting.story, "");
    assert.equal(refused.story, "failure upstream_overflow");
    assert.equal(fixture.counter("upstream_rq_pending_overflow"), 1);
    assert.equal(fixture.gauge("circuit_breakers.default.rq_pending_open"), 1);
    // The other priority has a breaker of its own.
    const high = sending();
    fixture.pool.acquire(high, 1);
    assert.equal(high.story, "");
  });

  it("max_requests fails requests above it, on idle connections and new ones", async () => {
    await using upstream = await FakeUpstream.start();
    using fixture = new PoolFixture([upstream.port], { circuitBreakers: buildBreakers({ maxRequests: 1 }) });
    const first = sending();
    const second = sending();
    fixture.pool.acquire(first);
    fixture.pool.acquire(second);
    await second.until("failure upstream_overflow");
    assert.equal(first.story, "ready");
    const third = sending();
    fixture.pool.acquire(third);
    assert.equal(third.story, "failure upstream_overflow");
    assert.equal(fixture.gauge("circuit_breakers.default.rq_open"), 1);
    assert.equal(fixture.counter("upstream_rq_active_overflow"), 2);
    assert.equal(fixture.counter("upstream_rq_pending_overflow"), 0);
    const connection = await upstream.connection(0);
    await connection.untilRequests(1);
    connection.send(OK);
    await first.untilEnd();
    assert.equal(fixture.gauge("circuit_breakers.default.rq_open"), 0);
    assert.equal(fixture.gauge("upstream_rq_pending_active"), 0);
  });
});

describe("ConnectionPool connecting", () => {
  it("fails everyone who waits when the connection is refused", async () => {
    using fixture = new PoolFixture([await closedPort()]);
    const waiters = [sending(), sending()];
    for (const waiter of waiters) {
      fixture.pool.acquire(waiter);
    }
    for (const waiter of waiters) {
      await waiter.until("failure upstream_connect_failure");
      assert.equal(waiter.error?.retryable, true);
      assert.match(waiter.error?.message ?? "", /ECONNREFUSED/);
    }
    assert.equal(fixture.counter("upstream_rq_pending_failure_eject"), 2);
    assert.ok(fixture.counter("upstream_cx_connect_fail") >= 1);
    assert.ok(fixture.host.counts.cxConnectFail >= 1);
    assert.equal(fixture.gauge("upstream_rq_pending_active"), 0);
  });

  it("fails after the connect timeout", async () => {
    // TEST-NET-1 is never routed; where the network answers at once, the failure is of the other kind.
    using fixture = new PoolFixture([81], { connectTimeoutMs: 40 });
    fixture.pool.redirect({ kind: "tcp", host: "192.0.2.1", port: 81 });
    const waiter = sending();
    fixture.pool.acquire(waiter);
    await waiter.until("failure");
    if (waiter.error?.code === "upstream_connect_timeout") {
      assert.equal(fixture.counter("upstream_cx_connect_timeout"), 1);
      assert.equal(waiter.error.retryable, true);
    } else {
      assert.equal(waiter.error?.code, "upstream_connect_failure");
    }
    assert.equal(fixture.counter("upstream_cx_connect_fail"), 1);
    assert.equal(fixture.pool.isEmpty, true);
  });

  it("a waiter may acquire again from within its failure", async () => {
    using fixture = new PoolFixture([await closedPort()]);
    const again = sending();
    const waiter = sending();
    waiter.onFailure = () => fixture.pool.acquire(again);
    fixture.pool.acquire(waiter);
    await again.until("failure upstream_connect_failure");
    assert.equal(fixture.counter("upstream_cx_connect_fail"), 2);
  });

  it("a waiter that another one's failure cancels hears nothing", async () => {
    using fixture = new PoolFixture([await closedPort()]);
    const waiter = sending();
    const cancelled = sending();
    waiter.onFailure = () => assert.equal(fixture.pool.cancel(cancelled), true);
    fixture.pool.acquire(waiter);
    fixture.pool.acquire(cancelled);
    await waiter.until("failure");
    assert.equal(cancelled.story, "");
    assert.equal(fixture.gauge("upstream_rq_pending_active"), 0);
  });

  it("cancel() forgets a waiter; its connection is there for the next", async () => {
    await using upstream = await FakeUpstream.start({ respond: OK });
    using fixture = new PoolFixture([upstream.port]);
    const cancelled = sending();
    fixture.pool.acquire(cancelled);
    assert.equal(fixture.pool.cancel(cancelled), true);
    assert.equal(fixture.pool.cancel(cancelled), false);
    await fixture.serve();
    assert.equal(cancelled.story, "");
    assert.equal(upstream.connections.length, 1);
    assert.equal(fixture.counter("upstream_rq_cancelled"), 1);
  });

  it("connects over IPv6 and names the host in brackets", async (t) => {
    if (!Object.values(networkInterfaces()).some((list) => list?.some((one) => one.address === "::1"))) {
      t.skip("no IPv6 loopback");
      return;
    }
    await using upstream = await FakeUpstream.start({ respond: OK, host: "::1" });
    using fixture = new PoolFixture([1]);
    fixture.pool.redirect({ kind: "tcp", host: "::1", port: upstream.port });
    const waiter = await fixture.serve();
    assert.match(waiter.stream.localAddress, /^\[::1\]:\d+$/);
  });
});

describe("ConnectionPool drain", () => {
  it("drain() closes idle connections now and busy ones after their response", async () => {
    await using upstream = await FakeUpstream.start();
    using fixture = new PoolFixture([upstream.port]);
    const idle = sending();
    const busy = sending();
    fixture.pool.acquire(idle);
    fixture.pool.acquire(busy);
    const connections = [await upstream.connection(0), await upstream.connection(1)] as const;
    await Promise.all(connections.map((connection) => connection.untilRequests(1)));
    connections[0].send(OK);
    // Which of them the first connection serves follows from its address.
    const isFirst = idle.stream.localAddress.endsWith(`:${connections[0].socket.remotePort}`);
    const [finished, running] = isFirst ? [idle, busy] : [busy, idle];
    await finished.untilEnd();
    fixture.pool.drain();
    await connections[0].untilClosed();
    assert.equal(connections[1].isClosed, false);
    connections[1].send(OK);
    await running.untilEnd();
    await connections[1].untilClosed();
    assert.equal(fixture.pool.isEmpty, true);
  });

  it("a draining pool still serves those who wait and those who come late", async () => {
    await using upstream = await FakeUpstream.start({ respond: OK });
    using fixture = new PoolFixture([upstream.port]);
    const waiting = sending();
    fixture.pool.acquire(waiting);
    fixture.pool.drain();
    const late = sending();
    fixture.pool.acquire(late);
    await waiting.untilEnd();
    await late.untilEnd();
    assert.equal(fixture.pool.isEmpty, true);
  });

  it("dispose() resets streams, fails waiters and leaves nothing behind", async () => {
    await using upstream = await FakeUpstream.start();
    using fixture = new PoolFixture([upstream.port], { circuitBreakers: buildBreakers({ maxConnections: 1 }) });
    const busy = sending();
    const waiting = sending();
    fixture.pool.acquire(busy);
    fixture.pool.acquire(waiting);
    const connection = await upstream.connection(0);
    await connection.untilRequests(1);
    fixture.cluster.dispose();
    assert.equal(busy.story, "ready, reset upstream_reset_before_response");
    assert.equal(waiting.story, "failure upstream_connect_failure");
    await connection.untilClosed();
    for (const gauge of ["upstream_cx_active", "upstream_rq_active", "upstream_rq_pending_active"]) {
      assert.equal(fixture.gauge(gauge), 0, gauge);
    }
  });

  it("dispose() ends a connection that is still connecting", async () => {
    await using upstream = await FakeUpstream.start();
    using fixture = new PoolFixture([upstream.port]);
    const { pool } = fixture;
    const waiter = sending();
    pool.acquire(waiter);
    fixture.cluster.dispose();
    assert.equal(waiter.story, "failure upstream_connect_failure");
    assert.equal(pool.isEmpty, true);
    assert.equal(fixture.gauge("upstream_cx_active"), 0);
  });
});
