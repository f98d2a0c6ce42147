// Warming without sockets: which version of what is in the snapshot, and what is waited for.

import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeResource } from "../../xds/decode/resource.ts";
import type { FileResource } from "../../xds/decode/resources-file.ts";
import type { Snapshot } from "../../xds/model/snapshot.ts";
import { ResourceStore } from "../../xds/resource-store.ts";
import { snapshotChanges } from "../../xds/snapshot-changes.ts";
import { EMPTY_ASSEMBLY, EMPTY_SNAPSHOT, type Assembly, type Wait } from "../../xds/assembly.ts";
import { assemble } from "../../xds/snapshot.ts";
import { CLUSTER_TYPE, ENDPOINTS_TYPE, EXTENSION_CONFIG_TYPE, ROUTE_TYPE } from "../../xds/type-urls.ts";
import {
  edsCluster,
  endpoints,
  listener,
  plugin,
  renamed,
  resources,
  routes,
  staticCluster,
} from "../support/xds-resources.ts";

/** A store with a snapshot over it. */
class Scene {
  readonly store = new ResourceStore();
  readonly overdue = new WeakSet<object>();
  isClusterSetComplete = true;
  isClusterSetRefused = false;
  last: Assembly = EMPTY_ASSEMBLY;

  accept(...all: readonly FileResource[]): Assembly {
    for (const { typeUrl, name, value } of all) {
      const decoded = decodeResource(typeUrl, value);
      assert.ok(decoded.ok);
      const model = decoded.value.value;
      this.store.accept({
        typeUrl,
        name,
        source: "ads",
        version: "1",
        receivedAt: 0,
        ackedAt: 0,
        value,
        ownsBuffer: false,
        model,
      });
    }
    return this.assemble();
  }

  assemble(): Assembly {
    const { overdue, isClusterSetComplete, isClusterSetRefused, store } = this;
    const { runtime, ...previous } = this.last.snapshot;
    const state = { isClusterSetComplete, isClusterSetRefused, overdue };
    const input = { tables: store.tables, runtime, previous: this.last.snapshot, ...state };
    const anew = assemble(input);
    this.last = assemble({ ...input, clusterPart: this.last.clusterPart });
    // What it keeps of the assembly before is what it would have made.
    assert.deepEqual(essence(this.last), essence(anew));
    assert.ok(previous.version <= this.last.snapshot.version);
    // As the client does: what is wanted is known to the store.
    for (const { typeUrl, name } of this.last.wanted) store.request(typeUrl, name, "ads");
    return this.last;
  }

  /** The time of a wait without a resource is up. */
  over({ key }: Wait): void {
    assert.ok(typeof key === "object");
    this.overdue.add(key);
  }

  refuse(typeUrl: string, name: string): Assembly {
    this.store.refuse(typeUrl, name, "ads", { details: "no", version: "2", at: 0, bytes: undefined });
    return this.assemble();
  }

  timeOut(typeUrl: string, name: string): Assembly {
    this.store.markTimeout(typeUrl, name);
    return this.assemble();
  }
}

const essence = ({ snapshot, wanted, waits, warming }: Assembly) => ({
  snapshot,
  wanted: new Set(wanted.map(({ typeUrl, name }) => `${typeUrl} ${name}`)),
  waits,
  warming,
});
const names = (map: ReadonlyMap<string, unknown>) => [...map.keys()].sort();
const wantedNames = ({ wanted }: Assembly) => wanted.map(({ name }) => name).sort();
const parts = (snapshot: Snapshot) => ({
  listeners: names(snapshot.listeners),
  routes: names(snapshot.routes),
  clusters: names(snapshot.clusters),
  endpoints: names(snapshot.endpoints),
  plugins: names(snapshot.plugins),
});

test("assemble() waits for a cluster's endpoints", () => {
  const scene = new Scene();
  const cold = scene.accept(edsCluster("a"));
  assert.deepEqual(parts(cold.snapshot).clusters, []);
  assert.deepEqual(wantedNames(cold), ["a"]);
  assert.deepEqual(
    cold.waits.map(({ timeoutMs }) => timeoutMs),
    [15_000],
  );
  assert.deepEqual(
    cold.warming.map(({ name, waitsFor, isFirst }) => ({ name, waitsFor, isFirst })),
    [{ name: "a", waitsFor: ['ClusterLoadAssignment "a"'], isFirst: true }],
  );
  const warm = scene.accept(endpoints("a"));
  assert.deepEqual(parts(warm.snapshot).clusters, ["a"]);
  assert.deepEqual(parts(warm.snapshot).endpoints, ["a"]);
  assert.deepEqual([warm.waits, warm.warming], [[], []]);
});

test("assemble() goes on with an empty cluster when its endpoints do not come in time", () => {
  const scene = new Scene();
  scene.accept(edsCluster("a", { timeout: "2s" }));
  assert.equal(scene.last.waits[0]?.timeoutMs, 2_000);
  const over = scene.timeOut(ENDPOINTS_TYPE, "a");
  assert.deepEqual(parts(over.snapshot), { ...parts(EMPTY_SNAPSHOT), clusters: ["a"] });
  assert.deepEqual(parts(scene.accept(endpoints("a")).snapshot).endpoints, ["a"]);
});

test("assemble() swaps a changed cluster at once when its endpoints are known", () => {
  const scene = new Scene();
  const before = scene.accept(edsCluster("a"), endpoints("a")).snapshot;
  const after = scene.accept(edsCluster("a", { connect: "3s" }));
  assert.deepEqual(after.warming, []);
  assert.equal(after.snapshot.clusters.get("a")?.connectTimeoutMs, 3_000);
  assert.equal(after.snapshot.endpoints, before.endpoints);
  assert.equal(after.snapshot.version, before.version + 1);
});

test("assemble() gives the previous snapshot itself when nothing changed", () => {
  const scene = new Scene();
  const before = scene.accept(edsCluster("a"), endpoints("a"), listener("in"), routes("routes", "a")).snapshot;
  assert.equal(scene.assemble().snapshot, before);
  const after = scene.accept(endpoints("a", 9999)).snapshot;
  for (const part of ["listeners", "routes", "clusters", "plugins"] as const) assert.equal(after[part], before[part]);
  const changes = snapshotChanges(before, after);
  assert.deepEqual(changes.endpoints, { changed: ["a"], removed: [] });
  assert.deepEqual(changes.clusters, { changed: [], removed: [] });
});

test("assemble() looks at complete clusters again only when one of them, its endpoints or its secrets changed", () => {
  const scene = new Scene();
  const warm = scene.accept(edsCluster("a"), endpoints("a"), listener("in"), routes("routes", "a"));
  assert.ok(warm.clusterPart);
  assert.equal(scene.accept(routes("routes", "b")).clusterPart, warm.clusterPart);
  const moved = scene.accept(endpoints("a", 9999));
  assert.ok(moved.clusterPart);
  assert.notEqual(moved.clusterPart, warm.clusterPart);
  assert.equal(scene.accept(edsCluster("b")).clusterPart, undefined);
  assert.ok(scene.accept(endpoints("b")).clusterPart);
  scene.store.remove(CLUSTER_TYPE, "a");
  assert.equal(scene.assemble().clusterPart, undefined);
});

test("assemble() brings a listener when its routes, its plugins and their clusters are there", () => {
  const scene = new Scene();
  const cold = scene.accept(listener("in", { plugin: "p" }), edsCluster("a"));
  assert.deepEqual(wantedNames(cold), ["a", "p", "routes"]);
  assert.deepEqual(parts(scene.accept(routes("routes", "a")).snapshot).listeners, []);
  const noPlugin = scene.accept(endpoints("a"));
  assert.deepEqual(parts(noPlugin.snapshot).listeners, []);
  assert.deepEqual(noPlugin.warming[0]?.waitsFor, ['TypedExtensionConfig "p"']);
  assert.deepEqual(parts(scene.accept(plugin("p")).snapshot), {
    listeners: ["in"],
    routes: ["routes"],
    clusters: ["a"],
    endpoints: ["a"],
    plugins: ["p"],
  });
});

test("assemble() goes on without routes and plugins whose time is up", () => {
  const scene = new Scene();
  scene.accept(listener("in", { plugin: "p" }));
  scene.timeOut(ROUTE_TYPE, "routes");
  const over = scene.timeOut(EXTENSION_CONFIG_TYPE, "p");
  assert.deepEqual(parts(over.snapshot), { ...parts(EMPTY_SNAPSHOT), listeners: ["in"] });
  assert.deepEqual(parts(scene.accept(routes("routes", "x")).snapshot).routes, ["routes"]);
});

test("assemble() keeps the previous listener, and what it needs, until the new one is warm", () => {
  const scene = new Scene();
  const before = scene.accept(staticCluster("a"), listener("in", { routes: "old" }), routes("old", "a")).snapshot;
  const during = scene.accept(listener("in", { routes: "new" }));
  assert.equal(during.snapshot, before);
  assert.deepEqual(wantedNames(during), ["new", "old"]);
  assert.equal(during.warming[0]?.isFirst, false);
  const after = scene.accept(routes("new", "a"));
  assert.deepEqual(parts(after.snapshot).routes, ["new"]);
  assert.deepEqual(wantedNames(after), ["new"]);
});

test("assemble() goes on at once after a refused first version, and waits when there is a version that works", () => {
  const first = new Scene();
  first.accept(listener("in"));
  assert.deepEqual(parts(first.refuse(ROUTE_TYPE, "routes").snapshot).listeners, ["in"]);

  const second = new Scene();
  second.accept(staticCluster("a"), listener("in", { routes: "old" }), routes("old", "a"));
  second.accept(listener("in", { routes: "new" }));
  const kept = second.refuse(ROUTE_TYPE, "new");
  assert.deepEqual(parts(kept.snapshot).routes, ["old"]);
  assert.equal(kept.waits.length, 1);
  assert.deepEqual(parts(second.timeOut(ROUTE_TYPE, "new").snapshot).routes, []);
});

test("assemble() keeps routes that name a warming cluster out until it is warm", () => {
  const scene = new Scene();
  scene.accept(edsCluster("a"), endpoints("a"), listener("in"), routes("routes", "a"));
  const before = scene.last.snapshot.routes.get("routes");
  const during = scene.accept(edsCluster("b"), routes("routes", "b"));
  assert.equal(during.snapshot.routes.get("routes"), before);
  const after = scene.accept(endpoints("b")).snapshot;
  assert.notEqual(after.routes.get("routes"), before);
  assert.ok(after.clusters.has("b"));
});

test("assemble() does not hold routes back for ever for one cluster without endpoints", () => {
  const scene = new Scene();
  scene.accept(edsCluster("a"), endpoints("a"), listener("in"), routes("routes", "a"));
  const before = scene.last.snapshot.routes.get("routes");
  const during = scene.accept(edsCluster("b", { timeout: "0s" }), routes("routes", "b"));
  const hold = during.waits.find(({ resource }) => resource === undefined);
  assert.ok(hold !== undefined && hold.timeoutMs === 15_000);
  scene.over(hold);
  assert.notEqual(scene.assemble().snapshot.routes.get("routes"), before);
});

test("assemble() lets routes to a cluster that nobody announced through once CDS has answered", () => {
  const scene = new Scene();
  scene.isClusterSetComplete = false;
  assert.deepEqual(parts(scene.accept(listener("in"), routes("routes", "gone")).snapshot).listeners, []);
  scene.isClusterSetComplete = true;
  assert.deepEqual(parts(scene.assemble().snapshot).listeners, ["in"]);
});

test("assemble() holds routes to an unknown cluster back while CDS stands refused, when there are routes that serve", () => {
  const scene = new Scene();
  scene.accept(edsCluster("a"), endpoints("a"), listener("in"), routes("routes", "a"));
  const before = scene.last.snapshot.routes.get("routes");
  scene.isClusterSetRefused = true;
  const during = scene.accept(routes("routes", "b"));
  assert.equal(during.snapshot.routes.get("routes"), before);
  assert.deepEqual(during.warming, [
    { typeUrl: ROUTE_TYPE, name: "routes", waitsFor: ['Cluster "b"'], isFirst: false },
  ]);
  // The repair: the cluster, then nothing is refused any more.
  scene.accept(edsCluster("b"));
  assert.equal(scene.last.snapshot.routes.get("routes"), before);
  const after = scene.accept(endpoints("b")).snapshot.routes.get("routes");
  assert.notEqual(after, before);
  // A cluster that the serving routes name too is no reason to wait, and the wait has an end.
  scene.store.remove(edsCluster("b").typeUrl, "b");
  const grace = scene.assemble().waits.find(({ resource }) => resource === undefined);
  assert.ok(grace !== undefined);
  scene.over(grace);
  assert.deepEqual(parts(scene.assemble().snapshot).clusters, ["a"]);
  assert.notEqual(scene.accept(routes("routes", "b")).snapshot.routes.get("routes"), after);
  const held = scene.accept(routes("routes", "c")).waits.find(({ resource }) => resource === undefined);
  assert.equal(held?.timeoutMs, 15_000);
  const served = scene.last.snapshot.routes.get("routes");
  scene.over(held);
  assert.notEqual(scene.assemble().snapshot.routes.get("routes"), served);
});

test("assemble() keeps a removed cluster for a moment while routes in use name it", () => {
  const scene = new Scene();
  scene.accept(edsCluster("a"), endpoints("a"), staticCluster("unused"), listener("in"), routes("routes", "a"));
  scene.store.remove(edsCluster("a").typeUrl, "a");
  scene.store.remove(edsCluster("a").typeUrl, "unused");
  const during = scene.assemble();
  assert.deepEqual(parts(during.snapshot).clusters, ["a"]);
  assert.deepEqual(parts(during.snapshot).endpoints, ["a"]);
  assert.deepEqual(wantedNames(during), ["a", "routes"]);
  const [grace] = during.waits;
  assert.ok(grace?.timeoutMs === 2_000);
  scene.over(grace);
  assert.deepEqual(parts(scene.assemble().snapshot).clusters, []);
});

test("assemble() waits for clusters of routes inside a listener too", () => {
  const scene = new Scene();
  const [inline] = resources(`
- "@type": type.googleapis.com/envoy.config.listener.v3.Listener
  name: in
  address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
  filter_chains:
    - filters:
        - name: hcm
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
            stat_prefix: in
            route_config:
              name: local
              virtual_hosts: [{ name: all, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: a } }] }]
            http_filters:
              - name: router
                typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
`);
  assert.ok(inline);
  assert.deepEqual(parts(scene.accept(inline, edsCluster("a")).snapshot).listeners, []);
  assert.deepEqual(parts(scene.accept(endpoints("a")).snapshot).listeners, ["in"]);
});

test("assemble() is quick enough for thousands of clusters and routes", () => {
  const scene = new Scene();
  const many = (template: FileResource) =>
    Array.from({ length: 2_000 }, (_, i) => renamed(template, `${template.name}${i}`));
  scene.accept(...many(edsCluster("c")), ...many(endpoints("c")), listener("in"), routes("routes", "c1"));
  const start = performance.now();
  for (let i = 0; i < 10; i++) assert.equal(scene.assemble().snapshot, scene.last.snapshot);
  const each = (performance.now() - start) / 10;
  assert.ok(each < 200, `${each} ms`);
});
