// Our client against our control plane over real gRPC, both variants: one story for each thing that a mesh does.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { createControlPlane } from "../../xds/server/control-plane.ts";
import type { ControlPlane, ControlPlaneEvent } from "../../xds/server/control-plane.ts";
import { CLUSTER_TYPE } from "../../xds/type-urls.ts";
import { EventLog } from "../support/events.ts";
import { startClient } from "../support/xds-client.ts";
import type { TestClient } from "../support/xds-client.ts";
import {
  adsBootstrap,
  edsCluster,
  endpoints,
  listener,
  plugin,
  renamed,
  routes,
  staticCluster,
} from "../support/xds-resources.ts";
import type { AdsVariant } from "../support/xds-resources.ts";

const VARIANTS = ["GRPC", "DELTA_GRPC"] as const;

type Served = { server: ControlPlane; events: EventLog<ControlPlaneEvent>; port: number };

async function serve(
  t: TestContext,
  resources: Parameters<ControlPlane["setResources"]>[0],
  port = 0,
): Promise<Served> {
  const events = new EventLog<ControlPlaneEvent>();
  const server = createControlPlane({ resources, onEvent: (event) => events.push(event) });
  t.after(() => server.close());
  return { server, events, port: await server.listen("127.0.0.1", port) };
}

function connect(t: TestContext, port: number, variant: AdsVariant, options = {}): TestClient {
  const client = startClient(adsBootstrap(port, variant), options);
  t.after(() => client.client.close());
  return client;
}

for (const variant of VARIANTS) {
  test(`client (${variant}) gets a whole configuration, warm at once, and says so`, async (t) => {
    const all = [
      edsCluster("web"),
      endpoints("web"),
      listener("in", { plugin: "p" }),
      routes("routes", "web"),
      plugin("p"),
    ];
    const { port, events } = await serve(t, all);
    const { client, until, untilStatus, snapshots } = connect(t, port, variant);
    const snapshot = await until("listener", ({ listeners }) => listeners.has("in"));
    assert.deepEqual([...snapshot.routes.keys()], ["routes"]);
    assert.deepEqual([...snapshot.endpoints.keys()], ["web"]);
    assert.deepEqual([...snapshot.plugins.keys()], ["p"]);
    // A listener is never in a snapshot without what it needs.
    for (const { snapshot: each } of snapshots.all) {
      if (each.listeners.has("in"))
        assert.ok(each.routes.has("routes") && each.plugins.has("p") && each.clusters.has("web"));
    }
    await untilStatus("initialization", () => client.status().isInitialized);
    await events.first(
      "RDS ACK",
      (event) => event.kind === "acknowledged" && event.typeUrl.endsWith("RouteConfiguration"),
    );
    assert.deepEqual([...new Set(client.status().resources.map(({ state }) => state))], ["ACKED"]);
    assert.equal(client.status().servers[0]?.isConnected, true);
    assert.equal(client.stats()["cluster_manager.cds.update_success"], 1);
    assert.equal(client.stats()["cluster.web.update_success"], 1);
    assert.equal(client.stats()["http.in.rds.routes.update_success"], 1);
    assert.equal(client.stats()["control_plane.connected_state"], 1);
  });

  test(`client (${variant}) keeps what did not change and drops what went`, async (t) => {
    const { port, server } = await serve(t, [staticCluster("a"), staticCluster("b")]);
    const { until, client } = connect(t, port, variant);
    const first = await until("both clusters", ({ clusters }) => clusters.has("a") && clusters.has("b"));
    server.setResources([staticCluster("a"), staticCluster("c")]);
    const last = await until("c without b", ({ clusters }) => clusters.has("c") && !clusters.has("b"));
    assert.equal(last.clusters.get("a"), first.clusters.get("a"));
    assert.ok(last.version > first.version);
    assert.equal(client.snapshot, last);
  });

  test(`client (${variant}) moves routes to a new cluster without a gap`, async (t) => {
    const { port, server } = await serve(t, [
      edsCluster("v1"),
      endpoints("v1"),
      listener("in"),
      routes("routes", "v1"),
    ]);
    const { until, snapshots } = connect(t, port, variant);
    await until("listener", ({ listeners }) => listeners.has("in"));
    server.setResources([edsCluster("v2"), endpoints("v2"), listener("in"), routes("routes", "v2")]);
    await until("v2 alone", ({ clusters }) => clusters.has("v2") && !clusters.has("v1"));
    for (const { snapshot } of snapshots.all) {
      for (const route of snapshot.routes.values()) {
        const action = route.virtualHosts[0]?.routes[0]?.action;
        const cluster = action?.kind === "forward" && action.cluster.kind === "cluster" ? action.cluster.name : "";
        assert.ok(snapshot.clusters.has(cluster) && snapshot.endpoints.has(cluster), `routes name ${cluster}`);
      }
    }
  });

  test(`client (${variant}) refuses one resource by name and keeps its last good version`, async (t) => {
    const bad = { ...staticCluster("b"), value: badCluster("b") };
    const { port, server, events } = await serve(t, [staticCluster("a"), staticCluster("b")]);
    const { until, client, untilStatus } = connect(t, port, variant);
    const first = await until("both clusters", ({ clusters }) => clusters.has("a") && clusters.has("b"));
    server.setResources([staticCluster("a", 9999), bad]);
    const next = await until(
      "new a",
      ({ clusters }) => clusters.get("a") !== first.clusters.get("a") && clusters.has("a"),
    );
    assert.equal(next.clusters.get("b"), first.clusters.get("b"));
    const refused = await events.first("NACK", (event) => event.kind === "refused");
    assert.ok(refused.kind === "refused");
    assert.match(refused.message, /^Cluster "b": /);
    await untilStatus("NACKED", () => client.status().resources.some(({ state }) => state === "NACKED"));
    const view = client.status().resources.find(({ name }) => name === "b");
    assert.ok(view?.error !== undefined && view.value !== undefined);
    assert.equal(client.stats()["cluster_manager.cds.update_rejected"], 1);
    server.setResources([staticCluster("a", 9999), staticCluster("b", 7777)]);
    await until("repaired b", ({ clusters }) => clusters.get("b") !== first.clusters.get("b"));
    assert.equal(client.status().resources.find(({ name }) => name === "b")?.error, undefined);
  });

  test(`client (${variant}) survives the server's death and picks up what is new on its return`, async (t) => {
    const before = [edsCluster("web"), endpoints("web"), listener("in"), routes("routes", "web")];
    const { port, server } = await serve(t, before);
    const { until, client, untilStatus } = connect(t, port, variant);
    const first = await until("listener", ({ listeners }) => listeners.has("in"));
    server.close();
    await untilStatus("disconnection", () => client.status().servers[0]?.isConnected === false);
    assert.equal(client.snapshot, first);
    assert.equal(client.stats()["control_plane.connected_state"], 0);
    const again = await serve(t, [...before, staticCluster("new")], port);
    const next = await until("the new cluster", ({ clusters }) => clusters.has("new"));
    for (const part of ["listeners", "routes", "endpoints"] as const) assert.equal(next[part], first[part]);
    // What the client said it has is not sent again.
    const pushes = again.events.all.filter((event) => event.kind === "pushed" && event.typeUrl === CLUSTER_TYPE);
    assert.equal(pushes.length, 1);
    if (variant === "DELTA_GRPC") assert.ok(pushes[0]?.kind === "pushed" && pushes[0].resources === 1);
  });

  test(`client (${variant}) waits for a server that is away at the start`, async (t) => {
    const { port, server } = await serve(t, []);
    server.close();
    const { until, client, untilStatus } = connect(t, port, variant);
    await untilStatus("a failed attempt", () => client.status().servers[0]?.lastError !== "");
    assert.equal(client.status().isInitialized, false);
    assert.deepEqual(client.status().waitsFor, ["CDS", "LDS"]);
    await serve(t, [staticCluster("a")], port);
    await until("cluster", ({ clusters }) => clusters.has("a"));
  });

  test(`client (${variant}) takes a push of 10 MB`, async (t) => {
    const template = staticCluster("template");
    const many = Array.from({ length: 2_000 }, (_, i) => renamed(template, `cluster-${"x".repeat(5_000)}-${i}`));
    assert.ok(many.reduce((sum, each) => sum + each.value.length, 0) > 10_000_000);
    const { port } = await serve(t, many);
    const { until } = connect(t, port, variant);
    const snapshot = await until("all clusters", ({ clusters }) => clusters.size > 2_000);
    assert.equal(snapshot.clusters.size, 2_001);
  });

  test(`client (${variant}) refuses what \`prepare\` refuses, in its own time`, async (t) => {
    const { port, server, events } = await serve(t, [
      listener("in", { plugin: "p" }),
      routes("routes", "x"),
      plugin("p"),
    ]);
    const prepare = async (resource: { kind: string; name: string; value: unknown }) => {
      await new Promise((resolve) => setImmediate(resolve));
      const isMissing = JSON.stringify(resource.value).includes("missing.wasm");
      return isMissing ? [{ path: "typed_config.config.vm_config.code", problem: "missing.wasm does not exist" }] : [];
    };
    const { until, client } = connect(t, port, variant, { prepare });
    const first = await until("listener", ({ listeners }) => listeners.has("in"));
    server.setResources([listener("in", { plugin: "p" }), routes("routes", "x"), plugin("p", "missing.wasm")]);
    const refused = await events.first("NACK", (event) => event.kind === "refused");
    assert.ok(refused.kind === "refused");
    assert.equal(
      refused.message,
      'TypedExtensionConfig "p": typed_config.config.vm_config.code: missing.wasm does not exist',
    );
    assert.equal(client.snapshot.plugins, first.plugins);
  });
}

/** A cluster that decodes as protobuf and not as configuration: connect_timeout −1 s. */
function badCluster(name: string): Uint8Array {
  const nameBytes = Buffer.from(name);
  const negative = Buffer.from([0x22, 0x0b, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
  return Buffer.concat([Buffer.from([0x0a, nameBytes.length]), nameBytes, negative]);
}

for (const variant of VARIANTS) {
  test(`client (${variant}) keeps a resource with a time to live while the control plane tells of it`, async (t) => {
    const { port, events, server } = await serve(t, [{ ...staticCluster("a"), ttlMs: 900 }, staticCluster("b")]);
    const { client, until } = connect(t, port, variant);
    await until("a", ({ clusters }) => clusters.has("a") && clusters.has("b"));
    const acknowledged = () => events.all.filter(({ kind }) => kind === "acknowledged").length;
    const before = acknowledged();
    await events.first("six heartbeats, twice its time", () => acknowledged() >= before + 6);
    assert.deepEqual([...client.snapshot.clusters.keys()].toSorted(), ["a", "b", "xds"]);
    assert.equal(server.counters().get("responses_refused"), 0);
  });
}
