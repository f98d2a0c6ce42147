// Clusters that are asked for by name beside all others: what is sent, when a demand is settled, what a server's word ends. The
// client against a scripted control plane.

import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import { systemClock } from "../../xds/clock.ts";
import type { DeltaRequest } from "../../xds/discovery-messages.ts";
import type { ConfigSource } from "../../xds/model/config-source.ts";
import type { Demand } from "../../xds/model/demand.ts";
import { CLUSTER_TYPE, ENDPOINTS_TYPE } from "../../xds/type-urls.ts";
import { createControlPlane } from "../../xds/server/control-plane.ts";
import type { FakeStream } from "../support/fake-control-plane.ts";
import { startClient } from "../support/xds-client.ts";
import { adsBootstrap, edsCluster, endpoints, staticCluster } from "../support/xds-resources.ts";
import { delta, scene, sotw } from "../support/xds-scene.ts";

const ADS: ConfigSource = { kind: "ads", initialFetchTimeoutMs: 15_000 };
const demandOf = (name: string, source: ConfigSource = ADS): Demand => ({
  key: `cluster ${name}`,
  kind: "cluster",
  name,
  source,
});

/** The next request that changes or begins a subscription. */
async function asked(stream: FakeStream, typeUrl = CLUSTER_TYPE): Promise<DeltaRequest> {
  for (;;) {
    const { request } = await stream.next();
    assert.equal(request.kind, "delta");
    if (request.typeUrl === typeUrl && request.nonce === "") return request as DeltaRequest;
  }
}

/** A demand that the server does not have is let go at once instead of after 10 s. */
const HASTY = {
  ...systemClock,
  after: (ms: number, then: () => void) => systemClock.after(ms === 10_000 ? 1 : ms, then),
};

async function started(t: TestContext, options: object = {}) {
  const all = await scene(t, "DELTA_GRPC", options);
  all.stream.send(delta(CLUSTER_TYPE, "1", [staticCluster("all")]));
  await all.until("the wildcard's cluster", ({ clusters }) => clusters.has("all"));
  return all;
}

suite("clusters on demand", { concurrency: true }, () => {
  test("a demand is one name beside the wildcard, and is settled when the cluster's endpoints are there", async (t) => {
    const { client, stream, until, server } = await started(t);
    client.demand(demandOf("a"));
    client.demand(demandOf("a"));
    client.demand(demandOf("silent"));
    assert.deepEqual((await asked(stream)).subscribe, ["a", "silent"]);
    stream.send(delta(CLUSTER_TYPE, "2", [edsCluster("a")]));
    assert.deepEqual((await asked(stream, ENDPOINTS_TYPE)).subscribe, ["a"]);
    assert.ok(!client.snapshot.settled.has("cluster a") && !client.snapshot.clusters.has("a"));
    stream.send(delta(ENDPOINTS_TYPE, "3", [endpoints("a")]));
    const { clusters } = await until("its endpoints", ({ settled }) => settled.has("cluster a"));
    assert.deepEqual([...clusters.keys()].toSorted(), ["a", "all", "xds"]);
    // On another stream both are held, and asked for by both names.
    stream.end();
    const again = await asked(await server.nextStream());
    assert.deepEqual(again.subscribe, ["*", "a", "silent"]);
    assert.deepEqual(
      [...again.initialVersions],
      [
        ["all", "1"],
        ["a", "2"],
      ],
    );
    const stats = client.stats();
    const counted = (name: string) => [stats[`cluster_manager.cds.${name}`], stats[`cluster_manager.odcds.${name}`]];
    assert.deepEqual(counted("update_success"), [2, 1]);
    assert.deepEqual(counted("update_failure"), [1, 1]);
  });

  test("a cluster that the server takes away goes, is unsubscribed, and asked for anew", async (t) => {
    const { client, stream, until } = await started(t, { clock: HASTY });
    client.demand(demandOf("a"));
    assert.deepEqual((await asked(stream)).subscribe, ["a"]);
    stream.send(delta(CLUSTER_TYPE, "2", [staticCluster("a")]));
    await until("the cluster", ({ settled, clusters }) => settled.has("cluster a") && clusters.has("a"));
    stream.send(delta(CLUSTER_TYPE, "3", [], ["a"]));
    await until("its end", ({ clusters }) => !clusters.has("a"));
    assert.deepEqual((await asked(stream)).unsubscribe, ["a"]);
    const left = await until("the end of the demand", ({ settled }) => !settled.has("cluster a"));
    assert.ok(left.clusters.has("all"));
    assert.ok(client.status().resources.every(({ name }) => name !== "a"));
    client.demand(demandOf("a"));
    assert.deepEqual((await asked(stream)).subscribe, ["a"]);
  });

  test("a demand is settled without a cluster when there is none, and when what came was refused", async (t) => {
    const prepare = ({ name }: { name: string }) => (name === "bad" ? [{ path: "", problem: "is bad" }] : []);
    const { client, stream, until } = await started(t, { prepare });
    client.demand(demandOf("bad"));
    client.demand(demandOf("none"));
    assert.deepEqual((await asked(stream)).subscribe, ["bad", "none"]);
    stream.send(delta(CLUSTER_TYPE, "2", [staticCluster("bad")], ["none"]));
    const { clusters } = await until("both", ({ settled }) => settled.size === 2);
    assert.ok(!clusters.has("bad") && !clusters.has("none") && clusters.has("all"));
  });

  test("clusters of another source stay when a complete set of CDS comes without them", async (t) => {
    const { client, stream, until, server } = await scene(t, "GRPC");
    stream.send(sotw(CLUSTER_TYPE, "1", staticCluster("one"), staticCluster("two")));
    await until("CDS", ({ clusters }) => clusters.has("two"));
    const { ads } = adsBootstrap(0, "DELTA_GRPC");
    assert.ok(ads);
    client.demand(demandOf("a", { ...ads, aggregated: false, initialFetchTimeoutMs: 15_000 }));
    const other = await server.nextStream();
    assert.match(other.path, /ClusterDiscoveryService\/DeltaClusters$/);
    assert.deepEqual((await asked(other)).subscribe, ["a"]);
    other.send(delta(CLUSTER_TYPE, "2", [staticCluster("a")]));
    await until("the demanded one", ({ settled, clusters }) => settled.has("cluster a") && clusters.has("a"));
    stream.send(sotw(CLUSTER_TYPE, "3", staticCluster("one")));
    const { clusters } = await until("the next set", (next) => !next.clusters.has("two"));
    assert.deepEqual([...clusters.keys()].toSorted(), ["a", "one", "xds"]);
  });

  test("a cluster of the wildcard stays when the demand for it is dropped", async (t) => {
    const { client, stream, until } = await started(t);
    client.demand(demandOf("all"));
    assert.deepEqual((await asked(stream)).subscribe, ["all"]);
    for (let i = 0; i < 10_000; i++) client.demand(demandOf(`junk-${i}`));
    assert.deepEqual((await asked(stream)).unsubscribe, ["all"]);
    assert.equal(client.stats()["outrigger_xds_demands_dropped_total"], 1);
    stream.send(delta(CLUSTER_TYPE, "2", [staticCluster("more")]));
    const { clusters } = await until("another cluster", (next) => next.clusters.has("more"));
    assert.ok(clusters.has("all"));
  });

  test("state of the world is not asked by name, and settles a demand with the set that has the cluster", async (t) => {
    const { client, stream, until, untilStatus } = await scene(t, "GRPC");
    stream.send(sotw(CLUSTER_TYPE, "1", staticCluster("all")));
    await until("CDS", ({ clusters }) => clusters.has("all"));
    client.demand(demandOf("a"));
    await untilStatus("the demand", () => client.status().resources.some(({ name }) => name === "a"));
    assert.ok(!client.snapshot.settled.has("cluster a"));
    stream.send(sotw(CLUSTER_TYPE, "2", staticCluster("all"), staticCluster("a")));
    await until("the cluster", ({ settled, clusters }) => settled.has("cluster a") && clusters.has("a"));
    const named = stream.requests.all.filter(
      ({ request }) => request.kind === "sotw" && request.typeUrl === CLUSTER_TYPE && request.names.length > 0,
    );
    assert.deepEqual(named, []);
  });

  test("our control plane says at once that there is none beside the wildcard, and sends it when there is", async (t) => {
    const server = createControlPlane({ resources: [staticCluster("all")], onEvent() {} });
    t.after(() => server.close());
    const { client, until } = startClient(adsBootstrap(await server.listen("127.0.0.1", 0), "DELTA_GRPC"));
    t.after(() => client.close());
    await until("the wildcard's cluster", ({ clusters }) => clusters.has("all"));
    client.demand(demandOf("late"));
    await until("the answer", ({ settled }) => settled.has("cluster late"));
    assert.ok(!client.snapshot.clusters.has("late"));
    server.setResources([staticCluster("all"), staticCluster("late")]);
    await until("the cluster", ({ clusters }) => clusters.has("late"));
  });
});
