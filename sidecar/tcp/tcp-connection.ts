// One TCP connection from a client to an upstream: connect, then bytes both ways until both have ended or one has failed.
// Made by tcp-serving.ts for an accepted socket. Nothing is read from the client before there is an upstream connection.
// Source: Envoy's TcpProxy::Filter. Hot path: onRead, onUpstreamRead.
//
//   connecting ⇄ waiting to retry        connecting ─▶ open ─▶ closing ─▶ closed        (filters first, if there are any)
//                                        (closing: what is written still goes to the client, nothing is read any more)

import type { Socket } from "node:net";
import type { DeadlineOwner } from "../http/timer-wheel.ts";
import type { ConnectionInfo } from "../http/stream.ts";
import type { AcceptedConnection, ConnectionObserver } from "../listener/accepted-connection.ts";
import { stateText } from "../filter/filter-state.ts";
import { type ChainOwner, NetworkChain } from "./network-chain.ts";
import { TcpRecord, type TcpLogType } from "./tcp-record.ts";
import type { TcpServing } from "./tcp-serving.ts";
import { TcpSocket } from "./tcp-socket.ts";
import { TcpTimer, TcpTimers } from "./tcp-timers.ts";
import { UpstreamLeg, type UpstreamLegOwner } from "./upstream-leg.ts";

/** What plugins may decide for one connection, by the foreign function set_envoy_filter_state. */
const CLUSTER_STATE = "envoy.tcp_proxy.cluster";
const IDLE_TIMEOUT_STATE = "envoy.tcp_proxy.per_connection_idle_timeout_ms";
const MAX_TIMEOUT_MS = 2_147_483_647;

const EMPTY = new Uint8Array(0);

export class TcpConnection implements AcceptedConnection, UpstreamLegOwner, ChainOwner, DeadlineOwner {
  readonly openedAt = performance.now();
  readonly protocol = "";
  readonly facts: TcpRecord;
  readonly #serving: TcpServing;
  readonly #observer: ConnectionObserver;
  readonly #down: TcpSocket;
  /** Undefined without network filters: then bytes go straight from socket to socket. */
  readonly #chain: NetworkChain | undefined;
  readonly #timers: TcpTimers;
  #leg: UpstreamLeg | undefined = undefined;
  #state: "connecting" | "open" | "closing" | "closed" = "connecting";
  /** Moving a byte costs a store; whether the idle timeout is over is asked when its deadline comes. */
  #activeAt = this.openedAt;
  #unsentAtDeadline = 0;
  #idleTimeoutMs = 0;
  #isFlushing = false;
  /** Which side's end came last, when both have come. */
  #lastEnd: "local" | "remote" = "remote";

  constructor(socket: Socket, info: ConnectionInfo, serving: TcpServing, observer: ConnectionObserver) {
    this.#serving = serving;
    this.#observer = observer;
    this.facts = new TcpRecord(info, this.openedAt, serving.origin);
    const { stats } = serving;
    const socketStats = {
      txBytes: stats.cxTxBytes,
      pausedReading: stats.pausedReading,
      resumedReading: stats.resumedReading,
    };
    this.#timers = new TcpTimers(this, serving.environment.wheel);
    // A socket over an accepted handle reads from the start.
    socket.pause();
    this.#down = new TcpSocket(socket, this, serving.environment.writer, socketStats, serving.bufferLimitBytes);
    const { filters, bufferLimitBytes } = serving;
    this.#chain =
      filters.length === 0 ? undefined : new NetworkChain(filters, this, [bufferLimitBytes, bufferLimitBytes]);
  }

  start(): void {
    const { stats, proxy, environment } = this.#serving;
    stats.cxTotal.inc();
    this.#idleTimeoutMs = proxy.idleTimeoutMs;
    this.#timers.arm(TcpTimer.Idle, this.#idleTimeoutMs);
    const jitter = (environment.random() * proxy.maxDownstreamConnectionDurationJitterPercent) / 100;
    this.#timers.arm(TcpTimer.Duration, proxy.maxDownstreamConnectionDurationMs * (1 + jitter));
    this.#timers.arm(TcpTimer.Log, proxy.accessLogFlushIntervalMs);
    if (proxy.logsOnStart) {
      this.#log("TcpConnectionStart");
    }
    if (this.#chain === undefined) {
      this.#connect();
    } else {
      this.facts.trace = environment.tracing.begin(this.openedAt);
      this.#chain.begin();
    }
  }

  /** TCP has no good moment to end: connections live on until the drain time is over. See also `check_drain_close`. */
  drain(): void {}

  destroy(): void {
    this.#down.destroy();
    this.#finish("local", undefined);
    this.#leg?.destroy();
  }

  onRead(bytes: number): boolean {
    this.#serving.stats.cxRxBytes.add(bytes);
    if (this.#state === "open") {
      this.#activeAt = performance.now();
      const chunk = this.#serving.environment.readBuffer.subarray(0, bytes);
      if (this.#chain === undefined) {
        this.onDownstreamPassed(chunk, false);
      } else {
        this.#chain.downstream(chunk, false);
      }
      this.#checkDrain();
    }
    return true;
  }

  onUpstreamRead(bytes: number): void {
    if (this.#state === "open") {
      this.facts.responseBodyBytes += bytes;
      this.#activeAt = performance.now();
      const chunk = this.#serving.environment.readBuffer.subarray(0, bytes);
      if (this.#chain === undefined) {
        this.#down.write(chunk);
      } else {
        this.#chain.upstream(chunk, false);
      }
      this.#checkDrain();
    } else if (this.#state === "closed") {
      // There is nobody to give it to: as the kernel does for a socket that was closed.
      this.#leg?.destroy();
    }
  }

  onUpstreamConnected(leg: UpstreamLeg): void {
    const { facts } = this;
    this.#state = "open";
    this.#activeAt = performance.now();
    facts.upstreamSentAt = this.#activeAt;
    facts.upstreamLocalAddress = leg.localAddress;
    if (this.#serving.proxy.logsOnConnected) {
      this.#log("TcpUpstreamConnected");
    }
    this.#down.start();
  }

  onUpstreamFailed(_leg: UpstreamLeg, reason: string): void {
    this.facts.flag("UF");
    this.facts.upstreamFailure = reason;
    this.#leg = undefined;
    this.#retryOrGiveUp();
  }

  // ChainOwner

  onAdmitted(): void {
    const idleTimeout = this.#stateOf(IDLE_TIMEOUT_STATE);
    if (idleTimeout !== undefined) {
      this.#idleTimeoutMs = Math.min(Number(idleTimeout), MAX_TIMEOUT_MS);
      this.#timers.arm(TcpTimer.Idle, this.#idleTimeoutMs);
    }
    this.#connect();
  }

  onDownstreamPassed(bytes: Uint8Array, end: boolean): void {
    const leg = this.#leg;
    if (leg === undefined) {
      return;
    }
    if (bytes.length > 0) {
      this.facts.requestBodyBytes += bytes.length;
      leg.socket.write(bytes);
    }
    if (end) {
      leg.socket.end();
    }
  }

  onUpstreamPassed(bytes: Uint8Array, end: boolean): void {
    if (bytes.length > 0) {
      this.#down.write(bytes);
    }
    if (end) {
      this.#down.end();
    }
  }

  onDownstreamHeld(isFull: boolean): void {
    if (isFull) {
      this.#down.hold();
    } else {
      this.#down.release();
    }
  }

  onUpstreamHeld(isFull: boolean): void {
    const socket = this.#leg?.socket;
    if (isFull) {
      socket?.hold();
    } else {
      socket?.release();
    }
  }

  onFilterClose(): void {
    if (this.#state !== "closed") {
      this.#state = "closing";
      this.#down.closeSoon();
    }
  }

  // TcpSocketOwner, of both sides

  onBlocked(side: TcpSocket): void {
    if (side === this.#down) {
      this.#leg?.socket.hold();
    } else if (this.#state !== "closed") {
      this.#down.hold();
    }
  }

  onUnblocked(side: TcpSocket): void {
    this.#activeAt = performance.now();
    if (side === this.#down) {
      this.#leg?.socket.release();
    } else if (this.#state !== "closed") {
      this.#down.release();
    }
  }

  onPeerEnd(side: TcpSocket): void {
    this.#activeAt = performance.now();
    if (this.#state !== "open") {
      return;
    }
    if (side === this.#down) {
      this.#lastEnd = "remote";
      if (this.#chain === undefined) {
        this.#leg?.socket.end();
      } else {
        this.#chain.downstream(EMPTY, true);
      }
      return;
    }
    this.#lastEnd = "local";
    if (this.#chain === undefined) {
      this.#down.end();
    } else {
      this.#chain.upstream(EMPTY, true);
    }
  }

  onSocketClosed(side: TcpSocket, error: Error | undefined): void {
    if (side === this.#down) {
      this.#finish(this.#state === "closing" ? "local" : "remote", error);
      return;
    }
    this.#leg = undefined;
    if (this.#isFlushing) {
      this.#isFlushing = false;
      this.#serving.stats.flushActive.dec();
      this.#timers.cancelAll();
    }
    // Without an error both directions have ended, and the client's half ends by itself.
    if (this.#state === "open" && error !== undefined) {
      this.#state = "closing";
      if (isReset(error)) {
        this.facts.flag("UR");
        this.#down.reset();
      } else {
        this.#down.closeSoon();
      }
    }
  }

  onDeadline(kind: number): void {
    const { stats } = this.#serving;
    switch (kind) {
      case TcpTimer.Idle:
        this.#onIdleDeadline();
        return;
      case TcpTimer.Duration:
        this.facts.flag("DT");
        stats.maxDuration.inc();
        this.#abort();
        return;
      case TcpTimer.Retry:
        if (this.#state === "connecting") {
          this.#connect();
        }
        return;
      case TcpTimer.Log:
        this.#log("TcpPeriodic");
        this.#timers.arm(TcpTimer.Log, this.#serving.proxy.accessLogFlushIntervalMs);
    }
  }

  #connect(): void {
    const { clusters, stats, environment } = this.#serving;
    const { facts } = this;
    const cluster = clusters.get(this.#stateOf(CLUSTER_STATE) ?? this.#serving.pickCluster());
    if (cluster === undefined) {
      stats.cxNoRoute.inc();
      this.#giveUp("NC");
      return;
    }
    facts.clusterName = cluster.model.name;
    facts.cluster = cluster;
    const [breaker] = cluster.breakers;
    // Nobody waits for a connection of another one to end.
    if (!breaker.connections.available) {
      cluster.stats.cxOverflow.inc();
      this.#giveUp("UO");
      return;
    }
    const host = cluster.original === undefined ? cluster.choose() : cluster.original.choose(facts);
    if (host === undefined) {
      this.#giveUp("UH");
      return;
    }
    facts.attempts++;
    facts.host = host;
    facts.upstreamAskedAt = performance.now();
    if (!breaker.pendingRequests.available) {
      cluster.stats.rqPendingOverflow.inc();
      this.#retryOrGiveUp();
      return;
    }
    this.#leg = new UpstreamLeg(cluster, host, this, environment, facts.connection.source);
    facts.upstreamAddress = this.#leg.remoteAddress;
  }

  /** As in Envoy, weighted clusters are chosen by weight only. */
  #stateOf(key: string): string | undefined {
    if (this.#chain === undefined || (key === CLUSTER_STATE && this.#serving.proxy.clusters.length > 1)) {
      return undefined;
    }
    const state = this.facts.filterState.get(key);
    return state === undefined ? undefined : stateText(state);
  }

  #retryOrGiveUp(): void {
    const { proxy, environment, clusters } = this.#serving;
    if (this.#state === "closed") {
      return;
    }
    if (this.facts.attempts >= proxy.maxConnectAttempts) {
      clusters.get(this.facts.clusterName)?.stats.cxConnectAttemptsExceeded.inc();
      this.#giveUp("URX");
      return;
    }
    let delayMs = 1;
    if (proxy.backoff !== undefined) {
      const most = Math.min(proxy.backoff.maxMs, proxy.backoff.baseMs * 2 ** (this.facts.attempts - 1));
      delayMs = Math.max(1, environment.random() * most);
    }
    this.#timers.arm(TcpTimer.Retry, delayMs);
  }

  #giveUp(flag: string): void {
    this.facts.flag(flag);
    this.#abort();
  }

  /** Both sides close now. */
  #abort(): void {
    this.#down.destroy();
    this.#finish("local", undefined);
  }

  #onIdleDeadline(): void {
    const { stats } = this.#serving;
    const unsent = this.#down.unsent + (this.#leg?.socket.unsent ?? 0);
    // A peer that takes what was written, however slowly, is not idle.
    if (unsent < this.#unsentAtDeadline) {
      this.#activeAt = performance.now();
    }
    this.#unsentAtDeadline = unsent;
    const leftMs = this.#activeAt + this.#idleTimeoutMs - performance.now();
    if (leftMs > 0) {
      this.#timers.arm(TcpTimer.Idle, leftMs);
      return;
    }
    stats.idleTimeout.inc();
    if (this.#state === "closed") {
      this.#leg?.destroy();
    } else {
      this.#abort();
    }
  }

  #checkDrain(): void {
    if (this.#serving.proxy.checkDrainClose && this.#observer.closeChoice?.closes() === true) {
      this.#serving.stats.cxDrainClose.inc();
      this.#chain?.stop();
      this.#state = "closing";
      this.#down.closeSoon();
    }
  }

  /** The client's half is gone. What it had sent still goes to the upstream, unless it is us who ended it. */
  #finish(side: "local" | "remote", error: Error | undefined): void {
    if (this.#state === "closed") {
      return;
    }
    const wasOpen = this.#state === "open" || this.#state === "closing";
    this.#state = "closed";
    this.#timers.cancelAll();
    this.#chain?.close(side === "remote" && error === undefined ? this.#lastEnd : side);
    const leg = this.#leg;
    if (leg !== undefined) {
      if (!wasOpen || side === "local") {
        this.#leg = undefined;
        leg.destroy();
      } else if (isReset(error)) {
        leg.reset();
      } else {
        this.#flushUpstream(leg);
      }
    }
    this.facts.endedAt = performance.now();
    this.facts.accessLogType = "TcpConnectionEnd";
    this.#serving.accessLogs.end(this.facts);
    const { trace } = this.facts;
    if (trace !== undefined) {
      this.facts.trace = undefined;
      this.#serving.environment.tracing.finish(trace, this.facts);
    }
    this.#observer.onConnectionClosed(this);
  }

  #flushUpstream(leg: UpstreamLeg): void {
    const { stats } = this.#serving;
    if (leg.socket.unsent > 0) {
      this.#isFlushing = true;
      stats.flushTotal.inc();
      stats.flushActive.inc();
      this.#activeAt = performance.now();
      this.#timers.arm(TcpTimer.Idle, this.#idleTimeoutMs);
    }
    leg.closeSoon();
  }

  #log(type: TcpLogType): void {
    this.facts.accessLogType = type;
    this.#serving.accessLogs.log(this.facts);
  }
}

function isReset(error: Error | undefined): boolean {
  return error !== undefined && "code" in error && error.code === "ECONNRESET";
}
