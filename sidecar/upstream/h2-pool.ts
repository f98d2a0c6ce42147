// The HTTP/2 session of one worker to one host: opened by the first who asks, shared by all, closed when it has been idle for
// long or its host is gone. Over Node's own HTTP/2 client, which is loaded with the first session: it takes memory, and only
// gRPC calls of plugins need it. Owned by plugin-grpc.ts. Counts as a pool does (pool-stats.ts); limits as Envoy's.
//
//   acquire ─▶ connecting ─▶ ready ─▶ draining (GOAWAY, drain) ─▶ closed

import { createRequire } from "node:module";
import { connect, type Socket } from "node:net";
import type http2 from "node:http2";
import type { Address } from "../../xds/model/address.ts";
import type { Counter } from "../stats/scope.ts";
import type { PoolSettings } from "./pool.ts";
import type { PoolStats } from "./pool-stats.ts";
import type { HostCounts, PoolLimits } from "./stream-pool.ts";

const load = createRequire(import.meta.url);

/** Bytes that the peer may send ahead on a stream; what comes is handled as it is read. */
const WINDOW_BYTES = 1024 * 1024;
/** Above what callers may have waiting to be sent: a session that holds more refuses the answers of its own streams. */
const SESSION_MEMORY_MB = 256;
/** Longest delay that Node's timers take. */
const MAX_TIMER_MS = 0x7fff_ffff;

/** Why there is no session, in Envoy's words. */
export type SessionFailure = "remote connection failure" | "connection timeout" | "overflow";

export interface SessionWaiter {
  onSession(session: H2Session): void;
  onSessionFailure(reason: SessionFailure): void;
}

export interface H2Context {
  readonly settings: Pick<PoolSettings, "connectTimeoutMs" | "idleTimeoutMs">;
  readonly stats: PoolStats;
  /** `upstream_cx_http2_total`. */
  readonly opened: Counter;
  readonly limits: PoolLimits;
  readonly counts: HostCounts;
  readonly address: () => Address;
}

export class H2Pool {
  readonly #context: H2Context;
  readonly #waiting = new Set<SessionWaiter>();
  readonly #sessions = new Set<H2Session>();
  /** The one that takes new streams, perhaps still connecting. */
  #current: H2Session | undefined = undefined;

  constructor(context: H2Context) {
    this.#context = context;
  }

  /** Gives the waiter a session, at once when there is one. Otherwise it hears later, unless it cancels. */
  acquire(waiter: SessionWaiter): void {
    const { stats, counts, limits } = this.#context;
    if (this.#current?.isReady === true) {
      waiter.onSession(this.#current);
      return;
    }
    if (!limits.pendingRequests.available) {
      stats.rqPendingOverflow.inc();
      waiter.onSessionFailure("overflow");
      return;
    }
    this.#waiting.add(waiter);
    limits.pendingRequests.inc();
    stats.rqPendingTotal.inc();
    stats.rqPendingActive.inc();
    counts.rqPending++;
    this.#current ??= this.#open();
  }

  /** Forgets a waiter that has not been answered. */
  cancel(waiter: SessionWaiter): void {
    if (this.#unqueue(waiter)) {
      this.#context.stats.rqCancelled.inc();
    }
  }

  /** Takes no new streams any more; what is under way ends by itself. */
  drain(): void {
    this.#current = undefined;
    for (const session of this.#sessions) {
      session.drain();
    }
  }

  /** Closes everything now. */
  dispose(): void {
    for (const session of this.#sessions) {
      session.destroy();
    }
  }

  #open(): H2Session {
    const { stats, counts, limits } = this.#context;
    if (!limits.connections.available) {
      // As Envoy: counted, and opened all the same where the host has none, or nothing could ever be served.
      stats.cxOverflow.inc();
    }
    limits.connections.inc();
    stats.cxTotal.inc();
    stats.cxActive.inc();
    this.#context.opened.inc();
    counts.cxTotal++;
    counts.cxActive++;
    const session: H2Session = new H2Session(this.#context, {
      onReady: () => this.#answer((waiter) => waiter.onSession(session)),
      onConnectFailed: (reason) => {
        this.#leave(session);
        counts.cxConnectFail++;
        stats.cxConnectFail.inc();
        this.#answer((waiter) => {
          stats.rqPendingFailureEject.inc();
          waiter.onSessionFailure(reason);
        });
      },
      onDraining: () => this.#leave(session),
      onClosed: () => {
        this.#leave(session);
        if (this.#sessions.delete(session)) {
          limits.connections.dec();
          stats.cxActive.dec();
          counts.cxActive--;
        }
      },
    });
    this.#sessions.add(session);
    return session;
  }

  #leave(session: H2Session): void {
    if (this.#current === session) {
      this.#current = undefined;
    }
  }

  #answer(tell: (waiter: SessionWaiter) => void): void {
    for (const waiter of Array.from(this.#waiting)) {
      if (this.#unqueue(waiter)) {
        tell(waiter);
      }
    }
  }

  #unqueue(waiter: SessionWaiter): boolean {
    if (!this.#waiting.delete(waiter)) {
      return false;
    }
    const { stats, counts, limits } = this.#context;
    limits.pendingRequests.dec();
    stats.rqPendingActive.dec();
    counts.rqPending--;
    return true;
  }
}

interface SessionOwner {
  onReady(): void;
  /** `onClosed` follows. */
  onConnectFailed(reason: SessionFailure): void;
  onDraining(): void;
  onClosed(): void;
}

export class H2Session {
  readonly #context: H2Context;
  readonly #owner: SessionOwner;
  readonly #socket: Socket;
  readonly #openedAt = performance.now();
  #timer: NodeJS.Timeout;
  #session: http2.ClientHttp2Session | undefined = undefined;
  #state: "connecting" | "ready" | "draining" | "closed" = "connecting";
  #streams = 0;
  #isOurEnd = false;
  #received = 0;
  #sent = 0;
  #hasProtocolError = false;

  constructor(context: H2Context, owner: SessionOwner) {
    this.#context = context;
    this.#owner = owner;
    const address = context.address();
    this.#socket = connect(
      address.kind === "pipe" ? { path: address.path } : { host: address.host, port: address.port, noDelay: true },
    );
    this.#timer = this.#after(context.settings.connectTimeoutMs, () => this.#onConnectTimeout());
    this.#socket.once("connect", () => this.#onConnect());
    // An error that nobody listens to would end the worker; `close` follows.
    this.#socket.on("error", () => {});
    this.#socket.once("close", () => this.#onClosed());
  }

  get isReady(): boolean {
    return this.#state === "ready";
  }

  /** Opens a stream; throws what Node throws when the head cannot be sent. */
  request(head: readonly string[]): http2.ClientHttp2Stream {
    const session = this.#session as http2.ClientHttp2Session;
    const stream = session.request(head);
    this.#streams++;
    clearTimeout(this.#timer);
    stream.once("close", () => this.#onStreamClosed());
    return stream;
  }

  /** Why a stream ended with `error`, in Envoy's words, when it was with its connection; "" when it was reset alone. */
  lossOf(error: NodeJS.ErrnoException | undefined): string {
    if (error !== undefined && isProtocolError(error)) {
      return "protocol error";
    }
    const isLost = this.#socket.destroyed || this.#session?.destroyed === true;
    return isLost ? (this.#isOurEnd ? "local connection failure" : "connection termination") : "";
  }

  drain(): void {
    if (this.#state === "connecting") {
      this.destroy();
    } else if (this.#state === "ready") {
      this.#isOurEnd = true;
      this.#startDraining();
    }
  }

  destroy(): void {
    this.#isOurEnd = true;
    this.#session?.destroy();
    this.#socket.destroy();
  }

  #onConnect(): void {
    clearTimeout(this.#timer);
    this.#context.stats.cxConnectMs.record(performance.now() - this.#openedAt);
    const { connect: connectSession } = load("node:http2") as typeof http2;
    const session = connectSession("http://upstream", {
      createConnection: () => this.#socket,
      settings: { enablePush: false, initialWindowSize: WINDOW_BYTES },
      maxSessionMemory: SESSION_MEMORY_MB,
    });
    this.#session = session;
    session.on("error", (error: NodeJS.ErrnoException) => {
      if (isProtocolError(error) && !this.#hasProtocolError) {
        this.#hasProtocolError = true;
        this.#context.stats.cxProtocolError.inc();
      }
    });
    session.once("goaway", () => this.#onGoaway());
    session.once("close", () => this.#onClosed());
    this.#state = "ready";
    this.#owner.onReady();
    if (this.#streams === 0) {
      this.#armIdle();
    }
  }

  #onConnectTimeout(): void {
    this.#context.stats.cxConnectTimeout.inc();
    this.#isOurEnd = true;
    this.#failConnect("connection timeout");
    this.#socket.destroy();
  }

  #failConnect(reason: SessionFailure): void {
    this.#state = "closed";
    this.#owner.onConnectFailed(reason);
    this.#owner.onClosed();
  }

  #onGoaway(): void {
    this.#context.stats.cxCloseNotify.inc();
    if (this.#state === "ready") {
      this.#startDraining();
    }
  }

  #startDraining(): void {
    this.#state = "draining";
    this.#owner.onDraining();
    this.#closeWhenUnused();
  }

  /** Not by a half-close: the peer might never close the other one. */
  #closeWhenUnused(): void {
    if (this.#streams === 0) {
      this.destroy();
    }
  }

  #onStreamClosed(): void {
    this.#countBytes();
    this.#streams--;
    if (this.#state === "draining") {
      this.#closeWhenUnused();
    } else if (this.#streams === 0 && this.#state === "ready") {
      this.#armIdle();
    }
  }

  #armIdle(): void {
    clearTimeout(this.#timer);
    const ms = this.#context.settings.idleTimeoutMs;
    if (ms > 0) {
      this.#timer = this.#after(ms, () => {
        this.#context.stats.cxIdleTimeout.inc();
        this.drain();
      });
    }
  }

  #onClosed(): void {
    clearTimeout(this.#timer);
    if (this.#state === "closed") {
      return;
    }
    const stats = this.#context.stats;
    stats.cxDestroy.inc();
    (this.#isOurEnd ? stats.cxDestroyLocal : stats.cxDestroyRemote).inc();
    if (this.#state === "connecting") {
      this.#failConnect("remote connection failure");
      return;
    }
    this.#state = "closed";
    if (this.#streams > 0) {
      stats.cxDestroyWithActiveRq.inc();
      (this.#isOurEnd ? stats.cxDestroyLocalWithActiveRq : stats.cxDestroyRemoteWithActiveRq).inc();
    }
    this.#countBytes();
    stats.cxLengthMs.record(performance.now() - this.#openedAt);
    this.#session?.destroy();
    this.#owner.onClosed();
  }

  #countBytes(): void {
    const { bytesRead, bytesWritten } = this.#socket;
    this.#context.stats.cxRxBytes.add(bytesRead - this.#received);
    this.#context.stats.cxTxBytes.add(bytesWritten - this.#sent);
    this.#received = bytesRead;
    this.#sent = bytesWritten;
  }

  #after(ms: number, run: () => void): NodeJS.Timeout {
    return setTimeout(run, Math.min(ms, MAX_TIMER_MS)).unref();
  }
}

/** What Node says of a session whose peer does not speak HTTP/2, or breaks its rules. */
function isProtocolError(error: NodeJS.ErrnoException): boolean {
  return error.code === "ERR_HTTP2_ERROR" || error.code === "ERR_HTTP2_SESSION_ERROR";
}
