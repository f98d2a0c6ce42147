import assert from "node:assert/strict";
import { test } from "node:test";
import { HeaderMap } from "../../../sidecar/http/headers.ts";
import { ResponseHead } from "../../../sidecar/http/message.ts";
import { H1Server } from "../../support/h1-server.ts";
import { RawClient } from "../../support/raw-client.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const CHUNKED_POST = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

test("connection answers requests one after the other on the same connection", async () => {
  await using server = await H1Server.start();
  const client = await RawClient.connect(server.port);
  for (let i = 0; i < 3; i++) {
    client.send(GET);
    assert.equal(await client.receiveUntil("ok"), OK);
  }
  assert.equal(server.stats.http("downstream_cx_total"), 1);
  assert.equal(server.stats.http("downstream_rq_total"), 3);
  assert.equal(server.stats.http("downstream_rq_2xx"), 3);
  assert.equal(server.stats.http("downstream_rq_active"), 0);
  client.destroy();
});

test("connection answers pipelined requests in order, whichever is ready first", async () => {
  await using server = await H1Server.start();
  server.handle(() => undefined);
  const client = await RawClient.connect(server.port);
  client.send(
    "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\nHost: a\r\n\r\n",
  );
  const first = await server.request(1);
  assert.equal(server.requests.length, 1, "the second waits for the first response");
  first.reply("1");
  const second = await server.request(2);
  assert.equal(second.body, "abc");
  second.reply("22");
  (await server.request(3)).reply("333");
  const text = await client.receiveUntil("333");
  assert.deepEqual(text.match(/content-length: \d/g), ["content-length: 1", "content-length: 2", "content-length: 3"]);
  assert.equal(server.stats.http("downstream_cx_total"), 1);
  client.destroy();
});

test("connection answers many pipelined requests without deep recursion", async () => {
  await using server = await H1Server.start();
  const client = await RawClient.connect(server.port);
  client.send(GET.repeat(20_000));
  const text = await client.receive((received) => received.length >= OK.length * 20_000);
  assert.equal(text, OK.repeat(20_000));
  client.destroy();
});

test("connection passes a body on in pieces and trailers when they are enabled", async () => {
  await using server = await H1Server.start({ enableTrailers: true });
  server.handle(() => undefined);
  const client = await RawClient.connect(server.port);
  client.send(`${CHUNKED_POST}3\r\nabc\r\n`);
  const request = await server.request(1);
  await request.until((r) => r.body === "abc");
  assert.equal(request.isComplete, false);
  client.send("2\r\nde\r\n0\r\nX-T: 1\r\nConnection: x\r\n\r\n");
  await request.until((r) => r.isComplete);
  assert.equal(request.body, "abcde");
  assert.deepEqual(request.trailers, [["X-T", "1"]]);
  const headers = new HeaderMap();
  request.stream.respond(new ResponseHead(200, "", headers), false);
  request.stream.data(Buffer.from("xyz"), false);
  request.stream.trailers(HeaderMap.from([["grpc-status", "0"]]));
  assert.equal(
    await client.receiveUntil("\r\n\r\n"),
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\ngrpc-status: 0\r\n\r\n",
  );
  client.destroy();
});

test("connection drops trailers when they are not enabled, as Envoy does", async () => {
  await using server = await H1Server.start();
  server.handle((request) => void request.until((r) => r.isComplete).then(() => request.reply("ok")));
  const client = await RawClient.connect(server.port);
  client.send(`${CHUNKED_POST}1\r\na\r\n0\r\nX-T: 1\r\n\r\n`);
  await client.receiveUntil("ok");
  assert.equal(server.requests[0]?.trailers, undefined);
  assert.equal(server.requests[0]?.body, "a");
  client.destroy();
});

test("connection sends a head at once when its body is late", async () => {
  await using server = await H1Server.start();
  server.handle(() => undefined);
  const client = await RawClient.connect(server.port);
  client.send(GET);
  const request = await server.request(1);
  request.stream.respond(new ResponseHead(200, "", HeaderMap.from([["content-type", "text/event-stream"]])), false);
  assert.equal(
    await client.receiveUntil("\r\n\r\n"),
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
  );
  request.stream.data(Buffer.from("one"), false);
  assert.equal(await client.receiveUntil("\r\n"), "3\r\none\r\n");
  request.stream.data(Buffer.alloc(0), true);
  assert.equal(await client.receiveUntil("\r\n\r\n"), "0\r\n\r\n");
  assert.ok(request.isDone);
  client.destroy();
});

test("connection answers Expect: 100-continue itself and hides it from the upstream", async () => {
  await using server = await H1Server.start();
  server.handle((request) => void request.until((r) => r.isComplete).then(() => request.reply("ok")));
  const client = await RawClient.connect(server.port);
  client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  assert.equal(await client.receiveUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  assert.equal(server.requests[0]?.stream.head.headers.has("expect"), false);
  client.send("hi");
  assert.equal(await client.receiveUntil("ok"), OK);
  client.destroy();
});

test("connection leaves Expect to the upstream with proxy_100_continue", async () => {
  await using server = await H1Server.start({ proxy100Continue: true });
  server.handle((request) => {
    request.stream.inform(new ResponseHead(100, "Continue"));
    request.stream.inform(new ResponseHead(103, "Early Hints", HeaderMap.from([["Link", "x"]])));
    request.reply("ok");
  });
  const client = await RawClient.connect(server.port);
  client.send("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n");
  const text = await client.receiveUntil("ok");
  assert.equal(text, `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${OK}`);
  assert.equal(server.requests[0]?.stream.head.headers.get("expect"), "100-continue");
  client.destroy();
});

test("connection sends no body where there must be none", async () => {
  await using server = await H1Server.start();
  const statuses = [200, 204, 304];
  server.handle((request) => {
    const status = statuses[server.requests.length - 1] ?? 200;
    request.stream.respond(new ResponseHead(status, "", HeaderMap.from([["content-length", "5"]])), false);
    request.stream.data(Buffer.from("hello"), true);
  });
  const client = await RawClient.connect(server.port);
  client.send(GET.replace("GET", "HEAD"));
  assert.equal(await client.receiveUntil("\r\n\r\n"), "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
  client.send(GET);
  assert.equal(await client.receiveUntil("\r\n\r\n"), "HTTP/1.1 204 No Content\r\n\r\n");
  client.send(GET);
  assert.equal(await client.receiveUntil("\r\n\r\n"), "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n");
  client.send(GET);
  assert.ok((await client.receiveUntil("hello")).endsWith("\r\n\r\nhello"));
  client.destroy();
});

test("connection serves HTTP/1.0 where it is accepted and refuses it elsewhere", async () => {
  await using refusing = await H1Server.start();
  const refused = await RawClient.connect(refusing.port);
  refused.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
  const answer = await refused.receiveAll();
  assert.match(answer, /^HTTP\/1\.1 426 Upgrade Required\r\n/);
  assert.equal(refusing.rejections[0]?.details, "low_version");
  refused.destroy();

  await using server = await H1Server.start({ acceptHttp10: true, defaultHostForHttp10: "old.example" });
  const closing = await RawClient.connect(server.port);
  closing.send("GET / HTTP/1.0\r\n\r\n");
  assert.equal(await closing.receiveAll(), "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
  assert.equal(server.requests[0]?.stream.head.authority, "old.example");
  assert.equal(server.requests[0]?.stream.head.headers.get("host"), "old.example");
  closing.destroy();
  const keeping = await RawClient.connect(server.port);
  keeping.send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
  assert.equal(
    await keeping.receiveUntil("ok"),
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nok",
  );
  server.handle((request) => {
    request.stream.respond(new ResponseHead(200, ""), false);
    request.stream.data(Buffer.from("no length"), true);
  });
  keeping.send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
  assert.equal(await keeping.receiveAll(), "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nno length");
  keeping.destroy();
});

test("connection closes when it is asked to", async () => {
  await using server = await H1Server.start({ maxRequestsPerConnection: 2 });
  const close = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
  const asking = await RawClient.connect(server.port);
  asking.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
  assert.equal(await asking.receiveAll(), close);
  const second = await RawClient.connect(server.port);
  second.send(GET + GET + GET);
  assert.equal(await second.receiveAll(), OK + close);
  assert.equal(server.stats.http("downstream_cx_max_requests_reached"), 1);
  server.handle((request) => {
    request.stream.closeAfter();
    request.reply("ok");
  });
  const told = await RawClient.connect(server.port);
  told.send(GET);
  assert.equal(await told.receiveAll(), close);
  for (const client of [asking, second, told]) {
    client.destroy();
  }
});

test("connection closes after a response that came before the request's end", async () => {
  await using server = await H1Server.start();
  server.handle((request) => request.reply("no", 413));
  const client = await RawClient.connect(server.port);
  client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc");
  // What still comes is read, so that the response is not lost to a reset.
  client.send("x".repeat(50_000));
  assert.match(await client.receiveAll(), /^HTTP\/1\.1 413 .*connection: close\r\n\r\nno$/s);
  assert.equal(server.stats.http("downstream_rq_response_before_rq_complete"), 1);
  client.destroy();
});

test("connection answers broken requests and closes", async () => {
  await using server = await H1Server.start();
  const cases: [string, number, string][] = [
    ["GET / HTTP/1.1\r\n\r\n", 400, "missing_host_header"],
    ["GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "http.invalid_authority"],
    ["GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400, "http.invalid_authority"],
    ["GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "http1.codec_error"],
    ["GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "path_normalization_failed"],
    ["GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "http1.invalid_url"],
    ["GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "http1.invalid_url"],
    ["GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "http1.invalid_scheme"],
    ["GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 403, "http1.https_url_on_plaintext_connection"],
    ["GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "http.invalid_authority"],
    ["FOO / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "http1.codec_error"],
    ["CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 404, "route_not_found"],
    ["GET / HTTP/2.0\r\nHost: a\r\n\r\n", 426, "low_version"],
    [
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
      400,
      "http1.content_length_and_chunked_not_allowed",
    ],
    ["POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501, "http1.invalid_transfer_encoding"],
    [`GET / HTTP/1.1\r\nHost: a\r\nX: ${"y".repeat(61_440)}\r\n\r\n`, 431, "http1.headers_too_large"],
    [`GET /${"y".repeat(61_440)} HTTP/1.1\r\nHost: a\r\n\r\n`, 431, "http1.headers_too_large"],
    [`GET / HTTP/1.1\r\nHost: a\r\n${"A: b\r\n".repeat(100)}\r\n`, 431, "http1.too_many_headers"],
    ["GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", 400, "http1.invalid_characters"],
    ["\x16\x03\x01", 400, "http1.codec_error"],
  ];
  for (const [index, [text, status, details]] of cases.entries()) {
    const client = await RawClient.connect(server.port);
    client.send(text);
    const answer = await client.receiveAll();
    assert.match(
      answer,
      new RegExp(`^HTTP/1\\.1 ${status} [^]*\r\nserver: envoy\r\nconnection: close\r\n[^]*\r\n\r\n|connection: close`),
      text.slice(0, 60),
    );
    assert.ok(answer.startsWith(`HTTP/1.1 ${status} `), `${answer} for ${text.slice(0, 60)}`);
    assert.ok(answer.includes("connection: close\r\n"), answer);
    assert.equal(server.rejections[index]?.details, details, text.slice(0, 60));
    client.destroy();
  }
  assert.equal(server.requests.length, 0);
  assert.equal(server.stats.http("downstream_rq_active"), 0);
  assert.equal(server.stats.http("downstream_rq_completed"), cases.length);
});

test("connection refuses a body that breaks and tells the proxy", async () => {
  await using server = await H1Server.start();
  server.handle(() => undefined);
  const client = await RawClient.connect(server.port);
  client.send(`${CHUNKED_POST}3\r\nabc\r\nzz\r\n`);
  assert.match(await client.receiveAll(), /^HTTP\/1\.1 400 /);
  assert.equal(server.requests[0]?.reset?.code, "bad_request");
  assert.equal(server.stats.http("downstream_cx_protocol_error"), 1);
  assert.equal(server.stats.http("downstream_rq_active"), 0);
  client.destroy();
});

test("connection makes an absolute target and Host one", async () => {
  await using server = await H1Server.start();
  const client = await RawClient.connect(server.port);
  client.send("GET http://b.example:81/x?y HTTP/1.1\r\nHost: a\r\n\r\n");
  await client.receiveUntil("ok");
  const head = server.requests[0]?.stream.head;
  assert.equal(head?.path, "/x?y");
  assert.equal(head?.authority, "b.example:81");
  assert.deepEqual([...(head?.headers ?? [])], [["Host", "b.example:81"]]);
  client.destroy();
});

test("connection ignores upgrades that are not configured and tunnels those that are", async () => {
  await using server = await H1Server.start({ upgrades: [{ type: "websocket", enabled: true }] });
  const client = await RawClient.connect(server.port);
  client.send(
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n\r\n",
  );
  assert.equal(await client.receiveUntil("ok"), OK);
  assert.deepEqual([...(server.requests[0]?.stream.head.headers ?? [])], [["Host", "a"]]);
  server.handle((request) => {
    const accept = HeaderMap.from([
      ["Upgrade", "websocket"],
      ["Connection", "Upgrade"],
    ]);
    request.stream.respond(new ResponseHead(101, "Switching Protocols", accept), false);
  });
  client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n\0raw");
  assert.equal(
    await client.receiveUntil("\r\n\r\n"),
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
  );
  const tunnel = await server.request(2);
  assert.equal(tunnel.stream.head.headers.get("upgrade"), "WebSocket");
  await tunnel.until((r) => r.body === "\0raw");
  tunnel.stream.data(Buffer.from("\xffdown", "latin1"), false);
  await client.receiveUntil("\xffdown");
  client.send("up");
  await tunnel.until((r) => r.body === "\0rawup");
  client.end();
  await tunnel.until((r) => r.isComplete);
  tunnel.stream.data(Buffer.from("last"), true);
  assert.equal(await client.receiveAll(), "last");
  client.destroy();
});

test("connection takes a half-closed client for gone, as Envoy does", async () => {
  await using server = await H1Server.start();
  server.handle(() => undefined);
  const client = await RawClient.connect(server.port);
  client.send(GET);
  const request = await server.request(1);
  client.end();
  await request.until((r) => r.reset !== undefined);
  assert.equal(request.reset?.code, "downstream_disconnect");
  assert.equal(server.stats.http("downstream_cx_destroy_remote_active_rq"), 1);
  assert.equal(server.stats.http("downstream_rq_active"), 0);
  client.destroy();
});

test("connection answers a half-closed client where that is wanted", async () => {
  await using server = await H1Server.start({ keepsHalfClosed: true });
  server.handle(() => undefined);
  const client = await RawClient.connect(server.port);
  client.send(GET);
  client.end();
  const request = await server.request(1);
  request.reply("ok");
  assert.match(await client.receiveAll(), /ok$/);
});

test("connection tells the proxy when the client is gone", async () => {
  await using server = await H1Server.start();
  server.handle(() => undefined);
  const client = await RawClient.connect(server.port);
  client.send(GET);
  const request = await server.request(1);
  client.destroy();
  await request.until((r) => r.reset !== undefined);
  // A late answer touches nobody.
  request.reply("late");
  assert.equal(request.isDone, false);
});

test("connection cuts off what the proxy aborts", async () => {
  await using server = await H1Server.start();
  server.handle((request) => {
    request.stream.respond(new ResponseHead(200, "", HeaderMap.from([["content-length", "10"]])), false);
    request.stream.data(Buffer.from("half"), false);
    request.stream.abort();
  });
  const client = await RawClient.connect(server.port);
  client.send(GET);
  assert.match(await client.receiveAll(), /half$/);
  assert.equal(server.requests[0]?.reset, undefined);
  assert.equal(server.stats.http("downstream_rq_tx_reset"), 1);
});

test("connection never sends more than the announced length", async () => {
  await using server = await H1Server.start();
  server.handle((request) => {
    request.stream.respond(new ResponseHead(200, "", HeaderMap.from([["content-length", "2"]])), false);
    request.stream.data(Buffer.from("HTTP/1.1 200 OK\r\n\r\n"), true);
  });
  const client = await RawClient.connect(server.port);
  client.send(GET);
  assert.equal(await client.receiveAll(), "");
  assert.equal(server.requests[0]?.reset?.code, "internal");
});
