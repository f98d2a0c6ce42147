// Timeouts of one forwarded request: what the route says, what the request's own headers may change, what the upstream is
// told. proxy.ts calls it once, before header mutations. Source: Envoy's router, "x-envoy-upstream-rq-timeout-ms" and
// "x-envoy-expected-rq-timeout-ms"; envoy.config.route.v3.RouteAction.MaxStreamDuration; gRPC over HTTP/2 (grpc-timeout).
// Headers that outsiders must not set are stripped long before (use_remote_address), so here they are trusted.

import type { HeaderMap } from "../http/headers.ts";
import { isGrpcRequest } from "../http/local-reply.ts";
import type { RequestHead } from "../http/message.ts";
import type { ForwardAction } from "../../xds/model/route.ts";

export interface RequestTimeouts {
  /** From the end of the request to the end of the response; 0 is off. */
  readonly requestMs: number;
  /** Of the whole stream, from its start; 0 is off, undefined leaves the connection manager's in force. */
  readonly maxStreamMs: number | undefined;
}

/** Also takes the timeout headers out of the request, and tells the upstream its time unless that is suppressed. */
export function requestTimeouts(
  action: ForwardAction,
  head: RequestHead,
  router: { readonly suppressEnvoyHeaders: boolean; readonly respectsExpectedTimeout: boolean },
): RequestTimeouts {
  const { headers } = head;
  // max_stream_duration replaces the route's timeout, as in Envoy.
  const isStreamTimed = action.maxStreamDurationMs !== undefined || action.grpcTimeoutHeaderMaxMs !== undefined;
  const ofRoute = isStreamTimed ? 0 : (oldGrpcMs(action, head) ?? action.timeoutMs);
  const expectedMs = router.respectsExpectedTimeout ? readMs(headers, "x-envoy-expected-rq-timeout-ms") : undefined;
  const requestMs = expectedMs ?? takeMs(headers, "x-envoy-upstream-rq-timeout-ms") ?? ofRoute;
  headers.remove("x-envoy-upstream-rq-per-try-timeout-ms");
  if (requestMs > 0 && !router.suppressEnvoyHeaders) {
    headers.set("x-envoy-expected-rq-timeout-ms", String(requestMs));
  }
  return { requestMs, maxStreamMs: isStreamTimed ? maxStreamMs(action, headers) : undefined };
}

function takeMs(headers: HeaderMap, name: string): number | undefined {
  const value = headers.get(name);
  if (value === undefined) {
    return undefined;
  }
  headers.remove(name);
  return msOf(value);
}

function readMs(headers: HeaderMap, name: string): number | undefined {
  const value = headers.get(name);
  return value === undefined ? undefined : msOf(value);
}

function msOf(value: string): number | undefined {
  return /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

/** What `max_grpc_timeout` makes of a gRPC request's own timeout: 0 is off. undefined: it says nothing of this request. */
function oldGrpcMs({ maxGrpcTimeoutMs: max, grpcTimeoutOffsetMs: offset }: ForwardAction, head: RequestHead) {
  if (max === undefined || !isGrpcRequest(head)) {
    return undefined;
  }
  const asked = grpcTimeoutMs(head.headers.get("grpc-timeout")) ?? 0;
  const ms = offset < asked ? asked - offset : asked;
  return max > 0 && (ms === 0 || ms > max) ? max : ms;
}

function maxStreamMs(action: ForwardAction, headers: HeaderMap): number | undefined {
  const { grpcTimeoutHeaderMaxMs: max, grpcTimeoutHeaderOffsetMs: offset } = action;
  const asked = max === undefined ? undefined : grpcTimeoutMs(headers.get("grpc-timeout"));
  if (max === undefined || asked === undefined) {
    return action.maxStreamDurationMs;
  }
  const capped = max === 0 ? asked : Math.min(asked, max);
  // A deadline that has passed ends the stream at once: 0 would turn the timeout off.
  return Math.max(1, capped - offset);
}

const GRPC_UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

/** Milliseconds of a grpc-timeout value, rounded up; undefined when it is absent or malformed. */
export function grpcTimeoutMs(value: string | undefined): number | undefined {
  const found = value === undefined ? null : /^(\d{1,8})([HMSmun])$/.exec(value);
  const unit = GRPC_UNIT_MS[found?.[2] ?? ""];
  return unit === undefined ? undefined : Math.ceil(Number((Number(found?.[1]) * unit).toFixed(6)));
}
