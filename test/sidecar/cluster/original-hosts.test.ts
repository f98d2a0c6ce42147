import assert from "node:assert/strict";
import { suite, test, mock } from "node:test";
import { compileCluster, type LiveCluster } from "../../../sidecar/cluster/cluster.ts";
import { MAX_ORIGINAL_HOSTS, type OriginalRequest } from "../../../sidecar/cluster/original-hosts.ts";
import { HeaderMap } from "../../../sidecar/http/headers.ts";
import { TimerWheel } from "../../../sidecar/http/timer-wheel.ts";
import { StatsTable } from "../../../sidecar/stats/table.ts";
import { buildAssignment, buildCluster } from "../../support/cluster-builders.ts";

const scope = new StatsTable({ onDefine() {} });

function compile(
  parts: { name?: string; headerName?: string; portOverride?: number; cleanupIntervalMs?: number } = {},
) {
  const { name = "backend", headerName = "", portOverride = 0, cleanupIntervalMs = 5_000 } = parts;
  const model = buildCluster(buildAssignment([]), {
    statName: name,
    discovery: { kind: "original_dst", headerName, portOverride, cleanupIntervalMs },
  });
  return compileCluster(model, { scope, wheel: new TimerWheel(), readBuffer: Buffer.alloc(0), random: () => 0 });
}

function request(parts: { host?: string; port?: number; header?: string; state?: string; isRestored?: boolean } = {}) {
  const { host = "10.0.0.1", port = 80, header, state, isRestored = true } = parts;
  const headers = new HeaderMap();
  if (header !== undefined) headers.add("X-Envoy-Original-Dst-Host", header);
  const connection = {
    id: 1,
    remoteAddress: "10.0.0.9",
    remotePort: 5,
    localAddress: host,
    localPort: port,
    direct: isRestored ? { address: "127.0.0.1", port: 15_001 } : undefined,
    source: undefined,
  };
  return { connection, requestHead: { headers }, originalAddress: state } satisfies OriginalRequest;
}

function chosen(cluster: LiveCluster, parts?: Parameters<typeof request>[0]): string | undefined {
  return cluster.original?.choose(request(parts))?.key;
}

void suite("OriginalHosts", () => {
  test("choose() gives the host that the connection was meant for, always the same one", () => {
    const cluster = compile();
    assert.equal(chosen(cluster), "10.0.0.1:80");
    assert.equal(chosen(cluster, { host: "fd00::1", port: 443 }), "[fd00::1]:443");
    assert.equal(cluster.original?.choose(request()), cluster.original?.choose(request()));
    assert.deepEqual(
      cluster.view().map(({ address }) => address),
      ["10.0.0.1:80", "[fd00::1]:443"],
    );
  });

  test("choose() has no host for a connection whose destination nobody has restored", () => {
    const cluster = compile({ name: "direct" });
    assert.equal(chosen(cluster, { isRestored: false }), undefined);
    assert.equal(scope.counter("cluster.direct.upstream_cx_none_healthy").value, 1);
    assert.equal(cluster.choose(), undefined);
  });

  test("choose() asks filter state first, then the header, then the connection, as Envoy does", () => {
    const cluster = compile({ name: "wishes", headerName: "x-envoy-original-dst-host" });
    assert.equal(chosen(cluster, { state: "1.1.1.1:1", header: "2.2.2.2:2" }), "1.1.1.1:1");
    assert.equal(chosen(cluster, { header: "[fd00::2]:2", isRestored: false }), "[fd00::2]:2");
    for (const header of [
      "example.com:80",
      "2.2.2.2",
      "2.2.2.2:70000",
      "2.2.2.2:8x",
      "fd00::2:80",
      "",
      "1.1.1.1:1,2.2.2.2:2",
    ]) {
      assert.equal(chosen(cluster, { header }), "10.0.0.1:80", header);
    }
    assert.equal(scope.counter("cluster.wishes.original_dst_host_invalid").value, 7);
    assert.equal(chosen(compile(), { header: "2.2.2.2:2" }), "10.0.0.1:80");
  });

  test("choose() replaces the port where the cluster says so", () => {
    assert.equal(chosen(compile({ portOverride: 8080 })), "10.0.0.1:8080");
  });

  test("hosts are forgotten when nobody has used them for an interval, and counted", async (t) => {
    mock.timers.enable({ apis: ["setTimeout"] });
    t.after(() => mock.timers.reset());
    const cluster = compile({ name: "cleanup", cleanupIntervalMs: 1_000 });
    const total = scope.gauge("cluster.cleanup.membership_total");
    chosen(cluster);
    chosen(cluster, { port: 81 });
    assert.equal(total.value, 2);
    mock.timers.tick(1_000);
    chosen(cluster);
    mock.timers.tick(1_000);
    assert.deepEqual(
      cluster.hosts.map(({ key }) => key),
      ["10.0.0.1:80"],
    );
    mock.timers.tick(2_000);
    assert.deepEqual([cluster.hosts.length, total.value], [0, 0]);
    assert.equal(chosen(cluster, { port: 81 }), "10.0.0.1:81");
    await Promise.resolve();
  });

  test("a host with connections stays, and its cluster has at most so many", () => {
    const cluster = compile({ name: "many" });
    const ports = Array.from({ length: MAX_ORIGINAL_HOSTS }, (_, index) => index + 1);
    for (const port of ports) {
      const host = cluster.original?.choose(request({ port }));
      // In use, all but the first two.
      if (host !== undefined && port > 2) host.counts.rqActive = 1;
    }
    assert.equal(cluster.hosts.length, MAX_ORIGINAL_HOSTS);
    assert.equal(chosen(cluster, { host: "10.0.0.2" }), "10.0.0.2:80");
    assert.ok(!cluster.hosts.some(({ key }) => key === "10.0.0.1:1"));
    const second = cluster.original?.choose(request({ host: "10.0.0.3" }));
    assert.ok(second !== undefined);
    for (const host of cluster.hosts) host.counts.rqActive = 1;
    assert.equal(chosen(cluster, { host: "10.0.0.4" }), undefined);
    assert.equal(scope.counter("cluster.many.upstream_cx_pool_overflow").value, 1);
    assert.equal(cluster.hosts.length, MAX_ORIGINAL_HOSTS);
    cluster.dispose();
    assert.equal(cluster.hosts.length, 0);
  });
});
