// `tcp.<stat_prefix>.*` under Envoy's names, resolved once for each filter chain. Counted by tcp-connection.ts.
// Source: Envoy's docs, "TCP proxy / Statistics".

import type { Counter, Gauge, StatsScope } from "../stats/scope.ts";

export interface TcpStats {
  readonly cxTotal: Counter;
  readonly cxNoRoute: Counter;
  readonly cxDrainClose: Counter;
  readonly cxRxBytes: Counter;
  readonly cxTxBytes: Counter;
  readonly pausedReading: Counter;
  readonly resumedReading: Counter;
  readonly idleTimeout: Counter;
  readonly maxDuration: Counter;
  /** Upstream connections that still send what a client that is gone had sent. */
  readonly flushTotal: Counter;
  readonly flushActive: Gauge;
}

export function resolveTcpStats(scope: StatsScope, statPrefix: string): TcpStats {
  const prefix = `tcp.${statPrefix}.`;
  return {
    cxTotal: scope.counter(`${prefix}downstream_cx_total`),
    cxNoRoute: scope.counter(`${prefix}downstream_cx_no_route`),
    cxDrainClose: scope.counter(`${prefix}downstream_cx_drain_close`),
    cxRxBytes: scope.counter(`${prefix}downstream_cx_rx_bytes_total`),
    cxTxBytes: scope.counter(`${prefix}downstream_cx_tx_bytes_total`),
    pausedReading: scope.counter(`${prefix}downstream_flow_control_paused_reading_total`),
    resumedReading: scope.counter(`${prefix}downstream_flow_control_resumed_reading_total`),
    idleTimeout: scope.counter(`${prefix}idle_timeout`),
    maxDuration: scope.counter(`${prefix}max_downstream_connection_duration`),
    flushTotal: scope.counter(`${prefix}upstream_flush_total`),
    flushActive: scope.gauge(`${prefix}upstream_flush_active`),
  };
}
