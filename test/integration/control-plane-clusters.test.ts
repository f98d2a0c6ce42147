// The verb `control-plane` with clusters on demand: outrigger and Envoy get them when a request needs one, and not before, and
// follow what `config push` and `config rollback` change of them.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { suite, test, type TestContext } from "node:test";
import { CONFIG } from "../../sidecar/cli/control/config.ts";
import { CLUSTER_TYPE, ENDPOINTS_TYPE } from "../../xds/type-urls.ts";
import { bootstrap, http2Cluster, listener } from "../support/bootstrap-builder.ts";
import { ask, controlPlane, file } from "../support/control-plane-verbs.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { until } from "../support/sidecar-story.ts";

const ADS = { ads: {}, resource_api_version: "V3" };

/** An origin that says its name. */
async function origin(t: TestContext, name: string): Promise<number> {
  const server = createServer((_request, response) => response.end(name));
  server.listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** YAML takes JSON: a document of a file. */
function group(words: object, ...resources: readonly object[]): string {
  return `${JSON.stringify({ ...words, resources })}\n`;
}

const assignment = (cluster_name: string, port: number) => ({
  cluster_name,
  endpoints: [
    { lb_endpoints: [{ endpoint: { address: { socket_address: { address: "127.0.0.1", port_value: port } } } }] },
  ],
});
const cluster = (name: string, more: object) => ({ "@type": CLUSTER_TYPE, name, connect_timeout: "1s", ...more });
const fixed = (name: string, port: number) =>
  cluster(name, { type: "STATIC", load_assignment: assignment(name, port) });
const eds = (name: string) => cluster(name, { type: "EDS", eds_cluster_config: { eds_config: ADS } });
const endpoints = (name: string, port: number) => ({ "@type": ENDPOINTS_TYPE, ...assignment(name, port) });

function config(port: number, api_type: string): object {
  const on_demand = "type.googleapis.com/envoy.extensions.filters.http.on_demand.v3.OnDemand";
  const typed_config = { "@type": on_demand, odcds: { source: ADS, timeout: "3s" } };
  const filters = [{ name: "envoy.filters.http.on_demand", typed_config }];
  const routes = [{ match: { prefix: "/" }, route: { cluster_header: "x-cluster" } }];
  const virtual_hosts = [{ name: "all", domains: ["*"], routes }];
  const route_config = { name: "r", validate_clusters: false, virtual_hosts };
  const grpc_services = [{ envoy_grpc: { cluster_name: "xds" } }];
  return {
    ...bootstrap({
      listeners: [listener("in", { filters, manager: { route_config } })],
      clusters: [http2Cluster("xds", port)],
    }),
    dynamic_resources: { ads_config: { api_type, transport_api_version: "V3", grpc_services }, cds_config: ADS },
  };
}

function answer(port: number, name: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { "x-cluster": name };
    const sent = httpRequest({ host: "127.0.0.1", port, path: "/", headers, timeout: 15_000 }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => (text += chunk.toString()));
      response.on("end", () => resolve(response.statusCode === 200 ? text : String(response.statusCode)));
    });
    sent.on("error", reject);
    sent.on("timeout", () => sent.destroy(new Error(`no answer for ${name}`)));
    sent.end();
  });
}

async function story(t: TestContext, envoy: string | undefined, variant: string): Promise<void> {
  const [one = 0, two = 0, other = 0] = await Promise.all(["one", "two", "other"].map((name) => origin(t, name)));
  const served = (port: number, ...more: readonly object[]) =>
    [
      group({}, fixed("everyone", other)),
      group({ on_demand: true }, fixed("one", port), eds("two"), endpoints("two", two), ...more),
      group({ selector: { node_id: "somebody-else" }, on_demand: true }, fixed("secret", one)),
    ].join("---\n");
  const plane = await controlPlane(t, served(one));
  await using proxy = await ProxyProcess.start(envoy, config(plane.port, variant));
  const port = proxy.port("in");
  const active = () => proxy.stat("cluster_manager.active_clusters");
  // "xds" and "everyone"; in state of the world all come.
  const before = variant === "DELTA_GRPC" ? 2 : 4;
  assert.equal(await answer(port, "everyone"), "other");
  assert.equal(await active(), before);
  assert.equal(await answer(port, "one"), "one");
  assert.equal(await answer(port, "two"), "two");
  if (variant !== "DELTA_GRPC") return;
  assert.equal(await active(), 4);
  assert.equal(await answer(port, "secret"), "503");
  assert.equal(await answer(port, "late"), "503");

  const next = await file(plane, "next.txt", served(other, fixed("late", one), fixed("idle", one)));
  const pushed = await ask(CONFIG.run, plane, "push", "-f", next, "--wait");
  assert.match(pushed.out, /1 of 1 sidecars acknowledged, 0 refused\n$/);
  await until(
    "the push",
    () => answer(port, "one"),
    (text) => text === "other",
  );
  await until(
    "the new cluster",
    () => answer(port, "late"),
    (text) => text === "one",
  );
  assert.equal(await active(), 5);
  assert.equal((await ask(CONFIG.run, plane, "rollback")).code, 0);
  await until(
    "the rollback",
    () => answer(port, "one"),
    (text) => text === "one",
  );
}

suite("control-plane with clusters on demand", { concurrency: 3 }, () => {
  const envoy = findEnvoy();
  const skip = envoy === undefined ? ENVOY_MISSING : false;
  test("outrigger asks for them over delta", (t) => story(t, undefined, "DELTA_GRPC"));
  test("Envoy asks for them over delta", { skip }, (t) => story(t, envoy, "DELTA_GRPC"));
  test("outrigger gets them with all others in state of the world", (t) => story(t, undefined, "GRPC"));
});
