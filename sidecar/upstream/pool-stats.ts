// The statistics of a cluster's connections and requests, under Envoy's names, resolved once for each cluster.
// Counted by pool.ts and connection.ts; the cluster adds its own beside them.
// Source: Envoy's docs, "Cluster manager / Statistics", `cluster.<name>.`.

import type { Counter, Gauge, Histogram, StatsScope } from "../stats/scope.ts";

export interface PoolStats {
  readonly cxTotal: Counter;
  readonly cxActive: Gauge;
  readonly cxHttp1Total: Counter;
  readonly cxConnectFail: Counter;
  readonly cxConnectTimeout: Counter;
  readonly cxIdleTimeout: Counter;
  readonly cxOverflow: Counter;
  /** The TCP proxy has made `max_connect_attempts`. */
  readonly cxConnectAttemptsExceeded: Counter;
  readonly cxConnectMs: Histogram;
  readonly cxLengthMs: Histogram;
  readonly cxDestroy: Counter;
  readonly cxDestroyLocal: Counter;
  readonly cxDestroyRemote: Counter;
  readonly cxDestroyWithActiveRq: Counter;
  readonly cxDestroyLocalWithActiveRq: Counter;
  readonly cxDestroyRemoteWithActiveRq: Counter;
  /** The upstream said `Connection: close`. */
  readonly cxCloseNotify: Counter;
  readonly cxMaxRequests: Counter;
  readonly cxProtocolError: Counter;
  readonly cxRxBytes: Counter;
  readonly cxTxBytes: Counter;
  readonly flowControlPausedReading: Counter;
  readonly flowControlResumedReading: Counter;
  readonly flowControlBackedUp: Counter;
  readonly flowControlDrained: Counter;
  readonly rqTotal: Counter;
  readonly rqActive: Gauge;
  readonly rqPendingTotal: Counter;
  readonly rqPendingActive: Gauge;
  /** Refused by max_pending_requests. */
  readonly rqPendingOverflow: Counter;
  /** Refused by max_requests; counted as pending overflow before Envoy 1.38. */
  readonly rqActiveOverflow: Counter;
  readonly rqPendingFailureEject: Counter;
  /** The proxy gave a request up while it waited for a connection. */
  readonly rqCancelled: Counter;
  /** Responses cut by the upstream. */
  readonly rqRxReset: Counter;
  /** Requests cut by the proxy. */
  readonly rqTxReset: Counter;
}

/** `prefix` is `cluster.<name>.`. */
export function resolvePoolStats(scope: StatsScope, prefix: string): PoolStats {
  const up = `${prefix}upstream_`;
  return {
    cxTotal: scope.counter(`${up}cx_total`),
    cxActive: scope.gauge(`${up}cx_active`),
    cxHttp1Total: scope.counter(`${up}cx_http1_total`),
    cxConnectFail: scope.counter(`${up}cx_connect_fail`),
    cxConnectTimeout: scope.counter(`${up}cx_connect_timeout`),
    cxIdleTimeout: scope.counter(`${up}cx_idle_timeout`),
    cxOverflow: scope.counter(`${up}cx_overflow`),
    cxConnectAttemptsExceeded: scope.counter(`${up}cx_connect_attempts_exceeded`),
    cxConnectMs: scope.histogram(`${up}cx_connect_ms`),
    cxLengthMs: scope.histogram(`${up}cx_length_ms`),
    cxDestroy: scope.counter(`${up}cx_destroy`),
    cxDestroyLocal: scope.counter(`${up}cx_destroy_local`),
    cxDestroyRemote: scope.counter(`${up}cx_destroy_remote`),
    cxDestroyWithActiveRq: scope.counter(`${up}cx_destroy_with_active_rq`),
    cxDestroyLocalWithActiveRq: scope.counter(`${up}cx_destroy_local_with_active_rq`),
    cxDestroyRemoteWithActiveRq: scope.counter(`${up}cx_destroy_remote_with_active_rq`),
    cxCloseNotify: scope.counter(`${up}cx_close_notify`),
    cxMaxRequests: scope.counter(`${up}cx_max_requests`),
    cxProtocolError: scope.counter(`${up}cx_protocol_error`),
    cxRxBytes: scope.counter(`${up}cx_rx_bytes_total`),
    cxTxBytes: scope.counter(`${up}cx_tx_bytes_total`),
    flowControlPausedReading: scope.counter(`${up}flow_control_paused_reading_total`),
    flowControlResumedReading: scope.counter(`${up}flow_control_resumed_reading_total`),
    flowControlBackedUp: scope.counter(`${up}flow_control_backed_up_total`),
    flowControlDrained: scope.counter(`${up}flow_control_drained_total`),
    rqTotal: scope.counter(`${up}rq_total`),
    rqActive: scope.gauge(`${up}rq_active`),
    rqPendingTotal: scope.counter(`${up}rq_pending_total`),
    rqPendingActive: scope.gauge(`${up}rq_pending_active`),
    rqPendingOverflow: scope.counter(`${up}rq_pending_overflow`),
    rqActiveOverflow: scope.counter(`${up}rq_active_overflow`),
    rqPendingFailureEject: scope.counter(`${up}rq_pending_failure_eject`),
    rqCancelled: scope.counter(`${up}rq_cancelled`),
    rqRxReset: scope.counter(`${up}rq_rx_reset`),
    rqTxReset: scope.counter(`${up}rq_tx_reset`),
  };
}
