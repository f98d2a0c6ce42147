import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { compileCluster } from "../../../sidecar/cluster/cluster.ts";
import type { LiveCluster } from "../../../sidecar/cluster/cluster.ts";
import { TimerWheel } from "../../../sidecar/http/timer-wheel.ts";
import { StatsTable } from "../../../sidecar/stats/table.ts";
import type { Cluster } from "../../../xds/model/cluster.ts";
import type { ClusterLoadAssignment, HealthStatus } from "../../../xds/model/endpoints.ts";
import { buildAssignment, buildCluster } from "../../support/cluster-builders.ts";
import { FakeUpstream } from "../../support/fake-upstream.ts";
import { OK, PoolFixture, sending } from "../../support/pool-fixture.ts";
import { seededRandom } from "../../support/seeded-random.ts";

const scope = new StatsTable({ onDefine() {} });

function compile(assignment: ClusterLoadAssignment, parts: Partial<Cluster> = {}): LiveCluster {
  return compileCluster(buildCluster(assignment, parts), {
    scope,
    wheel: new TimerWheel(),
    readBuffer: Buffer.alloc(0),
    random: seededRandom(),
  });
}

/** Ports of the hosts chosen in `picks` choices, with how often. */
function chosen(cluster: LiveCluster, picks = 1_000): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let pick = 0; pick < picks; pick++) {
    const address = cluster.choose()?.address;
    const port = address?.kind === "tcp" ? String(address.port) : "none";
    counts[port] = (counts[port] ?? 0) + 1;
  }
  return counts;
}

const EDS: Pick<Cluster, "discovery"> = {
  discovery: { kind: "eds", serviceName: "backend", source: { kind: "ads", initialFetchTimeoutMs: 15_000 } },
};

/** An assignment that is read when it must be, and how often that was. */
function lateAssignment(hosts: readonly { readonly port: number; readonly health?: HealthStatus }[]) {
  const whole = buildAssignment(hosts);
  const are = (health: HealthStatus) => hosts.filter((host) => (host.health ?? "unknown") === health).length;
  let reads = 0;
  const assignment: ClusterLoadAssignment = {
    ...whole,
    counted: { total: hosts.length, healthy: are("unknown") + are("healthy"), degraded: are("degraded") },
    get localities() {
      reads++;
      return whole.localities;
    },
  };
  return { assignment, reads: () => reads };
}

describe("LiveCluster", () => {
  it("makes hosts when the first request needs one; what is shown before is the same", () => {
    const { assignment, reads } = lateAssignment([{ port: 1 }, { port: 2, health: "degraded" }]);
    const cluster = compile(assignment, { statName: "late", ...EDS });
    cluster.updateEndpoints(assignment);
    const count = (name: string) => scope.gauge(`cluster.late.${name}`).value;
    const shown = () => ["membership_total", "membership_healthy", "membership_degraded"].map(count);
    assert.deepEqual([shown(), cluster.hostCount, cluster.isWarm, reads()], [[2, 1, 1], 2, true, 0]);
    assert.equal(scope.counter("cluster.late.membership_change").value, 1);
    const before = cluster.view();
    assert.deepEqual(
      [before.map(({ address }) => address), cluster.madeHosts.length],
      [["127.0.0.1:1", "127.0.0.1:2"], 0],
    );
    assert.deepEqual(Object.keys(chosen(cluster, 30)), ["1", "2"]);
    assert.deepEqual([cluster.view(), cluster.madeHosts.length, shown()], [before, 2, [2, 1, 1]]);
    const read = reads();
    chosen(cluster, 10);
    assert.equal(reads(), read, "read once");
  });

  it("counts a change of membership of hosts that nobody has needed, and of those that somebody has", () => {
    const changes = () => scope.counter("cluster.unread.membership_change").value + 0;
    const update = (...ports: number[]) =>
      cluster.updateEndpoints(lateAssignment(ports.map((port) => ({ port }))).assignment);
    const cluster = compile(buildAssignment([]), { statName: "unread", ...EDS });
    const seen = [[], [1, 2], [2, 1], [1, 3], [1]].map((ports) => (update(...ports), changes()));
    assert.deepEqual(seen, [0, 1, 1, 2, 3]);
    // The same hosts, now by an assignment that is there as objects.
    cluster.updateEndpoints(buildAssignment([{ port: 1 }]));
    assert.equal(changes(), 3);
    assert.deepEqual(chosen(cluster, 2), { 1: 2 });
    update(1);
    update(4);
    assert.deepEqual([changes(), chosen(cluster, 2)], [4, { 4: 2 }]);
  });

  for (const health of ["unhealthy", "draining", "timeout"] satisfies HealthStatus[]) {
    it(`choose() never gives a host that is ${health}`, () => {
      const cluster = compile(buildAssignment([{ port: 1 }, { port: 2, health }, { port: 3, health: "healthy" }]));
      assert.deepEqual(chosen(cluster), { 1: 500, 3: 500 });
    });
  }

  it("choose() uses all hosts in panic, and counts it", () => {
    const assignment = buildAssignment([{ port: 1 }, { port: 2, health: "unhealthy" }, { port: 3, health: "timeout" }]);
    const cluster = compile(assignment, { statName: "panic" });
    assert.deepEqual(Object.keys(chosen(cluster, 30)), ["1", "2", "3"]);
    assert.equal(scope.counter("cluster.panic.lb_healthy_panic").value, 30);
    const calm = compile(assignment, { healthyPanicThreshold: 0 });
    assert.deepEqual(chosen(calm, 30), { 1: 30 });
  });

  it("choose() gives nothing and counts it when no host may be used", () => {
    const cluster = compile(buildAssignment([{ port: 1, health: "unhealthy" }]), {
      statName: "down",
      healthyPanicThreshold: 0,
    });
    assert.equal(cluster.choose(), undefined);
    assert.equal(compile(buildAssignment([])).choose(), undefined);
    assert.equal(scope.counter("cluster.down.upstream_cx_none_healthy").value, 1);
  });

  it("choose() spills over to the next priority, and to degraded hosts last", () => {
    const half = compile(
      buildAssignment([{ port: 1 }, { port: 2, health: "unhealthy" }], [{ port: 3 }], [{ port: 4 }]),
    );
    const shares = chosen(half, 10_000);
    assert.deepEqual(Object.keys(shares), ["1", "3"]);
    assert.ok(Math.abs((shares["1"] as number) - 7_000) < 200, JSON.stringify(shares));
    const degraded = chosen(compile(buildAssignment([{ port: 1 }, { port: 2, health: "degraded" }])), 10_000);
    assert.ok(Math.abs((degraded["2"] as number) - 3_000) < 200, JSON.stringify(degraded));
  });

  it("choose() with a hash gives the same priority for the same hash", () => {
    const cluster = compile(buildAssignment([{ port: 1 }, { port: 2, health: "unhealthy" }], [{ port: 3 }]));
    for (let hash = 0; hash < 200; hash++) {
      assert.equal(cluster.choose(hash)?.priority, hash % 100 < 70 ? 0 : 1);
    }
  });

  it("updateEndpoints() warms an EDS cluster and counts membership", () => {
    const cluster = compile(buildAssignment([]), { ...EDS, statName: "eds" });
    assert.equal(cluster.isWarm, false);
    assert.equal(cluster.choose(), undefined);
    cluster.updateEndpoints(buildAssignment([{ port: 1 }, { port: 2, health: "degraded" }]));
    assert.equal(cluster.isWarm, true);
    const value = (name: string): number => scope.gauge(`cluster.eds.membership_${name}`).value + 0;
    assert.deepEqual([value("total"), value("healthy"), value("degraded")], [2, 1, 1]);
    cluster.updateEndpoints(buildAssignment([{ port: 1 }, { port: 2 }]));
    assert.deepEqual([value("total"), value("healthy"), value("degraded")], [2, 2, 0]);
    assert.equal(scope.counter("cluster.eds.membership_change").value, 1);
  });

  it("dropCategory() drops the share that drop_overloads names, each category by itself", () => {
    const dropOverloads = [
      { category: "throttle", percent: 20 },
      { category: "lb", percent: 50 },
    ];
    const cluster = compile({ ...buildAssignment([{ port: 1 }]), dropOverloads }, { statName: "drop" });
    const counts: Record<string, number> = {};
    for (let request = 0; request < 10_000; request++) {
      const category = cluster.dropCategory() ?? "kept";
      counts[category] = (counts[category] ?? 0) + 1;
    }
    assert.ok(Math.abs((counts["throttle"] as number) - 2_000) < 200, JSON.stringify(counts));
    assert.ok(Math.abs((counts["lb"] as number) - 4_000) < 200, JSON.stringify(counts));
    assert.equal(scope.counter("cluster.drop.upstream_rq_drop_overload").value, 10_000 - (counts["kept"] as number));
  });

  it("view() shows each host with its counts", () => {
    const cluster = compile(buildAssignment([{ port: 1, host: "::1", weight: 3, health: "degraded", hostname: "a" }]));
    const [view] = structuredClone(cluster.view());
    assert.equal(view?.address, "[::1]:1");
    assert.equal(view?.weight, 3);
    assert.equal(view?.health, "degraded");
    assert.equal(view?.counts.rqTotal, 0);
  });

  it("updateEndpoints() after dispose() does nothing", () => {
    const cluster = compile(buildAssignment([{ port: 1 }]));
    cluster.dispose();
    cluster.updateEndpoints(buildAssignment([{ port: 1 }]));
    assert.equal(cluster.hosts.length, 0);
    assert.equal(cluster.choose(), undefined);
  });

  it("updateEndpoints() keeps connections of hosts that stay, and lets requests to those that go finish", async () => {
    await using stays = await FakeUpstream.start({ respond: OK });
    await using goes = await FakeUpstream.start();
    using fixture = new PoolFixture([stays.port, goes.port]);
    await fixture.serve();
    const running = sending();
    fixture.cluster.hosts[1]?.pool.acquire(running);
    const connection = await goes.connection(0);
    await connection.untilRequests(1);
    fixture.cluster.updateEndpoints(buildAssignment([{ port: stays.port, weight: 5 }]));
    assert.deepEqual(Object.keys(chosen(fixture.cluster)), [String(stays.port)]);
    connection.send(OK);
    await running.untilEnd();
    await connection.untilClosed();
    await fixture.serve();
    assert.equal(stays.connections.length, 1);
    assert.equal(fixture.gauge("upstream_cx_active"), 1);
  });
});
