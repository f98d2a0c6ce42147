// The upstream half of one proxied TCP connection: dials the chosen host, counts on its cluster, and is a TcpSocket then.
// Made by tcp-connection.ts for each attempt. It may outlive the client's half while it sends what is left.
//
//   connecting ─▶ open ─▶ closed          connecting ─▶ closed (onUpstreamFailed)

import type { Host } from "../cluster/host.ts";
import type { LiveCluster } from "../cluster/cluster.ts";
import { Deadline, type DeadlineOwner, type TimerWheel } from "../http/timer-wheel.ts";
import type { UpstreamSource } from "../http/stream.ts";
import { addressText } from "../upstream/address-text.ts";
import { dial } from "../upstream/connect.ts";
import type { ConnectionTracing } from "./connection-tracing.ts";
import type { ChunkWriter } from "./chunk-writer.ts";
import { TcpSocket, type TcpSocketOwner } from "./tcp-socket.ts";

/** Things of the worker that connections use. */
export interface TcpEnvironment {
  readonly wheel: TimerWheel;
  readonly readBuffer: Buffer;
  readonly writer: ChunkWriter;
  /** In [0, 1). */
  readonly random: () => number;
  /** For connections with plugins. */
  readonly tracing: ConnectionTracing;
}

/** Besides these, the leg's socket tells of its events by TcpSocketOwner. */
export interface UpstreamLegOwner extends TcpSocketOwner {
  onUpstreamConnected(leg: UpstreamLeg): void;
  /** No connection; `reason` as Envoy words it. Last call. */
  onUpstreamFailed(leg: UpstreamLeg, reason: string): void;
  /** `bytes` have been read into the start of the worker's buffer. */
  onUpstreamRead(bytes: number): void;
}

export class UpstreamLeg implements TcpSocketOwner, DeadlineOwner {
  readonly cluster: LiveCluster;
  readonly host: Host;
  readonly remoteAddress: string;
  localAddress = "";
  readonly socket: TcpSocket;
  readonly #owner: UpstreamLegOwner;
  readonly #environment: TcpEnvironment;
  readonly #deadline = new Deadline(this, 0);
  readonly #startedAt = performance.now();
  #state: "connecting" | "open" | "closed" = "connecting";
  #closedBy: "local" | "remote" = "remote";

  constructor(
    cluster: LiveCluster,
    host: Host,
    owner: UpstreamLegOwner,
    environment: TcpEnvironment,
    source: UpstreamSource | undefined,
  ) {
    this.cluster = cluster;
    this.host = host;
    this.remoteAddress = addressText(host.address);
    this.#owner = owner;
    this.#environment = environment;
    this.#countBegun();
    const { perConnectionBufferLimitBytes: limit, connectTimeoutMs, tcpKeepAliveMs } = cluster.model;
    const socket = dial(host.address, {
      readBuffer: environment.readBuffer,
      bufferLimitBytes: limit,
      onRead: (bytes) => this.#onRead(bytes),
      allowHalfOpen: true,
      keepAliveMs: tcpKeepAliveMs,
      bind: cluster.model.bind,
      source,
    });
    const { stats } = cluster;
    const socketStats = {
      txBytes: stats.cxTxBytes,
      pausedReading: stats.flowControlPausedReading,
      resumedReading: stats.flowControlResumedReading,
    };
    this.socket = new TcpSocket(socket, this, environment.writer, socketStats, limit);
    socket.on("connect", () => this.#onConnect(socket.localAddress, socket.localPort));
    environment.wheel.arm(this.#deadline, connectTimeoutMs);
  }

  get isConnecting(): boolean {
    return this.#state === "connecting";
  }

  /** Sends what is written, then closes. */
  closeSoon(): void {
    this.#closedBy = "local";
    this.socket.closeSoon();
  }

  /** Closes now; while connecting, without a further call. */
  destroy(): void {
    this.#closedBy = "local";
    if (this.#state === "connecting") {
      this.#state = "closed";
      this.#environment.wheel.cancel(this.#deadline);
      this.cluster.stats.rqCancelled.inc();
      this.#countPendingOver();
      this.#countClosed();
    }
    this.socket.destroy();
  }

  /** Closes so that the upstream sees an error. */
  reset(): void {
    this.#closedBy = "local";
    this.socket.reset();
  }

  onDeadline(): void {
    if (this.#state === "connecting") {
      this.cluster.stats.cxConnectTimeout.inc();
      this.#closedBy = "local";
      this.#fail("connection timeout");
      this.socket.destroy();
    }
  }

  // TcpSocketOwner

  onBlocked(side: TcpSocket): void {
    this.cluster.stats.flowControlBackedUp.inc();
    this.#owner.onBlocked(side);
  }

  onUnblocked(side: TcpSocket): void {
    this.cluster.stats.flowControlDrained.inc();
    this.#owner.onUnblocked(side);
  }

  onPeerEnd(side: TcpSocket): void {
    if (this.#state === "open") {
      this.#owner.onPeerEnd(side);
    }
  }

  onSocketClosed(side: TcpSocket, error: Error | undefined): void {
    if (this.#state === "connecting") {
      this.#fail(reasonOf(error));
    } else if (this.#state === "open") {
      this.#state = "closed";
      const { stats, breakers } = this.cluster;
      this.host.counts.rqActive--;
      stats.rqActive.dec();
      breakers[0].requests.dec();
      stats.cxDestroyWithActiveRq.inc();
      (this.#closedBy === "local" ? stats.cxDestroyLocalWithActiveRq : stats.cxDestroyRemoteWithActiveRq).inc();
      this.#countClosed();
      this.#owner.onSocketClosed(side, error);
    }
  }

  #onConnect(address: string | undefined, port: number | undefined): void {
    if (this.#state !== "connecting") {
      return;
    }
    this.#state = "open";
    this.#environment.wheel.cancel(this.#deadline);
    if (address !== undefined && port !== undefined) {
      this.localAddress = addressText({ kind: "tcp", host: address, port });
    }
    const { stats, breakers } = this.cluster;
    stats.cxConnectMs.record(performance.now() - this.#startedAt);
    this.#countPendingOver();
    stats.rqTotal.inc();
    stats.rqActive.inc();
    this.host.counts.rqTotal++;
    this.host.counts.rqActive++;
    breakers[0].requests.inc();
    this.#owner.onUpstreamConnected(this);
  }

  #onRead(bytes: number): boolean {
    this.cluster.stats.cxRxBytes.add(bytes);
    this.#owner.onUpstreamRead(bytes);
    return true;
  }

  #fail(reason: string): void {
    this.#state = "closed";
    this.#environment.wheel.cancel(this.#deadline);
    this.cluster.stats.cxConnectFail.inc();
    this.host.counts.cxConnectFail++;
    this.cluster.stats.rqPendingFailureEject.inc();
    this.#countPendingOver();
    this.#countClosed();
    this.#owner.onUpstreamFailed(this, reason);
  }

  #countBegun(): void {
    const { stats, breakers } = this.cluster;
    const { counts } = this.host;
    stats.cxTotal.inc();
    stats.cxActive.inc();
    counts.cxTotal++;
    counts.cxActive++;
    breakers[0].connections.inc();
    stats.rqPendingTotal.inc();
    stats.rqPendingActive.inc();
    counts.rqPending++;
    breakers[0].pendingRequests.inc();
  }

  #countPendingOver(): void {
    this.cluster.stats.rqPendingActive.dec();
    this.host.counts.rqPending--;
    this.cluster.breakers[0].pendingRequests.dec();
  }

  #countClosed(): void {
    const { stats, breakers } = this.cluster;
    stats.cxActive.dec();
    this.host.counts.cxActive--;
    breakers[0].connections.dec();
    stats.cxLengthMs.record(performance.now() - this.#startedAt);
    stats.cxDestroy.inc();
    (this.#closedBy === "local" ? stats.cxDestroyLocal : stats.cxDestroyRemote).inc();
  }
}

function reasonOf(error: Error | undefined): string {
  const code = error !== undefined && "code" in error ? String(error.code) : "";
  return code === "ECONNREFUSED"
    ? "delayed connect error: Connection refused"
    : (error?.message ?? "connection closed");
}
