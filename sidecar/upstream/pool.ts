// The HTTP/1 connections of one worker to one host: reuse (latest first), limits, waiting requests, drain.
// Owned by a cluster's Host; proxy.ts acquires streams from it; connection.ts reports to it through ConnectionOwner.
// Source: Envoy's ConnPoolImplBase for limits and statistics. Hot path: `acquire` with an idle connection, `onIdle`.
//
//   acquire ─▶ idle connection? ─▶ onPoolReady           connection: connecting ─▶ busy ⇄ idle
//           └▶ pending, perhaps a new connection                          └──────▶ closed ◀┘

import type { Address } from "../../xds/model/address.ts";
import type { Cluster } from "../../xds/model/cluster.ts";
import { ProxyError } from "../errors.ts";
import type { StreamWaiter, UpstreamSource } from "../http/stream.ts";
import type { TimerWheel } from "../http/timer-wheel.ts";
import type { Counter } from "../stats/scope.ts";
import { addressText } from "./address-text.ts";
import { ClientConnection } from "./connection.ts";
import type { ConnectionOwner } from "./connection.ts";
import type { PoolStats } from "./pool-stats.ts";
import type { HostCounts, PoolLimits, RoutePriority, StreamPool } from "./stream-pool.ts";

/** Settings of the cluster that connections follow. */
export type PoolSettings = Pick<
  Cluster,
  | "bind"
  | "connectTimeoutMs"
  | "perConnectionBufferLimitBytes"
  | "idleTimeoutMs"
  | "maxRequestsPerConnection"
  | "maxResponseHeadersBytes"
  | "maxResponseHeadersCount"
  | "tcpKeepAliveMs"
>;

/** What all pools of a cluster share. */
export interface PoolContext {
  readonly settings: PoolSettings;
  readonly stats: PoolStats;
  /** By route priority. */
  readonly limits: readonly [PoolLimits, PoolLimits];
  readonly wheel: TimerWheel;
  /** What the worker's upstream sockets read into; it holds one read at a time. */
  readonly readBuffer: Buffer;
  /** The client's address that all connections come from; undefined: as the settings say. */
  readonly source: UpstreamSource | undefined;
}

interface PendingRequest {
  readonly waiter: StreamWaiter;
  readonly priority: RoutePriority;
  readonly fresh: boolean;
}

export class ConnectionPool implements StreamPool, ConnectionOwner {
  readonly #context: PoolContext;
  readonly #counts: HostCounts;
  #address: Address;
  #addressText: string;
  // The end is the one used last: it is the warmest, and those at the front get to time out.
  readonly #idle: ClientConnection[] = [];
  readonly #all = new Set<ClientConnection>();
  #connecting = 0;
  // Oldest first. A Map keeps the order and cancels in O(1).
  readonly #pending = new Map<StreamWaiter, PendingRequest>();
  #isDraining = false;

  /** Opens nothing until somebody acquires. */
  constructor(address: Address, counts: HostCounts, context: PoolContext) {
    this.#address = address;
    this.#addressText = addressText(address);
    this.#counts = counts;
    this.#context = context;
  }

  get isEmpty(): boolean {
    return this.#all.size === 0 && this.#pending.size === 0;
  }

  acquire(waiter: StreamWaiter, priority: RoutePriority = 0, fresh = false): void {
    const limits = this.#context.limits[priority];
    if (!fresh && this.#idle.length > 0) {
      if (limits.requests.available) {
        this.#attach(this.#idle.pop() as ClientConnection, waiter, priority);
      } else {
        refuse(waiter, this.#context.stats.rqActiveOverflow);
      }
      return;
    }
    if (!limits.pendingRequests.available) {
      refuse(waiter, this.#context.stats.rqPendingOverflow);
      return;
    }
    this.#pending.set(waiter, { waiter, priority, fresh });
    this.#counts.rqPending++;
    limits.pendingRequests.inc();
    this.#context.stats.rqPendingTotal.inc();
    this.#context.stats.rqPendingActive.inc();
    this.#connectIfNeeded(priority, fresh);
  }

  cancel(waiter: StreamWaiter): boolean {
    const request = this.#pending.get(waiter);
    if (request === undefined) {
      return false;
    }
    this.#unqueue(request);
    this.#context.stats.rqCancelled.inc();
    return true;
  }

  redirect(address: Address): void {
    this.#address = address;
    this.#addressText = addressText(address);
  }

  drain(): void {
    this.#isDraining = true;
    for (const connection of this.#idle.splice(0)) {
      connection.close();
    }
  }

  dispose(): void {
    this.#isDraining = true;
    this.#failPending(new ProxyError("upstream_connect_failure", "proxy", "Cluster removed", { retryable: true }));
    for (const connection of Array.from(this.#all)) {
      connection.close();
    }
  }

  // ConnectionOwner

  onConnected(connection: ClientConnection): void {
    this.#connecting--;
    this.onIdle(connection);
  }

  onIdle(connection: ClientConnection): void {
    const request = this.#nextFor(connection);
    if (request !== undefined) {
      this.#unqueue(request);
      this.#attach(connection, request.waiter, request.priority);
    } else if (this.#isDraining || this.#pending.size > this.#connecting) {
      // In the second case those who wait want a fresh connection, and this one may be what stands in its way.
      connection.close();
    } else {
      this.#idle.push(connection);
      connection.armIdle();
    }
  }

  onConnectFailed(connection: ClientConnection, error: ProxyError): void {
    this.#connecting--;
    this.#counts.cxConnectFail++;
    this.#forget(connection);
    // As Envoy: everyone who waits hears of it, so that retries can go to another host.
    this.#failPending(error);
  }

  onClosed(connection: ClientConnection, wasConnecting: boolean): void {
    if (wasConnecting) {
      this.#connecting--;
    }
    const index = this.#idle.lastIndexOf(connection);
    if (index >= 0) {
      this.#idle.splice(index, 1);
    }
    this.#forget(connection);
    for (const request of this.#pending.values()) {
      // Somebody waits because of max_connections, perhaps, and there is room now.
      this.#connectIfNeeded(request.priority, false);
      return;
    }
  }

  onStreamEnd(priority: RoutePriority): void {
    this.#counts.rqActive--;
    this.#context.stats.rqActive.dec();
    this.#context.limits[priority].requests.dec();
  }

  #attach(connection: ClientConnection, waiter: StreamWaiter, priority: RoutePriority): void {
    const { stats } = this.#context;
    this.#context.limits[priority].requests.inc();
    stats.rqTotal.inc();
    stats.rqActive.inc();
    this.#counts.rqTotal++;
    this.#counts.rqActive++;
    connection.begin(waiter, priority);
  }

  // The oldest request that `connection` may serve. Requests for which the circuit breaker has no room fail on the way.
  #nextFor(connection: ClientConnection): PendingRequest | undefined {
    if (this.#pending.size === 0) {
      return undefined;
    }
    for (const request of this.#pending.values()) {
      if (!this.#context.limits[request.priority].requests.available) {
        this.#unqueue(request);
        refuse(request.waiter, this.#context.stats.rqActiveOverflow);
      } else if (!request.fresh || connection.isFresh) {
        return request;
      }
    }
    return undefined;
  }

  // Each connection on its way serves one of those who wait, so there is never a need for more than that.
  #connectIfNeeded(priority: RoutePriority, fresh: boolean): void {
    if (!fresh && this.#connecting >= this.#pending.size) {
      return;
    }
    const { stats } = this.#context;
    const { connections } = this.#context.limits[priority];
    if (!connections.available) {
      stats.cxOverflow.inc();
      this.#idle.at(-1)?.close();
      // Other hosts may hold all of the cluster's connections: without one of its own, nothing here could ever be served.
      if (this.#all.size > 0) {
        return;
      }
    }
    connections.inc();
    stats.cxTotal.inc();
    stats.cxHttp1Total.inc();
    stats.cxActive.inc();
    this.#counts.cxTotal++;
    this.#counts.cxActive++;
    this.#connecting++;
    const connection = new ClientConnection(this.#address, this.#addressText, priority, this, this.#context);
    this.#all.add(connection);
    connection.connect();
  }

  #forget(connection: ClientConnection): void {
    if (this.#all.delete(connection)) {
      this.#counts.cxActive--;
      this.#context.stats.cxActive.dec();
      this.#context.limits[connection.priority].connections.dec();
    }
  }

  #unqueue(request: PendingRequest): void {
    this.#pending.delete(request.waiter);
    this.#counts.rqPending--;
    this.#context.limits[request.priority].pendingRequests.dec();
    this.#context.stats.rqPendingActive.dec();
  }

  #failPending(error: ProxyError): void {
    // A waiter may acquire again at once: that request is not one of these.
    for (const request of Array.from(this.#pending.values())) {
      if (this.#pending.get(request.waiter) === request) {
        this.#unqueue(request);
        this.#context.stats.rqPendingFailureEject.inc();
        request.waiter.onPoolFailure(error);
      }
    }
  }
}

function refuse(waiter: StreamWaiter, counter: Counter): void {
  counter.inc();
  waiter.onPoolFailure(new ProxyError("upstream_overflow", "proxy", "Circuit breaker is open"));
}
