// Secrets over SDS, from the client's side: who is subscribed to, who waits, what is refused, what a rotation does.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import type { TestContext } from "node:test";
import type { FileResource } from "../../xds/decode/resources-file.ts";
import { CLUSTER_TYPE, LISTENER_TYPE, SECRET_TYPE } from "../../xds/type-urls.ts";
import { CertificateAuthority } from "../support/certificates.ts";
import type { Issued } from "../support/certificates.ts";
import { FakeControlPlane } from "../support/fake-control-plane.ts";
import { startClient } from "../support/xds-client.ts";
import { bootstrap, listener, one, staticCluster } from "../support/xds-resources.ts";
import { delta, scene, sotw } from "../support/xds-scene.ts";

const authority = new CertificateAuthority();
const first = authority.issue({ commonName: "first" });
const second = authority.issue({ commonName: "second" });

const TLS = "envoy.extensions.transport_sockets.tls.v3";
const ADS = "{ ads: {}, resource_api_version: V3 }";

function tlsCluster(name: string, secret = "client", source = ADS): FileResource {
  const common = `common_tls_context: { tls_certificate_sds_secret_configs: [{ name: ${secret}, sds_config: ${source} }], validation_context_sds_secret_config: { name: ca, sds_config: ${source} } }`;
  const socket = `transport_socket: { name: tls, typed_config: { "@type": type.googleapis.com/${TLS}.UpstreamTlsContext, ${common} } }`;
  return one(
    `{ "@type": "${CLUSTER_TYPE}", name: ${name}, type: STATIC, connect_timeout: 1s, ${socket}, load_assignment: { cluster_name: ${name} } }`,
  );
}

const text = (value: string) => `{ inline_string: ${JSON.stringify(value)} }`;

function certificate(name: string, { certificate: chain, key }: Issued): FileResource {
  return one(
    `{ "@type": "${SECRET_TYPE}", name: ${name}, tls_certificate: { certificate_chain: ${text(chain)}, private_key: ${text(key)} } }`,
  );
}

function ca(name: string): FileResource {
  return one(
    `{ "@type": "${SECRET_TYPE}", name: ${name}, validation_context: { trusted_ca: ${text(authority.certificate)} } }`,
  );
}

test("a cluster with TLS waits for its secrets, subscribed in one request; a plain one does not", async (t) => {
  const { stream, client, until } = await scene(t, "GRPC");
  stream.send(sotw(CLUSTER_TYPE, "1", tlsCluster("tls"), staticCluster("plain")));
  await stream.next();
  const asked = await stream.next();
  assert.deepEqual(
    [asked.request.typeUrl, asked.request.kind === "sotw" && asked.request.names],
    [SECRET_TYPE, ["ca", "client"]],
  );
  const before = await until("the plain cluster", ({ clusters }) => clusters.has("plain"));
  assert.ok(!before.clusters.has("tls"));
  assert.deepEqual(
    client.status().warming.map(({ name, waitsFor }) => [name, waitsFor]),
    [["tls", ['Secret "client"', 'Secret "ca"']]],
  );
  stream.send(sotw(SECRET_TYPE, "1", certificate("client", first)));
  await stream.next();
  assert.deepEqual(
    client.status().warming.map(({ waitsFor }) => waitsFor),
    [['Secret "ca"']],
  );
  stream.send(sotw(SECRET_TYPE, "2", certificate("client", first), ca("ca")));
  await until("the cluster with TLS", ({ clusters }) => clusters.has("tls"));
  const stats = client.stats();
  assert.equal(stats["sds.client.update_success"], 2);
  assert.equal(stats["sds.ca.version_text"], "2");
  assert.equal(stats["sds.ca.key_rotation_failed"], 0);
});

suite("a certificate that cannot be used", () => {
  const mixed = { certificate: first.certificate, key: second.key };

  test("is refused with the reason (state of the world), and the last good one stays", async (t) => {
    const { stream, client } = await scene(t, "GRPC");
    stream.send(sotw(CLUSTER_TYPE, "1", tlsCluster("tls")));
    await stream.next();
    await stream.next();
    stream.send(sotw(SECRET_TYPE, "1", certificate("client", first), ca("ca")));
    const ack = await stream.next();
    assert.equal(ack.request.error, undefined);
    stream.send(sotw(SECRET_TYPE, "2", certificate("client", mixed), ca("ca")));
    const nack = await stream.next();
    assert.equal(
      nack.request.error?.message,
      'Secret "client": tls_certificate: the private key in <inline> is not the key of the certificate in <inline>',
    );
    assert.equal(nack.request.kind === "sotw" && nack.request.version, "1");
    assert.ok((client.secretUsedSince("client") ?? Infinity) <= Date.now());
    assert.equal(client.secretUsedSince("nobody"), undefined);
    const { state, version, error } = client.status().resources.find(({ name }) => name === "client") ?? {};
    assert.deepEqual([state, version, error?.version], ["NACKED", "1", "2"]);
    assert.equal(client.stats()["sds.client.update_rejected"], 1);
    assert.equal(client.stats()["sds.ca.update_success"], 2);
  });

  test("is refused by name (delta), and the others are taken", async (t) => {
    const { stream, client, until } = await scene(t, "DELTA_GRPC");
    stream.send(delta(CLUSTER_TYPE, "1", [tlsCluster("tls"), tlsCluster("other", "spare")]));
    await stream.next();
    await stream.next();
    stream.send(delta(SECRET_TYPE, "2", [certificate("client", mixed), certificate("spare", first), ca("ca")]));
    const nack = await stream.next();
    assert.match(nack.request.error?.message ?? "", /^Secret "client": tls_certificate: the private key/);
    // As in Envoy a first version that is refused is not waited for; what goes wrong is the connection.
    await until("both clusters", ({ clusters }) => clusters.has("tls") && clusters.has("other"));
    assert.equal(client.status().resources.find(({ name }) => name === "spare")?.state, "ACKED");
  });
});

test("a removed secret of a delta server stays in use, as in Envoy", async (t) => {
  const { stream, client, until } = await scene(t, "DELTA_GRPC");
  stream.send(delta(CLUSTER_TYPE, "1", [tlsCluster("tls")]));
  await stream.next();
  await stream.next();
  stream.send(delta(SECRET_TYPE, "2", [certificate("client", first), ca("ca")]));
  await stream.next();
  await until("the cluster", ({ clusters }) => clusters.has("tls"));
  stream.send(delta(SECRET_TYPE, "3", [], ["client"]));
  await stream.next();
  const held = client.status().resources.find(({ name }) => name === "client");
  assert.deepEqual([held?.state, held?.value !== undefined], ["DOES_NOT_EXIST", true]);
  assert.ok(client.snapshot.clusters.has("tls"));
});

test("a listener with TLS waits for its secrets, and they are unsubscribed with it", async (t) => {
  const { stream, until } = await scene(t, "DELTA_GRPC");
  const context = `{ "@type": type.googleapis.com/${TLS}.DownstreamTlsContext, common_tls_context: { tls_certificate_sds_secret_configs: [{ name: server, sds_config: ${ADS} }] } }`;
  const tcp = `{ name: tcp, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: t, cluster: c } }`;
  const address = "{ socket_address: { address: 127.0.0.1, port_value: 1 } }";
  const chain = `{ filters: [${tcp}], transport_socket: { name: tls, typed_config: ${context} } }`;
  stream.send(delta(CLUSTER_TYPE, "1", []));
  await stream.next();
  stream.send(
    delta(LISTENER_TYPE, "2", [
      one(`{ "@type": "${LISTENER_TYPE}", name: l, address: ${address}, filter_chains: [${chain}] }`),
    ]),
  );
  await stream.next();
  const asked = await stream.next();
  assert.deepEqual(asked.request.kind === "delta" && asked.request.subscribe, ["server"]);
  stream.send(delta(SECRET_TYPE, "3", [certificate("server", first)]));
  await stream.next();
  await until("the listener", ({ listeners }) => listeners.has("l"));
  stream.send(delta(LISTENER_TYPE, "4", [listener("plain", { timeout: "1s" })], ["l"]));
  await stream.next();
  for (;;) {
    const { request } = await stream.next();
    if (request.typeUrl !== SECRET_TYPE) continue;
    assert.deepEqual(request.kind === "delta" && request.unsubscribe, ["server"]);
    return;
  }
});

test("a cluster that names a static secret which is not there, or is of another kind, is refused", async (t) => {
  const { stream } = await scene(t, "GRPC");
  const common = "common_tls_context: { tls_certificate_sds_secret_configs: [{ name: nowhere }] }";
  const socket = `transport_socket: { name: tls, typed_config: { "@type": type.googleapis.com/${TLS}.UpstreamTlsContext, ${common} } }`;
  stream.send(sotw(CLUSTER_TYPE, "1", one(`{ "@type": "${CLUSTER_TYPE}", name: c, ${socket} }`)));
  const nack = await stream.next();
  assert.equal(
    nack.request.error?.message,
    'Cluster "c": transport_socket: no static secret "nowhere" is a tls_certificate',
  );
});

/** A secret in a file, whose certificate is in files: what Kubernetes mounts. */
function mounted(t: TestContext): { path: string; directory: string; rotate: (issued: Issued) => void } {
  const directory = mkdtempSync(join(tmpdir(), "outrigger-sds-"));
  t.after(() => rmSync(directory, { recursive: true }));
  let generation = 0;
  const rotate = ({ certificate: chain, key }: Issued) => {
    generation += 1;
    const data = join(directory, `..data-${generation}`);
    mkdirSync(data);
    writeFileSync(join(data, "tls.crt"), chain);
    writeFileSync(join(data, "tls.key"), key);
    symlinkSync(data, join(directory, "..new"));
    renameSync(join(directory, "..new"), join(directory, "..data"));
  };
  rotate(first);
  const path = join(directory, "sds.yaml");
  const file = (name: string) => `{ filename: ${join(directory, "..data", name)} }`;
  const watched = `watched_directory: { path: ${directory} }`;
  writeFileSync(
    path,
    `resources:\n- { "@type": "${SECRET_TYPE}", name: client, tls_certificate: { certificate_chain: ${file("tls.crt")}, private_key: ${file("tls.key")}, ${watched} } }\n- { "@type": "${SECRET_TYPE}", name: ca, validation_context: { trusted_ca: ${text(authority.certificate)} } }\n`,
  );
  return { path, directory, rotate };
}

test("certificates in files are read again when they are moved into place; what does not fit is counted and left out", async (t) => {
  const { path, rotate } = mounted(t);
  const source = `{ path_config_source: { path: ${path} } }`;
  const common = `common_tls_context: { tls_certificate_sds_secret_configs: [{ name: client, sds_config: ${source} }], validation_context_sds_secret_config: { name: ca, sds_config: ${source} } }`;
  const socket = `transport_socket: { name: tls, typed_config: { "@type": type.googleapis.com/${TLS}.UpstreamTlsContext, ${common} } }`;
  const { client, until, untilStatus, log } = startClient(
    bootstrap(`node: { id: n, cluster: c }\nstatic_resources: { clusters: [{ name: tls, ${socket} }] }`),
  );
  t.after(() => client.close());
  await until("the cluster", ({ clusters }) => clusters.has("tls"));
  const subject = () => client.certificates().flatMap(({ chain }) => chain.map(({ subject: name }) => name));
  assert.deepEqual(subject(), ["CN=first"]);
  const since = client.secretUsedSince("client") ?? Infinity;
  rotate(second);
  await untilStatus("the second certificate", () => subject()[0] === "CN=second");
  const rotated = client.secretUsedSince("client") ?? 0;
  assert.ok(rotated > since, `${rotated} ${since}`);
  rotate({ certificate: first.certificate, key: second.key });
  await untilStatus("the failure", () => client.stats()["sds.client.key_rotation_failed"] === 1);
  assert.deepEqual(subject(), ["CN=second"]);
  assert.equal(client.secretUsedSince("client"), rotated);
  assert.ok(
    log.some((line) => line.startsWith("warn a secret's files changed and cannot be used")),
    log.join("\n"),
  );
  rotate(first);
  await untilStatus("the first again", () => subject()[0] === "CN=first");
});

test("a secret whose server is away holds the start back for initial_fetch_timeout, and no longer", async (t) => {
  const nobody = `{ initial_fetch_timeout: 0.3s, api_config_source: { api_type: DELTA_GRPC, transport_api_version: V3, grpc_services: [{ google_grpc: { target_uri: "127.0.0.1:1", stat_prefix: x } }] } }`;
  const common = `common_tls_context: { tls_certificate_sds_secret_configs: [{ name: s, sds_config: ${nobody} }] }`;
  const socket = `transport_socket: { name: tls, typed_config: { "@type": type.googleapis.com/${TLS}.UpstreamTlsContext, ${common} } }`;
  const { client, until, untilStatus } = startClient(
    bootstrap(
      `node: { id: n, cluster: c }\nstatic_resources: { clusters: [{ name: tls, ${socket} }, { name: plain }] }`,
    ),
  );
  t.after(() => client.close());
  const early = await until("the plain cluster", ({ clusters }) => clusters.has("plain"));
  assert.ok(!early.clusters.has("tls"));
  assert.equal(client.status().isInitialized, false);
  await untilStatus("the start", () => client.status().isInitialized);
  assert.ok(client.snapshot.clusters.has("tls"));
  assert.equal(client.stats()["sds.s.init_fetch_timeout"], 1);
});

for (const [api, path] of [
  ["GRPC", "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets"],
  ["DELTA_GRPC", "/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets"],
] as const) {
  test(`secrets come by a stream of their own (${api}), one for all that name the same source`, async (t) => {
    const server = new FakeControlPlane();
    t.after(() => server.close());
    const target = `{ google_grpc: { target_uri: "127.0.0.1:${await server.listen()}", stat_prefix: x } }`;
    const source = `{ api_config_source: { api_type: ${api}, transport_api_version: V3, grpc_services: [${target}] } }`;
    const clusters = ["a", "b"].map((name) => {
      const common = `common_tls_context: { tls_certificate_sds_secret_configs: [{ name: ${name}, sds_config: ${source} }] }`;
      return `{ name: ${name}, transport_socket: { name: tls, typed_config: { "@type": type.googleapis.com/${TLS}.UpstreamTlsContext, ${common} } } }`;
    });
    const { client, until } = startClient(
      bootstrap(`node: { id: n, cluster: c }\nstatic_resources: { clusters: [${clusters.join(", ")}] }`),
    );
    t.after(() => client.close());
    const stream = await server.nextStream();
    assert.equal(stream.path, path);
    const { request } = await stream.next();
    assert.deepEqual(request.kind === "sotw" ? request.names : request.subscribe, ["a", "b"]);
    const all = [certificate("a", first), certificate("b", second)];
    stream.send(api === "GRPC" ? sotw(SECRET_TYPE, "1", ...all) : delta(SECRET_TYPE, "1", all));
    assert.equal((await stream.next()).request.error, undefined);
    await until("both clusters", (snapshot) => snapshot.clusters.size === 2);
    assert.equal(server.streams.all.length, 1);
  });
}
