// The statistics of downstream connections and requests, by Envoy's names: `http.<stat_prefix>.downstream_*`, and
// `listener.<address>.downstream_*`. Names resolve once for each filter chain; connections only add.
// Codec-level counters are `http1.*`.

import type { Counter, Gauge, Histogram, StatsScope } from "../stats/scope.ts";

/** Counted by the connection, all of them: the proxy must not count them again. */
export interface DownstreamStats {
  readonly cxTotal: Counter;
  readonly cxActive: Gauge;
  readonly cxHttp1Total: Counter;
  readonly cxHttp1Active: Gauge;
  readonly cxDestroy: Counter;
  readonly cxDestroyLocal: Counter;
  readonly cxDestroyRemote: Counter;
  readonly cxDestroyActiveRq: Counter;
  readonly cxDestroyLocalActiveRq: Counter;
  readonly cxDestroyRemoteActiveRq: Counter;
  readonly cxLengthMs: Histogram;
  readonly cxRxBytes: Counter;
  readonly cxTxBytes: Counter;
  readonly cxIdleTimeout: Counter;
  readonly cxMaxDurationReached: Counter;
  readonly cxMaxRequestsReached: Counter;
  readonly cxDrainClose: Counter;
  readonly cxDelayedCloseTimeout: Counter;
  readonly cxProtocolError: Counter;
  readonly flowControlPausedReading: Counter;
  readonly flowControlResumedReading: Counter;
  readonly rqTotal: Counter;
  readonly rqHttp1Total: Counter;
  readonly rqActive: Gauge;
  readonly rqCompleted: Counter;
  /** By status class, 1xx first. */
  readonly rqByClass: readonly [Counter, Counter, Counter, Counter, Counter];
  readonly rqTimeMs: Histogram;
  readonly rqHeaderTimeout: Counter;
  readonly rqResponseBeforeRqComplete: Counter;
  readonly rqRxReset: Counter;
  readonly rqTxReset: Counter;
  readonly rqNonRelativePath: Counter;
  readonly rqFailedPathNormalization: Counter;
  readonly rqRedirectedWithNormalizedPath: Counter;
  readonly droppedHeadersWithUnderscores: Counter;
  readonly requestsRejectedWithUnderscores: Counter;
}

/** `prefix` is the connection manager's `stat_prefix`. */
export function downstreamStats(scope: StatsScope, prefix: string): DownstreamStats {
  const counter = (name: string): Counter => scope.counter(`http.${prefix}.downstream_${name}`);
  const gauge = (name: string): Gauge => scope.gauge(`http.${prefix}.downstream_${name}`);
  const histogram = (name: string): Histogram => scope.histogram(`http.${prefix}.downstream_${name}`);
  return {
    cxTotal: counter("cx_total"),
    cxActive: gauge("cx_active"),
    cxHttp1Total: counter("cx_http1_total"),
    cxHttp1Active: gauge("cx_http1_active"),
    cxDestroy: counter("cx_destroy"),
    cxDestroyLocal: counter("cx_destroy_local"),
    cxDestroyRemote: counter("cx_destroy_remote"),
    cxDestroyActiveRq: counter("cx_destroy_active_rq"),
    cxDestroyLocalActiveRq: counter("cx_destroy_local_active_rq"),
    cxDestroyRemoteActiveRq: counter("cx_destroy_remote_active_rq"),
    cxLengthMs: histogram("cx_length_ms"),
    cxRxBytes: counter("cx_rx_bytes_total"),
    cxTxBytes: counter("cx_tx_bytes_total"),
    cxIdleTimeout: counter("cx_idle_timeout"),
    cxMaxDurationReached: counter("cx_max_duration_reached"),
    cxMaxRequestsReached: counter("cx_max_requests_reached"),
    cxDrainClose: counter("cx_drain_close"),
    cxDelayedCloseTimeout: counter("cx_delayed_close_timeout"),
    cxProtocolError: counter("cx_protocol_error"),
    flowControlPausedReading: counter("flow_control_paused_reading_total"),
    flowControlResumedReading: counter("flow_control_resumed_reading_total"),
    rqTotal: counter("rq_total"),
    rqHttp1Total: counter("rq_http1_total"),
    rqActive: gauge("rq_active"),
    rqCompleted: counter("rq_completed"),
    rqByClass: [counter("rq_1xx"), counter("rq_2xx"), counter("rq_3xx"), counter("rq_4xx"), counter("rq_5xx")],
    rqTimeMs: histogram("rq_time"),
    rqHeaderTimeout: counter("rq_header_timeout"),
    rqResponseBeforeRqComplete: counter("rq_response_before_rq_complete"),
    rqRxReset: counter("rq_rx_reset"),
    rqTxReset: counter("rq_tx_reset"),
    rqNonRelativePath: counter("rq_non_relative_path"),
    rqFailedPathNormalization: counter("rq_failed_path_normalization"),
    rqRedirectedWithNormalizedPath: counter("rq_redirected_with_normalized_path"),
    droppedHeadersWithUnderscores: scope.counter("http1.dropped_headers_with_underscores"),
    requestsRejectedWithUnderscores: scope.counter("http1.requests_rejected_with_underscores_in_headers"),
  };
}

/** Counted by listener.ts. */
export interface ListenerStats {
  readonly cxTotal: Counter;
  readonly cxActive: Gauge;
  readonly cxDestroy: Counter;
  readonly cxOverflow: Counter;
  readonly cxLengthMs: Histogram;
  readonly noFilterChainMatch: Counter;
}

/** `name` is the listener's stat prefix, or its address with `:` written as `_`. */
export function listenerStats(scope: StatsScope, name: string): ListenerStats {
  return {
    cxTotal: scope.counter(`listener.${name}.downstream_cx_total`),
    cxActive: scope.gauge(`listener.${name}.downstream_cx_active`),
    cxDestroy: scope.counter(`listener.${name}.downstream_cx_destroy`),
    cxOverflow: scope.counter(`listener.${name}.downstream_cx_overflow`),
    cxLengthMs: scope.histogram(`listener.${name}.downstream_cx_length_ms`),
    noFilterChainMatch: scope.counter(`listener.${name}.no_filter_chain_match`),
  };
}

export function countOpened(stats: DownstreamStats): void {
  stats.cxTotal.inc();
  stats.cxActive.inc();
  stats.cxHttp1Total.inc();
  stats.cxHttp1Active.inc();
}

/** `withRequest`: a request was under way. */
export function countClosed(stats: DownstreamStats, side: "local" | "remote", withRequest: boolean, ms: number): void {
  stats.cxActive.dec();
  stats.cxHttp1Active.dec();
  stats.cxDestroy.inc();
  (side === "local" ? stats.cxDestroyLocal : stats.cxDestroyRemote).inc();
  stats.cxLengthMs.record(ms);
  if (withRequest) {
    stats.rqActive.dec();
    stats.cxDestroyActiveRq.inc();
    (side === "local" ? stats.cxDestroyLocalActiveRq : stats.cxDestroyRemoteActiveRq).inc();
  }
}

export function countBegun(stats: DownstreamStats): void {
  stats.rqTotal.inc();
  stats.rqHttp1Total.inc();
  stats.rqActive.inc();
}

/** `ms`: from the request's head to the end of the response. */
export function countCompleted(stats: DownstreamStats, status: number, ms: number): void {
  stats.rqActive.dec();
  stats.rqCompleted.inc();
  stats.rqByClass[Math.floor(status / 100) - 1]?.inc();
  stats.rqTimeMs.record(ms);
}
