// Our client against a real go-control-plane, whose snapshot cache in ADS mode withholds answers until a request names
// everything, ignores NACKs and sends a refused version again at once.

import assert from "node:assert/strict";
import { test } from "node:test";
import { CLUSTER_TYPE } from "../../xds/type-urls.ts";
import { GO_CONTROL_PLANE_MISSING, GoControlPlane } from "../support/go-control-plane.ts";
import { startClient } from "../support/xds-client.ts";
import { adsBootstrap } from "../support/xds-resources.ts";

const skip = GO_CONTROL_PLANE_MISSING ?? false;

for (const variant of ["GRPC", "DELTA_GRPC"] as const) {
  test(`client (${variant}) follows go-control-plane through renames without a gap`, { skip }, async (t) => {
    const server = await GoControlPlane.start();
    t.after(() => server.stop());
    server.serve({ version: "v1", cluster: "one" });
    const { client, until, snapshots } = startClient(adsBootstrap(server.port, variant));
    t.after(() => client.close());
    await until("listener", ({ listeners }) => listeners.has("in"));
    for (let i = 2; i <= 20; i++) {
      server.serve({ version: `v${i}`, cluster: `cluster-${i}` });
      await until(`routes to cluster-${i}`, ({ routes }) =>
        JSON.stringify(routes.get("routes")).includes(`"cluster-${i}"`),
      );
    }
    for (const { snapshot } of snapshots.all) {
      const route = snapshot.routes.get("routes")?.virtualHosts[0]?.routes[0]?.action;
      if (route?.kind !== "forward" || route.cluster.kind !== "cluster") continue;
      const { name } = route.cluster;
      assert.ok(snapshot.clusters.has(name) && snapshot.endpoints.has(name), `snapshot ${snapshot.version}: ${name}`);
    }
    assert.ok(server.requests.all.every(({ error }) => error === ""));
  });

  test(`client (${variant}) refuses one cluster of go-control-plane's without a loop`, { skip }, async (t) => {
    const server = await GoControlPlane.start();
    t.after(() => server.stop());
    server.serve({ version: "v1", cluster: "one", bad: true });
    const { client, until, statuses } = startClient(adsBootstrap(server.port, variant));
    t.after(() => client.close());
    const refused = await server.requests.first("NACK", ({ error }) => error !== "");
    assert.match(refused.error, /^Cluster "bad": connect_timeout: /);
    assert.equal(refused.type, CLUSTER_TYPE);
    if (variant === "GRPC") {
      // It comes again, and is answered with a pause of half a second or more.
      const from = server.requests.all.length;
      const before = performance.now();
      await server.requests.first("second NACK", ({ error }) => error !== "", from);
      assert.ok(performance.now() - before > 300);
    }
    const nacks = server.requests.all.filter(({ error }) => error !== "");
    assert.ok(nacks.length <= 2, `${nacks.length} refusals`);
    assert.ok(statuses.all.length > 0);
    server.serve({ version: "v2", cluster: "two" });
    await until("the repaired push", ({ clusters }) => clusters.has("two"));
  });

  test(`client (${variant}) resumes with go-control-plane after its death`, { skip }, async (t) => {
    const server = await GoControlPlane.start();
    t.after(() => server.stop());
    server.serve({ version: "v1", cluster: "one" });
    const { client, until, untilStatus } = startClient(adsBootstrap(server.port, variant));
    t.after(() => client.close());
    const before = await until("listener", ({ listeners }) => listeners.has("in"));
    await server.stop();
    await untilStatus("disconnection", () => client.status().servers[0]?.isConnected === false);
    assert.equal(client.snapshot, before);
    const again = await GoControlPlane.start(server.port);
    t.after(() => again.stop());
    again.serve({ version: "v2", cluster: "two" });
    await until("v2", ({ clusters }) => clusters.has("two"));
    const first = await again.requests.first("CDS request", ({ type }) => type === CLUSTER_TYPE);
    assert.equal(variant === "GRPC" ? first.version : first.held, variant === "GRPC" ? "v1" : 1);
  });

  test(`client (${variant}) asks go-control-plane for a cluster beside all others`, { skip }, async (t) => {
    const server = await GoControlPlane.start();
    t.after(() => server.stop());
    server.serve({ version: "v1", cluster: "one" });
    const { client, until } = startClient(adsBootstrap(server.port, variant));
    t.after(() => client.close());
    await until("listener", ({ listeners }) => listeners.has("in"));
    const source = { kind: "ads", initialFetchTimeoutMs: 15_000 } as const;
    client.demand({ key: "cluster late", kind: "cluster", name: "late", source });
    // In state of the world it would answer nothing more until it has a cluster of that name.
    if (variant === "DELTA_GRPC") {
      await server.requests.first("the question", ({ type, names }) => type === CLUSTER_TYPE && names === 1);
    }
    server.serve({ version: "v2", cluster: "two" });
    await until("v2", ({ clusters }) => clusters.has("two"));
    server.serve({ version: "v3", cluster: "late" });
    await until("v3", ({ clusters, settled }) => clusters.has("late") && settled.has("cluster late"));
  });
}
