// Time that a test moves by hand, for xds/: nothing happens until `advance` or `endTurn`.

import type { Clock } from "../../xds/clock.ts";

export class ManualXdsClock implements Clock {
  #now = 1_000_000;
  #timers: { at: number; run: () => void }[] = [];
  #turn: (() => void)[] = [];

  now(): number {
    return this.#now;
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { at: this.#now + delayMs, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  }

  endOfTurn(run: () => void): () => void {
    this.#turn.push(run);
    return () => {
      this.#turn = this.#turn.filter((each) => each !== run);
    };
  }

  /** Delays of the timers that wait, in their order. */
  get delays(): number[] {
    return this.#timers.map(({ at }) => at - this.#now);
  }

  /** Runs what waits for the end of the turn. */
  endTurn(): void {
    const turn = this.#turn;
    this.#turn = [];
    for (const run of turn) run();
  }

  /** Moves time, running timers in the order of their times, and ends the turn. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const next = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((each) => each !== next);
      this.#now = next.at;
      next.run();
    }
    this.#now = end;
    this.endTurn();
  }
}
