// Control planes that ask for TLS, clients that speak it, and the certificates of both.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { ServerCredentials } from "@grpc/grpc-js";
import type { Bootstrap } from "../../xds/model/bootstrap.ts";
import { CertificateAuthority } from "./certificates.ts";
import type { Issued } from "./certificates.ts";
import { FakeControlPlane } from "./fake-control-plane.ts";
import { startClient } from "./xds-client.ts";
import { bootstrap } from "./xds-resources.ts";

export const authority = new CertificateAuthority();
export const stranger = new CertificateAuthority("stranger");
export const SPIFFE = "spiffe://cluster.local/ns/istio-system/sa/istiod";
export const serverCertificate = authority.issue({
  commonName: "server",
  dns: ["xds.test"],
  ips: ["127.0.0.1"],
  uris: [SPIFFE],
});
export const clientCertificate = authority.issue({ commonName: "client", uris: ["spiffe://cluster.local/ns/a/sa/b"] });
const TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3";

export const inline = (text: string) => `{ inline_string: ${JSON.stringify(text)} }`;

export function certificateOf({ certificate, key }: Issued): string {
  return `{ certificate_chain: ${inline(certificate)}, private_key: ${inline(key)} }`;
}

export function serverCredentials({ certificate, key }: Issued, clients?: CertificateAuthority): ServerCredentials {
  const roots = clients === undefined ? null : Buffer.from(clients.certificate);
  const pair = { cert_chain: Buffer.from(certificate), private_key: Buffer.from(key) };
  return ServerCredentials.createSsl(roots, [pair], clients !== undefined);
}

export const TRUSTED_CA = `trusted_ca: ${inline(authority.certificate)}`;

export const address = (port: number) => `{ socket_address: { address: 127.0.0.1, port_value: ${port} } }`;

/** CDS over ADS from the cluster `xds` at `place`, with the TLS context given as YAML. */
export function overCluster(
  place: string,
  context: string | undefined,
  extra = "",
  secrets = "",
  cluster = "",
): Bootstrap {
  const socket =
    context === undefined
      ? ""
      : `transport_socket: { name: tls, typed_config: { "@type": ${TYPE}.UpstreamTlsContext, ${context} } },`;
  return bootstrap(`
node: { id: n, cluster: c }
dynamic_resources:
  ads_config: { api_type: GRPC, transport_api_version: V3, grpc_services: [{ envoy_grpc: { cluster_name: xds }${extra} }] }
  cds_config: { ads: {}, resource_api_version: V3 }
static_resources:
  clusters:
    - { name: xds, type: STATIC, ${socket} load_assignment: { cluster_name: xds, endpoints: [{ lb_endpoints: [{ endpoint: { address: ${place} } }] }] } }
    ${cluster}
  ${secrets}
`);
}

/** CDS over ADS from a google_grpc target. */
export function overTarget(fields: string): Bootstrap {
  return bootstrap(`
node: { id: n, cluster: c }
dynamic_resources:
  ads_config: { api_type: GRPC, transport_api_version: V3, grpc_services: [{ google_grpc: { stat_prefix: x, ${fields} } }] }
  cds_config: { ads: {}, resource_api_version: V3 }
`);
}

export async function server(
  t: TestContext,
  credentials?: ServerCredentials,
  place?: string,
): Promise<{ plane: FakeControlPlane; port: number }> {
  const plane = new FakeControlPlane();
  t.after(() => plane.close());
  return { plane, port: await plane.listen(0, credentials, place) };
}

export function client(t: TestContext, config: Bootstrap, options = {}): ReturnType<typeof startClient> {
  const started = startClient(config, options);
  t.after(() => started.client.close());
  return started;
}

/** Why the client cannot connect, as `/ready` says it. */
export async function refusal(t: TestContext, config: Bootstrap): Promise<string> {
  const { client: xds, untilStatus } = client(t, config);
  const reason = () => xds.status().servers[0]?.lastError ?? "";
  await untilStatus("a failed stream", () => reason() !== "");
  assert.equal(xds.status().servers[0]?.isConnected, false);
  return reason();
}

export function temporary(t: TestContext): (name: string) => string {
  const directory = mkdtempSync(join(tmpdir(), "outrigger-tls-"));
  t.after(() => rmSync(directory, { recursive: true }));
  return (name) => join(directory, name);
}
