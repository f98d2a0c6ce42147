// envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy → model. Called by filter-chain.ts.

import type { TcpProxy as TcpProxyMessage } from "../gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.ts";
import type { TcpProxy } from "../model/listener.ts";
import { decodeAccessLogs } from "./access-log.ts";
import { durationMs } from "./duration.ts";
import { child, type Findings } from "./issues.ts";

const DEFAULT_IDLE_TIMEOUT_MS = 3_600_000;
/** Envoy's default of `max_interval`, in multiples of `base_interval`. */
const DEFAULT_BACKOFF_FACTOR = 10;

export function decodeTcpProxy(message: TcpProxyMessage, path: string, findings: Findings): TcpProxy | undefined {
  const clusters = decodeClusters(message);
  const { backoffOptions: backoff, accessLogOptions: options } = message;
  const baseMs = durationMs(backoff?.baseInterval, 0);
  const maxMs = durationMs(backoff?.maxInterval, baseMs * DEFAULT_BACKOFF_FACTOR);
  if (backoff !== undefined && maxMs < baseMs) {
    findings.issue(child(path, "backoff_options.max_interval"), "must be at least base_interval");
  }
  if (options !== undefined && (message.accessLogFlushInterval !== undefined || message.flushAccessLogOnConnected)) {
    findings.issue(
      child(path, "access_log_options"),
      "cannot be set together with access_log_flush_interval or flush_access_log_on_connected",
    );
  }
  const accessLogs = decodeAccessLogs(message.accessLog, child(path, "access_log"), findings);
  if (clusters === undefined) return undefined;
  return {
    kind: "tcp",
    statPrefix: message.statPrefix,
    clusters,
    idleTimeoutMs: durationMs(message.idleTimeout, DEFAULT_IDLE_TIMEOUT_MS),
    maxConnectAttempts: message.maxConnectAttempts ?? 1,
    backoff: backoff === undefined ? undefined : { baseMs, maxMs },
    maxDownstreamConnectionDurationMs: durationMs(message.maxDownstreamConnectionDuration, 0),
    maxDownstreamConnectionDurationJitterPercent: message.maxDownstreamConnectionDurationJitterPercentage?.value ?? 0,
    checkDrainClose: message.checkDrainClose ?? false,
    accessLogs,
    accessLogFlushIntervalMs: durationMs(options?.accessLogFlushInterval ?? message.accessLogFlushInterval, 0),
    logsOnStart: options?.flushAccessLogOnStart ?? false,
    logsOnConnected: options?.flushAccessLogOnConnected ?? message.flushAccessLogOnConnected,
    istioStats: undefined,
  };
}

/** Undefined when the message names none, which the constraints report. */
function decodeClusters({ clusterSpecifier }: TcpProxyMessage): TcpProxy["clusters"] | undefined {
  if (clusterSpecifier.case === "cluster") return [{ name: clusterSpecifier.value, weight: 1 }];
  if (clusterSpecifier.case !== "weightedClusters") return undefined;
  return clusterSpecifier.value.clusters.map(({ name, weight }) => ({ name, weight }));
}
