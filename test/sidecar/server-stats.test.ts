import assert from "node:assert/strict";
import { test } from "node:test";
import { type ServerFacts, ServerStats } from "../../sidecar/server-stats.ts";
import { StatsReader } from "../../sidecar/stats/reader.ts";
import { StatsTable } from "../../sidecar/stats/table.ts";
import type { Snapshot } from "../../xds/model/snapshot.ts";
import type { ConfigDelta } from "../../sidecar/worker-link.ts";

const EMPTY: Snapshot = {
  version: 1,
  listeners: new Map(),
  routes: new Map(),
  scopes: new Map(),
  clusters: new Map(),
  endpoints: new Map(),
  plugins: new Map(),
  runtime: { "a.b": 1, c: true },
  settled: new Set(),
};
const NONE = { changed: [], removed: [] };

function fixture(overrides: Partial<ServerFacts> = {}, concurrency = 2) {
  const reader = new StatsReader();
  const stats = new StatsTable({ onDefine: (update) => reader.apply("main", update) });
  const facts: ServerFacts = {
    state: "LIVE",
    warmingListeners: 1,
    warmingClusters: 2,
    activeListeners: 3,
    snapshot: EMPTY,
    xds: {},
    ...overrides,
  };
  const server = new ServerStats({
    stats,
    reader,
    startedAt: Date.now() - 3_500,
    concurrency,
    restartEpoch: 4,
    runtimeLayers: 2,
    facts: () => facts,
  });
  const value = (name: string): number | undefined => {
    server.refresh();
    return reader.value(name);
  };
  return { server, reader, stats, value };
}

function delta(version: number, listeners: number): ConfigDelta {
  const none = { set: [], removed: [] };
  const set = Array.from({ length: listeners }, (_, i) => [`l${i}`, {}]) as unknown as ConfigDelta["listeners"]["set"];
  return {
    version,
    listeners: { set, removed: [] },
    routes: none,
    scopes: none,
    settled: none,
    clusters: none,
    endpoints: none,
    plugins: none,
    runtime: undefined,
    services: [],
    modules: [],
    retiredModules: [],
  };
}

test("refresh() shows the server's facts at the first reading", () => {
  const { value } = fixture();
  assert.equal(value("server.uptime"), 3);
  const expected = {
    "server.state": 0,
    "server.live": 1,
    "server.concurrency": 2,
    "server.hot_restart_epoch": 4,
    "server.days_until_first_cert_expiring": 4294967295,
    "runtime.num_keys": 2,
    "runtime.num_layers": 2,
    "cluster_manager.warming_clusters": 2,
    "listener_manager.total_listeners_active": 3,
    "listener_manager.total_listeners_warming": 1,
    "listener_manager.total_listeners_draining": 0,
    "listener_manager.listener_added": 0,
  };
  for (const [name, number] of Object.entries(expected)) {
    assert.equal(value(name), number, name);
  }
  assert.ok((value("server.memory_physical_size") ?? 0) > 1_000_000);
  const draining = fixture({ state: "DRAINING" });
  assert.equal(draining.value("server.live"), 0);
  assert.equal(draining.value("listener_manager.total_listeners_draining"), 3);
});

test("refresh() counts the xDS client's numbers once, and shows its texts", () => {
  const xds = {
    "cluster_manager.cds.update_success": 3,
    "control_plane.connected_state": 1,
    "cluster_manager.cds.version_text": "v7",
  };
  const { value, reader } = fixture({ xds });
  assert.equal(value("cluster_manager.cds.update_success"), 3);
  assert.equal(value("cluster_manager.cds.update_success"), 3);
  assert.equal(value("control_plane.connected_state"), 1);
  assert.deepEqual(reader.texts(), [{ name: "cluster_manager.cds.version_text", value: "v7" }]);
});

test("refresh() sums the connections of listeners, without the admin port's", () => {
  const { server, value, stats } = fixture();
  stats.gauge("listener.0.0.0.0_80.downstream_cx_active").set(5);
  stats.gauge("listener.0.0.0.0_81.downstream_cx_active").set(2);
  stats.gauge("listener.admin.downstream_cx_active").set(9);
  stats.flush();
  assert.equal(value("server.total_connections"), 7);
  stats.gauge("http.in.downstream_rq_active").set(3);
  stats.gauge("http.admin.downstream_rq_active").set(1);
  stats.flush();
  assert.equal(server.requestsInFlight, 3);
});

test("onSnapshot() tells what is new from what has changed", () => {
  const { server, value } = fixture();
  const clusters = { changed: ["a", "b"], removed: [] };
  server.onSnapshot(undefined, EMPTY, { clusters, listeners: NONE, isRuntimeChanged: false });
  const before: Snapshot = { ...EMPTY, clusters: new Map([["a", {} as never]]) };
  const next = { clusters: { changed: ["a", "c"], removed: ["b"] }, listeners: NONE, isRuntimeChanged: true };
  server.onSnapshot(before, EMPTY, next);
  assert.equal(value("cluster_manager.cluster_added"), 3);
  assert.equal(value("cluster_manager.cluster_modified"), 1);
  assert.equal(value("cluster_manager.cluster_removed"), 1);
  assert.equal(value("runtime.load_success"), 2);
});

test("onSnapshot() declares what a cluster counts, also when it is of another kind than before", () => {
  const { server, stats, reader } = fixture();
  const of = (kind: string): Snapshot => ({
    ...EMPTY,
    clusters: new Map([["a", { statName: "a", discovery: { kind } } as never]]),
  });
  const changes = { clusters: { changed: ["a"], removed: [] }, listeners: NONE, isRuntimeChanged: false };
  const names = () => {
    stats.flush();
    return reader
      .numbers()
      .map(({ name }) => name)
      .filter((name) => name.startsWith("cluster.a."));
  };
  server.onSnapshot(undefined, of("static"), changes);
  const before = names();
  assert.equal(before.length, 5);
  server.onSnapshot(of("static"), of("eds"), changes);
  assert.deepEqual(
    names().filter((name) => !before.includes(name)),
    ["cluster.a.init_fetch_timeout", "cluster.a.update_rejected"],
  );
});

test("onInUse() counts each worker's listeners once, and those that failed", () => {
  const { server, value } = fixture();
  server.onPublished(delta(1, 2));
  server.onInUse(0, 1, []);
  server.onInUse(0, 1, []);
  assert.equal(value("listener_manager.listener_create_success"), 2);
  server.onPublished(delta(2, 1));
  server.onInUse(1, 2, [{ resource: "listener", name: "l0", problem: "no" }]);
  assert.equal(value("listener_manager.listener_create_success"), 4);
  assert.equal(value("listener_manager.listener_create_failure"), 1);
  server.onInUse(0, 2, []);
  assert.equal(value("listener_manager.listener_create_success"), 5);
});

test("onLive() notes how long the start took", () => {
  const { server, reader, value } = fixture();
  server.onLive();
  assert.equal(value("listener_manager.workers_started"), 1);
  assert.equal(reader.histogram("server.initialization_time_ms")?.cumulative.count, 1);
});

test("a histogram's interval begins anew every five seconds", (context) => {
  context.mock.timers.enable({ apis: ["setInterval"] });
  const { server, reader, stats } = fixture();
  stats.histogram("http.x.downstream_rq_time").record(3);
  stats.flush();
  assert.equal(reader.histogram("http.x.downstream_rq_time")?.interval.count, 1);
  context.mock.timers.tick(5_000);
  const rolled = reader.histogram("http.x.downstream_rq_time");
  assert.deepEqual([rolled?.interval.count, rolled?.cumulative.count], [0, 1]);
  server.close();
});
