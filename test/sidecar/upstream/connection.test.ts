import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { FakeUpstream } from "../../support/fake-upstream.ts";
import type { FakeConnection } from "../../support/fake-upstream.ts";
import { PoolFixture } from "../../support/pool-fixture.ts";
import { buildRequest, RecordingWaiter } from "../../support/recording-waiter.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** Sends one request and lets `answer` drive the upstream. */
async function exchange(
  method: string,
  answer: (connection: FakeConnection) => void,
): Promise<{ waiter: RecordingWaiter; connection: FakeConnection; active: number }> {
  await using upstream = await FakeUpstream.start();
  using fixture = new PoolFixture([upstream.port]);
  const waiter = RecordingWaiter.sending(buildRequest(method));
  fixture.pool.acquire(waiter);
  const connection = await upstream.connection(0);
  await connection.untilRequests(1);
  answer(connection);
  await waiter.untilDone();
  return { waiter, connection, active: fixture.gauge("upstream_cx_active") };
}

describe("ClientConnection", () => {
  const cases = [
    { name: "a body with Content-Length", method: "GET", response: OK, story: "ready, head 200, data 2, end", kept: 1 },
    {
      name: "HEAD with a Content-Length and no body",
      method: "HEAD",
      response: "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",
      story: "ready, head 200, end",
      kept: 1,
    },
    { name: "204", method: "GET", response: "HTTP/1.1 204 No Content\r\n\r\n", story: "ready, head 204, end", kept: 1 },
    {
      name: "304 with a Content-Length",
      method: "GET",
      response: "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
      story: "ready, head 304, end",
      kept: 1,
    },
    {
      name: "100 and 103 before the response",
      method: "GET",
      response: `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}`,
      story: "ready, 1xx 100, 1xx 103, head 200, data 2, end",
      kept: 1,
    },
    {
      name: "chunks with trailers",
      method: "GET",
      response:
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 5\r\nX-B: c\r\n\r\n",
      story: "ready, head 200, data 3, data 2, trailers X-Sum=5 X-B=c, end",
      kept: 1,
    },
    {
      name: "Connection: close",
      method: "GET",
      response: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
      story: "ready, head 200, data 2, end",
      kept: 0,
    },
    {
      name: "HTTP/1.0 without keep-alive",
      method: "GET",
      response: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
      story: "ready, head 200, data 2, end",
      kept: 0,
    },
    {
      name: "bytes behind the response",
      method: "GET",
      response: `${OK}HTTP/1.1 200 OK\r\n`,
      story: "ready, head 200, data 2, end",
      kept: 0,
    },
    {
      name: "an invalid head",
      method: "GET",
      response: "HTTP/1.1 200 OK\r\nContent Length: 2\r\n\r\nok",
      story: "ready, reset upstream_protocol_error",
      kept: 0,
    },
    {
      name: "a 101 that nobody asked for",
      method: "GET",
      response: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
      story: "ready, reset upstream_protocol_error",
      kept: 0,
    },
    {
      name: "a head above the limit",
      method: "GET",
      response: `HTTP/1.1 200 OK\r\nX-Long: ${"a".repeat(70_000)}\r\n\r\n`,
      story: "ready, reset upstream_response_headers_too_large",
      kept: 0,
    },
    {
      name: "a chunk size that is none, after the head",
      method: "GET",
      response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
      story: "ready, head 200, reset upstream_protocol_error",
      kept: 0,
    },
  ];
  for (const { name, method, response, story, kept } of cases) {
    it(`takes ${name} and ${kept === 1 ? "keeps" : "closes"} the connection`, async () => {
      const { waiter, active } = await exchange(method, (connection) => connection.send(response));
      assert.equal(waiter.story, story);
      assert.equal(active, kept);
    });
  }

  it("strips fields that concern the connection only, those that Connection names included", async () => {
    const fields = "Connection: keep-alive, X-Hop\r\nKeep-Alive: timeout=60\r\nX-Hop: 1\r\nX-Stays: 2\r\n";
    const { waiter } = await exchange("GET", (connection) => {
      connection.send(
        `HTTP/1.1 200 OK\r\n${fields}Transfer-Encoding: chunked\r\n\r\n0\r\nConnection: x\r\nX-T: 1\r\n\r\n`,
      );
    });
    assert.deepEqual(Array.from(waiter.head?.headers ?? []), [["X-Stays", "2"]]);
    assert.equal(waiter.events.at(-2), "trailers X-T=1");
  });

  it("takes a body that ends with the connection", async () => {
    const { waiter, active } = await exchange("GET", (connection) => {
      connection.send("HTTP/1.1 200 OK\r\n\r\nuntil the close");
      connection.end();
    });
    assert.equal(waiter.body, "until the close");
    assert.equal(waiter.events.at(-1), "end");
    assert.equal(active, 0);
  });

  it("resets a response that a close cuts short", async () => {
    const { waiter } = await exchange("GET", (connection) => {
      connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
      connection.end();
    });
    assert.equal(waiter.story, "ready, head 200, data 4, reset upstream_reset_after_response");
    assert.equal(waiter.error?.retryable, false);
  });

  it("resets a body until close that a connection reset cuts short", async () => {
    await using upstream = await FakeUpstream.start();
    using fixture = new PoolFixture([upstream.port]);
    const waiter = RecordingWaiter.sending(buildRequest("GET"));
    fixture.pool.acquire(waiter);
    const connection = await upstream.connection(0);
    await connection.untilRequests(1);
    connection.send("HTTP/1.1 200 OK\r\n\r\nhalf");
    await waiter.until("data");
    connection.reset();
    await waiter.until("reset upstream_reset_after_response");
    assert.equal(fixture.counter("upstream_rq_rx_reset"), 1);
    assert.equal(fixture.gauge("upstream_rq_active"), 0);
  });

  it("does not call a first connection's failure before the response retryable", async () => {
    const { waiter } = await exchange("GET", (connection) => connection.reset());
    assert.equal(waiter.story, "ready, reset upstream_reset_before_response");
    assert.equal(waiter.error?.retryable, false);
  });

  it("sends head and first body bytes together, and a head without a body at hand by itself", async () => {
    await using upstream = await FakeUpstream.start();
    using fixture = new PoolFixture([upstream.port]);
    const waiter = new RecordingWaiter((stream) => {
      stream.request(buildRequest("POST", "/a", { "Content-Length": "6" }), false);
    });
    fixture.pool.acquire(waiter);
    const connection = await upstream.connection(0);
    await connection.untilReceived("POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 6\r\n\r\n");
    waiter.stream.data(Buffer.from("abc"), false);
    waiter.stream.data(Buffer.from("def"), true);
    await connection.untilReceived("\r\n\r\nabcdef");
    connection.send(OK);
    await waiter.untilEnd();
    const next = new RecordingWaiter((stream) => {
      stream.request(buildRequest("POST", "/b"), false);
      stream.data(Buffer.from("xyz"), true);
    });
    fixture.pool.acquire(next);
    await connection.untilReceived("Transfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\n\r\n".toLowerCase());
    connection.send(OK);
    await next.untilEnd();
    assert.equal(fixture.counter("upstream_cx_total"), 1);
  });

  it("sends trailers", async () => {
    await using upstream = await FakeUpstream.start();
    using fixture = new PoolFixture([upstream.port]);
    const waiter = new RecordingWaiter((stream) => {
      const head = buildRequest("POST");
      stream.request(head, false);
      stream.data(Buffer.from("xyz"), false);
      const trailers = buildRequest("GET").headers;
      trailers.clear();
      trailers.add("X-Sum", "3");
      stream.trailers(trailers);
    });
    fixture.pool.acquire(waiter);
    const connection = await upstream.connection(0);
    await connection.untilReceived("3\r\nxyz\r\n0\r\nX-Sum: 3\r\n\r\n");
  });

  it("delivers a response that comes before the request is complete, and closes the connection", async () => {
    await using upstream = await FakeUpstream.start();
    using fixture = new PoolFixture([upstream.port]);
    const waiter = new RecordingWaiter((stream) => {
      stream.request(buildRequest("POST"), false);
      stream.data(Buffer.from("some"), false);
    });
    fixture.pool.acquire(waiter);
    const connection = await upstream.connection(0);
    await connection.untilReceived("some");
    connection.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
    await waiter.untilEnd();
    assert.equal(waiter.story, "ready, head 413, end");
    waiter.stream.data(Buffer.from("more"), true);
    await connection.untilClosed();
    assert.ok(!connection.received.includes("more"));
    assert.equal(fixture.pool.isEmpty, true);
  });

  it("does not ask for a pause below per_connection_buffer_limit_bytes", async () => {
    await using upstream = await FakeUpstream.start({ keepsText: false });
    using fixture = new PoolFixture([upstream.port]);
    const waiter = new RecordingWaiter((stream) => {
      stream.request(buildRequest("PUT"), false);
      stream.data(Buffer.alloc(512 * 1_024), true);
    });
    fixture.pool.acquire(waiter);
    const connection = await upstream.connection(0);
    await connection.untilBytes(512 * 1_024);
    connection.send(OK);
    await waiter.untilEnd();
    assert.equal(waiter.story, "ready, head 200, data 2, end");
  });

  for (const { name, answer, last } of [
    { name: "an early response", answer: "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", last: "head 413, end" },
    { name: "a broken response", answer: "HTTP/1.1 4\r\n\r\n", last: "reset upstream_protocol_error" },
  ]) {
    it(`ends a pause of the request before ${name}`, async () => {
      await using upstream = await FakeUpstream.start({ keepsText: false });
      using fixture = new PoolFixture([upstream.port], { perConnectionBufferLimitBytes: 16_384 });
      const waiter = new RecordingWaiter((stream) => {
        stream.request(buildRequest("PUT", "/", { "Content-Length": "99999999" }), false);
        stream.data(Buffer.alloc(16 * 1_048_576), false);
      });
      fixture.pool.acquire(waiter);
      const connection = await upstream.connection(0);
      connection.socket.pause();
      await waiter.until("blocked");
      connection.send(answer);
      await waiter.untilDone();
      assert.equal(waiter.story, `ready, blocked, unblocked, ${last}`);
      assert.equal(fixture.pool.isEmpty, true);
    });
  }

  it("refuses an answer that comes before the request", async () => {
    await using upstream = await FakeUpstream.start();
    using fixture = new PoolFixture([upstream.port]);
    const waiter = new RecordingWaiter();
    fixture.pool.acquire(waiter);
    const connection = await upstream.connection(0);
    connection.send(OK);
    await waiter.until("reset upstream_protocol_error");
    assert.equal(fixture.counter("upstream_cx_protocol_error"), 1);
  });

  it("cuts a request whose body is not as long as its Content-Length", async () => {
    await using upstream = await FakeUpstream.start();
    using fixture = new PoolFixture([upstream.port]);
    const waiter = new RecordingWaiter((stream) => {
      stream.request(buildRequest("POST", "/", { "Content-Length": "6" }), false);
      stream.data(Buffer.from("abc"), true);
    });
    fixture.pool.acquire(waiter);
    await waiter.until("reset internal");
    assert.equal(fixture.pool.isEmpty, true);
  });

  it("abort() closes the connection and keeps quiet", async () => {
    await using upstream = await FakeUpstream.start();
    using fixture = new PoolFixture([upstream.port]);
    const waiter = RecordingWaiter.sending(buildRequest("GET"));
    fixture.pool.acquire(waiter);
    const connection = await upstream.connection(0);
    await connection.untilRequests(1);
    waiter.stream.abort();
    waiter.stream.abort();
    await connection.untilClosed();
    assert.equal(waiter.story, "ready");
    assert.equal(fixture.counter("upstream_rq_tx_reset"), 1);
    assert.equal(fixture.gauge("upstream_rq_active"), 0);
    assert.equal(fixture.counter("upstream_cx_destroy_local_with_active_rq"), 1);
  });

  it("abort() before the request is sent closes the connection", async () => {
    await using upstream = await FakeUpstream.start();
    using fixture = new PoolFixture([upstream.port]);
    const waiter = new RecordingWaiter((stream) => stream.abort());
    fixture.pool.acquire(waiter);
    const connection = await upstream.connection(0);
    await connection.untilClosed();
    assert.equal(waiter.story, "ready");
    assert.equal(connection.received, "");
    assert.equal(fixture.gauge("upstream_rq_active"), 0);
  });

  it("abort() while a response is parsed stops its events at once", async () => {
    await using upstream = await FakeUpstream.start();
    using fixture = new PoolFixture([upstream.port]);
    const waiter = RecordingWaiter.sending(buildRequest("GET"));
    waiter.onData = () => waiter.stream.abort();
    fixture.pool.acquire(waiter);
    const connection = await upstream.connection(0);
    await connection.untilRequests(1);
    connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n");
    await connection.untilClosed();
    assert.equal(waiter.story, "ready, head 200, data 1");
    assert.equal(fixture.counter("upstream_cx_protocol_error"), 0);
  });

  it("stops reading while the response is paused, megabytes long, and loses nothing", async () => {
    await using upstream = await FakeUpstream.start();
    using fixture = new PoolFixture([upstream.port]);
    const total = 24 * 1_048_576;
    const waiter = RecordingWaiter.sending(buildRequest("GET"));
    waiter.keepsText = false;
    let isPaused = false;
    waiter.onData = () => {
      if (!isPaused) {
        isPaused = true;
        waiter.stream.pauseResponse();
        waiter.stream.pauseResponse();
        waiter.stream.resumeResponse();
      }
    };
    fixture.pool.acquire(waiter);
    const connection = await upstream.connection(0);
    await connection.untilRequests(1);
    connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`);
    connection.send(Buffer.alloc(total));
    await waiter.until("head");
    // Turns of the event loop in which more would have been read.
    for (let turn = 0; turn < 50; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(waiter.bodyBytes <= 131_072, `${waiter.bodyBytes} bytes came after the pause`);
    waiter.stream.resumeResponse();
    await waiter.untilEnd();
    assert.equal(waiter.bodyBytes, total);
    assert.equal(fixture.gauge("upstream_cx_active"), 1);
  });

  it("tells the proxy when the upstream reads too slowly, and when it has caught up", async () => {
    await using upstream = await FakeUpstream.start({ keepsText: false });
    using fixture = new PoolFixture([upstream.port], { perConnectionBufferLimitBytes: 65_536 });
    const chunk = Buffer.alloc(65_536, 1);
    const total = 256;
    let sent = 0;
    const pump = (): void => {
      while (sent < total && !isBlocked) {
        sent++;
        waiter.stream.data(chunk, sent === total);
      }
    };
    let isBlocked = false;
    const waiter = new RecordingWaiter((stream) => {
      stream.request(buildRequest("PUT", "/", { "Content-Length": String(total * chunk.length) }), false);
    });
    waiter.onBlocked = (blocked) => {
      isBlocked = blocked;
      pump();
    };
    fixture.pool.acquire(waiter);
    const connection = await upstream.connection(0);
    connection.socket.pause();
    await waiter.until("ready");
    pump();
    await waiter.until("blocked");
    assert.ok(sent < total, "everything was taken although nobody read");
    connection.socket.resume();
    await connection.untilBytes(total * chunk.length);
    connection.send(OK);
    await waiter.untilEnd();
    assert.ok(fixture.counter("upstream_flow_control_backed_up_total") > 0);
    assert.equal(
      fixture.counter("upstream_flow_control_backed_up_total"),
      fixture.counter("upstream_flow_control_drained_total"),
    );
    assert.ok(fixture.counter("upstream_cx_tx_bytes_total") > total * chunk.length);
  });
});
