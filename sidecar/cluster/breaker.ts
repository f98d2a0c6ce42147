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
  readonly #resolve: () => Gauge;
  #gauge: Gauge | undefined;

  /** `open` is asked for its gauge when the limit is reached for the first time. */
  constructor(max: number, open: () => Gauge) {
    this.max = max;
    this.#resolve = open;
  }

  get #open(): Gauge {
    return (this.#gauge ??= this.#resolve());
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

export const BREAKER_GAUGES = ["cx_open", "rq_pending_open", "rq_open", "rq_retry_open"] as const;

/** `prefix` is `cluster.<name>.`. */
export function breakerGauge(prefix: string, priority: string, name: string): string {
  return `${prefix}circuit_breakers.${priority}.${name}`;
}

export function createCircuitBreaker(
  scope: StatsScope,
  statName: string,
  thresholds: CircuitBreakerThresholds,
): CircuitBreaker {
  const open = (name: (typeof BREAKER_GAUGES)[number]) => () =>
    scope.gauge(breakerGauge(`cluster.${statName}.`, thresholds.priority, name));
  return {
    connections: new Resource(thresholds.maxConnections, open("cx_open")),
    pendingRequests: new Resource(thresholds.maxPendingRequests, open("rq_pending_open")),
    requests: new Resource(thresholds.maxRequests, open("rq_open")),
    retries: new Resource(thresholds.maxRetries, open("rq_retry_open")),
  };
}
