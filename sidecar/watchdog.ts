// The last resort against guest code that nothing else ends: it sees from another thread that a worker has been inside one
// callback for longer than `outrigger.wasm.deadline_ms`, and ends the worker, which is started again. Fuel ends what loops long
// before; this is for plugins without fuel, and for what fuel does not foresee. supervisor.ts makes one.
//
// A worker that waited for a processor has done nothing wrong: only one that used it for most of the time is ended.

import type { Pulse } from "./worker-pulse.ts";

export interface WatchedWorker {
  readonly index: number;
  /** undefined while it does not run. */
  pulse(): Pulse | undefined;
  /** Milliseconds of a processor that the thread has used; undefined when it does not say. */
  cpuMs(): Promise<number | undefined>;
  terminate(reason: string): void;
}

export interface WatchdogDeps {
  readonly workers: readonly WatchedWorker[];
  /** A worker was ended because of this plugin. */
  readonly onEnded: (plugin: string) => void;
  readonly now?: () => number;
}

interface Suspicion {
  readonly beat: number;
  readonly since: number;
  readonly cpuBefore: Promise<number | undefined>;
  isAsked: boolean;
}

/** How often it looks: a callback is ended after its deadline and at most this much more. */
const INTERVAL_MS = 100;
/** How long a plugin that ended a worker is a suspect there. */
const SUSPECT_MS = 60_000;
const MAX_ENDED = 100;
/** A thread that used less of the time than this was kept from running. */
const BUSY_SHARE = 0.5;

export class Watchdog {
  readonly #deps: WatchdogDeps;
  readonly #now: () => number;
  /** When a plugin ended a worker last, by worker and name. */
  readonly #ended: { readonly worker: number; readonly plugin: string; readonly at: number }[] = [];
  readonly #suspicions = new Map<number, Suspicion>();
  #timer: NodeJS.Timeout | undefined = undefined;

  constructor(deps: WatchdogDeps) {
    this.#deps = deps;
    this.#now = deps.now ?? (() => performance.now());
  }

  /** Whether there are plugins to watch. */
  set isNeeded(isNeeded: boolean) {
    if (isNeeded === (this.#timer !== undefined)) {
      return;
    }
    clearInterval(this.#timer);
    this.#timer = isNeeded ? setInterval(() => void this.look(), INTERVAL_MS).unref() : undefined;
  }

  /** Plugins that have ended this worker lately: they begin in quarantine when it is started again. */
  suspectsOf(worker: number): string[] {
    const first = this.#now() - SUSPECT_MS;
    return [
      ...new Set(this.#ended.filter((each) => each.worker === worker && each.at >= first).map((each) => each.plugin)),
    ];
  }

  /** Looks at every worker once. Resolves when those that were asked for their time have answered. */
  async look(): Promise<void> {
    await Promise.all(this.#deps.workers.map((worker) => this.#look(worker)));
  }

  async #look(worker: WatchedWorker): Promise<void> {
    const pulse = worker.pulse();
    if (pulse?.isInGuest !== true || pulse.allowedMs === 0) {
      this.#suspicions.delete(worker.index);
      return;
    }
    const suspicion = this.#suspicions.get(worker.index);
    const now = this.#now();
    if (suspicion?.beat !== pulse.beat) {
      const cpuBefore = worker.cpuMs();
      this.#suspicions.set(worker.index, { beat: pulse.beat, since: now, cpuBefore, isAsked: false });
      return;
    }
    if (now - suspicion.since < pulse.allowedMs || suspicion.isAsked) {
      return;
    }
    suspicion.isAsked = true;
    const [before, after] = await Promise.all([suspicion.cpuBefore, worker.cpuMs()]);
    suspicion.isAsked = false;
    const used = (after ?? 0) - (before ?? 0);
    const later = worker.pulse();
    if (later?.beat !== pulse.beat || used < pulse.allowedMs * BUSY_SHARE) {
      return;
    }
    this.#suspicions.delete(worker.index);
    this.#ended.push({ worker: worker.index, plugin: later.plugin, at: this.#now() });
    if (this.#ended.length > MAX_ENDED) {
      this.#ended.shift();
    }
    this.#deps.onEnded(later.plugin);
    worker.terminate(
      `plugin "${later.plugin}" was in ${later.callback} for more than ${pulse.allowedMs} ms ` +
        `(runtime key outrigger.wasm.plugin.${later.plugin}.deadline_ms; 0: no limit)`,
    );
  }
}
