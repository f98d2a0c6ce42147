// One request on an HTTP/1 connection, as the proxy sees it. A new object for each request, so that a proxy that still
// holds it after the response cannot disturb the request that the connection serves next.
// Made by connection.ts, which it calls for everything. Hot path.

import type { HeaderMap } from "../http/headers.ts";
import type { RequestHead } from "../http/message.ts";
import type { ResponseSink, UpstreamStream } from "../http/stream.ts";
import type { ClientConnection } from "./connection.ts";
import type { RoutePriority } from "./stream-pool.ts";

export class ClientStream implements UpstreamStream {
  readonly #connection: ClientConnection;
  readonly sink: ResponseSink;
  readonly priority: RoutePriority;
  readonly reused: boolean;
  /** False once the response is complete, or the stream failed or was given up: every call is ignored from then on. */
  isOpen = true;
  isRequestStarted = false;
  isRequestEnded = false;
  /** Body bytes have been taken, so the request cannot be sent again by whoever did not keep them. */
  hasSentBody = false;
  isIdempotent = false;
  hasResponse = false;
  /** The sink was told to stop sending. */
  isBlocked = false;
  pauses = 0;

  constructor(connection: ClientConnection, sink: ResponseSink, priority: RoutePriority, reused: boolean) {
    this.#connection = connection;
    this.sink = sink;
    this.priority = priority;
    this.reused = reused;
  }

  get remoteAddress(): string {
    return this.#connection.remoteAddress;
  }

  get localAddress(): string {
    return this.#connection.localAddress;
  }

  /** Nothing of it has been answered or lost, and doing it twice does no harm (RFC 9110 §9.2.2). */
  get isReplayable(): boolean {
    return this.isIdempotent && !this.hasSentBody;
  }

  request(head: RequestHead, end: boolean): void {
    if (this.isOpen && !this.isRequestStarted) {
      this.isRequestStarted = true;
      this.isRequestEnded = end;
      this.isIdempotent = isIdempotent(head.method);
      this.#connection.sendHead(head, end);
    }
  }

  data(chunk: Uint8Array, end: boolean): void {
    if (this.#takesBody) {
      this.hasSentBody ||= chunk.length > 0;
      this.isRequestEnded = end;
      this.#connection.sendData(chunk, end);
    }
  }

  trailers(trailers: HeaderMap): void {
    if (this.#takesBody) {
      this.isRequestEnded = true;
      this.#connection.sendTrailers(trailers);
    }
  }

  abort(): void {
    if (this.isOpen) {
      this.#connection.abort();
    }
  }

  pauseResponse(): void {
    if (this.isOpen && this.pauses++ === 0) {
      this.#connection.pauseReading();
    }
  }

  resumeResponse(): void {
    if (this.isOpen && this.pauses > 0 && --this.pauses === 0) {
      this.#connection.resumeReading();
    }
  }

  get #takesBody(): boolean {
    return this.isOpen && this.isRequestStarted && !this.isRequestEnded;
  }
}

function isIdempotent(method: string): boolean {
  switch (method) {
    case "GET":
    case "HEAD":
    case "OPTIONS":
    case "PUT":
    case "DELETE":
    case "TRACE":
      return true;
    default:
      return false;
  }
}
