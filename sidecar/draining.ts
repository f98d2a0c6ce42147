// The orders by which workers drain: at the end of the process, and by POST /drain_listeners. Made by supervisor.ts.
// Source of what the admin's order means: Envoy's ListenersHandler and DrainManagerImpl.

import type { DrainOptions } from "./admin/ports.ts";
import type { RunOptions } from "./cli/run-flags.ts";
import type { DrainOrder } from "./worker-link.ts";

export interface DrainingDeps {
  readonly options: Pick<RunOptions, "concurrency" | "drainTimeMs" | "drainStrategy" | "minDrainTimeMs">;
  /** Sends to every worker; each answers with `onDrained` and the same id. */
  readonly order: (order: DrainOrder, id: number) => void;
  /** POST /drain_listeners has closed the listening sockets. */
  readonly onListenersStopped: (scope: DrainOrder["scope"]) => void;
  /** Of all listeners, on all workers. */
  readonly openConnections: () => number;
}

/** Every response closes its connection, from now on; idle ones stay, because a request may be on its way on them. */
const EVERY_RESPONSE_MS = 1;

/** How often it looks whether the application has gone. */
const LOOK_MS = 100;

export class Draining {
  readonly #deps: DrainingDeps;
  readonly #drained = new Set<number>();
  #orderId = 0;
  #onDrained: (() => void) | undefined = undefined;
  #isEnding = false;

  constructor(deps: DrainingDeps) {
    this.#deps = deps;
  }

  /** A worker has no connection left of those that order `id` was about. */
  onDrained(worker: number, id: number): void {
    if (id !== this.#orderId) {
      return;
    }
    this.#drained.add(worker);
    if (this.isDone) {
      this.#onDrained?.();
    }
  }

  get isDone(): boolean {
    return this.#drained.size === this.#deps.options.concurrency;
  }

  /**
   * The process ends: listeners stop accepting, and connections end with their next response. Resolves when none is left,
   * when the drain time is up, or when `kill` says so; whether none is left.
   *
   * With a least drain time, as in a pod whose application ends at the same moment:
   *
   *     inbound accepts on, each response closes ─least drain time─▶ inbound stops and ends ─▶ the application holds no
   *     connection to the outbound listeners, which have worked all the time ─▶ everything stops
   */
  async finish(kill: AbortSignal): Promise<boolean> {
    this.#isEnding = true;
    const over = Promise.withResolvers<void>();
    const timer = setTimeout(over.resolve, this.#deps.options.drainTimeMs);
    const onKill = (): void => over.resolve();
    kill.addEventListener("abort", onKill);
    let isOver = kill.aborted;
    void over.promise.then(() => (isOver = true));
    const { openConnections, options } = this.#deps;
    if (options.minDrainTimeMs > 0) {
      // Endpoints elsewhere change only after this pod was told to end.
      this.#order({ scope: "not-outbound", stopAccepting: false, gradualMs: EVERY_RESPONSE_MS });
      await Promise.race([over.promise, pause(options.minDrainTimeMs)]);
      await Promise.race([over.promise, this.#ordered({ scope: "not-outbound", stopAccepting: true, gradualMs: 0 })]);
      while (!isOver && openConnections() > 0) {
        await Promise.race([over.promise, pause(LOOK_MS)]);
      }
    }
    await Promise.race([over.promise, this.#ordered({ scope: "all", stopAccepting: true, gradualMs: 0 })]);
    clearTimeout(timer);
    kill.removeEventListener("abort", onKill);
    return this.isDone;
  }

  #order(order: DrainOrder): void {
    this.#drained.clear();
    this.#deps.order(order, ++this.#orderId);
  }

  /** Resolves when every worker has carried it out. */
  #ordered(order: DrainOrder): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.#onDrained = done.resolve;
    this.#order(order);
    return done.promise;
  }

  /**
   * POST /drain_listeners, as Envoy: listeners stop accepting now; when graceful, at the end of the drain time, during which
   * keep-alive is discouraged as --drain-strategy says; with skipExit they never stop. The process stays, and /ready too.
   */
  listeners({ graceful, inboundOnly, skipExit }: DrainOptions): void {
    const { onListenersStopped, options } = this.#deps;
    const { drainTimeMs, drainStrategy: strategy } = options;
    const scope = inboundOnly ? "inbound" : "all";
    if (this.#isEnding) {
      return;
    }
    const stop = (): void => {
      if (this.#isEnding) {
        return;
      }
      onListenersStopped(scope);
      this.#order({ scope, stopAccepting: true, gradualMs: 0 });
    };
    if (!graceful && !skipExit) {
      stop();
      return;
    }
    this.#order({ scope, stopAccepting: false, gradualMs: strategy === "gradual" ? drainTimeMs : EVERY_RESPONSE_MS });
    if (!skipExit) {
      setTimeout(stop, drainTimeMs).unref();
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}
