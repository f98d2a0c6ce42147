// One downstream HTTP/1 connection: a socket, a parser for requests, a writer for responses, one request at a time.
// Made by listener.ts with the options of a filter chain; offers each request to the options' handler as a ServerStream.
// Pipelined requests wait, unread by the parser, until the response before them is complete. Hot path.
//
//   idle ─▶ head ─▶ stream ─▶ idle …          stream, idle ─▶ closing ─▶ closed
//                                              (closing: our side is shut, what still comes is thrown away)

import { ProxyError } from "../errors.ts";
import { flushSoon } from "../http/head-flush.ts";
import { H1Parser, type H1Sink } from "../http/h1-parser.ts";
import { H1Writer } from "../http/h1-writer.ts";
import type { HeaderMap } from "../http/headers.ts";
import { stripTrailerFields } from "../http/hop-by-hop.ts";
import { RequestHead, ResponseHead } from "../http/message.ts";
import type { ConnectionInfo } from "../http/stream.ts";
import type { DeadlineOwner } from "../http/timer-wheel.ts";
import { CLOSE_DEADLINE, ConnectionDeadlines, DURATION_DEADLINE, HEAD_DEADLINE } from "./connection-deadlines.ts";
import type { AcceptedConnection, ConnectionObserver } from "./accepted-connection.ts";
import type { ByteSocket } from "./byte-socket.ts";
import type { ConnectionOptions, WorkerContext } from "./connection-options.ts";
import { DownstreamSocket, type SocketOwner } from "./downstream-socket.ts";
import { countBegun, countClosed, countCompleted, countOpened } from "./downstream-stats.ts";
import { REJECTION, type Rejection, rejectionOf, rejectionReply } from "./rejection.ts";
import { ReadAhead } from "./read-ahead.ts";
import { RequestReader } from "./request-head.ts";
import { ServerStream } from "./server-stream.ts";

const EMPTY = new Uint8Array(0);
const CONTINUE = new ResponseHead(100, "Continue");

export class ServerConnection implements AcceptedConnection, H1Sink, DeadlineOwner, SocketOwner {
  readonly info: ConnectionInfo;
  readonly openedAt = performance.now();
  protocol = "";
  /** For the stream, which may hold it up. */
  readonly socket: DownstreamSocket;
  readonly #options: ConnectionOptions;
  readonly #context: WorkerContext;
  readonly #observer: ConnectionObserver;
  readonly #parser: H1Parser;
  readonly #writer: H1Writer;
  readonly #reader: RequestReader;
  readonly #ahead: ReadAhead;
  readonly #deadlines: ConnectionDeadlines;
  #state: "open" | "closing" | "closed" = "open";
  #stream: ServerStream | undefined = undefined;
  #requests = 0;
  #keepsOpen = true;
  #isDraining = false;
  #peerHasEnded = false;
  #isParsing = false;

  constructor(
    socket: ByteSocket,
    info: ConnectionInfo,
    options: ConnectionOptions,
    context: WorkerContext,
    observer: ConnectionObserver,
  ) {
    this.socket = new DownstreamSocket(socket, this, options.stats);
    this.#writer = new H1Writer(this.socket);
    this.#ahead = new ReadAhead(this.socket);
    this.info = info;
    this.#options = options;
    this.#context = context;
    this.#observer = observer;
    this.#deadlines = new ConnectionDeadlines(this, context.wheel);
    this.#parser = new H1Parser("request", this, options.limits);
    this.#reader = new RequestReader(options, info.localPort, false);
  }

  /** Begins to read. */
  start(): void {
    const { stats, idleTimeoutMs, maxConnectionDurationMs } = this.#options;
    countOpened(stats);
    this.#deadlines.armIdle(idleTimeoutMs);
    this.#deadlines.armDuration(maxConnectionDurationMs);
    this.socket.start();
  }

  /** True while no request is under way. */
  get isIdle(): boolean {
    return this.#stream === undefined && this.#parser.isIdle;
  }

  /** The next response says `Connection: close`; an idle connection closes now. */
  drain(): void {
    if (this.#isDraining || this.#state !== "open") {
      return;
    }
    this.#isDraining = true;
    this.#keepsOpen = false;
    if (this.isIdle) {
      this.#options.stats.cxDrainClose.inc();
      this.#close();
    }
  }

  /** Closes now, whatever is under way. */
  destroy(): void {
    this.#finish("local", new ProxyError("downstream_disconnect", "proxy", "Connection closed by the proxy"));
  }

  /** `bytes` have been read into the start of the worker's buffer. */
  onRead(bytes: number): boolean {
    this.#options.stats.cxRxBytes.add(bytes);
    if (this.#state === "open") {
      const buffer = this.#context.readBuffer;
      const at = this.#ahead.isEmpty ? this.#parse(buffer, 0, bytes) : 0;
      if (at < bytes && this.#isOpen) {
        this.#ahead.append(buffer, at, bytes);
      }
    }
    return true;
  }

  onDeadline(kind: number): void {
    const { stats } = this.#options;
    if (kind === CLOSE_DEADLINE) {
      stats.cxDelayedCloseTimeout.inc();
      this.#finish("local", undefined);
    } else if (kind === HEAD_DEADLINE) {
      stats.rqHeaderTimeout.inc();
      this.#reject(REJECTION.headersTimeout);
    } else if (kind === DURATION_DEADLINE) {
      stats.cxMaxDurationReached.inc();
      this.drain();
    } else if (this.#stream === undefined) {
      stats.cxIdleTimeout.inc();
      this.#close();
    }
  }

  // H1Sink: events of the parser, which only #parse drives

  onHead(end: boolean): void {
    const parser = this.#parser;
    const { stats, handler, maxRequestsPerConnection } = this.#options;
    this.#deadlines.cancelWaiting();
    const writer = this.#writer;
    writer.toHead = parser.method === "HEAD";
    writer.toHttp10 = parser.minorVersion === 0;
    writer.isTunnel = false;
    const reader = this.#reader;
    const head = reader.read(parser);
    if (!(head instanceof RequestHead)) {
      this.#reject(head);
      return;
    }
    countBegun(stats);
    if (!parser.keepAlive) {
      this.#keepsOpen = false;
    }
    if (++this.#requests === maxRequestsPerConnection) {
      stats.cxMaxRequestsReached.inc();
      this.#keepsOpen = false;
    }
    const stream = new ServerStream(this, head, end, parser, reader.upgrade);
    this.#stream = stream;
    this.protocol = stream.protocol;
    if (reader.expectsContinue) {
      writer.informational(CONTINUE);
    }
    stream.begin(handler.onStream(stream));
    this.#advance(stream);
  }

  onBody(chunk: Uint8Array, end: boolean): void {
    const stream = this.#stream;
    if (stream?.sink === undefined) {
      return;
    }
    stream.requestIsComplete = end;
    // Behind a complete response the rest of a request is read and thrown away.
    if (!stream.responseIsComplete) {
      stream.sink.onRequestData(chunk, end);
    }
    if (end) {
      this.#advance(stream);
    }
  }

  onTrailers(trailers: HeaderMap): void {
    if (!this.#options.enableTrailers) {
      this.onBody(EMPTY, true);
      return;
    }
    const stream = this.#stream;
    if (stream?.sink === undefined) {
      return;
    }
    stream.requestIsComplete = true;
    stripTrailerFields(trailers);
    if (!stream.responseIsComplete) {
      stream.sink.onRequestTrailers(trailers);
    }
    this.#advance(stream);
  }

  // For the current stream

  inform(stream: ServerStream, head: ResponseHead): void {
    const isProxied = head.status !== 100 || this.#options.proxy100Continue;
    if (stream.protocol === "HTTP/1.1" && head.status < 200 && head.status !== 101 && isProxied) {
      this.#options.stats.rqByClass[0].inc();
      this.#writer.informational(head);
    }
  }

  respond(stream: ServerStream, head: ResponseHead, end: boolean): void {
    const writer = this.#writer;
    stream.status = head.status;
    const choice = this.#observer.closeChoice;
    if (choice !== undefined && this.#keepsOpen && choice.closes()) {
      this.#isDraining = true;
      this.#keepsOpen = false;
    }
    if (!stream.requestIsComplete && stream.upgrade === "") {
      // What remains of the request would stand before the next one; nobody can wait for it.
      this.#options.stats.rqResponseBeforeRqComplete.inc();
      this.#keepsOpen = false;
    }
    if (stream.upgrade !== "" && head.status === 101) {
      writer.isTunnel = true;
      this.#keepsOpen = false;
      this.#parser.tunnel();
      stream.requestIsComplete = false;
    }
    const open = stream.protocol === "HTTP/1.0" ? "keep-alive" : "none";
    writer.response(head, end, this.#keepsOpen ? open : "close");
    stream.responseHeaderBytes = writer.headBytes;
    if (writer.framing === "close") {
      this.#keepsOpen = false;
    }
    if (end) {
      this.#endResponse(stream);
    } else if (writer.hasPending) {
      // The first body bytes are most often at hand; if not, the head must not wait for them.
      flushSoon(this);
    }
  }

  sendData(stream: ServerStream, chunk: Uint8Array, end: boolean): void {
    this.#writer.data(chunk, end);
    this.#afterBody(stream, end);
  }

  sendTrailers(stream: ServerStream, trailers: HeaderMap): void {
    if (this.#options.enableTrailers) {
      this.#writer.trailers(trailers);
    } else {
      this.#writer.data(EMPTY, true);
    }
    this.#afterBody(stream, true);
  }

  abort(stream: ServerStream): void {
    this.#options.stats.rqTxReset.inc();
    stream.isOver = true;
    this.#writer.flush();
    if (this.#writer.framing === "close") {
      // An orderly close would make the part look like the whole.
      this.socket.reset();
    }
    this.#finish("local", undefined);
  }

  closeAfterResponse(): void {
    this.#keepsOpen = false;
  }

  flush(): void {
    if (this.#state === "open") {
      this.#writer.flush();
    }
  }

  // Socket events

  onBlocked(): void {
    const stream = this.#stream;
    if (stream !== undefined && !stream.isBlocked) {
      stream.isBlocked = true;
      stream.sink?.onResponseBlocked(true);
    }
  }

  onUnblocked(): void {
    const stream = this.#stream;
    if (stream !== undefined && stream.isBlocked) {
      stream.isBlocked = false;
      stream.sink?.onResponseBlocked(false);
    }
  }

  onPeerEnd(): void {
    this.#peerHasEnded = true;
    const stream = this.#stream;
    if (stream !== undefined && stream.requestIsComplete && this.#options.keepsHalfClosed) {
      this.#keepsOpen = false;
    } else if (stream !== undefined && this.#writer.isTunnel) {
      this.#parser.finish();
    } else {
      this.#onGone();
    }
  }

  onSocketClosed(): void {
    this.#onGone();
  }

  // Reading

  // A getter, because calls that come between two questions may change the answer.
  get #isOpen(): boolean {
    return this.#state === "open";
  }

  #parse(buffer: Buffer, start: number, end: number): number {
    this.#isParsing = true;
    const at = this.#parser.execute(buffer, start, end);
    this.#isParsing = false;
    const failure = this.#parser.failure;
    if (failure !== undefined && this.#isOpen) {
      this.#options.stats.cxProtocolError.inc();
      this.#writer.toHead &&= this.#stream !== undefined;
      this.#reject(rejectionOf(failure));
    } else if (this.#stream === undefined && this.#isOpen && !this.#parser.isIdle) {
      this.#deadlines.armHead(this.#options.headersTimeoutMs);
    }
    return at;
  }

  #parseAhead(): void {
    const bytes = this.#ahead.take();
    if (bytes === undefined) {
      return;
    }
    const at = this.#parse(bytes, 0, bytes.length);
    if (at < bytes.length && this.#isOpen) {
      this.#ahead.keep(bytes.subarray(at));
    } else {
      this.#ahead.release();
    }
  }

  #onGone(): void {
    if (this.#state === "closing") {
      this.#finish("local", undefined);
      return;
    }
    if (this.#stream !== undefined) {
      this.#options.stats.rqRxReset.inc();
    }
    this.#finish("remote", new ProxyError("downstream_disconnect", "downstream", "The client closed the connection"));
  }

  // Endings

  #endResponse(stream: ServerStream): void {
    stream.responseIsComplete = true;
    stream.responseHeaderBytes = this.#writer.headBytes;
    this.#advance(stream);
  }

  // Once both directions are complete, or the response is and the connection closes, the stream is over.
  #advance(stream: ServerStream): void {
    if (stream.isOver || !stream.responseIsComplete || stream.sink === undefined) {
      return;
    }
    if (!stream.requestIsComplete && this.#keepsOpen) {
      return;
    }
    countCompleted(this.#options.stats, stream.status, performance.now() - stream.startedAt);
    stream.isOver = true;
    this.#stream = undefined;
    stream.sink.onDownstreamDone();
    if (!this.#keepsOpen || this.#peerHasEnded) {
      if (this.#isDraining) {
        this.#options.stats.cxDrainClose.inc();
      }
      this.#close();
      return;
    }
    if (stream.pauses > 0) {
      this.socket.release();
    }
    this.#deadlines.armIdle(this.#options.idleTimeoutMs);
    this.#parser.nextRequest();
    // Inside of the parser's run the next request follows by itself.
    if (!this.#isParsing) {
      this.#parseAhead();
    }
  }

  // A request that cannot become a stream, or one whose rest is broken.
  #reject(rejection: Rejection): void {
    const stream = this.#stream;
    const message = `Broken request: ${rejection.message}`;
    if (stream !== undefined && (stream.status !== 0 || stream.sink === undefined)) {
      this.#finish("local", new ProxyError("bad_request", "downstream", message));
      return;
    }
    const { stats, handler, serverName } = this.#options;
    const { head, body } = handler.rejectionReply?.(rejection, this.info) ?? rejectionReply(rejection, serverName);
    this.#writer.response(head, body.length === 0, "close");
    this.#writer.data(body, true);
    if (stream === undefined) {
      countBegun(stats);
      countCompleted(stats, head.status, 0);
      handler.onRejected?.(rejection, this.info);
    } else {
      countCompleted(stats, head.status, performance.now() - stream.startedAt);
      this.#stream = undefined;
      stream.reset(new ProxyError("bad_request", "downstream", message));
    }
    this.#close();
  }

  #afterBody(stream: ServerStream, end: boolean): void {
    if (this.#writer.isBroken) {
      this.#options.stats.rqTxReset.inc();
      this.#finish("local", new ProxyError("internal", "proxy", "Response body does not match its Content-Length"));
    } else if (end) {
      this.#endResponse(stream);
    }
  }

  // Shuts our side after what is written; what the client still sends is thrown away until it closes too or time is up.
  #close(): void {
    if (this.#state !== "open") {
      return;
    }
    this.#state = "closing";
    this.#parser.stop();
    this.#deadlines.cancelAll();
    const { delayedCloseTimeoutMs } = this.#options;
    if (this.#peerHasEnded || delayedCloseTimeoutMs === 0) {
      this.socket.closeSoon();
      return;
    }
    this.socket.shut();
    this.#deadlines.armClose(delayedCloseTimeoutMs);
  }

  /** `error` goes to an open stream. */
  #finish(side: "local" | "remote", error: ProxyError | undefined): void {
    if (this.#state === "closed") {
      return;
    }
    const stream = this.#stream;
    this.#state = "closed";
    this.#stream = undefined;
    this.#parser.stop();
    this.#deadlines.cancelAll();
    this.socket.destroy();
    countClosed(this.#options.stats, side, stream !== undefined, performance.now() - this.openedAt);
    if (stream !== undefined && !stream.isOver) {
      stream.reset(error);
    }
    this.#observer.onConnectionClosed(this);
  }
}
