// The connections to one host that come from clients' own addresses (listener filter original_src): those of one client are not
// another's. Owned by a Host; empty, and not even made, where addresses are not kept.

import type { UpstreamSource } from "../http/stream.ts";
import type { StreamPool } from "../upstream/stream-pool.ts";

/** Pools of one host; the oldest ones without connections go first. */
const MAX_POOLS = 1024;

export class SourcePools {
  readonly #create: (source: UpstreamSource) => StreamPool;
  readonly #pools = new Map<string, StreamPool>();

  constructor(create: (source: UpstreamSource) => StreamPool) {
    this.#create = create;
  }

  get isEmpty(): boolean {
    return [...this.#pools.values()].every((pool) => pool.isEmpty);
  }

  of(source: UpstreamSource): StreamPool {
    const key = source.port === 0 ? source.host : `${source.host} ${source.port}`;
    let pool = this.#pools.get(key);
    if (pool === undefined) {
      if (this.#pools.size >= MAX_POOLS) {
        this.#makeRoom();
      }
      pool = this.#create(source);
      this.#pools.set(key, pool);
    }
    return pool;
  }

  each(act: (pool: StreamPool) => void): void {
    this.#pools.forEach(act);
  }

  #makeRoom(): void {
    for (const [key, pool] of this.#pools) {
      if (pool.isEmpty) {
        this.#pools.delete(key);
      }
    }
    const [oldest] = this.#pools;
    if (oldest !== undefined && this.#pools.size >= MAX_POOLS) {
      // What is under way on it still finishes.
      this.#pools.delete(oldest[0]);
      oldest[1].drain();
    }
  }
}
