// One gRPC call or stream of a plugin on its way to one host: request head, framed messages, the events that come back.
// Made by plugin-grpc.ts; the session comes from upstream/h2-pool.ts. Which answer becomes which status is what Envoy 1.40
// does (test/integration/grpc-calls.test.ts asks it), except that its notes in braces do not get into messages.
//
//   waiting for a session ─▶ open ─▶ over        every way out goes through #finish or cancel, once

import type { ClientHttp2Stream } from "node:http2";
import type { GrpcCall, GrpcReceiver, PendingGrpcCall } from "../../plugins/grpc-port.ts";
import type { LiveCluster } from "../cluster/cluster.ts";
import type { Host } from "../cluster/host.ts";
import { grpcFrame, GrpcFrameReader } from "../upstream/grpc-frames.ts";
import type { H2Pool, H2Session, SessionFailure, SessionWaiter } from "../upstream/h2-pool.ts";

const Code = {
  Unknown: 2,
  PermissionDenied: 7,
  ResourceExhausted: 8,
  Unimplemented: 12,
  Internal: 13,
  Unavailable: 14,
  Unauthenticated: 16,
} as const;
/** What Envoy makes of a grpc-status that is none. */
const INVALID_STATUS = 0xffff_ffff;
const LAST_STATUS = 16;
const NO_PAIRS: readonly string[] = [];
/** Bytes that a frame takes besides its own while it waits: empty messages must not fill memory. */
const FRAME_OVERHEAD = 256;
/** HTTP/2's error code and flag. */
const CANCEL = 8;
const END_STREAM = 1;
const HTTP_OK = 200;
const HTTP_SERVER_ERROR = 500;
const HTTP_UNAVAILABLE = 503;
const HTTP_TIMEOUT = 504;
const MAX_TIMER_MS = 0x7fff_ffff;
/** What gRPC or HTTP/2 has itself, which a plugin's metadata cannot change. */
const RESERVED = new Set([
  "te",
  "content-type",
  "grpc-timeout",
  "host",
  "content-length",
  "transfer-encoding",
  "connection",
  "keep-alive",
  "proxy-connection",
  "upgrade",
]);

/** What the calls of a worker share. */
export interface ExchangeOwner {
  /** Room for bytes that wait to be sent, for this call and for all; false: none. */
  takeRoom(call: GrpcCall, held: number, bytes: number): boolean;
  giveRoom(bytes: number): void;
  /** The call is over: before its last callback. HTTP's or gRPC's status, an error text when it was no answer. */
  onOver(exchange: GrpcExchange, outcome: Outcome): void;
  /** The last callback has run, or none will. */
  onSettled(exchange: GrpcExchange): void;
}

export type Outcome =
  | { readonly kind: "status"; readonly status: number }
  | { readonly kind: "failure"; readonly message: string }
  | { readonly kind: "cancelled" };

export interface ExchangePlace {
  readonly cluster: LiveCluster;
  readonly host: Host;
  readonly pool: H2Pool;
}

export class GrpcExchange implements PendingGrpcCall, SessionWaiter {
  readonly call: GrpcCall;
  readonly #owner: ExchangeOwner;
  readonly #receiver: GrpcReceiver;
  readonly #traceparent: string;
  readonly #frames: GrpcFrameReader;
  readonly #startedAt = performance.now();
  #place: ExchangePlace | undefined = undefined;
  #timer: NodeJS.Timeout | undefined = undefined;
  #session: H2Session | undefined = undefined;
  #stream: ClientHttp2Stream | undefined = undefined;
  /** Frames that wait for the session. */
  #waiting: Buffer[] = [];
  #hasSentAll = false;
  /** Bytes that have been given to be sent and are not yet. */
  #held = 0;
  #httpStatus = 0;
  #trailers: readonly string[] | undefined = undefined;
  #isRemoteEnded = false;
  #error: NodeJS.ErrnoException | undefined = undefined;
  #isOver = false;

  constructor(
    call: GrpcCall,
    receiver: GrpcReceiver,
    owner: ExchangeOwner,
    maxMessageBytes: number,
    traceparent: string,
  ) {
    this.call = call;
    this.#receiver = receiver;
    this.#owner = owner;
    this.#traceparent = traceparent;
    this.#frames = new GrpcFrameReader(maxMessageBytes, (message) => {
      if (!this.#isOver) {
        receiver.onMessage(message);
      }
    });
  }

  /** `place` undefined: no host may be used. */
  start(place: ExchangePlace | undefined): void {
    if (this.call.message !== undefined) {
      this.send(this.call.message, true);
    }
    if (this.#isOver) {
      return;
    }
    if (place === undefined) {
      setImmediate(() => this.#failLocally("no healthy upstream"));
      return;
    }
    this.#place = place;
    if (this.call.timeoutMs > 0) {
      this.#timer = setTimeout(() => this.#onTimeout(), Math.min(this.call.timeoutMs, MAX_TIMER_MS)).unref();
    }
    // Not before the plugin's callback is over: a call that it gives up again right away never gets anywhere, and a server
    // that protects itself against quick resets does not end the session that all share.
    queueMicrotask(() => {
      if (!this.#isOver) {
        place.pool.acquire(this);
      }
    });
  }

  // PendingGrpcCall

  send(message: Uint8Array, endStream: boolean): void {
    if (this.#isOver || this.#hasSentAll) {
      return;
    }
    const frame = grpcFrame(message);
    if (!this.#owner.takeRoom(this.call, this.#held, frame.length + FRAME_OVERHEAD)) {
      this.#hasSentAll = true;
      setImmediate(() => this.#fail(Code.ResourceExhausted, "too much waits to be sent"));
      return;
    }
    this.#held += frame.length + FRAME_OVERHEAD;
    if (this.#stream === undefined) {
      this.#waiting.push(frame);
    } else {
      this.#write(this.#stream, frame);
    }
    if (endStream) {
      this.closeSend();
    }
  }

  closeSend(): void {
    if (!this.#hasSentAll) {
      this.#hasSentAll = true;
      this.#stream?.end();
    }
  }

  cancel(): void {
    if (!this.#isOver) {
      this.#leave();
      this.#owner.onOver(this, { kind: "cancelled" });
      this.#owner.onSettled(this);
    }
  }

  // SessionWaiter

  onSessionFailure(reason: SessionFailure): void {
    // It may be said from inside `start`, and the plugin has no token yet.
    setImmediate(() => this.#failLocally(resetText(reason)));
  }

  onSession(session: H2Session): void {
    const { cluster, host } = this.#place as ExchangePlace;
    const { stats, breakers } = cluster;
    if (!breakers[0].requests.available) {
      stats.rqActiveOverflow.inc();
      this.onSessionFailure("overflow");
      return;
    }
    let stream: ClientHttp2Stream;
    try {
      stream = session.request(this.#requestHead());
    } catch {
      // A head that Node refuses, or a session that has ended in this very turn.
      setImmediate(() => this.#failLocally(resetText("local reset")));
      return;
    }
    this.#session = session;
    this.#stream = stream;
    breakers[0].requests.inc();
    stats.rqTotal.inc();
    stats.rqActive.inc();
    host.counts.rqTotal++;
    host.counts.rqActive++;
    stream.once("response", (_, flags, pairs) => this.#onHead(pairs, (flags & END_STREAM) !== 0));
    stream.on("data", (chunk: Buffer) => this.#onData(chunk));
    stream.once("trailers", (_, _flags, pairs) => (this.#trailers = pairs));
    stream.once("end", () => this.#onEnd());
    // `close` follows; an error that nobody listens to would end the worker.
    stream.on("error", (error) => (this.#error ??= error));
    stream.once("close", () => this.#onClose());
    for (const frame of this.#waiting) {
      this.#write(stream, frame);
    }
    this.#waiting = [];
    if (this.#hasSentAll) {
      stream.end();
    }
  }

  #requestHead(): string[] {
    const { call } = this;
    const authority = call.authority === "" ? call.cluster : call.authority;
    const head = [":method", "POST", ":scheme", "http", ":authority", authority, ":path", call.path];
    head.push("te", "trailers", "content-type", "application/grpc");
    if (call.timeoutMs > 0) {
      head.push("grpc-timeout", timeoutText(call.timeoutMs));
    }
    if (this.#traceparent !== "") {
      head.push("traceparent", this.#traceparent);
    }
    const pairs = call.metadata;
    for (let i = 0; i < pairs.length; i += 2) {
      const name = pairs[i] as string;
      const value = pairs[i + 1] as string;
      // Without a trace of ours the plugin's own context passes.
      if (!RESERVED.has(name) && (name !== "traceparent" || this.#traceparent === "")) {
        head.push(name, name.endsWith("-bin") ? Buffer.from(value, "latin1").toString("base64") : value);
      }
    }
    return head;
  }

  #write(stream: ClientHttp2Stream, frame: Buffer): void {
    const bytes = frame.length + FRAME_OVERHEAD;
    stream.write(frame, () => {
      if (!this.#isOver) {
        this.#held -= bytes;
        this.#owner.giveRoom(bytes);
      }
    });
  }

  #onHead(pairs: readonly string[], isEnd: boolean): void {
    if (this.#isOver) {
      return;
    }
    this.#httpStatus = Number(valueOf(pairs, ":status") ?? 0);
    if (isEnd && (this.#httpStatus === HTTP_OK || valueOf(pairs, "grpc-status") !== undefined)) {
      this.#isRemoteEnded = true;
      this.#receiver.onInitialMetadata(NO_PAIRS);
      this.#finish(pairs);
    } else if (this.#httpStatus === HTTP_OK) {
      this.#receiver.onInitialMetadata(pairs);
    } else {
      this.#receiver.onInitialMetadata(NO_PAIRS);
      this.#fail(statusOfHttp(this.#httpStatus), "");
    }
  }

  #onData(chunk: Uint8Array): void {
    const problem = this.#isOver ? undefined : this.#frames.push(chunk);
    if (problem === "too-large") {
      this.#fail(Code.ResourceExhausted, "a message is larger than the limit");
    } else if (problem !== undefined) {
      this.#fail(Code.Internal, "");
    }
  }

  /** Everything has come. Of a lost connection Node says this too, before `close`. */
  #onEnd(): void {
    if (this.#httpStatus === 0) {
      return;
    }
    this.#isRemoteEnded = true;
    if (this.#trailers === undefined) {
      this.#fail(Code.Unknown, "");
    } else {
      this.#finish(this.#trailers);
    }
  }

  /** The stream is gone. */
  #onClose(): void {
    if (this.#isOver) {
      return;
    }
    const lost = this.#session?.lossOf(this.#error) ?? "";
    if (lost === "") {
      this.#place?.cluster.stats.rqRxReset.inc();
    }
    if (this.#httpStatus === 0) {
      this.#failLocally(resetText(lost === "" ? "remote reset" : lost));
    } else {
      this.#fail(Code.Unknown, "");
    }
  }

  #onTimeout(): void {
    this.#place?.cluster.stats.rqTimeout.inc();
    this.#failLocally("upstream request timeout", HTTP_TIMEOUT);
  }

  /** The server's own end. */
  #finish(trailers: readonly string[]): void {
    const status = statusOf(valueOf(trailers, "grpc-status"));
    this.#end(status, valueOf(trailers, "grpc-message") ?? "", trailers, { kind: "status", status });
  }

  /** An end that the server did not spell out. */
  #fail(status: number, message: string): void {
    this.#end(status, message, NO_PAIRS, { kind: "status", status });
  }

  /** As Envoy, whose proxy answers for a host that cannot: an answer of trailers only. */
  #failLocally(message: string, httpStatus = HTTP_UNAVAILABLE): void {
    if (this.#isOver) {
      return;
    }
    this.#httpStatus = httpStatus;
    this.#receiver.onInitialMetadata(NO_PAIRS);
    const status = String(Code.Unavailable);
    const trailers = [":status", "200", "content-type", "application/grpc", "grpc-status", status];
    this.#end(Code.Unavailable, message, [...trailers, "grpc-message", message], { kind: "failure", message });
  }

  #end(status: number, message: string, trailers: readonly string[], outcome: Outcome): void {
    // The plugin may give the call up, or trap, in any of the callbacks.
    if (!this.#isOver) {
      this.#receiver.onTrailingMetadata(trailers);
    }
    if (this.#isOver) {
      return;
    }
    this.#leave();
    this.#owner.onOver(this, outcome);
    this.#receiver.onClose(status, message);
    this.#owner.onSettled(this);
  }

  /** Gives everything back. */
  #leave(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#owner.giveRoom(this.#held);
    this.#waiting = [];
    const place = this.#place;
    if (place === undefined) {
      return;
    }
    this.#countAnswer(place);
    const stream = this.#stream;
    if (stream === undefined) {
      place.pool.cancel(this);
      return;
    }
    const { stats, breakers } = place.cluster;
    breakers[0].requests.dec();
    stats.rqActive.dec();
    place.host.counts.rqActive--;
    const isDone = this.#isRemoteEnded && this.#hasSentAll && stream.writableLength === 0;
    if (!isDone && !stream.closed) {
      stats.rqTxReset.inc();
      stream.close(CANCEL);
    }
  }

  #countAnswer({ cluster, host }: ExchangePlace): void {
    const status = this.#httpStatus;
    if (status === 0) {
      return;
    }
    cluster.stats.rqCompleted.inc();
    (cluster.stats.rqXx[Math.floor(status / 100)] ?? cluster.stats.rqXx[0])?.inc();
    cluster.stats.rqCode(status).inc();
    cluster.stats.rqTime.record(performance.now() - this.#startedAt);
    if (status < HTTP_SERVER_ERROR) {
      host.counts.rqSuccess++;
    } else {
      host.counts.rqError++;
    }
    if (status === HTTP_TIMEOUT) {
      host.counts.rqTimeout++;
    }
  }
}

/** The first value of a name in flat pairs. */
function valueOf(pairs: readonly string[], name: string): string | undefined {
  for (let i = 0; i < pairs.length; i += 2) {
    if (pairs[i] === name) {
      return pairs[i + 1];
    }
  }
  return undefined;
}

function statusOf(text: string | undefined): number {
  if (text === undefined) {
    return Code.Unknown;
  }
  const status = /^\d{1,2}$/.test(text) ? Number(text) : INVALID_STATUS;
  return status <= LAST_STATUS ? status : INVALID_STATUS;
}

/** Source: grpc/doc/http-grpc-status-mapping.md. */
function statusOfHttp(status: number): number {
  switch (status) {
    case 400:
      return Code.Internal;
    case 401:
      return Code.Unauthenticated;
    case 403:
      return Code.PermissionDenied;
    case 404:
      return Code.Unimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return Code.Unavailable;
    default:
      return Code.Unknown;
  }
}

function resetText(reason: string): string {
  return `upstream connect error or disconnect/reset before headers. reset reason: ${reason}`;
}

/** At most eight digits and a unit, as gRPC has it. */
function timeoutText(ms: number): string {
  return ms <= 99_999_999 ? `${ms}m` : `${Math.ceil(ms / 1000)}S`;
}
