// envoy.config.route.v3.RetryPolicy → model. Called by route.ts for routes and virtual hosts.

import type { RetryPolicy as RetryPolicyMessage } from "../gen/envoy/config/route/v3/route_components_pb.ts";
import type { RetryPolicy } from "../model/route.ts";
import { durationMs } from "./duration.ts";
import { child, type Findings } from "./issues.ts";
import { decodeEach, decodeHeaderMatcher } from "./matcher.ts";

const DEFAULT_BACKOFF_BASE_MS = 25;

export function decodeRetryPolicy(
  message: RetryPolicyMessage | undefined,
  path: string,
  findings: Findings,
): RetryPolicy | undefined {
  if (message === undefined) return undefined;
  const backoffBaseMs = durationMs(message.retryBackOff?.baseInterval, DEFAULT_BACKOFF_BASE_MS);
  const backoffMaxMs = durationMs(message.retryBackOff?.maxInterval, 10 * backoffBaseMs);
  if (backoffMaxMs < backoffBaseMs) {
    findings.issue(child(path, "retry_back_off.max_interval"), "must be at least base_interval");
  }
  return {
    retryOn: message.retryOn
      .split(",")
      .map((condition) => condition.trim())
      .filter((condition) => condition !== ""),
    numRetries: message.numRetries ?? 1,
    perTryTimeoutMs: durationMs(message.perTryTimeout, 0),
    perTryIdleTimeoutMs: durationMs(message.perTryIdleTimeout, 0),
    backoffBaseMs,
    backoffMaxMs,
    retriableStatusCodes: message.retriableStatusCodes,
    retriableHeaders: decodeEach(
      message.retriableHeaders,
      child(path, "retriable_headers"),
      findings,
      decodeHeaderMatcher,
    ),
    retriableRequestHeaders: decodeEach(
      message.retriableRequestHeaders,
      child(path, "retriable_request_headers"),
      findings,
      decodeHeaderMatcher,
    ),
    hostSelectionMaxAttempts: Math.max(1, Number(message.hostSelectionRetryMaxAttempts)),
  };
}
