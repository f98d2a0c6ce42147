// Why a stream on an upstream connection failed, as a ProxyError, and whether it may be tried again.
// Called by connection.ts when it resets a stream; never on the way of a request that succeeds.

import { ProxyError } from "../errors.ts";
import type { H1Failure } from "../http/h1-failure.ts";
import { H1_FAILURE } from "../http/h1-failure.ts";
import type { ClientStream } from "./client-stream.ts";

/**
 * The connection went away. Retryable when nothing was sent; or when the connection had been used before, so that its idle
 * end most likely met the request, no byte of an answer came, and the request can be repeated (RFC 9112 §9.3.1).
 */
export function lostConnection(stream: ClientStream, hasBytes: boolean, cause: Error | undefined): ProxyError {
  const isStale = stream.reused && !hasBytes && stream.isReplayable;
  const retryable = !stream.isRequestStarted || isStale;
  const reason = cause === undefined ? "connection closed" : cause.message;
  return stream.hasResponse
    ? new ProxyError("upstream_reset_after_response", "upstream", `Response cut short: ${reason}`, { cause })
    : new ProxyError("upstream_reset_before_response", "upstream", `No response: ${reason}`, { retryable, cause });
}

/** The response is not HTTP/1.1; undefined when the bytes came outside of any response. */
export function brokenResponse(failure: H1Failure | undefined): ProxyError {
  const { message } = failure ?? H1_FAILURE.unasked;
  const isTooLarge = failure === H1_FAILURE.headTooLarge || failure === H1_FAILURE.tooManyFields;
  return new ProxyError(
    isTooLarge ? "upstream_response_headers_too_large" : "upstream_protocol_error",
    "upstream",
    `Invalid response: ${message}`,
  );
}
