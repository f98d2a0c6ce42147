// Our sidecar and Envoy as clients of our control plane, with one bootstrap: over mutual TLS, delta, with load reports. A
// canary that makes its requests fail is halted by what they report, and they have the release before again.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { createControlPlane, readGroups } from "../../xds/server/index.ts";
import type { CanaryOptions, ReleaseView, ResourceGroup, RolloutView } from "../../xds/server/index.ts";
import { CertificateAuthority } from "../support/certificates.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { EventLog } from "../support/events.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { servedResources } from "../support/served-resources.ts";
import { freePort } from "../support/sidecar-story.ts";

const envoy = findEnvoy();
const SHOP = "spiffe://example.org/ns/shop/sa/web";

async function upstream(t: TestContext, status: number): Promise<number> {
  const server = createServer((_, response) => response.writeHead(status).end());
  t.after(() => server.close().closeAllConnections());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

/** The bootstrap of a sidecar of the shop that shows a certificate to the control plane and reports its load there. */
async function bootstrap(t: TestContext, port: number, authority: CertificateAuthority): Promise<object> {
  const own = authority.issue({ commonName: "shop", uris: [SHOP] });
  const folder = await mkdtemp(join(tmpdir(), "control-plane-envoy-"));
  t.after(() => rm(folder, { recursive: true }));
  const file = async (name: string, text: string) => {
    await writeFile(join(folder, name), text);
    return { filename: join(folder, name) };
  };
  const source = { ads: {}, resource_api_version: "V3" };
  const grpc = [{ envoy_grpc: { cluster_name: "xds" } }];
  const address = { socket_address: { address: "127.0.0.1", port_value: port } };
  return {
    node: { id: "envoy-1", cluster: "shop", metadata: { LABELS: { app: "web" } } },
    admin: { address: { socket_address: { address: "127.0.0.1", port_value: 0 } } },
    cluster_manager: {
      load_stats_config: { api_type: "GRPC", transport_api_version: "V3", grpc_services: grpc },
    },
    dynamic_resources: {
      ads_config: { api_type: "DELTA_GRPC", transport_api_version: "V3", grpc_services: grpc },
      cds_config: source,
      lds_config: source,
    },
    static_resources: {
      clusters: [
        {
          name: "xds",
          type: "STATIC",
          connect_timeout: "1s",
          load_assignment: { cluster_name: "xds", endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
          typed_extension_protocol_options: {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
              "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
          transport_socket: {
            name: "tls",
            typed_config: {
              "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
              sni: "localhost",
              common_tls_context: {
                tls_certificates: [
                  { certificate_chain: await file("cert", own.certificate), private_key: await file("key", own.key) },
                ],
                validation_context: { trusted_ca: await file("ca", authority.certificate) },
              },
            },
          },
        },
      ],
    },
  };
}

function groupsOf(upstreamPort: number, listenerPort: number): readonly ResourceGroup[] {
  const resources = servedResources({ upstream: upstreamPort, listenerPort });
  const text = `selector: { labels: { app: web } }\nspiffe_ids: "spiffe://example.org/ns/shop/sa/*"\nresources:\n${resources}`;
  const read = readGroups([{ name: "shop.yaml", text }]);
  assert.ok(read.ok, read.ok ? "" : read.problems.join("\n"));
  return read.groups;
}

/** A request every few milliseconds until the test ends; the last status is in `last`. */
function requestsTo(t: TestContext, port: number): { last: number } {
  const seen = { last: 0 };
  const timer = setInterval(() => {
    fetch(`http://127.0.0.1:${port}/`).then(
      (response) => (seen.last = response.status),
      () => (seen.last = -1),
    );
  }, 10);
  t.after(() => clearInterval(timer));
  return seen;
}

async function until(what: string, test: () => boolean): Promise<void> {
  for (const end = Date.now() + 20_000; !test();) {
    assert.ok(Date.now() < end, what);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const CANARY: CanaryOptions = {
  fractions: [0.5],
  holdMs: 1_500,
  timeoutMs: 20_000,
  maxErrorIncrease: 0.05,
  minRequests: 20,
};

for (const [name, binary, skip] of [
  ["our sidecar", undefined, false],
  ["Envoy", envoy, envoy === undefined && ENVOY_MISSING],
] as const) {
  test(
    `${name} takes our resources over mutual TLS, and its load reports halt a canary that fails its requests`,
    { skip },
    async (t) => {
      const authority = new CertificateAuthority();
      const server = authority.issue({ commonName: "control plane", dns: ["localhost"] });
      const folder = await mkdtemp(join(tmpdir(), "control-plane-envoy-"));
      t.after(() => rm(folder, { recursive: true }));
      const [certificate, key, clientCa] = [join(folder, "cert"), join(folder, "key"), join(folder, "ca")];
      await writeFile(certificate, server.certificate);
      await writeFile(key, server.key);
      await writeFile(clientCa, authority.certificate);

      const [good, bad, listenerPort] = [await upstream(t, 200), await upstream(t, 503), await freePort()];
      const rollouts = new EventLog<Readonly<{ release: ReleaseView; view: RolloutView }>>();
      const plane = createControlPlane({
        groups: groupsOf(good, listenerPort),
        allowSpiffeIds: ["spiffe://example.org/ns/*/sa/*"],
        loadReportIntervalMs: 200,
        onRollout: (release, view) => rollouts.push({ release, view }),
      });
      t.after(() => plane.close());
      const port = await plane.listen("127.0.0.1", 0, { certificate, key, clientCa });
      const proxy = await ProxyProcess.start(binary, await bootstrap(t, port, authority));
      t.after(() => proxy[Symbol.asyncDispose]());
      const answers = requestsTo(t, listenerPort);
      await until("it serves", () => answers.last === 200);
      await until("it has acknowledged", () => plane.clients()[0]?.isSettled === true);
      const [client] = plane.clients();
      assert.deepEqual([client?.node.id, client?.node.cluster, client?.spiffeIds[0]], ["envoy-1", "shop", SHOP]);
      assert.match(client?.node.userAgent ?? "", binary === undefined ? /^outrigger/ : /^envoy/);

      // Endpoints whose answers are errors: acknowledged at once, and wrong.
      plane.push(groupsOf(bad, listenerPort), { origin: "bad", canary: CANARY });
      const halted = await rollouts.first("the halt", ({ view }) => view.state === "halted");
      assert.equal(halted.release.id, 2);
      assert.match(halted.view.reason, /^error rate \d+\.\d\d % of \d+ requests/);
      await until("it has the release before again", () => answers.last === 200);
      assert.equal(plane.releases().find(({ state }) => state === "serving")?.id, 1);

      // Another endpoint that works goes through, with the evidence of requests.
      plane.push(groupsOf(await upstream(t, 201), listenerPort), { origin: "good", canary: CANARY });
      const complete = await rollouts.first(
        "the end",
        ({ release, view }) => release.id === 3 && view.state === "complete",
      );
      assert.ok((complete.view.load?.requests ?? 0) >= CANARY.minRequests);
      assert.equal(answers.last, 201);
    },
  );
}
