// Requests that are refused before they become a stream: what the client is told and what is logged.
// Made by request-head.ts and connection.ts; codes, details and bodies are Envoy's.

import { dateField } from "../http/date-field.ts";
import type { H1Failure } from "../http/h1-failure.ts";
import { type BuiltReply, buildReply, LOCAL_REPLIES } from "../http/local-reply.ts";

export interface Rejection {
  readonly status: number;
  /** Envoy's response flag: DPE for what breaks the protocol, else empty. */
  readonly flag: string;
  readonly details: string;
  readonly body: string;
  /** For a redirect. */
  readonly location: string;
  /** What was wrong, for logs. */
  readonly message: string;
}

function rejection(status: number, flag: string, details: string, body: string, message: string): Rejection {
  return { status, flag, details, body, location: "", message };
}

export const REJECTION = {
  missingHost: rejection(400, "", "missing_host_header", "", "no Host"),
  invalidAuthority: rejection(400, "DPE", "http.invalid_authority", "Bad Request", "invalid Host"),
  invalidUrl: rejection(400, "DPE", "http1.invalid_url", "Bad Request", "invalid request target"),
  invalidScheme: rejection(400, "DPE", "http1.invalid_scheme", "Bad Request", "scheme other than http"),
  httpsOnPlaintext: rejection(
    403,
    "DPE",
    "http1.https_url_on_plaintext_connection",
    "Forbidden",
    "https target on a plaintext connection",
  ),
  path: rejection(400, "", "path_normalization_failed", "", "path that cannot be made canonical"),
  method: rejection(400, "DPE", "http1.codec_error", "Bad Request", "unknown method"),
  connect: rejection(404, "NR", "route_not_found", "", "CONNECT is not configured"),
  version: rejection(426, "DPE", "low_version", "Upgrade Required", "HTTP/1.0 is not accepted"),
  underscore: rejection(400, "DPE", "http1.unexpected_underscore", "Bad Request", "field name with an underscore"),
  headersTimeout: rejection(408, "", "request_header_timeout", "request header timeout", "head not complete in time"),
} as const satisfies Record<string, Rejection>;

/** A redirect to the canonical path. */
export function redirectTo(path: string): Rejection {
  return { status: 307, flag: "", details: "path_normalization_redirect", body: "", location: path, message: "" };
}

/** What the parser found. */
export function rejectionOf(failure: H1Failure): Rejection {
  const reply = LOCAL_REPLIES[failure.code];
  const details = reply.details === "low_version" ? reply.details : failure.detail;
  return rejection(reply.status, reply.flag, details, reply.body, failure.message);
}

/** The reply with all its fields but Connection. */
export function rejectionReply(rejection: Rejection, serverName: string): BuiltReply {
  const reply = buildReply(rejection.status, rejection.body, undefined);
  const { headers } = reply.head;
  if (rejection.location !== "") {
    headers.add("location", rejection.location);
  }
  headers.add("date", dateField(Date.now()));
  headers.add("server", serverName);
  return reply;
}
