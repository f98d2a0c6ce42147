// The orders by which workers drain: at the end of the process, and by POST /drain_listeners. Made by supervisor.ts.
// Source of what the admin's order means: Envoy's ListenersHandler and DrainManagerImpl.

import type { DrainOptions } from "./admin/ports.ts";
import type { DrainOrder } from "./worker-link.ts";

export interface DrainingDeps {
  readonly workerCount: number;
  readonly drainTimeMs: number;
  readonly strategy: "gradual" | "immediate";
  /** Sends to every worker. */
  readonly order: (order: DrainOrder) => void;
  /** POST /drain_listeners has closed the listening sockets. */
  readonly onListenersStopped: (scope: DrainOrder["scope"]) => void;
}

export class Draining {
  readonly #deps: DrainingDeps;
  readonly #drained = new Set<number>();
  #onDrained: (() => void) | undefined = undefined;

  constructor(deps: DrainingDeps) {
    this.#deps = deps;
  }

  /** A worker has no connection left. */
  onDrained(worker: number): void {
    this.#drained.add(worker);
    if (this.isDone) {
      this.#onDrained?.();
    }
  }

  get isDone(): boolean {
    return this.#drained.size === this.#deps.workerCount;
  }

  /**
   * The process ends: listeners stop accepting, and connections end with their next response. Resolves when none is left,
   * when the drain time is up, or when `kill` says so; whether none is left.
   */
  async finish(kill: AbortSignal): Promise<boolean> {
    this.#drained.clear();
    const done = Promise.withResolvers<void>();
    this.#onDrained = done.resolve;
    this.#deps.order({ scope: "all", stopAccepting: true, gradualMs: 0 });
    const timer = setTimeout(done.resolve, this.#deps.drainTimeMs);
    const onKill = (): void => done.resolve();
    kill.addEventListener("abort", onKill);
    await done.promise;
    clearTimeout(timer);
    kill.removeEventListener("abort", onKill);
    return this.isDone;
  }

  /**
   * POST /drain_listeners, as Envoy: listeners stop accepting now; when graceful, at the end of the drain time, during which
   * keep-alive is discouraged as --drain-strategy says; with skipExit they never stop. The process stays, and /ready too.
   */
  listeners({ graceful, inboundOnly, skipExit }: DrainOptions): void {
    const { drainTimeMs, strategy, order, onListenersStopped } = this.#deps;
    const scope = inboundOnly ? "inbound" : "all";
    const stop = (): void => {
      onListenersStopped(scope);
      order({ scope, stopAccepting: true, gradualMs: 0 });
    };
    if (!graceful && !skipExit) {
      stop();
      return;
    }
    order({ scope, stopAccepting: false, gradualMs: strategy === "gradual" ? drainTimeMs : 0 });
    if (!skipExit) {
      setTimeout(stop, drainTimeMs).unref();
    }
  }
}
