/**
 * Time of one `LiveCluster.choose` by policy and number of hosts, and of the update that rebuilds the balancers.
 * Run: node test/bench/pick.ts
 */
import { LiveCluster } from "../../sidecar/cluster/cluster.ts";
import { TimerWheel } from "../../sidecar/http/timer-wheel.ts";
import { StatsTable } from "../../sidecar/stats/table.ts";
import { buildAssignment, buildCluster } from "../support/cluster-builders.ts";

const ROUNDS = 5;
const PICKS = 2_000_000;

function build(policy: "round_robin" | "random" | "least_request", hosts: number, isWeighted: boolean): LiveCluster {
  const endpoints = Array.from({ length: hosts }, (_, index) => ({
    port: index + 1,
    weight: isWeighted ? (index % 7) + 1 : 1,
  }));
  return new LiveCluster(buildCluster(buildAssignment(endpoints), { lbPolicy: policy }), {
    scope: new StatsTable({ onDefine() {} }),
    wheel: new TimerWheel(),
    readBuffer: Buffer.alloc(0),
    random: Math.random,
  });
}

/** Best of several rounds, nanoseconds for each call. */
function best(calls: number, run: () => void): number {
  let least = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    for (let call = 0; call < calls; call++) {
      run();
    }
    least = Math.min(least, ((performance.now() - start) * 1e6) / calls);
  }
  return least;
}

for (const policy of ["round_robin", "random", "least_request"] as const) {
  for (const hosts of [3, 1_000]) {
    for (const isWeighted of [false, true]) {
      const cluster = build(policy, hosts, isWeighted);
      const pick = best(PICKS, () => cluster.choose());
      const assignment = buildAssignment(
        Array.from({ length: hosts }, (_, index) => ({ port: index + 1, weight: isWeighted ? (index % 5) + 1 : 1 })),
      );
      const update = best(20, () => cluster.updateEndpoints(assignment));
      const name = `${policy}, ${hosts} hosts, ${isWeighted ? "weighted" : "equal"}`;
      console.log(
        `${name.padEnd(40)} ${pick.toFixed(1).padStart(7)} ns/pick ${(update / 1e3).toFixed(0).padStart(6)} µs/update`,
      );
    }
  }
}
