// What an HTTP/1.1 parser can find wrong: one constant for each condition, so that failing allocates nothing.
// Made by h1-parser.ts, turned into a ProxyError by the connection that owns the parser.

import type { ErrorCode } from "../errors.ts";

/** `detail` is Envoy's `response_code_details`; `message` says what was wrong with the bytes. */
export interface H1Failure {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly message: string;
}

function failure(code: ErrorCode, detail: string, message: string): H1Failure {
  return { code, detail, message };
}

const CODEC = "http1.codec_error";

/** The codes are those of a request; a connection to an upstream reports `upstream_protocol_error` instead. */
export const H1_FAILURE = {
  startLine: failure("bad_request", CODEC, "malformed start line"),
  version: failure("unsupported_version", CODEC, "HTTP version other than 1.0 and 1.1"),
  lineEnd: failure("bad_request", CODEC, "line not ended by CR LF"),
  fieldName: failure("bad_request", CODEC, "malformed field name"),
  fieldValue: failure("bad_request", "http1.invalid_characters", "invalid character in a field value"),
  folded: failure("bad_request", CODEC, "folded field line"),
  emptyLines: failure("bad_request", CODEC, "too many empty lines before a request"),
  headTooLarge: failure("headers_too_large", "http1.headers_too_large", "head above the size limit"),
  targetTooLarge: failure("path_too_long", "http1.headers_too_large", "request line above the size limit"),
  tooManyFields: failure("too_many_headers", "http1.too_many_headers", "more fields than the limit"),
  contentLength: failure("bad_request", CODEC, "invalid Content-Length"),
  repeatedLength: failure("bad_request", CODEC, "repeated Content-Length"),
  repeatedEncoding: failure("bad_request", "http1.invalid_transfer_encoding", "repeated Transfer-Encoding"),
  encoding: failure(
    "unsupported_transfer_encoding",
    "http1.invalid_transfer_encoding",
    "Transfer-Encoding other than chunked",
  ),
  lengthAndEncoding: failure(
    "bad_request",
    "http1.content_length_and_chunked_not_allowed",
    "both Content-Length and Transfer-Encoding",
  ),
  encodingInHttp10: failure(
    "bad_request",
    "http1.transfer_encoding_not_allowed",
    "Transfer-Encoding in an HTTP/1.0 message",
  ),
  encodingWithoutBody: failure(
    "bad_request",
    "http1.transfer_encoding_not_allowed",
    "Transfer-Encoding in a message that cannot have a body",
  ),
  repeatedHost: failure("bad_request", CODEC, "repeated Host"),
  chunkSize: failure("bad_request", CODEC, "malformed chunk size"),
  chunkExtension: failure("bad_request", CODEC, "chunk extensions malformed or above the size limit"),
  chunkEnd: failure("bad_request", CODEC, "chunk not ended by CR LF"),
  trailerName: failure("bad_request", CODEC, "trailer that names a framing field"),
  switching: failure("bad_request", CODEC, "101 that nobody asked for"),
  informationals: failure("bad_request", CODEC, "too many informational responses"),
  unasked: failure("bad_request", CODEC, "bytes outside any message"),
  cut: failure("bad_request", CODEC, "connection closed inside a message"),
} as const satisfies Record<string, H1Failure>;
