// What a cluster needs of the connections to one host, whatever the protocol. Implemented by pool.ts (HTTP/1).
// Types, and the plain record of counts.

import type { Address } from "../../xds/model/address.ts";
import type { StreamWaiter } from "../http/stream.ts";

/** Priority of a route, which chooses the circuit breaker: Envoy's DEFAULT and HIGH. */
export type RoutePriority = 0 | 1;

export interface StreamPool {
  /** True when it has no connection and nobody waits for one. */
  readonly isEmpty: boolean;
  /**
   * Gives `waiter` a stream, at once when an idle connection is there. `fresh` asks for a connection that has served
   * nothing yet, for the retry after a stale one. Never fails because the pool is draining: a push must not fail a request.
   */
  acquire(waiter: StreamWaiter, priority?: RoutePriority, fresh?: boolean): void;
  /** Forgets a waiter that has not been answered yet; false when it has. No call reaches it afterwards. */
  cancel(waiter: StreamWaiter): boolean;
  /** New connections go to `address` from now on; the present ones stay (LOGICAL_DNS). */
  redirect(address: Address): void;
  /** Keeps no idle connection any more: idle ones close now, busy ones after their response. */
  drain(): void;
  /** Closes everything now; streams and waiters get a reset. */
  dispose(): void;
}

/** Numbers of one host on this worker, as Envoy's `/clusters` shows them. The pool counts, the last three are the proxy's. */
export interface HostCounts {
  cxTotal: number;
  cxActive: number;
  cxConnectFail: number;
  rqTotal: number;
  rqActive: number;
  /** Waiting for a connection. */
  rqPending: number;
  rqSuccess: number;
  rqError: number;
  rqTimeout: number;
}

export function createHostCounts(): HostCounts {
  return {
    cxTotal: 0,
    cxActive: 0,
    cxConnectFail: 0,
    rqTotal: 0,
    rqActive: 0,
    rqPending: 0,
    rqSuccess: 0,
    rqError: 0,
    rqTimeout: 0,
  };
}

/** One limit of a circuit breaker, for instance the cluster's connections. Implemented by cluster/breaker.ts. */
export interface LimitedResource {
  /** True while one more may be made. */
  readonly available: boolean;
  inc(): void;
  dec(): void;
}

/** The circuit breaker of one cluster and priority on this worker. */
export interface PoolLimits {
  readonly connections: LimitedResource;
  readonly pendingRequests: LimitedResource;
  readonly requests: LimitedResource;
}
