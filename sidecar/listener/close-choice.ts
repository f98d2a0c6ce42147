// Whether a response closes its connection while its listener drains: always, or with a chance that grows over the drain time
// (Envoy's --drain-strategy gradual), so that clients do not all connect elsewhere in one moment.
// Made by listener-set.ts, asked by connection.ts once for each response. Source: Envoy's DrainManagerImpl::drainClose.

export interface CloseChoiceClock {
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** In [0, 1). */
  readonly random: () => number;
}

const CLOCK: CloseChoiceClock = { now: () => performance.now(), random: Math.random };

export class CloseChoice {
  readonly #overMs: number;
  readonly #startedAt: number;
  readonly #clock: CloseChoiceClock;

  /** `overMs` 0: every response from now on. */
  constructor(overMs: number, clock: CloseChoiceClock = CLOCK) {
    this.#overMs = overMs;
    this.#startedAt = clock.now();
    this.#clock = clock;
  }

  /** Asked anew for each response. */
  closes(): boolean {
    const { now, random } = this.#clock;
    return this.#overMs === 0 || random() * this.#overMs < now() - this.#startedAt;
  }
}
