// envoy.extensions.filters.http.fault.v3.HTTPFault → model. Called by builtin-filter.ts for the filter and for routes.
// Runtime keys that are not named have Envoy's defaults.

import type { FaultDelay as DelayMessage } from "../gen/envoy/extensions/filters/common/fault/v3/fault_pb.ts";
import type { FaultRateLimit as RateLimitMessage } from "../gen/envoy/extensions/filters/common/fault/v3/fault_pb.ts";
import type { FaultAbort as AbortMessage, HTTPFault } from "../gen/envoy/extensions/filters/http/fault/v3/fault_pb.ts";
import type { Fault, FaultAbort, FaultDelay, FaultRateLimit } from "../model/builtin-filter.ts";
import { durationMs } from "./duration.ts";
import { child, type Findings } from "./issues.ts";
import { decodeEach, decodeFraction, decodeHeaderMatcher } from "./matcher.ts";

/** More is no limit at all, and a number. */
const MAX_KIB_PER_SECOND = 2 ** 40;

export function decodeFault(message: HTTPFault, path: string, findings: Findings): Fault {
  return {
    delay: decodeDelay(message.delay, message.delayPercentRuntime || "fault.http.delay.fixed_delay_percent"),
    abort: decodeAbort(message.abort, message.abortPercentRuntime || "fault.http.abort.abort_percent"),
    rateLimit: decodeRateLimit(
      message.responseRateLimit,
      message.responseRateLimitPercentRuntime || "fault.http.rate_limit.response_percent",
    ),
    upstreamCluster: message.upstreamCluster,
    headers: decodeEach(message.headers, child(path, "headers"), findings, decodeHeaderMatcher),
    downstreamNodes: message.downstreamNodes,
    maxActiveFaults: message.maxActiveFaults,
    delayDurationKey: message.delayDurationRuntime || "fault.http.delay.fixed_duration_ms",
    abortHttpStatusKey: message.abortHttpStatusRuntime || "fault.http.abort.http_status",
    abortGrpcStatusKey: message.abortGrpcStatusRuntime || "fault.http.abort.grpc_status",
    maxActiveFaultsKey: message.maxActiveFaultsRuntime || "fault.http.max_active_faults",
    countsDownstreamClusters: !message.disableDownstreamClusterStats,
  };
}

function decodeDelay(message: DelayMessage | undefined, runtimeKey: string): FaultDelay | undefined {
  const delay = message?.faultDelaySecifier;
  if (message === undefined || delay?.case === undefined) return undefined;
  return {
    by: delay.case === "headerDelay" ? "header" : "configuration",
    delayMs: delay.case === "fixedDelay" ? durationMs(delay.value, 0) : 0,
    percentage: { ...decodeFraction(message.percentage), runtimeKey },
  };
}

function decodeAbort(message: AbortMessage | undefined, runtimeKey: string): FaultAbort | undefined {
  const abort = message?.errorType;
  if (message === undefined || abort?.case === undefined) return undefined;
  return {
    by: abort.case === "headerAbort" ? "header" : "configuration",
    httpStatus: abort.case === "httpStatus" ? abort.value : 0,
    grpcStatus: abort.case === "grpcStatus" ? abort.value : undefined,
    body: message.responseBody,
    percentage: { ...decodeFraction(message.percentage), runtimeKey },
  };
}

function decodeRateLimit(message: RateLimitMessage | undefined, runtimeKey: string): FaultRateLimit | undefined {
  const limit = message?.limitType;
  if (message === undefined || limit?.case === undefined) return undefined;
  const kib = limit.case === "fixedLimit" ? Number(limit.value.limitKbps) : 0;
  return {
    by: limit.case === "headerLimit" ? "header" : "configuration",
    kibPerSecond: Math.min(kib, MAX_KIB_PER_SECOND),
    percentage: { ...decodeFraction(message.percentage), runtimeKey },
  };
}
