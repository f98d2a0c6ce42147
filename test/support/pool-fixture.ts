// A cluster with one host on a fake upstream, and what a test looks at: its pool, its statistics.

import { LiveCluster } from "../../sidecar/cluster/cluster.ts";
import type { Host } from "../../sidecar/cluster/host.ts";
import { TimerWheel } from "../../sidecar/http/timer-wheel.ts";
import { StatsTable } from "../../sidecar/stats/table.ts";
import type { StreamPool } from "../../sidecar/upstream/stream-pool.ts";
import type { Cluster } from "../../xds/model/cluster.ts";
import { buildAssignment, buildCluster } from "./cluster-builders.ts";
import { buildRequest, RecordingWaiter } from "./recording-waiter.ts";
import { seededRandom } from "./seeded-random.ts";

/** What a fake upstream most often answers. */
export const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** A waiter that sends a request without a body. */
export function sending(method = "GET"): RecordingWaiter {
  return RecordingWaiter.sending(buildRequest(method));
}

/** Counters and gauges of a cluster named `backend` read as `stat("upstream_rq_total")`. */
export class PoolFixture {
  readonly wheel = new TimerWheel();
  readonly scope = new StatsTable({ onDefine() {} });
  readonly cluster: LiveCluster;

  /** One endpoint for each port. */
  constructor(ports: readonly number[], parts: Partial<Cluster> = {}) {
    const assignment = buildAssignment(ports.map((port) => ({ port })));
    this.cluster = new LiveCluster(buildCluster(assignment, parts), {
      scope: this.scope,
      wheel: this.wheel,
      readBuffer: Buffer.alloc(65_536),
      random: seededRandom(),
    });
  }

  get host(): Host {
    const host = this.cluster.hosts[0];
    if (host === undefined) {
      throw new Error("The cluster has no host");
    }
    return host;
  }

  get pool(): StreamPool {
    return this.host.pool;
  }

  /** One request and its response. */
  async serve(): Promise<RecordingWaiter> {
    const waiter = sending();
    this.pool.acquire(waiter);
    await waiter.untilEnd();
    return waiter;
  }

  counter(name: string): number {
    // The table marks what was never counted with -0.
    return this.scope.counter(`cluster.backend.${name}`).value + 0;
  }

  gauge(name: string): number {
    return this.scope.gauge(`cluster.backend.${name}`).value + 0;
  }

  [Symbol.dispose](): void {
    this.cluster.dispose();
    this.wheel.close();
  }
}

/** Limits for both route priorities, Envoy's defaults for those that are not named. */
export function buildBreakers(limits: Partial<Cluster["circuitBreakers"][0]>): Cluster["circuitBreakers"] {
  const thresholds = { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3, ...limits };
  return [
    { ...thresholds, priority: "default" },
    { ...thresholds, priority: "high" },
  ];
}
