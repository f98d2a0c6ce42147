// Backpressure and deadlines of downstream connections.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ResponseHead } from "../../../sidecar/http/message.ts";
import { H1Server } from "../../support/h1-server.ts";
import { RawClient } from "../../support/raw-client.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

test("connection holds the response's source up while the client does not read", async () => {
  await using server = await H1Server.start({ bufferLimitBytes: 65_536 });
  server.handle(() => undefined);
  const client = await RawClient.connect(server.port);
  client.pause();
  client.send(GET);
  const request = await server.request(1);
  request.stream.respond(new ResponseHead(200, ""), false);
  const chunk = Buffer.alloc(65_536, "x");
  let sent = 0;
  while (request.blocked.at(-1) !== true) {
    request.stream.data(chunk, false);
    sent += chunk.length;
    assert.ok(sent < 64 * 1_048_576);
  }
  client.resume();
  await request.until((r) => r.blocked.at(-1) === false);
  request.stream.data(Buffer.alloc(0), true);
  const text = await client.receiveUntil("0\r\n\r\n");
  assert.ok(text.length > sent);
  client.destroy();
});

test("connection stops reading a body while the proxy asks it to", async () => {
  await using server = await H1Server.start();
  server.handle((request) => request.stream.pauseRequest());
  const client = await RawClient.connect(server.port);
  const total = 16 * 1_048_576;
  client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${total}\r\n\r\n`);
  client.send("x".repeat(total));
  const request = await server.request(1);
  const before = request.body.length;
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(request.body.length, before);
  assert.ok(before <= 65_536);
  request.stream.resumeRequest();
  await request.until((r) => r.isComplete);
  assert.equal(request.body.length, total);
  assert.equal(server.stats.http("downstream_flow_control_paused_reading_total"), 1);
  assert.equal(server.stats.http("downstream_flow_control_resumed_reading_total"), 1);
  request.reply("ok");
  await client.receiveUntil("ok");
  client.destroy();
});

test("connection gives up on a head that does not come to an end", async () => {
  await using server = await H1Server.start({ requestHeadersTimeoutMs: 50 });
  const client = await RawClient.connect(server.port);
  client.send("GET / HTTP/1.1\r\nHost: a\r\n");
  assert.match(await client.receiveAll(), /^HTTP\/1\.1 408 /);
  assert.equal(server.stats.http("downstream_rq_header_timeout"), 1);
  client.destroy();
});

test("connection closes when it is idle too long or too old", async () => {
  await using server = await H1Server.start({ idleTimeoutMs: 50 });
  const idle = await RawClient.connect(server.port);
  idle.send(GET);
  assert.equal(await idle.receiveAll(), OK);
  assert.equal(server.stats.http("downstream_cx_idle_timeout"), 1);
  idle.destroy();
  await using aging = await H1Server.start({ maxConnectionDurationMs: 50 });
  const old = await RawClient.connect(aging.port);
  assert.equal(await old.receiveAll(), "");
  assert.equal(aging.stats.http("downstream_cx_max_duration_reached"), 1);
  old.destroy();
});

test("connection closes at last when the client does not", async () => {
  await using server = await H1Server.start({ delayedCloseTimeoutMs: 50 });
  const client = await RawClient.connect(server.port);
  client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  await client.receiveAll();
  await server.listener.drain();
  assert.equal(server.stats.http("downstream_cx_delayed_close_timeout"), 1);
  assert.equal(server.stats.http("downstream_cx_active"), 0);
  client.destroy();
});

test("connection drops or refuses names with underscores where that is configured", async () => {
  const request = "GET / HTTP/1.1\r\nHost: a\r\nx_y: 1\r\nx-z: 2\r\n\r\n";
  await using dropping = await H1Server.start({ headersWithUnderscores: "drop_header" });
  const dropped = await RawClient.connect(dropping.port);
  dropped.send(request);
  await dropped.receiveUntil("ok");
  assert.equal(dropping.requests[0]?.stream.head.headers.write(), "Host: a\r\nx-z: 2\r\n");
  assert.equal(dropping.stats.values.get("http1.dropped_headers_with_underscores"), 1);
  dropped.destroy();
  await using refusing = await H1Server.start({ headersWithUnderscores: "reject_request" });
  const refused = await RawClient.connect(refusing.port);
  refused.send(request);
  assert.match(await refused.receiveAll(), /^HTTP\/1\.1 400 /);
  assert.equal(refusing.stats.values.get("http1.requests_rejected_with_underscores_in_headers"), 1);
  refused.destroy();
});

test("connection redirects to the canonical path where that is configured", async () => {
  await using server = await H1Server.start({ escapedSlashes: "unescape_and_redirect" });
  const client = await RawClient.connect(server.port);
  client.send("GET /a%2Fb?c%2Fd HTTP/1.1\r\nHost: a\r\n\r\n");
  assert.match(await client.receiveAll(), /^HTTP\/1\.1 307 [^]*\r\nlocation: \/a\/b\?c%2Fd\r\n/);
  client.destroy();
});
