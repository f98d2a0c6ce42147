// How a client shows a control plane who it is: certificates from files, inline and from SDS, tokens that change on disk, over
// clusters, google_grpc targets and Unix sockets.

import assert from "node:assert/strict";
import { renameSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { suite, test } from "node:test";
import { CLUSTER_TYPE, SECRET_TYPE } from "../../xds/type-urls.ts";
import {
  address,
  authority,
  certificateOf,
  client,
  clientCertificate,
  inline,
  overCluster,
  overTarget,
  refusal,
  server,
  serverCertificate,
  serverCredentials,
  stranger,
  temporary,
  TRUSTED_CA,
} from "../support/control-plane-tls.ts";
import type { Issued } from "../support/certificates.ts";
import { one } from "../support/xds-resources.ts";
import { sotw } from "../support/xds-scene.ts";

const validated = (text: string) => `common_tls_context: { validation_context: { ${TRUSTED_CA} }, ${text} }`;
const mutual = serverCredentials(serverCertificate, authority);

/** Moves a file into place, as whoever rotates it does. */
function moveInto(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

suite("mutual TLS", () => {
  test("shows a certificate that stands in the configuration", async (t) => {
    const { plane, port } = await server(t, mutual);
    client(t, overCluster(address(port), validated(`tls_certificates: [${certificateOf(clientCertificate)}]`)));
    await (await plane.nextStream()).next();
  });

  test("is refused by the server without one, with a stranger's, and in the clear, in words", async (t) => {
    const { plane, port } = await server(t, mutual);
    assert.equal(
      await refusal(t, overCluster(address(port), validated(""))),
      "cannot connect: the server demands a certificate, and there is none to show",
    );
    const foreign = validated(`tls_certificates: [${certificateOf(stranger.issue({ commonName: "x" }))}]`);
    const closed = /^cannot connect: the server (?:refuses our certificate|closed the connection before)/;
    assert.match(await refusal(t, overCluster(address(port), foreign)), closed);
    assert.match(await refusal(t, overCluster(address(port), undefined)), closed);
    assert.equal(plane.streams.all.length, 0);
  });

  test("reads certificate files anew for each connection", async (t) => {
    const path = temporary(t);
    const write = ({ certificate, key }: Issued) => {
      moveInto(path("tls.crt"), certificate);
      moveInto(path("tls.key"), key);
    };
    write(stranger.issue({ commonName: "x" }));
    const { plane, port } = await server(t, mutual);
    const files = `{ certificate_chain: { filename: ${path("tls.crt")} }, private_key: { filename: ${path("tls.key")} } }`;
    const { client: xds, untilStatus } = client(
      t,
      overCluster(address(port), validated(`tls_certificates: [${files}]`)),
    );
    await untilStatus("a refusal", () => xds.status().servers[0]?.lastError !== "");
    write(clientCertificate);
    await (await plane.nextStream()).next();
  });

  test("waits for a certificate over SDS from another server, and takes it when it comes", async (t) => {
    const sds = await server(t);
    const { plane, port } = await server(t, mutual);
    const source = `{ api_config_source: { api_type: GRPC, transport_api_version: V3, grpc_services: [{ envoy_grpc: { cluster_name: sds } }] } }`;
    const wanted = (name: string) => `{ name: ${name}, sds_config: ${source} }`;
    const common = `common_tls_context: { tls_certificate_sds_secret_configs: [${wanted("default")}], validation_context_sds_secret_config: ${wanted("ROOTCA")} }`;
    const cluster = `- { name: sds, type: STATIC, load_assignment: { cluster_name: sds, endpoints: [{ lb_endpoints: [{ endpoint: { address: ${address(sds.port)} } }] }] } }`;
    // Only the secret can be what ends the pause.
    const patient = ", retry_policy: { retry_back_off: { base_interval: 600s, max_interval: 600s } }";
    const { client: xds, untilStatus } = client(t, overCluster(address(port), common, patient, "", cluster), {
      random: () => 0.99,
    });
    const stream = await sds.plane.nextStream();
    assert.equal(stream.path, "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets");
    const { request } = await stream.next();
    assert.deepEqual(request.kind === "sotw" && request.names, ["ROOTCA", "default"]);
    const ads = () => xds.status().servers.find(({ name }) => name === "ads");
    await untilStatus("the reason", () => ads()?.lastError === 'the secret "default" is not there yet');
    const secrets = [
      one(`{ "@type": "${SECRET_TYPE}", name: default, tls_certificate: ${certificateOf(clientCertificate)} }`),
      one(`{ "@type": "${SECRET_TYPE}", name: ROOTCA, validation_context: { ${TRUSTED_CA} } }`),
    ];
    stream.send(sotw(SECRET_TYPE, "1", ...secrets));
    await (await plane.nextStream()).next();
  });

  test("shows a rotated secret with the next connection; the one that stands goes on", async (t) => {
    const path = temporary(t);
    const files = ({ certificate, key }: Issued) => {
      moveInto(path("tls.crt"), certificate);
      moveInto(path("tls.key"), key);
    };
    files(clientCertificate);
    const pair = `{ certificate_chain: { filename: ${path("tls.crt")} }, private_key: { filename: ${path("tls.key")} } }`;
    const resource = `{ "@type": "${SECRET_TYPE}", name: mine, tls_certificate: ${pair} }`;
    writeFileSync(path("sds.yaml"), `resources: [${resource}]`);
    const wanted = `{ name: mine, sds_config: { path_config_source: { path: ${path("sds.yaml")} } } }`;
    const { plane, port } = await server(t, mutual);
    const config = overCluster(address(port), validated(`tls_certificate_sds_secret_configs: [${wanted}]`));
    const { client: xds, untilStatus } = client(t, config);
    const before = await plane.nextStream();
    await before.next();
    assert.equal(before.peerName, "client");
    files(authority.issue({ commonName: "rotated" }));
    const shown = () => xds.certificates().flatMap(({ chain }) => chain.map(({ subject }) => subject));
    await untilStatus("the rotation", () => shown().includes("CN=rotated"));
    before.send(sotw(CLUSTER_TYPE, "1"));
    assert.equal((await before.next()).request.error, undefined);
    before.end();
    const after = await plane.nextStream();
    await after.next();
    assert.equal(after.peerName, "rotated");
  });

  test("takes a static secret of the bootstrap", async (t) => {
    const { plane, port } = await server(t, mutual);
    const secrets = `secrets: [{ name: mine, tls_certificate: ${certificateOf(clientCertificate)} }]`;
    client(
      t,
      overCluster(address(port), validated("tls_certificate_sds_secret_configs: [{ name: mine }]"), "", secrets),
    );
    await (await plane.nextStream()).next();
  });
});

suite("a Unix socket", () => {
  test("is reached through a cluster, plain and by TLS", async (t) => {
    const path = temporary(t);
    for (const [name, credentials, context] of [
      ["plain", undefined, undefined],
      ["tls", serverCredentials(serverCertificate), validated("")],
    ] as const) {
      const { plane } = await server(t, credentials, `unix:${path(name)}`);
      client(t, overCluster(`{ pipe: { path: ${path(name)} } }`, context));
      await (await plane.nextStream()).next();
    }
  });

  test("is reached through google_grpc with local credentials", async (t) => {
    const path = temporary(t);
    const { plane } = await server(t, undefined, `unix:${path("s")}`);
    client(t, overTarget(`target_uri: "unix:${path("s")}", channel_credentials: { local_credentials: {} }`));
    await (await plane.nextStream()).next();
  });
});

suite("google_grpc", () => {
  const ssl = (text: string) => `channel_credentials: { ssl_credentials: { ${text} } }`;
  const ROOTS = `root_certs: ${inline(authority.certificate)}`;

  test("demands that the certificate is for the target", async (t) => {
    const { plane, port } = await server(t, serverCredentials(serverCertificate));
    client(t, overTarget(`target_uri: "127.0.0.1:${port}", ${ssl(ROOTS)}`));
    await (await plane.nextStream()).next();
    const other = await server(t, serverCredentials(authority.issue({ commonName: "x", dns: ["other.test"] })));
    const reason = await refusal(t, overTarget(`target_uri: "ipv4:127.0.0.1:${other.port}", ${ssl(ROOTS)}`));
    assert.match(reason, /is not for "127.0.0.1": it is for other.test/);
    const named = `channel_args: { args: { grpc.ssl_target_name_override: { string_value: other.test } } }`;
    client(t, overTarget(`target_uri: "127.0.0.1:${other.port}", ${ssl(ROOTS)}, ${named}`));
    const stream = await other.plane.nextStream();
    await stream.next();
  });

  test("shows a certificate", async (t) => {
    const { plane, port } = await server(t, mutual);
    const pair = `private_key: ${inline(clientCertificate.key)}, cert_chain: ${inline(clientCertificate.certificate)}`;
    client(t, overTarget(`target_uri: "127.0.0.1:${port}", ${ssl(`${ROOTS}, ${pair}`)}`));
    await (await plane.nextStream()).next();
  });

  test("without root_certs trusts the system's authorities only", async (t) => {
    const { port } = await server(t, serverCredentials(serverCertificate));
    assert.match(await refusal(t, overTarget(`target_uri: "127.0.0.1:${port}", ${ssl("")}`)), /not trusted/);
  });

  test("sends an access token, and IAM's pair", async (t) => {
    const { plane, port } = await server(t);
    const iam = "{ google_iam: { authorization_token: a, authority_selector: s } }";
    client(t, overTarget(`target_uri: "127.0.0.1:${port}", call_credentials: [{ access_token: abc }, ${iam}]`));
    const { metadata } = await plane.nextStream();
    assert.deepEqual(metadata.get("authorization"), ["Bearer abc"]);
    assert.deepEqual(metadata.get("x-goog-iam-authority-selector"), ["s"]);
  });
});

suite("a token in a file", () => {
  const config = (port: number, path: string, more = "header_prefix: 'Bearer '") =>
    overTarget(
      `target_uri: "127.0.0.1:${port}", credentials_factory_name: envoy.grpc_credentials.file_based_metadata, call_credentials: [{ from_plugin: { name: envoy.grpc_credentials.file_based_metadata, typed_config: { "@type": type.googleapis.com/envoy.config.grpc_credential.v3.FileBasedMetadataConfig, secret_data: { filename: ${path} }, ${more} } } }]`,
    );

  test("is read anew for each stream", async (t) => {
    const path = temporary(t)("token");
    writeFileSync(path, "first\n");
    const { plane, port } = await server(t);
    client(t, config(port, path));
    const first = await plane.nextStream();
    assert.deepEqual(first.metadata.get("authorization"), ["Bearer first"]);
    moveInto(path, "second\n");
    first.fail(16, "the token is over");
    assert.deepEqual((await plane.nextStream()).metadata.get("authorization"), ["Bearer second"]);
  });

  test("that is not there yet is waited for, and the reason never shows a token", async (t) => {
    const path = temporary(t)("token");
    const { plane, port } = await server(t);
    const { client: xds, untilStatus } = client(t, config(port, path, "header_key: x-token"));
    const reason = `the token for x-token cannot be read: ${path} cannot be read: the file does not exist`;
    await untilStatus("the reason", () => xds.status().servers[0]?.lastError === reason);
    writeFileSync(path, "late");
    assert.deepEqual((await plane.nextStream()).metadata.get("x-token"), ["late"]);
  });
});

test("initial_metadata has Envoy's operators", async (t) => {
  const { plane, port } = await server(t);
  const entries = {
    plain: "v",
    percent: "100%%",
    env: "%ENVIRONMENT(MESH)%-%ENVIRONMENT(NONE)%",
    node: "%HOSTNAME%",
    cut: "%ENVIRONMENT(MESH):2%",
    request: "%REQ(x)%",
  };
  const metadata = Object.entries(entries).map(([key, value]) => `{ key: ${key}, value: "${value}" }`);
  const config = overCluster(address(port), undefined, `, initial_metadata: [${metadata.join(", ")}]`);
  client(t, config, { environment: { MESH: "mesh-1" } });
  const stream = await plane.nextStream();
  const seen = Object.keys(entries).map((key) => stream.metadata.get(key)[0]);
  assert.deepEqual(seen, ["v", "100%", "mesh-1--", hostname(), "me", "-"]);
});
