// One upstream host of a cluster on one worker. host-set.ts makes it, once for each address, and changes it in place;
// balancers pick it, the proxy asks its pool for a stream.

import type { Address } from "../../xds/model/address.ts";
import type { Endpoint, HealthStatus, Locality, SocketMatch } from "../../xds/model/endpoints.ts";
import { createHostCounts } from "../upstream/stream-pool.ts";
import type { HostCounts, StreamPool } from "../upstream/stream-pool.ts";
import type { UpstreamSource } from "../http/stream.ts";
import { SourcePools } from "./source-pools.ts";

/** `healthy`, `degraded` (used when the healthy ones do not suffice) or `unhealthy` (used in panic only). */
export type HostAvailability = "healthy" | "degraded" | "unhealthy";

export class Host {
  /** What identifies the host across updates: its address, or the DNS name of a LOGICAL_DNS cluster. */
  readonly key: string;
  /** Everything else follows the latest update. */
  address: Address;
  hostname: string;
  health: HealthStatus;
  /** At least 1. */
  weight: number;
  priority: number;
  locality: Locality;
  metadata: Uint8Array | undefined;
  socketMatch: SocketMatch | undefined;
  localityMetadata: Uint8Array | undefined;
  readonly counts: HostCounts = createHostCounts();
  readonly pool: StreamPool;
  readonly #createPool: PoolFactory;
  #bySource: SourcePools | undefined = undefined;

  constructor(
    key: string,
    endpoint: Endpoint,
    place: {
      readonly priority: number;
      readonly locality: Locality;
      readonly metadata: Uint8Array | undefined;
    },
    createPool: PoolFactory,
  ) {
    this.key = key;
    this.address = endpoint.address;
    this.hostname = endpoint.hostname;
    this.health = endpoint.health;
    this.weight = endpoint.weight;
    this.priority = place.priority;
    this.locality = place.locality;
    this.metadata = endpoint.metadata;
    this.socketMatch = endpoint.socketMatch;
    this.localityMetadata = place.metadata;
    this.#createPool = createPool;
    this.pool = createPool(this, undefined);
  }

  /** The pool of connections that come from `source`, the client's own address. */
  poolFrom(source: UpstreamSource): StreamPool {
    this.#bySource ??= new SourcePools((each) => this.#createPool(this, each));
    return this.#bySource.of(source);
  }

  /** Without connections, and nobody waits for one. */
  get isEmpty(): boolean {
    return this.pool.isEmpty && this.#bySource?.isEmpty !== false;
  }

  /** For each of its pools. */
  eachPool(act: (pool: StreamPool) => void): void {
    act(this.pool);
    this.#bySource?.each(act);
  }

  get availability(): HostAvailability {
    return availabilityOf(this.health);
  }
}

/** Makes the pool of a new host. `host.pool` is not there yet when it runs. */
export type PoolFactory = (host: Host, source: UpstreamSource | undefined) => StreamPool;

/** Envoy's reading of EDS health: DRAINING and TIMEOUT count as unhealthy, UNKNOWN as healthy. */
export function availabilityOf(health: HealthStatus): HostAvailability {
  switch (health) {
    case "unknown":
    case "healthy":
      return "healthy";
    case "degraded":
      return "degraded";
    case "unhealthy":
    case "draining":
    case "timeout":
      return "unhealthy";
  }
}
