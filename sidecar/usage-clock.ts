// When each version of each resource came into use on every worker, for /xds and the propagation histogram.
// supervisor.ts notes what a snapshot changed and what workers report. Resources wait in a short list, not in a scan.

/** One resource's version on its way into use. */
export interface ResourceUse {
  /** Snapshot that carries it. */
  readonly version: number;
  /** When the snapshot was made. Times are milliseconds since the epoch. */
  readonly changedAt: number;
  /** By worker: when it came into use there; undefined before. */
  readonly byWorker: (number | undefined)[];
  /** On all workers; 0 while some worker does not use it yet. */
  inUseAt: number;
}

export class UsageClock {
  readonly #uses = new Map<string, ResourceUse>();
  readonly #waiting = new Map<string, ResourceUse>();
  readonly #workers = new Map<number, number>();
  readonly #workerCount: number;
  readonly #onInUse: (use: ResourceUse) => void;

  /** `onInUse` hears of each resource's version when it is in use on all workers. */
  constructor(workerCount: number, onInUse: (use: ResourceUse) => void = () => undefined) {
    this.#workerCount = workerCount;
    this.#onInUse = onInUse;
  }

  /** `key` names the resource, such as `type name`. */
  changed(key: string, version: number, now: number): void {
    const byWorker = Array.from({ length: this.#workerCount }, () => undefined);
    const use = { version, changedAt: now, byWorker, inUseAt: 0 };
    this.#uses.set(key, use);
    this.#waiting.set(key, use);
  }

  removed(key: string): void {
    this.#uses.delete(key);
    this.#waiting.delete(key);
  }

  /** A worker serves by generation `version`. Returns the generation that all workers have reached. */
  inUse(worker: number, version: number, now: number): number {
    this.#workers.set(worker, version);
    const reached = this.reached;
    for (const [key, use] of this.#waiting) {
      if (use.version <= version) {
        use.byWorker[worker] ??= now;
      }
      if (use.version <= reached) {
        use.inUseAt = now;
        this.#waiting.delete(key);
        this.#onInUse(use);
      }
    }
    return reached;
  }

  /** A worker died: until its successor reports, nothing more is in use everywhere. */
  lost(worker: number): void {
    this.#workers.delete(worker);
  }

  /** The generation in use on all workers; 0 before. */
  get reached(): number {
    return this.#workers.size < this.#workerCount ? 0 : Math.min(...this.#workers.values());
  }

  of(key: string): ResourceUse | undefined {
    return this.#uses.get(key);
  }
}
