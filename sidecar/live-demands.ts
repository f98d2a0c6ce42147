// Streams that wait for something that the control plane is asked for because of them (xds/model/demand.ts). A demand goes to the
// main thread once, whoever waits; it is settled when a delta says so, after the rest of that delta is in use. One for each
// worker; the on_demand filter waits, live-config.ts settles.

import type { Demand } from "../xds/model/demand.ts";
import type { Changes } from "./worker-link.ts";

/** Called at most once, when what was waited for is there, or is known not to come. */
export interface DemandWaiter {
  onSettled(): void;
}

export class LiveDemands {
  readonly #ask: (demand: Demand) => void;
  readonly #settled = new Set<string>();
  readonly #waiting = new Map<string, Set<DemandWaiter>>();

  constructor(ask: (demand: Demand) => void) {
    this.#ask = ask;
  }

  /** False: it is settled already, and there is nothing to wait for. */
  wait(demand: Demand, waiter: DemandWaiter): boolean {
    if (this.#settled.has(demand.key)) {
      return false;
    }
    const waiters = this.#waiting.get(demand.key);
    if (waiters === undefined) {
      this.#waiting.set(demand.key, new Set([waiter]));
      this.#ask(demand);
    } else {
      waiters.add(waiter);
    }
    return true;
  }

  /** It waits no longer. Without anybody who waits the next one asks again. */
  cancel(demand: Demand, waiter: DemandWaiter): void {
    const waiters = this.#waiting.get(demand.key);
    waiters?.delete(waiter);
    if (waiters?.size === 0) {
      this.#waiting.delete(demand.key);
    }
  }

  apply({ set, removed }: Changes<true>): void {
    removed.forEach((key) => this.#settled.delete(key));
    set.forEach(([key]) => this.#settled.add(key));
    for (const [key] of set) {
      // One that goes on may end another, which cancels then and is not reached.
      for (const waiter of this.#waiting.get(key) ?? []) {
        waiter.onSettled();
      }
      this.#waiting.delete(key);
    }
  }
}
