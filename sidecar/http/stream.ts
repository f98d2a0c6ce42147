// The stream type that all codecs, the filter chain and the router speak: one request and its response.
//
//   client ⇄ codec ── RequestSink ──▶ proxy ── UpstreamStream ──▶ codec ⇄ upstream
//                  ◀─ DownstreamStream ─     ◀─ ResponseSink ────
//
// Everything is a pushed, synchronous call; nothing here is a promise. Pauses are counted by whoever offers them.
// Chunks are borrowed: a callee may read a chunk only until it returns, and copies what it keeps.

import type { ProxyError } from "../errors.ts";
import type { HeaderMap } from "./headers.ts";
import type { RequestHead, ResponseHead } from "./message.ts";

/** Facts about the client's connection, made once for each connection. */
export interface UpstreamSource {
  readonly host: string;
  /** 0: the kernel chooses. */
  readonly port: number;
  /** Of the packets; 0: none. */
  readonly mark: number;
}

export interface ConnectionInfo {
  /** Grows by one with each connection of the worker. */
  readonly id: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** What the connection was meant for: its own address, or the one of before it was redirected. */
  readonly localAddress: string;
  readonly localPort: number;
  /** Its own address, when a listener filter has found out what it was meant for; undefined: nobody has. */
  readonly direct: { readonly address: string; readonly port: number } | undefined;
  /** Where connections upstream come from, when that is the client's address; undefined: as the cluster says. */
  readonly source: UpstreamSource | undefined;
}

/** What the server-side codec offers for one request. The proxy answers through it. */
export interface DownstreamStream {
  readonly head: RequestHead;
  /** True when the head is the whole request. */
  readonly endOfRequest: boolean;
  readonly connection: ConnectionInfo;
  /** `HTTP/1.0`, `HTTP/1.1` or `HTTP/2`. */
  readonly protocol: string;
  /** Milliseconds of `performance.now()` when the head was complete. */
  readonly startedAt: number;
  /** Bytes on the wire so far, for access logs. */
  readonly requestHeaderBytes: number;
  readonly responseHeaderBytes: number;

  /** A 1xx head other than 101. May be called several times before `respond`. */
  inform(head: ResponseHead): void;
  /** The final head; the codec decides the framing. With `end` the response has no body. */
  respond(head: ResponseHead, end: boolean): void;
  data(chunk: Uint8Array, end: boolean): void;
  /** Ends the response with trailers. */
  trailers(trailers: HeaderMap): void;
  /** Gives the response up: the client sees a cut connection. */
  abort(): void;
  /** After this response the connection closes (`Connection: close` is sent when the head is still to come). */
  closeAfter(): void;

  /** Stop and go on reading the request's body; counted. */
  pauseRequest(): void;
  resumeRequest(): void;
}

/** What the proxy does with the rest of a request. */
export interface RequestSink {
  onRequestData(chunk: Uint8Array, end: boolean): void;
  onRequestTrailers(trailers: HeaderMap): void;
  /** The client went away or broke the protocol; nothing can be answered any more. */
  onDownstreamReset(error: ProxyError): void;
  /** The client reads too slowly (true), or has caught up (false). */
  onResponseBlocked(blocked: boolean): void;
  /** The response has been handed to the kernel and the request has been read to its end. Last call. */
  onDownstreamDone(): void;
}

/** One request on an upstream connection. */
export interface UpstreamStream {
  /** `address:port` of the host. */
  readonly remoteAddress: string;
  readonly localAddress: string;
  /** True when the connection has served a request before. */
  readonly reused: boolean;

  request(head: RequestHead, end: boolean): void;
  data(chunk: Uint8Array, end: boolean): void;
  trailers(trailers: HeaderMap): void;
  /** Gives the request up; the connection is not reused. No further call reaches the sink. */
  abort(): void;
  /** Stop and go on reading the response; counted. */
  pauseResponse(): void;
  resumeResponse(): void;
}

/** What the proxy does with a response. */
export interface ResponseSink {
  onInformational(head: ResponseHead): void;
  onResponse(head: ResponseHead, end: boolean): void;
  onResponseData(chunk: Uint8Array, end: boolean): void;
  onResponseTrailers(trailers: HeaderMap): void;
  /** The upstream connection failed before the response was complete. Last call. */
  onUpstreamReset(error: ProxyError): void;
  /** The upstream reads too slowly (true), or has caught up (false). */
  onRequestBlocked(blocked: boolean): void;
}

/** Waits for a connection of a pool. Exactly one of the two is called, perhaps before `acquire` returns. */
export interface StreamWaiter extends ResponseSink {
  onPoolReady(stream: UpstreamStream): void;
  onPoolFailure(error: ProxyError): void;
}
