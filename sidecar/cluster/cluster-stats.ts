// All statistics of one cluster under Envoy's names. cluster.ts declares them, and resolves them when the first request needs them;
// proxy.ts counts what belongs to the
// router (codes, times, retries, timeouts), pool.ts what belongs to connections, cluster.ts membership and balancing.

import { resolvePoolStats } from "../upstream/pool-stats.ts";
import type { PoolStats } from "../upstream/pool-stats.ts";
import { familyOf } from "../stats/families.ts";
import type { StatFamily } from "../stats/pages.ts";
import type { Counter, Gauge, Histogram, StatsScope } from "../stats/scope.ts";
import { BREAKER_GAUGES, breakerGauge } from "./breaker.ts";

export interface ClusterStats extends PoolStats {
  // Counted by the proxy.
  readonly rqCompleted: Counter;
  /** Index is the first digit of the status: 1 to 5; index 0 is unused and counts nowhere useful. */
  readonly rqXx: readonly Counter[];
  /** `upstream_rq_<code>`, resolved when a code is first seen. Codes outside 100 to 599 share one counter. */
  rqCode(status: number): Counter;
  /** Whole time of a request on the upstream, milliseconds. */
  readonly rqTime: Histogram;
  readonly rqTimeout: Counter;
  readonly rqPerTryTimeout: Counter;
  readonly rqMaintenanceMode: Counter;
  readonly rqRetry: Counter;
  readonly rqRetrySuccess: Counter;
  readonly rqRetryOverflow: Counter;
  readonly rqRetryLimitExceeded: Counter;
  /** Requests dropped by `drop_overloads`; `LiveCluster.dropCategory` counts it. */
  readonly rqDropOverload: Counter;
  /** No host could be chosen; `LiveCluster.choose` counts it. */
  readonly cxNoneHealthy: Counter;
  /** A request named a destination that is no address, in an ORIGINAL_DST cluster. */
  readonly originalDstHostInvalid: Counter;
  /** Refused because there are too many hosts already, in an ORIGINAL_DST cluster. */
  readonly cxPoolOverflow: Counter;
  readonly lbHealthyPanic: Counter;
}

/** Counted from the first endpoints on, whether requests come or not. */
export interface MembershipStats {
  readonly change: Counter;
  readonly total: Gauge;
  readonly healthy: Gauge;
  readonly degraded: Gauge;
}

/** All names of a cluster without its prefix, to be declared before any of them is asked for. */
export const CLUSTER_FAMILY: StatFamily = familyOf((scope) => {
  resolveClusterStats(scope, "");
  for (const priority of ["default", "high"]) {
    BREAKER_GAUGES.forEach((name) => scope.gauge(breakerGauge("", priority, name)));
  }
});

export function resolveMembershipStats(scope: StatsScope, prefix: string): MembershipStats {
  return {
    change: scope.counter(`${prefix}membership_change`),
    total: scope.gauge(`${prefix}membership_total`),
    healthy: scope.gauge(`${prefix}membership_healthy`),
    degraded: scope.gauge(`${prefix}membership_degraded`),
  };
}

/** `prefix` is `cluster.<name in statistics>.`. */
export function resolveClusterStats(scope: StatsScope, prefix: string): ClusterStats {
  const codes: (Counter | undefined)[] = [];
  return {
    ...resolvePoolStats(scope, prefix),
    rqCompleted: scope.counter(`${prefix}upstream_rq_completed`),
    rqXx: [0, 1, 2, 3, 4, 5].map((digit) =>
      scope.counter(`${prefix}upstream_rq_${digit === 0 ? "unknown" : `${digit}xx`}`),
    ),
    rqCode(status) {
      const known = status >= 100 && status <= 599;
      const index = known ? status : 0;
      return (codes[index] ??= scope.counter(`${prefix}upstream_rq_${known ? status : "unknown"}`));
    },
    rqTime: scope.histogram(`${prefix}upstream_rq_time`),
    rqTimeout: scope.counter(`${prefix}upstream_rq_timeout`),
    rqPerTryTimeout: scope.counter(`${prefix}upstream_rq_per_try_timeout`),
    rqMaintenanceMode: scope.counter(`${prefix}upstream_rq_maintenance_mode`),
    rqRetry: scope.counter(`${prefix}upstream_rq_retry`),
    rqRetrySuccess: scope.counter(`${prefix}upstream_rq_retry_success`),
    rqRetryOverflow: scope.counter(`${prefix}upstream_rq_retry_overflow`),
    rqRetryLimitExceeded: scope.counter(`${prefix}upstream_rq_retry_limit_exceeded`),
    rqDropOverload: scope.counter(`${prefix}upstream_rq_drop_overload`),
    cxNoneHealthy: scope.counter(`${prefix}upstream_cx_none_healthy`),
    originalDstHostInvalid: scope.counter(`${prefix}original_dst_host_invalid`),
    cxPoolOverflow: scope.counter(`${prefix}upstream_cx_pool_overflow`),
    lbHealthyPanic: scope.counter(`${prefix}lb_healthy_panic`),
  };
}
