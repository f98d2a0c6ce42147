// What an HTTP filter is. The chain (filter-chain.ts) drives one instance of it for each stream; wasm-filter.ts is the first.
// Status numbers are Envoy's (envoy/http/filter.h), because proxy-wasm speaks them.

import type { BodyBuffer } from "../http/body-buffer.ts";
import type { HeaderMap } from "../http/headers.ts";
import type { RequestHead, ResponseHead } from "../http/message.ts";

export const HeadersStatus = {
  Continue: 0,
  /** Later filters wait; this filter still gets the body. */
  StopIteration: 1,
  ContinueAndEndStream: 2,
  /** Nothing more reaches this filter; the body is kept up to the buffer limit, then 413 or 500. */
  StopAllIterationAndBuffer: 3,
  /** Nothing more reaches this filter; the sender is paused at the buffer limit. */
  StopAllIterationAndWatermark: 4,
} as const;
export type HeadersStatus = (typeof HeadersStatus)[keyof typeof HeadersStatus];

export const DataStatus = {
  Continue: 0,
  /** Kept; the next call shows everything kept. Over the buffer limit: 413 or 500. */
  StopIterationAndBuffer: 1,
  /** Kept; the sender is paused at the buffer limit. */
  StopIterationAndWatermark: 2,
  /** The chunk is dropped, or the filter took it. */
  StopIterationNoBuffer: 3,
} as const;
export type DataStatus = (typeof DataStatus)[keyof typeof DataStatus];

export const TrailersStatus = { Continue: 0, StopIteration: 1 } as const;
export type TrailersStatus = (typeof TrailersStatus)[keyof typeof TrailersStatus];

/** An answer that a filter gives in the upstream's stead. */
export interface FilterReply {
  /** 200 to 599. */
  readonly status: number;
  /** Response code details, no spaces. */
  readonly details: string;
  readonly body: Uint8Array;
  /** Appended to the reply's own headers. */
  readonly headers: readonly (readonly [string, string])[];
  /** -1 leaves the choice to the HTTP status. */
  readonly grpcStatus: number;
  /** Envoy's response flag letters, empty for none. */
  readonly flag: string;
  /** The filter's own message: the route adds no headers of its own. Absent: a local reply. */
  readonly isWhole?: boolean;
}

/** One filter on one stream. Calls come in the order of the message; none comes after `onDestroy`. */
export interface StreamFilter {
  onRequestHeaders(head: RequestHead, end: boolean): HeadersStatus;
  /** The filter may change `body` in place. */
  onRequestData(body: BodyBuffer, end: boolean): DataStatus;
  onRequestTrailers(trailers: HeaderMap): TrailersStatus;
  onResponseHeaders(head: ResponseHead, end: boolean): HeadersStatus;
  onResponseData(body: BodyBuffer, end: boolean): DataStatus;
  onResponseTrailers(trailers: HeaderMap): TrailersStatus;
  /** The stream is over; all facts are final. Access-log phase. */
  onComplete(): void;
  onDestroy(): void;
}

/** What a filter may ask of its stream, at any time until `onDestroy`. */
export interface FilterCallbacks {
  continueRequest(): void;
  continueResponse(): void;
  /** Answers the client in the upstream's stead. After the response's head went out this resets the stream. */
  sendLocalReply(reply: FilterReply): void;
  /** Cuts the stream; `details` is the response code detail. */
  resetStream(details: string): void;
  /** The body held for this filter, undefined when there is none. */
  heldRequestBody(): BodyBuffer | undefined;
  heldResponseBody(): BodyBuffer | undefined;
  /** Trailers of the message, made when `create` and the message has none (only during its last data call). */
  requestTrailers(create: boolean): HeaderMap | undefined;
  responseTrailers(create: boolean): HeaderMap | undefined;
  /** True once this filter's held head has gone to the next filter or to the wire. */
  requestHeadersForwarded(): boolean;
  responseHeadersForwarded(): boolean;
  /** The router chooses the route anew. */
  clearRouteCache(): void;
  /** Sends body on to the next response filter, outside of a data call. The filter has taken it in calls that kept nothing. */
  injectResponse(chunk: Uint8Array, end: boolean): void;
  /** Counted: the upstream is read again after as many resumes. */
  pauseResponse(): void;
  resumeResponse(): void;
}

/** Made once for each configuration, makes one filter for each stream. */
export interface FilterFactory<Stream> {
  readonly name: string;
  /** undefined leaves this stream alone. */
  create(stream: Stream, callbacks: FilterCallbacks): StreamFilter | undefined;
}
