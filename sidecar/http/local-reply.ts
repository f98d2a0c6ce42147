// Every answer that the proxy itself gives: one table from ErrorCode to Envoy's status, response flag, details and body,
// and the making of the reply's head. A forgotten code does not compile. Used by proxy.ts and listener/connection.ts.
// Texts and codes are Envoy's (1.40), checked against it, because people's dashboards and alerts match on them.

import type { ErrorCode } from "../errors.ts";
import { REASON_PHRASES } from "./reason-phrases.ts";
import { type RequestHead, ResponseHead } from "./message.ts";

export interface LocalReply {
  /** 0: nothing can be answered, the stream is cut. */
  readonly status: number;
  /** Envoy's `%RESPONSE_FLAGS%`, or empty. */
  readonly flag: string;
  /** Envoy's `%RESPONSE_CODE_DETAILS%`. */
  readonly details: string;
  readonly body: string;
  /** The client's connection closes afterwards: what it sends next cannot be trusted or is not wanted. */
  readonly close: boolean;
}

function reply(status: number, flag: string, details: string, body = "", close = false): LocalReply {
  return { status, flag, details, body, close };
}

const RESET = "upstream connect error or disconnect/reset before headers. reset reason: ";

/** 408 becomes 504 once the whole request has been read: see `timeoutStatus`. */
export const LOCAL_REPLIES: Readonly<Record<ErrorCode, LocalReply>> = {
  bad_request: reply(400, "DPE", "http1.codec_error", "Bad Request", true),
  headers_too_large: reply(431, "DPE", "http1.headers_too_large", "Request Header Fields Too Large", true),
  too_many_headers: reply(431, "DPE", "http1.too_many_headers", "Request Header Fields Too Large", true),
  path_too_long: reply(431, "DPE", "http1.headers_too_large", "Request Header Fields Too Large", true),
  unsupported_version: reply(426, "DPE", "low_version", "Upgrade Required", true),
  unsupported_transfer_encoding: reply(501, "DPE", "http1.invalid_transfer_encoding", "Not Implemented", true),
  request_timeout: reply(408, "", "request_overall_timeout", "request timeout", true),
  request_headers_timeout: reply(408, "", "request_header_timeout", "request header timeout", true),
  request_payload_too_large: reply(413, "", "request_payload_too_large", "Payload Too Large"),
  response_payload_too_large: reply(500, "", "response_payload_too_large", "Internal Server Error"),
  no_route: reply(404, "NR", "route_not_found"),
  no_cluster: reply(503, "NC", "cluster_not_found"),
  no_healthy_upstream: reply(503, "UH", "no_healthy_upstream", "no healthy upstream"),
  upstream_overflow: reply(503, "UO", "upstream_reset_before_response_started{overflow}", `${RESET}overflow`),
  upstream_connect_failure: reply(
    503,
    "UF",
    "upstream_reset_before_response_started{remote_connection_failure}",
    `${RESET}remote connection failure`,
  ),
  upstream_connect_timeout: reply(
    503,
    "UF",
    "upstream_reset_before_response_started{connection_timeout}",
    `${RESET}connection timeout`,
  ),
  upstream_reset_before_response: reply(
    503,
    "UC",
    "upstream_reset_before_response_started{connection_termination}",
    `${RESET}connection termination`,
  ),
  upstream_reset_after_response: reply(
    0,
    "UC",
    "upstream_reset_after_response_started{connection_termination}",
    "",
    true,
  ),
  upstream_protocol_error: reply(
    502,
    "UPE",
    "upstream_reset_before_response_started{protocol_error}",
    `${RESET}protocol error`,
  ),
  upstream_response_headers_too_large: reply(
    502,
    "UPE",
    "upstream_reset_before_response_started{protocol_error}",
    `${RESET}protocol error`,
  ),
  upstream_timeout: reply(504, "UT", "response_timeout", "upstream request timeout"),
  stream_idle_timeout: reply(408, "SI", "stream_idle_timeout", "stream timeout"),
  max_stream_duration: reply(408, "DT", "max_duration_timeout", "downstream duration timeout"),
  downstream_disconnect: reply(0, "DC", "downstream_remote_disconnect", "", true),
  drop_overload: reply(503, "DO", "drop_overload", "drop overload"),
  plugin_fault: reply(503, "", "wasm_fail_stream"),
  plugin_closed_stream: reply(0, "", "wasm_close_stream", "", true),
  internal: reply(500, "", "internal_error", "Internal Server Error"),
};

/** Envoy answers a timeout with 408 while the request still comes, with 504 when the proxy is what is late. */
export function timeoutStatus(requestIsComplete: boolean): number {
  return requestIsComplete ? 504 : 408;
}

/** True for requests of gRPC, whose errors travel in fields of a 200. */
export function isGrpcRequest(request: RequestHead): boolean {
  const type = request.headers.get("content-type");
  if (type === undefined || !type.startsWith("application/grpc")) {
    return false;
  }
  const next = type.charAt("application/grpc".length);
  return next === "" || next === "+" || next === ";";
}

/** gRPC's status for an HTTP status, as Envoy maps them. */
export function grpcStatus(status: number): number {
  switch (status) {
    case 400:
      return 13;
    case 401:
      return 16;
    case 403:
      return 7;
    case 404:
      return 12;
    case 429:
    case 502:
    case 503:
    case 504:
      return 14;
    default:
      return 2;
  }
}

/** What a reply needs besides its head. */
export interface BuiltReply {
  readonly head: ResponseHead;
  /** Latin1 or UTF-8 text as bytes; empty when the head is all. */
  readonly body: Uint8Array;
}

const NO_BODY = new Uint8Array(0);

/**
 * Makes the head and body of a local reply. `request` is undefined when no head could be read. Date, Server and
 * Connection are added by whoever finishes every response.
 */
export function buildReply(status: number, body: string | Uint8Array, request: RequestHead | undefined): BuiltReply {
  return finishReply(replyHead(status), typeof body === "string" ? Buffer.from(body) : body, request);
}

export function replyHead(status: number): ResponseHead {
  return new ResponseHead(status, REASON_PHRASES[status] ?? "Unknown");
}

/**
 * The reply of a head that has all but the fields of its body, in the form that this request can read (gRPC's, for gRPC).
 * `code` is gRPC's, -1 for the one that belongs to the status. The type is text, unless the head names one.
 */
export function finishReply(
  head: ResponseHead,
  body: Uint8Array,
  request: RequestHead | undefined,
  code = -1,
): BuiltReply {
  const { headers } = head;
  if (request !== undefined && isGrpcRequest(request)) {
    headers.set("content-type", "application/grpc");
    if (code >= 0 || !headers.has("grpc-status")) {
      headers.set("grpc-status", String(code >= 0 ? code : grpcStatus(head.status)));
    }
    if (body.length > 0 && request.method !== "HEAD") {
      headers.set("grpc-message", percentEncode(body));
    }
    head.status = 200;
    head.reason = "OK";
    return { head, body: NO_BODY };
  }
  if (body.length > 0) {
    headers.set("content-length", String(body.length));
    if (!headers.has("content-type")) {
      headers.add("content-type", "text/plain");
    }
  }
  return { head, body };
}

// gRPC over HTTP/2, "Percent-Encoded": everything but visible ASCII, and the percent sign, is escaped.
function percentEncode(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    text +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return text;
}
