// One HTTP/1 connection to an upstream host: a socket, a parser for responses, a writer for requests, one request at a time.
// Made and reused by pool.ts (ConnectionOwner); the proxy sees it through client-stream.ts. Hot path.
// Response-queue poisoning cannot happen: the parser takes one response for each request, and a byte that comes outside of
// one, before the request or behind the response, closes the connection.
//
//   connecting ─▶ idle ⇄ busy         any ─▶ closed

import type { Socket } from "node:net";

import type { Address } from "../../xds/model/address.ts";
import { ProxyError } from "../errors.ts";
import { FIELD, HOP_BY_HOP } from "../http/h1-fields.ts";
import { H1Parser } from "../http/h1-parser.ts";
import type { H1Sink } from "../http/h1-parser.ts";
import { H1Writer } from "../http/h1-writer.ts";
import type { ByteOutput } from "../http/h1-writer.ts";
import type { HeaderMap } from "../http/headers.ts";
import { stripResponseFields, stripTrailerFields } from "../http/hop-by-hop.ts";
import { ResponseHead } from "../http/message.ts";
import type { RequestHead } from "../http/message.ts";
import type { StreamWaiter } from "../http/stream.ts";
import { Deadline } from "../http/timer-wheel.ts";
import type { DeadlineOwner } from "../http/timer-wheel.ts";
import { addressText } from "./address-text.ts";
import { ClientStream } from "./client-stream.ts";
import { dial } from "./connect.ts";
import { keepAliveTimeoutMs } from "./keep-alive.ts";
import type { PoolContext } from "./pool.ts";
import { brokenResponse, lostConnection } from "./reset-error.ts";
import type { RoutePriority } from "./stream-pool.ts";

/** What a connection tells its pool. Each connection ends with `onConnectFailed` or `onClosed`, once. */
export interface ConnectionOwner {
  onConnected(connection: ClientConnection): void;
  /** The connection can serve another request. */
  onIdle(connection: ClientConnection): void;
  onConnectFailed(connection: ClientConnection, error: ProxyError): void;
  onClosed(connection: ClientConnection, wasConnecting: boolean): void;
  /** The connection's request is over; `onIdle` or `onClosed` follows. */
  onStreamEnd(priority: RoutePriority): void;
}

const CONNECT_DEADLINE = 1;
const IDLE_DEADLINE = 2;

// How a response ended; its last event is delivered after the connection is settled.
const NOT_ENDED = 0;
const ENDED_BY_HEAD = 1;
const ENDED_BY_BODY = 2;
const ENDED_BY_TRAILERS = 3;

const EMPTY = new Uint8Array(0);
/** Bytes of chunk extensions in a response; nobody uses them. */
const MAX_CHUNK_EXTENSION_BYTES = 16_384;

export class ClientConnection implements H1Sink, ByteOutput, DeadlineOwner {
  readonly remoteAddress: string;
  localAddress = "";
  /** The route priority whose circuit breaker counts this connection. */
  readonly priority: RoutePriority;
  readonly #address: Address;
  readonly #owner: ConnectionOwner;
  readonly #context: PoolContext;
  readonly #parser: H1Parser;
  readonly #writer = new H1Writer(this);
  readonly #connectDeadline = new Deadline(this, CONNECT_DEADLINE);
  readonly #idleDeadline = new Deadline(this, IDLE_DEADLINE);
  #state: "connecting" | "idle" | "busy" | "closed" = "connecting";
  #socket: Socket | undefined = undefined;
  #openedAt = 0;
  #served = 0;
  #idleTimeoutMs: number;
  #stream: ClientStream | undefined = undefined;
  // True when a byte has come since the request began.
  #hasBytes = false;
  #ending = NOT_ENDED;
  #lastHead: ResponseHead | undefined = undefined;
  #lastChunk: Uint8Array = EMPTY;
  #lastTrailers: HeaderMap | undefined = undefined;

  constructor(
    address: Address,
    remoteAddress: string,
    priority: RoutePriority,
    owner: ConnectionOwner,
    context: PoolContext,
  ) {
    this.#address = address;
    this.remoteAddress = remoteAddress;
    this.priority = priority;
    this.#owner = owner;
    this.#context = context;
    const { settings } = context;
    this.#idleTimeoutMs = settings.idleTimeoutMs;
    this.#parser = new H1Parser("response", this, {
      maxHeadBytes: settings.maxResponseHeadersBytes,
      maxFields: settings.maxResponseHeadersCount,
      maxChunkExtensionBytes: MAX_CHUNK_EXTENSION_BYTES,
    });
  }

  /** True until the first request. */
  get isFresh(): boolean {
    return this.#served === 0;
  }

  // For the pool

  connect(): void {
    const { settings, wheel, readBuffer, source } = this.#context;
    this.#openedAt = performance.now();
    wheel.arm(this.#connectDeadline, settings.connectTimeoutMs);
    const socket = dial(this.#address, {
      readBuffer,
      bufferLimitBytes: settings.perConnectionBufferLimitBytes,
      onRead: (bytes) => this.#onRead(bytes),
      keepAliveMs: settings.tcpKeepAliveMs,
      bind: settings.bind,
      source,
    });
    this.#socket = socket;
    socket.on("connect", () => this.#onConnect());
    socket.on("drain", () => this.#onDrain());
    socket.on("end", () => this.#onEnd());
    // `close` follows; an error that nobody listens to would end the process.
    socket.on("error", (error) => this.#onLost(error));
    socket.on("close", () => this.#onLost(undefined));
  }

  /** The connection is connected and idle. The waiter gets its stream before this returns. */
  begin(waiter: StreamWaiter, priority: RoutePriority): void {
    this.#context.wheel.cancel(this.#idleDeadline);
    this.#state = "busy";
    this.#hasBytes = false;
    const stream = new ClientStream(this, waiter, priority, this.#served > 0);
    this.#served++;
    this.#stream = stream;
    waiter.onPoolReady(stream);
  }

  armIdle(): void {
    this.#context.wheel.arm(this.#idleDeadline, this.#idleTimeoutMs);
  }

  /** Closes now. A stream on it is reset. */
  close(): void {
    this.#shut(undefined, "local");
  }

  onDeadline(kind: number): void {
    const { stats, settings } = this.#context;
    if (kind === IDLE_DEADLINE) {
      stats.cxIdleTimeout.inc();
      this.close();
    } else if (this.#state === "connecting") {
      stats.cxConnectTimeout.inc();
      const message = `No connection to ${this.remoteAddress} within ${settings.connectTimeoutMs} ms`;
      this.#failConnect(new ProxyError("upstream_connect_timeout", "upstream", message, { retryable: true }));
    }
  }

  // For the stream, which checks that it is the current one

  sendHead(head: RequestHead, end: boolean): void {
    this.#parser.nextResponse(head.method === "HEAD", false);
    this.#writer.request(head, end, "none");
    if (this.#writer.isBroken) {
      this.#breakRequest();
    } else if (this.#writer.hasPending) {
      // The first body bytes are most often at hand; if not, the head must not wait for them.
      process.nextTick(flushHead, this);
    }
  }

  sendData(chunk: Uint8Array, end: boolean): void {
    this.#writer.data(chunk, end);
    if (this.#writer.isBroken) {
      this.#breakRequest();
    }
  }

  sendTrailers(trailers: HeaderMap): void {
    this.#writer.trailers(trailers);
    if (this.#writer.isBroken) {
      this.#breakRequest();
    }
  }

  flush(): void {
    if (this.#state === "busy") {
      this.#writer.flush();
    }
  }

  abort(): void {
    const stream = this.#stream;
    if (stream !== undefined) {
      stream.isOpen = false;
      this.#context.stats.rqTxReset.inc();
      this.#shut(undefined, "local");
    }
  }

  pauseReading(): void {
    this.#context.stats.flowControlPausedReading.inc();
    this.#socket?.pause();
  }

  resumeReading(): void {
    this.#context.stats.flowControlResumedReading.inc();
    this.#socket?.resume();
  }

  // ByteOutput, for the writer

  write(bytes: string | Uint8Array): void {
    const socket = this.#socket;
    if (socket === undefined) {
      return;
    }
    const { stats } = this.#context;
    stats.cxTxBytes.add(bytes.length);
    const hasRoom = typeof bytes === "string" ? socket.write(bytes, "latin1") : socket.write(bytes);
    const stream = this.#stream;
    if (!hasRoom && stream !== undefined && !stream.isBlocked) {
      stream.isBlocked = true;
      stats.flowControlBackedUp.inc();
      stream.sink.onRequestBlocked(true);
    }
  }

  // H1Sink: events of the parser, which only #onRead and #onEnd drive

  onHead(end: boolean): void {
    const parser = this.#parser;
    const stream = this.#stream;
    if (stream === undefined) {
      return;
    }
    if ((parser.fields & FIELD.keepAlive) !== 0 && parser.status >= 200) {
      this.#idleTimeoutMs = keepAliveTimeoutMs(parser.headers, this.#context.settings.idleTimeoutMs);
    }
    if ((parser.fields & HOP_BY_HOP) !== 0) {
      stripResponseFields(parser.headers);
    }
    const head = new ResponseHead(parser.status, parser.reason, parser.headers);
    if (parser.status < 200) {
      stream.sink.onInformational(head);
      return;
    }
    stream.hasResponse = true;
    if (end) {
      this.#ending = ENDED_BY_HEAD;
      this.#lastHead = head;
    } else {
      stream.sink.onResponse(head, false);
    }
  }

  onBody(chunk: Uint8Array, end: boolean): void {
    if (end) {
      this.#ending = ENDED_BY_BODY;
      this.#lastChunk = chunk;
    } else {
      this.#stream?.sink.onResponseData(chunk, false);
    }
  }

  onTrailers(trailers: HeaderMap): void {
    stripTrailerFields(trailers);
    this.#ending = ENDED_BY_TRAILERS;
    this.#lastTrailers = trailers;
  }

  // Socket events

  #onConnect(): void {
    if (this.#state !== "connecting" || this.#socket === undefined) {
      return;
    }
    const { wheel, stats } = this.#context;
    wheel.cancel(this.#connectDeadline);
    stats.cxConnectMs.record(performance.now() - this.#openedAt);
    const { localAddress, localPort } = this.#socket;
    if (localAddress !== undefined && localPort !== undefined) {
      this.localAddress = addressText({ kind: "tcp", host: localAddress, port: localPort });
    }
    this.#state = "idle";
    this.#owner.onConnected(this);
  }

  #onRead(bytes: number): boolean {
    this.#context.stats.cxRxBytes.add(bytes);
    if (this.#state !== "busy") {
      // Nobody asked for anything: whatever it is, it is not an answer.
      this.#protocolError();
      return false;
    }
    this.#hasBytes = true;
    const taken = this.#parser.execute(this.#context.readBuffer, 0, bytes);
    if (this.#stream === undefined) {
      // The sink gave the request up meanwhile.
      return false;
    }
    if (this.#parser.failure !== undefined) {
      this.#protocolError();
    } else if (this.#ending !== NOT_ENDED) {
      this.#finishResponse(taken === bytes);
    } else if (taken < bytes) {
      // An answer before the request was sent.
      this.#protocolError();
    }
    return true;
  }

  // The upstream has closed its side. The socket is not kept half open.
  #onEnd(): void {
    if (this.#state === "busy") {
      this.#parser.finish();
      if (this.#parser.failure === undefined && this.#ending !== NOT_ENDED) {
        this.#finishResponse(false);
        return;
      }
    }
    this.#onLost(undefined);
  }

  #onLost(cause: Error | undefined): void {
    if (this.#state === "connecting") {
      const message = `Cannot connect to ${this.remoteAddress}: ${cause?.message ?? "connection closed"}`;
      this.#failConnect(new ProxyError("upstream_connect_failure", "upstream", message, { retryable: true, cause }));
    } else if (this.#state !== "closed") {
      const stream = this.#stream;
      const error = stream === undefined ? undefined : lostConnection(stream, this.#hasBytes, cause);
      this.#shut(error, "remote");
    }
  }

  #onDrain(): void {
    if (this.#stream !== undefined) {
      this.#unblock(this.#stream);
    }
  }

  // Also before a stream's last event, so that no pause outlives its cause.
  #unblock(stream: ClientStream): void {
    if (stream.isBlocked) {
      stream.isBlocked = false;
      this.#context.stats.flowControlDrained.inc();
      stream.sink.onRequestBlocked(false);
    }
  }

  // Endings

  /** `isExact`: nothing came behind the response. */
  #finishResponse(isExact: boolean): void {
    const stream = this.#stream;
    const ending = this.#ending;
    const head = this.#lastHead;
    const chunk = this.#lastChunk;
    const trailers = this.#lastTrailers;
    this.#ending = NOT_ENDED;
    this.#lastHead = undefined;
    this.#lastChunk = EMPTY;
    this.#lastTrailers = undefined;
    if (stream === undefined) {
      return;
    }
    stream.isOpen = false;
    this.#stream = undefined;
    this.#settle(stream, isExact);
    this.#unblock(stream);
    if (ending === ENDED_BY_HEAD && head !== undefined) {
      stream.sink.onResponse(head, true);
    } else if (ending === ENDED_BY_TRAILERS && trailers !== undefined) {
      stream.sink.onResponseTrailers(trailers);
    } else {
      stream.sink.onResponseData(chunk, true);
    }
  }

  // Gives the connection back before the response's last event, so that the next request finds it.
  #settle(stream: ClientStream, isExact: boolean): void {
    const { stats, settings } = this.#context;
    this.#owner.onStreamEnd(stream.priority);
    const isUsedUp = settings.maxRequestsPerConnection > 0 && this.#served >= settings.maxRequestsPerConnection;
    const isSent = stream.isRequestEnded && this.#socket?.writableLength === 0;
    if (isExact && this.#parser.keepAlive && isSent && !isUsedUp && this.#idleTimeoutMs >= 0) {
      if (stream.pauses > 0) {
        this.resumeReading();
      }
      this.#state = "idle";
      this.#owner.onIdle(this);
      return;
    }
    if (!isExact) {
      stats.cxProtocolError.inc();
    } else if (isUsedUp) {
      stats.cxMaxRequests.inc();
    } else if (!this.#parser.keepAlive) {
      stats.cxCloseNotify.inc();
    }
    this.#shut(undefined, "local");
  }

  #protocolError(): void {
    this.#context.stats.cxProtocolError.inc();
    const stream = this.#stream;
    this.#shut(stream === undefined ? undefined : brokenResponse(this.#parser.failure), "local");
  }

  /** The request's body was not as long as its Content-Length said. */
  #breakRequest(): void {
    this.#context.stats.rqTxReset.inc();
    this.#shut(new ProxyError("internal", "proxy", "Request body does not match its Content-Length"), "local");
  }

  #failConnect(error: ProxyError): void {
    const { stats } = this.#context;
    this.#release();
    stats.cxConnectFail.inc();
    stats.cxDestroy.inc();
    if (error.code === "upstream_connect_timeout") {
      stats.cxDestroyLocal.inc();
    } else {
      stats.cxDestroyRemote.inc();
    }
    this.#owner.onConnectFailed(this, error);
  }

  /** `error` goes to the stream's sink; without one an open stream gets a reset of its own. */
  #shut(error: ProxyError | undefined, side: "local" | "remote"): void {
    if (this.#state === "closed") {
      return;
    }
    const wasConnecting = this.#state === "connecting";
    const stream = this.#stream;
    this.#countDestroy(side, stream !== undefined);
    this.#release();
    if (stream !== undefined) {
      this.#owner.onStreamEnd(stream.priority);
    }
    this.#owner.onClosed(this, wasConnecting);
    if (stream !== undefined && stream.isOpen) {
      stream.isOpen = false;
      this.#context.stats.rqRxReset.inc();
      this.#unblock(stream);
      stream.sink.onUpstreamReset(error ?? lostConnection(stream, this.#hasBytes, undefined));
    }
  }

  #release(): void {
    const { wheel } = this.#context;
    this.#state = "closed";
    this.#stream = undefined;
    this.#parser.stop();
    wheel.cancel(this.#connectDeadline);
    wheel.cancel(this.#idleDeadline);
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  #countDestroy(side: "local" | "remote", isActive: boolean): void {
    const { stats } = this.#context;
    stats.cxLengthMs.record(performance.now() - this.#openedAt);
    stats.cxDestroy.inc();
    (side === "local" ? stats.cxDestroyLocal : stats.cxDestroyRemote).inc();
    if (isActive) {
      stats.cxDestroyWithActiveRq.inc();
      (side === "local" ? stats.cxDestroyLocalWithActiveRq : stats.cxDestroyRemoteWithActiveRq).inc();
    }
  }
}

function flushHead(connection: ClientConnection): void {
  connection.flush();
}
