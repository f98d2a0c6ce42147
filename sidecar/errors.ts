// Why a stream failed. Every failure that reaches a client is one of these codes; http/local-reply.ts maps each to
// Envoy's status, response flag and details, so that a forgotten code does not compile.
// Bottom layer: imports nothing.

/** The closed list of stream failures. Names say the condition, not the status. */
export type ErrorCode =
  | "bad_request"
  | "headers_too_large"
  | "too_many_headers"
  | "path_too_long"
  | "unsupported_version"
  | "unsupported_transfer_encoding"
  | "request_timeout"
  | "request_headers_timeout"
  | "request_payload_too_large"
  | "response_payload_too_large"
  | "no_route"
  | "no_cluster"
  | "no_healthy_upstream"
  | "upstream_overflow"
  | "upstream_connect_failure"
  | "upstream_connect_timeout"
  | "upstream_reset_before_response"
  | "upstream_reset_after_response"
  | "upstream_protocol_error"
  | "upstream_response_headers_too_large"
  | "upstream_timeout"
  | "stream_idle_timeout"
  | "max_stream_duration"
  | "downstream_disconnect"
  | "drop_overload"
  | "plugin_fault"
  | "plugin_closed_stream"
  | "internal";

export type ErrorSource = "downstream" | "upstream" | "proxy" | "plugin";

/** Thrown nowhere on the data path: sockets and codecs deliver it to a sink's reset. */
export class ProxyError extends Error {
  readonly code: ErrorCode;
  readonly source: ErrorSource;
  /** True when nothing of the request can have reached the peer's application. */
  readonly retryable: boolean;

  constructor(
    code: ErrorCode,
    source: ErrorSource,
    message: string,
    options: { retryable?: boolean; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "ProxyError";
    this.code = code;
    this.source = source;
    this.retryable = options.retryable ?? false;
  }
}

/** Fails loudly on a broken invariant: never used on input from peers, control planes or guests. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) {
    throw new Error(`Invariant broken: ${message}`);
  }
}
