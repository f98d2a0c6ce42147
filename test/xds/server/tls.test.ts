// The control plane over TLS and mutual TLS, with certificates that change, and who is let in by SPIFFE id.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { connect as connectTls } from "node:tls";
import { Client, Metadata, credentials } from "@grpc/grpc-js";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from "../../../xds/gen/envoy/service/discovery/v3/discovery_pb.ts";
import { createControlPlane } from "../../../xds/server/control-plane.ts";
import type { ControlPlane, ControlPlaneOptions } from "../../../xds/server/control-plane.ts";
import { ADS_METHODS, CLUSTER_TYPE } from "../../../xds/type-urls.ts";
import { CertificateAuthority } from "../../support/certificates.ts";
import { EventLog } from "../../support/events.ts";
import { staticCluster } from "../../support/xds-resources.ts";

type Scene = Readonly<{
  plane: ControlPlane;
  port: number;
  authority: CertificateAuthority;
  problems: EventLog<string>;
  write(name: "cert" | "key", text: string): Promise<void>;
}>;

async function serve(t: TestContext, options: ControlPlaneOptions, mutual: boolean): Promise<Scene> {
  const folder = await mkdtemp(join(tmpdir(), "control-plane-tls-"));
  t.after(() => rm(folder, { recursive: true }));
  const authority = new CertificateAuthority();
  const server = authority.issue({ commonName: "first", dns: ["localhost"], ips: ["127.0.0.1"] });
  const path = (name: string) => join(folder, name);
  await writeFile(path("ca"), authority.certificate);
  await writeFile(path("cert"), server.certificate);
  await writeFile(path("key"), server.key);
  const plane = createControlPlane(options);
  t.after(() => plane.close());
  const problems = new EventLog<string>();
  const tls = { certificate: path("cert"), key: path("key"), ...(mutual ? { clientCa: path("ca") } : {}) };
  const port = await plane.listen("127.0.0.1", 0, tls, (problem) => problems.push(problem));
  return { plane, port, authority, problems, write: (name, text) => writeFile(path(name), text) };
}

type Outcome = Readonly<{ names: readonly string[]; code: number; details: string }>;

/** Asks for all clusters; what came, or how the stream ended. */
async function ask(t: TestContext, scene: Scene, nodeCluster: string, uri?: string): Promise<Outcome> {
  const { authority, port } = scene;
  const own = uri === undefined ? undefined : authority.issue({ commonName: "client", uris: [uri] });
  const pem = (text: string) => Buffer.from(text);
  const ssl =
    own === undefined
      ? credentials.createSsl(pem(authority.certificate))
      : credentials.createSsl(pem(authority.certificate), pem(own.key), pem(own.certificate));
  const client = new Client(`localhost:${port}`, ssl, { "grpc.enable_http_proxy": 0, "grpc.enable_retries": 0 });
  t.after(() => client.close());
  const same = (bytes: Buffer) => bytes;
  const call = client.makeBidiStreamRequest(ADS_METHODS.sotw, same, same, new Metadata());
  call.on("error", () => {});
  const node = { id: "n", cluster: nodeCluster };
  call.write(
    Buffer.from(toBinary(DiscoveryRequestSchema, create(DiscoveryRequestSchema, { node, typeUrl: CLUSTER_TYPE }))),
  );
  return new Promise((resolve) => {
    call.on("data", (bytes: Buffer) => {
      const { resources } = fromBinary(DiscoveryResponseSchema, bytes);
      // Field 1 of a Cluster is its name.
      const names = resources.map(({ value }) => Buffer.from(value.subarray(2, 2 + (value[1] ?? 0))).toString());
      resolve({ names, code: 0, details: "" });
      call.cancel();
    });
    call.on("status", ({ code, details }) => resolve({ names: [], code, details }));
  });
}

const UNAVAILABLE = 14;
const PERMISSION_DENIED = 7;
const SHOP = "spiffe://example.org/ns/shop/sa/web";

test("control plane serves over TLS, and not in plaintext", async (t) => {
  const scene = await serve(t, { resources: [staticCluster("a")] }, false);
  assert.deepEqual(await ask(t, scene, "shop"), { names: ["a"], code: 0, details: "" });
  const plain = new Client(`127.0.0.1:${scene.port}`, credentials.createInsecure());
  t.after(() => plain.close());
  const same = (bytes: Buffer) => bytes;
  const call = plain.makeBidiStreamRequest(ADS_METHODS.sotw, same, same, new Metadata());
  call.on("error", () => {});
  call.on("data", () => {});
  const status = await new Promise<{ code: number }>((resolve) => {
    call.on("status", resolve);
  });
  assert.equal(status.code, UNAVAILABLE);
});

test("control plane with a client CA lets in who has a certificate, and by SPIFFE id for a group", async (t) => {
  const groups = [
    { resources: [staticCluster("all")] },
    {
      name: "shop.yaml:1",
      selector: { cluster: ["shop"] },
      spiffeIds: ["spiffe://example.org/ns/shop/sa/*"],
      resources: [staticCluster("shop")],
    },
  ];
  const scene = await serve(t, { groups, allowSpiffeIds: ["spiffe://example.org/ns/*/sa/*"] }, true);
  assert.equal((await ask(t, scene, "shop")).code, UNAVAILABLE, "no certificate");
  assert.deepEqual((await ask(t, scene, "shop", SHOP)).names, ["all", "shop"]);
  assert.deepEqual((await ask(t, scene, "bank", "spiffe://example.org/ns/bank/sa/web")).names, ["all"]);
  // Who says to be the shop must be it, and who is nobody gets nothing at all.
  const impostor = await ask(t, scene, "shop", "spiffe://example.org/ns/bank/sa/web");
  assert.equal(impostor.code, PERMISSION_DENIED);
  assert.match(impostor.details, /not allowed for shop\.yaml:1: it is spiffe:\/\/example\.org\/ns\/bank\/sa\/web$/);
  const stranger = await ask(t, scene, "bank", "spiffe://elsewhere.org/ns/bank/sa/web");
  assert.equal(stranger.code, PERMISSION_DENIED);
  assert.equal(scene.plane.counters().get("streams_denied"), 2);
});

test("control plane sends a client away that a new configuration does not allow", async (t) => {
  const events = new EventLog<string>();
  const group = (...spiffeIds: readonly string[]) => [{ spiffeIds, resources: [staticCluster("a")] }];
  const onEvent = (event: { kind: string; reason?: string }) => events.push(`${event.kind} ${event.reason ?? ""}`);
  const scene = await serve(t, { groups: group(SHOP), onEvent }, true);
  const own = scene.authority.issue({ commonName: "client", uris: [SHOP] });
  const pem = (text: string) => Buffer.from(text);
  const ssl = credentials.createSsl(pem(scene.authority.certificate), pem(own.key), pem(own.certificate));
  const client = new Client(`localhost:${scene.port}`, ssl, { "grpc.enable_http_proxy": 0 });
  t.after(() => client.close());
  const same = (bytes: Buffer) => bytes;
  const call = client.makeBidiStreamRequest(ADS_METHODS.sotw, same, same, new Metadata());
  const ended = new Promise<{ code: number }>((resolve) => {
    call.on("status", resolve);
  });
  call.on("error", () => {});
  call.on("data", () => {});
  call.write(Buffer.from(toBinary(DiscoveryRequestSchema, create(DiscoveryRequestSchema, { typeUrl: CLUSTER_TYPE }))));
  await events.first("push", (each) => each.startsWith("pushed"));
  const [view] = scene.plane.clients();
  assert.deepEqual(view?.spiffeIds, [SHOP]);
  scene.plane.setGroups(group("spiffe://example.org/ns/bank/sa/web"));
  assert.equal((await ended).code, PERMISSION_DENIED);
  await events.first("disconnection", (each) => /^disconnected the SPIFFE id .* not allowed/.test(each));
});

async function servedName(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false, ALPNProtocols: ["h2"] }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

test("control plane follows its certificate, and keeps the last good one", async (t) => {
  const scene = await serve(t, { resources: [] }, false);
  assert.equal(await servedName(scene.port), "first");
  const next = scene.authority.issue({ commonName: "second", dns: ["localhost"] });
  // The pair does not fit until the key is written too.
  await scene.write("cert", next.certificate);
  await scene.problems.first("a problem", (problem) => /cert.*key.*mismatch/i.test(problem));
  assert.equal(await servedName(scene.port), "first");
  await scene.write("key", next.key);
  const deadline = Date.now() + 10_000;
  while ((await servedName(scene.port)) !== "second") assert.ok(Date.now() < deadline, "the new certificate is served");
});

test("listen() rejects certificates that cannot be used, by name", async (t) => {
  const plane = createControlPlane({ resources: [] });
  t.after(() => plane.close());
  await assert.rejects(
    plane.listen("127.0.0.1", 0, { certificate: "/no/cert", key: "/no/key" }),
    /\/no\/cert: .*does not exist/,
  );
});
