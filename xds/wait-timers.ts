// One timer for each thing that warming waits for. The clock of a wait stands still while its server is away (its
// resource cannot come then), and starts anew when the server is back. Used by client.ts.

import type { Clock } from "./clock.ts";
import type { Wait } from "./assembly.ts";

export class WaitTimers {
  readonly #clock: Clock;
  readonly #onOver: (wait: Wait) => void;
  readonly #running = new Map<unknown, () => void>();

  constructor(clock: Clock, onOver: (wait: Wait) => void) {
    this.#clock = clock;
    this.#onOver = onOver;
  }

  /** Makes the timers those of `waits`: new ones start, those that are gone or cannot run stop, the others run on. */
  sync(waits: readonly Wait[], canRun: (wait: Wait) => boolean): void {
    const current = new Set<unknown>();
    for (const wait of waits) {
      if (wait.timeoutMs === 0 || !canRun(wait)) continue;
      current.add(wait.key);
      if (this.#running.has(wait.key)) continue;
      const cancel = this.#clock.after(wait.timeoutMs, () => {
        this.#running.delete(wait.key);
        this.#onOver(wait);
      });
      this.#running.set(wait.key, cancel);
    }
    for (const [key, cancel] of this.#running) {
      if (current.has(key)) continue;
      cancel();
      this.#running.delete(key);
    }
  }

  close(): void {
    for (const cancel of this.#running.values()) cancel();
    this.#running.clear();
  }
}
