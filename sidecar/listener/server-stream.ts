// One request of an HTTP/1 connection as the proxy sees it. Made by connection.ts; every call goes through to the connection
// while this stream is its current one, and does nothing afterwards, so a late call cannot touch the next request.

import type { ProxyError } from "../errors.ts";
import type { H1Parser } from "../http/h1-parser.ts";
import type { HeaderMap } from "../http/headers.ts";
import type { RequestHead, ResponseHead } from "../http/message.ts";
import type { ConnectionInfo, DownstreamStream, RequestSink } from "../http/stream.ts";
import type { ServerConnection } from "./connection.ts";

export class ServerStream implements DownstreamStream {
  readonly head: RequestHead;
  readonly endOfRequest: boolean;
  readonly connection: ConnectionInfo;
  readonly protocol: string;
  readonly startedAt: number;
  readonly requestHeaderBytes: number;
  responseHeaderBytes = 0;
  /** The configured upgrade that the request asks for (`websocket`), or empty. */
  readonly upgrade: string;

  // The connection's own bookkeeping of this request.
  sink: RequestSink | undefined = undefined;
  /** The request has been read to its end and delivered. */
  requestIsComplete: boolean;
  /** Status of the response, 0 before it began. */
  status = 0;
  responseIsComplete = false;
  /** Done or reset: nothing of this stream reaches the connection any more. */
  isOver = false;
  /** How often the proxy has asked to stop reading the request. */
  pauses = 0;
  isBlocked = false;
  readonly #owner: ServerConnection;
  // A reset that came before the sink.
  #earlyReset: ProxyError | undefined = undefined;

  /** Reads the facts of the message from `parser`, which has just read its head. */
  constructor(owner: ServerConnection, head: RequestHead, end: boolean, parser: H1Parser, upgrade: string) {
    this.#owner = owner;
    this.head = head;
    this.endOfRequest = end;
    this.requestIsComplete = end;
    this.connection = owner.info;
    this.protocol = parser.minorVersion === 1 ? "HTTP/1.1" : "HTTP/1.0";
    this.startedAt = performance.now();
    this.requestHeaderBytes = parser.headBytes;
    this.upgrade = upgrade;
  }

  /** The proxy has taken the request. */
  begin(sink: RequestSink): void {
    this.sink = sink;
    if (this.#earlyReset !== undefined) {
      sink.onDownstreamReset(this.#earlyReset);
    }
  }

  /** Nothing can be answered any more. Without an error it was the proxy that gave the stream up. */
  reset(error: ProxyError | undefined): void {
    this.isOver = true;
    if (error !== undefined) {
      if (this.sink === undefined) {
        this.#earlyReset = error;
      } else {
        this.sink.onDownstreamReset(error);
      }
    }
  }

  inform(head: ResponseHead): void {
    if (!this.isOver && this.status === 0) {
      this.#owner.inform(this, head);
    }
  }

  respond(head: ResponseHead, end: boolean): void {
    if (!this.isOver && this.status === 0) {
      this.#owner.respond(this, head, end);
    }
  }

  data(chunk: Uint8Array, end: boolean): void {
    if (!this.isOver && this.status !== 0 && !this.responseIsComplete) {
      this.#owner.sendData(this, chunk, end);
    }
  }

  trailers(trailers: HeaderMap): void {
    if (!this.isOver && this.status !== 0 && !this.responseIsComplete) {
      this.#owner.sendTrailers(this, trailers);
    }
  }

  abort(): void {
    if (!this.isOver) {
      this.#owner.abort(this);
    }
  }

  closeAfter(): void {
    if (!this.isOver) {
      this.#owner.closeAfterResponse();
    }
  }

  pauseRequest(): void {
    if (this.pauses++ === 0 && !this.isOver) {
      this.#owner.socket.hold();
    }
  }

  resumeRequest(): void {
    if (--this.pauses === 0 && !this.isOver) {
      this.#owner.socket.release();
    }
  }
}
