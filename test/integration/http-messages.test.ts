// HTTP/1.1 messages through the real process, byte by byte on both sides: reuse, order, framing, interim responses,
// responses without bodies, answers before the request's end, peers that close one side.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { bootstrap, cluster, listener } from "../support/bootstrap-builder.ts";
import { type FakeConnection, FakeUpstream } from "../support/fake-upstream.ts";
import { RawClient } from "../support/raw-client.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
/** What the proxy adds to every request and response; taken out before bytes are compared. */
const ADDED = /^(?:x-request-id|x-forwarded-proto|x-envoy-[a-z-]+|date|server): .*\r\n/gim;

const owned = new AsyncDisposableStack();
let upstream: FakeUpstream;
let sidecar: SidecarProcess;

/** A client's connection, and the upstream connection that its first request will open. */
async function conversation(
  name = "plain",
): Promise<AsyncDisposable & { client: RawClient; origin: Promise<FakeConnection> }> {
  const origin = upstream.connection(upstream.connections.length);
  const client = await RawClient.connect(sidecar.port(name));
  return {
    client,
    origin,
    // The next test's request must not find this one's upstream connection in the pool.
    [Symbol.asyncDispose]: async () => {
      client.destroy();
      const connection = await origin;
      connection.end();
      await connection.untilClosed();
    },
  };
}

suite("HTTP/1.1 messages", { timeout: 60_000 }, () => {
  before(async () => {
    upstream = owned.use(await FakeUpstream.start());
    sidecar = owned.use(
      await SidecarProcess.start(
        bootstrap({
          listeners: [
            listener("plain"),
            listener("trailers", { manager: { http_protocol_options: { enable_trailers: true } } }),
            listener("old", {
              manager: { http_protocol_options: { accept_http_10: true, default_host_for_http_10: "default.example" } },
            }),
          ],
          clusters: [cluster("origin", [upstream.port])],
        }),
      ),
    );
  });
  after(() => owned.disposeAsync());

  test("a connection serves requests one after the other, over one upstream connection", async () => {
    await using pair = await conversation();
    const { client } = pair;
    for (let count = 1; count <= 3; count++) {
      client.send(`GET /${count} HTTP/1.1\r\nHost: a\r\n\r\n`);
      const origin = await pair.origin;
      await origin.untilRequests(count);
      origin.send(OK);
      assert.match(await client.receiveUntil("ok"), /^HTTP\/1\.1 200 OK\r\n/);
    }
    assert.equal(upstream.connections.at(-1), await pair.origin);
  });

  test("names keep their case and their order, in both directions", async () => {
    await using pair = await conversation();
    pair.client.send(
      "GET /a?b=%20c HTTP/1.1\r\nHOST: Example.com\r\nX-Second: 2\r\naCCept: */*\r\nX-First: 1\r\nX-Second: 3\r\n\r\n",
    );
    const origin = await pair.origin;
    await origin.untilRequests(1);
    assert.equal(
      origin.received.replaceAll(ADDED, ""),
      "GET /a?b=%20c HTTP/1.1\r\nHOST: Example.com\r\nX-Second: 2\r\naCCept: */*\r\nX-First: 1\r\nX-Second: 3\r\n\r\n",
    );
    origin.send(
      "HTTP/1.1 200 Fine\r\nX-b: 1\r\nSet-Cookie: a=1\r\nX-A: 2\r\nset-cookie: b=2\r\nContent-LENGTH: 2\r\n\r\nok",
    );
    const received = await pair.client.receiveUntil("ok");
    assert.equal(
      received.replaceAll(ADDED, ""),
      "HTTP/1.1 200 Fine\r\nX-b: 1\r\nSet-Cookie: a=1\r\nX-A: 2\r\nset-cookie: b=2\r\nContent-LENGTH: 2\r\n\r\nok",
    );
  });

  test("pipelined requests are answered in their order, though the first is slow", async () => {
    await using pair = await conversation();
    const request = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
    pair.client.send(request("/1") + request("/2") + request("/3"));
    const origin = await pair.origin;
    for (const word of ["one", "two", "three"]) {
      await origin.untilRequests(["one", "two", "three"].indexOf(word) + 1);
      origin.send(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${word.length}\r\n${word}\r\n`);
      origin.send("0\r\n\r\n");
    }
    const received = await pair.client.receive((text) => text.includes("three\r\n0\r\n\r\n"));
    assert.deepEqual(received.match(/one|two|three|HTTP\/1\.1 200/g), [
      "HTTP/1.1 200",
      "one",
      "HTTP/1.1 200",
      "two",
      "HTTP/1.1 200",
      "three",
    ]);
    assert.equal(origin.received.indexOf("/1") < origin.received.indexOf("/2"), true);
  });

  test("chunked bodies pass in both directions as they come, with their trailers", async () => {
    await using pair = await conversation("trailers");
    pair.client.send(
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n",
    );
    const origin = await pair.origin;
    await origin.untilReceived("5\r\nhello\r\n");
    pair.client.send("6\r\n world\r\n0\r\nX-Sum: 11\r\n\r\n");
    await origin.untilReceived("6\r\n world\r\n0\r\nX-Sum: 11\r\n\r\n");
    origin.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n");
    await pair.client.receive((text) => text.endsWith("3\r\nabc\r\n"));
    origin.send("3\r\ndef\r\n0\r\nx-left: nothing\r\n\r\n");
    assert.equal(await pair.client.receiveUntil("nothing\r\n\r\n"), "3\r\ndef\r\n0\r\nx-left: nothing\r\n\r\n");
  });

  test("Expect: 100-continue is answered by the proxy, and the body then passes", async () => {
    await using pair = await conversation();
    pair.client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    assert.equal(await pair.client.receiveUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    pair.client.send("body");
    const origin = await pair.origin;
    await origin.untilReceived("\r\n\r\nbody");
    assert.doesNotMatch(origin.received, /^expect:/im);
    origin.send(OK);
    await pair.client.receiveUntil("ok");
  });

  test("interim responses of the upstream pass before the final one", async () => {
    await using pair = await conversation();
    pair.client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const origin = await pair.origin;
    await origin.untilRequests(1);
    origin.send("HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n");
    origin.send(OK);
    const received = await pair.client.receiveUntil("ok");
    assert.match(received, /^HTTP\/1\.1 103 Early Hints\r\nlink: <\/a\.css>\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
  });

  for (const { name, request, response } of [
    { name: "HEAD", request: "HEAD /", response: "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n" },
    { name: "204", request: "DELETE /", response: "HTTP/1.1 204 No Content\r\n\r\n" },
    { name: "304", request: "GET /", response: "HTTP/1.1 304 Not Modified\r\ncontent-length: 1000\r\n\r\n" },
  ]) {
    test(`a response without body (${name}) ends with its head, and the connection goes on`, async () => {
      await using pair = await conversation();
      pair.client.send(`${request} HTTP/1.1\r\nHost: a\r\n\r\n`);
      const origin = await pair.origin;
      await origin.untilRequests(1);
      origin.send(response);
      const head = await pair.client.receiveUntil("\r\n\r\n");
      assert.equal(head.replaceAll(ADDED, ""), response);
      pair.client.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
      await origin.untilRequests(2);
      origin.send(OK);
      assert.match(await pair.client.receiveUntil("ok"), /^HTTP\/1\.1 200 OK\r\n/);
    });
  }

  test("a body that ends with the upstream's connection passes chunked, and the client's connection goes on", async () => {
    await using pair = await conversation();
    pair.client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const origin = await pair.origin;
    await origin.untilRequests(1);
    origin.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
    origin.end();
    const received = await pair.client.receiveUntil("\r\n0\r\n\r\n");
    assert.match(received, /^transfer-encoding: chunked\r$/im);
    assert.match(received, /\r\n\r\nd\r\nuntil the end\r\n0\r\n\r\n$/);
    assert.equal(pair.client.hasEnded, false);
  });

  test("HTTP/1.0 is served without chunks and closes, unless it asks to keep alive", async () => {
    await using pair = await conversation("old");
    pair.client.send("GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    const origin = await pair.origin;
    await origin.untilReceived("GET /old HTTP/1.1\r\n");
    assert.match(origin.received, /^host: default\.example\r$/im);
    origin.send(OK);
    assert.match(await pair.client.receiveUntil("ok"), /^connection: keep-alive\r$/im);
    pair.client.send("GET /older HTTP/1.0\r\n\r\n");
    await origin.untilRequests(2);
    origin.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
    const received = await pair.client.receiveAll();
    assert.match(received, /\r\n\r\nok$/);
    assert.doesNotMatch(received, /transfer-encoding/i);
  });

  test("an answer before the request's end reaches the client, which is then disconnected", async () => {
    await using pair = await conversation();
    pair.client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhalf");
    const origin = await pair.origin;
    await origin.untilReceived("half");
    origin.send("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno");
    const received = await pair.client.receiveAll();
    assert.match(received, /^HTTP\/1\.1 403 Forbidden\r\n/);
    assert.match(received, /\r\n\r\nno$/);
    await origin.untilClosed();
  });

  test("a client that shuts its sending side has its upstream request cancelled, as Envoy does", async () => {
    await using pair = await conversation();
    const earlier = await sidecar.stat("http.plain.downstream_cx_destroy_remote_active_rq");
    pair.client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const origin = await pair.origin;
    await origin.untilRequests(1);
    pair.client.end();
    await origin.untilClosed();
    assert.equal(await pair.client.receiveAll(), "");
    await sidecar.untilStat("http.plain.downstream_cx_destroy_remote_active_rq", earlier + 1);
  });

  test("an upstream that dies in the middle of a body cuts the client's, and never ends it well", async () => {
    await using pair = await conversation();
    pair.client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const origin = await pair.origin;
    await origin.untilRequests(1);
    origin.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n");
    await pair.client.receive((text) => text.endsWith("4\r\nhalf\r\n"));
    origin.reset();
    assert.equal(await pair.client.receiveAll(), "");
  });
});
