// The circuit breaker of one cluster: how many connections, pending requests, requests and retries it may have at a time,
// for each route priority. Counted on each worker by itself, so a limit holds per worker. Hot path: a few stores a request.
// Source: envoy.config.cluster.v3.CircuitBreakers; statistics `cluster.<name>.circuit_breakers.<priority>.`.

import type { CircuitBreakerThresholds } from "../../xds/model/cluster.ts";
import type { Gauge, StatsScope } from "../stats/scope.ts";
import type { LimitedResource, PoolLimits } from "../upstream/stream-pool.ts";

/** A count with an upper limit; its gauge says 1 while the limit is reached. */
export class Resource implements LimitedResource {
  readonly max: number;
  count = 0;
  readonly #open: Gauge;

  constructor(max: number, open: Gauge) {
    this.max = max;
    this.#open = open;
  }

  get available(): boolean {
    return this.count < this.max;
  }

  inc(): void {
    if (++this.count === this.max) {
      this.#open.inc();
    }
  }

  dec(): void {
    if (this.count-- === this.max) {
      this.#open.dec();
    }
  }
}

export interface CircuitBreaker extends PoolLimits {
  readonly connections: Resource;
  readonly pendingRequests: Resource;
  readonly requests: Resource;
  /** Retries in flight; the proxy counts them. */
  readonly retries: Resource;
}

export function createCircuitBreaker(
  scope: StatsScope,
  statName: string,
  thresholds: CircuitBreakerThresholds,
): CircuitBreaker {
  const prefix = `cluster.${statName}.circuit_breakers.${thresholds.priority}.`;
  return {
    connections: new Resource(thresholds.maxConnections, scope.gauge(`${prefix}cx_open`)),
    pendingRequests: new Resource(thresholds.maxPendingRequests, scope.gauge(`${prefix}rq_pending_open`)),
    requests: new Resource(thresholds.maxRequests, scope.gauge(`${prefix}rq_open`)),
    retries: new Resource(thresholds.maxRetries, scope.gauge(`${prefix}rq_retry_open`)),
  };
}
