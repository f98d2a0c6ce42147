// The control plane against clients that misbehave: bytes that are no request, floods, streams that come and go. What
// one client does never reaches another.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { Client, Metadata, credentials } from "@grpc/grpc-js";
import type { ClientDuplexStream, StatusObject } from "@grpc/grpc-js";
import { createControlPlane } from "../../../xds/server/control-plane.ts";
import type { ControlPlaneEvent, ControlPlaneOptions } from "../../../xds/server/control-plane.ts";
import { ADS_METHODS } from "../../../xds/type-urls.ts";
import { EventLog } from "../../support/events.ts";
import { startClient } from "../../support/xds-client.ts";
import { adsBootstrap, staticCluster } from "../../support/xds-resources.ts";

async function serve(t: TestContext, options: Partial<ControlPlaneOptions> = {}) {
  const events = new EventLog<ControlPlaneEvent>();
  const resources = [staticCluster("a")];
  const server = createControlPlane({ resources, onEvent: (event) => events.push(event), ...options });
  t.after(() => server.close());
  return { server, events, port: await server.listen("127.0.0.1", 0) };
}

type RawCall = { call: ClientDuplexStream<Buffer, Buffer>; ended: Promise<StatusObject> };

function open(t: TestContext, port: number): RawCall {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), { "grpc.enable_http_proxy": 0 });
  t.after(() => client.close());
  const same = (bytes: Buffer) => bytes;
  const call = client.makeBidiStreamRequest(ADS_METHODS.sotw, same, same, new Metadata());
  call.on("error", () => {});
  call.on("data", () => {});
  return { call, ended: new Promise((resolve) => call.on("status", resolve)) };
}

async function assertServes(t: TestContext, port: number): Promise<void> {
  const { client, until } = startClient(adsBootstrap(port, "GRPC"));
  t.after(() => client.close());
  await until("a", ({ clusters }) => clusters.has("a"));
}

test("control plane ends a stream of bytes that are no request, and serves others", async (t) => {
  const { port } = await serve(t);
  const { call, ended } = open(t, port);
  call.write(Buffer.from([0xff, 0xff, 0xff]));
  const { code, details } = await ended;
  assert.equal(code, 3);
  assert.match(details, /does not parse/);
  await assertServes(t, port);
});

test("control plane ends a stream with a request beyond its limit", async (t) => {
  const { port } = await serve(t);
  const { call, ended } = open(t, port);
  call.write(Buffer.alloc(20 * 1024 * 1024, 0x0a));
  assert.equal((await ended).code, 8);
  await assertServes(t, port);
});

test("control plane refuses streams beyond its limit, until one goes", async (t) => {
  const { port, events } = await serve(t, { maxClients: 1 });
  const first = startClient(adsBootstrap(port, "GRPC"));
  await first.until("a", ({ clusters }) => clusters.has("a"));
  const second = open(t, port);
  assert.equal((await second.ended).code, 8);
  first.client.close();
  await events.first("disconnection", ({ kind }) => kind === "disconnected");
  await assertServes(t, port);
});

test("control plane says who comes, who goes, and keeps a client's text on one line", async (t) => {
  const { port, events, server } = await serve(t);
  const { call } = open(t, port);
  // DiscoveryRequest{node{id: "evil\nnode"}, type_url: "x\u001b[2J"}
  const id = Buffer.from("evil\nnode");
  const node = Buffer.concat([Buffer.from([0x0a, id.length]), id]);
  const typeUrl = Buffer.from("x\u001b[2J");
  call.write(Buffer.concat([Buffer.from([0x12, node.length]), node, Buffer.from([0x22, typeUrl.length]), typeUrl]));
  const connected = await events.first("connection", ({ kind }) => kind === "connected");
  assert.match(connected.client, /^evil\\nnode 127\.0\.0\.1:\d+$/);
  await events.first("unknown type", ({ kind }) => kind === "unknown type");
  assert.equal(server.clients().length, 1);
  call.cancel();
  await events.first("disconnection", ({ kind }) => kind === "disconnected");
  assert.deepEqual(server.clients(), []);
});

test("listen() rejects when the port is taken", async (t) => {
  const { port } = await serve(t);
  const second = createControlPlane({ resources: [] });
  await assert.rejects(second.listen("127.0.0.1", port), /EADDRINUSE/);
});
