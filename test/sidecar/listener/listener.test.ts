import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { TimerWheel } from "../../../sidecar/http/timer-wheel.ts";
import { CloseChoice } from "../../../sidecar/listener/close-choice.ts";
import { listenerStats } from "../../../sidecar/listener/downstream-stats.ts";
import { Listener } from "../../../sidecar/listener/listener.ts";
import type { Address } from "../../../xds/model/address.ts";
import { H1Server, PlainStats } from "../../support/h1-server.ts";
import { RawClient } from "../../support/raw-client.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

function closedListener(address: Address, stats = new PlainStats()): Listener {
  const context = { wheel: new TimerWheel(), readBuffer: Buffer.alloc(1024) };
  const settings = { address, reusePort: false, backlog: 16, maxConnections: 0 };
  return new Listener(settings, () => undefined, context, listenerStats(stats, "test"));
}

test("Listener.start() says why it cannot bind", async () => {
  await using server = await H1Server.start();
  const taken = closedListener({ kind: "tcp", host: "127.0.0.1", port: server.port });
  await assert.rejects(taken.start(), {
    message: `Cannot listen on 127.0.0.1:${server.port}: the address is in use by another process`,
  });
  const foreign = closedListener({ kind: "tcp", host: "192.0.2.77", port: 0 });
  await assert.rejects(
    foreign.start(),
    /Cannot listen on 192\.0\.2\.77:0: no interface of this machine has the address/,
  );
});

test("Listener closes a connection that no filter chain takes", async () => {
  const stats = new PlainStats();
  const listener = closedListener({ kind: "tcp", host: "127.0.0.1", port: 0 }, stats);
  await listener.start();
  const client = await RawClient.connect(listener.boundAddress?.port ?? 0);
  assert.equal(await client.receiveAll(), "");
  assert.equal(stats.values.get("listener.test.no_filter_chain_match"), 1);
  listener.destroy();
});

test("Listener accepts on a Unix socket", async () => {
  const folder = mkdtempSync(join(tmpdir(), "outrigger-listener-"));
  const path = join(folder, "socket");
  const listener = closedListener({ kind: "pipe", path, mode: 0 });
  await listener.start();
  const client = createConnection(path);
  client.resume();
  await new Promise((resolve) => client.once("close", resolve));
  listener.destroy();
  rmSync(folder, { recursive: true });
});

test("Listener keeps to its limit of connections", async () => {
  await using server = await H1Server.start({}, 1);
  const first = await RawClient.connect(server.port);
  first.send(GET);
  await first.receiveUntil("ok");
  const second = await RawClient.connect(server.port);
  assert.equal(await second.receiveAll(), "");
  assert.equal(server.stats.values.get("listener.test.downstream_cx_overflow"), 1);
  first.send(GET);
  await first.receiveUntil("ok");
  first.destroy();
});

test("Listener.useChains() changes what new connections get and leaves old ones alone", async () => {
  await using server = await H1Server.start();
  const old = await RawClient.connect(server.port);
  old.send(GET);
  await old.receiveUntil("ok");
  server.listener.useChains(() => undefined, undefined);
  const young = await RawClient.connect(server.port);
  assert.equal(await young.receiveAll(), "");
  old.send(GET);
  await old.receiveUntil("ok");
  old.destroy();
});

test("Listener.drain() closes idle connections at once and busy ones with their response", async () => {
  await using server = await H1Server.start();
  server.handle(() => undefined);
  const busy = await RawClient.connect(server.port);
  busy.send(GET);
  const request = await server.request(1);
  const idle = await RawClient.connect(server.port);
  while (server.listener.connectionCount < 2) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  server.listener.stopAccepting();
  const drained = server.listener.drain();
  assert.equal(await idle.receiveAll(), "");
  idle.destroy();
  request.reply("ok");
  assert.equal(await busy.receiveAll(), "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
  busy.destroy();
  await drained;
  assert.equal(server.stats.http("downstream_cx_drain_close"), 2);
  assert.equal(server.stats.values.get("listener.test.downstream_cx_active"), 0);
  await assert.rejects(RawClient.connect(server.port === 0 ? 1 : server.port));
});

test("Listener.closeChoice decides for each response, also on connections that came later", async () => {
  await using server = await H1Server.start();
  const answers = [false, false, true];
  const random = (): number => (answers.shift() === false ? 0.9 : 0.1);
  let now = 0;
  server.listener.closeChoice = new CloseChoice(100, { now: () => now, random });
  now = 50;
  const client = await RawClient.connect(server.port);
  client.send(GET);
  await client.receiveUntil("ok");
  client.send(GET);
  await client.receiveUntil("ok");
  client.send(GET);
  assert.match(await client.receiveAll(), /connection: close\r\n\r\nok$/);
  assert.equal(server.stats.http("downstream_cx_drain_close"), 1);
  client.destroy();
  server.listener.closeChoice = undefined;
  const later = await RawClient.connect(server.port);
  later.send(GET);
  assert.doesNotMatch(await later.receiveUntil("ok"), /connection: close/);
  later.destroy();
});

test("Listener knows both ends of a connection", async () => {
  await using server = await H1Server.start();
  const client = await RawClient.connect(server.port);
  client.send(GET);
  await client.receiveUntil("ok");
  const info = server.requests[0]?.stream.connection;
  assert.equal(info?.remoteAddress, "127.0.0.1");
  assert.equal(info?.localAddress, "127.0.0.1");
  assert.equal(info?.localPort, server.port);
  assert.ok((info?.remotePort ?? 0) > 0);
  client.destroy();
});
