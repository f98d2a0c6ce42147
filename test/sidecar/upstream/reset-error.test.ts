import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { FakeUpstream } from "../../support/fake-upstream.ts";
import { buildBreakers, OK, PoolFixture, sending } from "../../support/pool-fixture.ts";
import { buildRequest, RecordingWaiter } from "../../support/recording-waiter.ts";

describe("ConnectionPool stale connections", () => {
  const cases = [
    { method: "GET", body: "", retryable: true },
    { method: "DELETE", body: "", retryable: true },
    { method: "PUT", body: "", retryable: true },
    { method: "PUT", body: "abc", retryable: false },
    { method: "POST", body: "", retryable: false },
    { method: "PATCH", body: "", retryable: false },
  ];
  for (const { method, body, retryable } of cases) {
    const what = `${method}${body === "" ? "" : " whose body was sent"}`;
    it(`says that ${what} is ${retryable ? "" : "not "}retryable when the upstream closes just as it is sent`, async () => {
      await using upstream = await FakeUpstream.start({ respond: OK });
      using fixture = new PoolFixture([upstream.port]);
      await fixture.serve();
      // The FIN is on its way when the request is sent: neither side has seen the other's move.
      upstream.connections[0]?.end();
      const waiter = new RecordingWaiter((stream) => {
        stream.request(buildRequest(method), body === "");
        if (body !== "") {
          stream.data(Buffer.from(body), true);
        }
      });
      fixture.pool.acquire(waiter);
      await waiter.until("reset upstream_reset_before_response");
      assert.equal(waiter.error?.retryable, retryable);
    });
  }

  it("acquire() with fresh serves the retry on a new connection, even from within the reset", async () => {
    await using upstream = await FakeUpstream.start({ respond: OK });
    using fixture = new PoolFixture([upstream.port]);
    await fixture.serve();
    const retry = sending();
    const waiter = sending();
    waiter.onFailure = () => fixture.pool.acquire(retry, 0, true);
    upstream.connections[0]?.reset();
    fixture.pool.acquire(waiter);
    await retry.untilEnd();
    assert.equal(retry.stream.reused, false);
    assert.equal(retry.body, "ok");
  });

  it("acquire() with fresh leaves idle connections alone", async () => {
    await using upstream = await FakeUpstream.start({ respond: OK });
    using fixture = new PoolFixture([upstream.port]);
    await fixture.serve();
    const fresh = sending();
    fixture.pool.acquire(fresh, 0, true);
    await fresh.untilEnd();
    assert.equal(fresh.stream.reused, false);
    assert.equal(fixture.gauge("upstream_cx_active"), 2);
  });

  it("acquire() with fresh makes room when max_connections is reached", async () => {
    await using upstream = await FakeUpstream.start();
    using fixture = new PoolFixture([upstream.port], { circuitBreakers: buildBreakers({ maxConnections: 1 }) });
    const busy = sending();
    fixture.pool.acquire(busy);
    const fresh = sending();
    const connection = await upstream.connection(0);
    await connection.untilRequests(1);
    fixture.pool.acquire(fresh, 0, true);
    connection.send(OK);
    const second = await upstream.connection(1);
    await second.untilRequests(1);
    second.send(OK);
    await fresh.untilEnd();
    assert.equal(fresh.stream.reused, false);
    await connection.untilClosed();
  });

  it("acquire() with fresh gives an idle connection up when max_connections is reached", async () => {
    await using upstream = await FakeUpstream.start({ respond: OK });
    using fixture = new PoolFixture([upstream.port], { circuitBreakers: buildBreakers({ maxConnections: 1 }) });
    await fixture.serve();
    const fresh = sending();
    fixture.pool.acquire(fresh, 0, true);
    await fresh.untilEnd();
    assert.equal(fresh.stream.reused, false);
    assert.equal(fixture.gauge("upstream_cx_active"), 1);
  });

  it("does not retry when bytes of a response have come", async () => {
    await using upstream = await FakeUpstream.start({ respond: OK });
    using fixture = new PoolFixture([upstream.port]);
    await fixture.serve();
    const waiter = sending();
    fixture.pool.acquire(waiter);
    // Both are on their way before the upstream has seen the second request.
    const connection = upstream.connections[0];
    connection?.send("HTTP/1.1 2");
    connection?.end();
    await waiter.until("reset upstream_reset_before_response");
    assert.equal(waiter.error?.retryable, false);
  });
});
