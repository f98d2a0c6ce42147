// Time that is moved by hand: a plugin's ticks and the timeouts of its calls come when a test says so, in order and at
// once. Made by TestPlugin; `plugin run` makes one that also passes by itself.

import type { Clock, Timer } from "../ports.ts";

export interface ClockOptions {
  /** Milliseconds since the Unix epoch at the start. Default 2026-01-01T00:00:00Z. */
  readonly wallMs?: number;
  /** Adds what really passes, in milliseconds: () => performance.now(). Default: nothing passes by itself. */
  readonly passing?: () => number;
}

interface Pending {
  readonly at: number;
  readonly run: () => void;
}

const DEFAULT_WALL_MS = Date.UTC(2026, 0, 1);
/** Go's runtime gives up on a machine whose clock says 0. */
const BEGINNING_MS = 1000;
/** A plugin that ticks every millisecond must not make a test run for ever. */
const MAX_TIMERS_A_MOVE = 1_000_000;

export class TestClock implements Clock {
  #movedMs = BEGINNING_MS;
  readonly #beganAt: number;
  #wallOffset: number;
  readonly #passing: () => number;
  #timers: Pending[] = [];

  constructor(options: ClockOptions = {}) {
    this.#passing = options.passing ?? (() => 0);
    this.#beganAt = this.#passing();
    this.#wallOffset = (options.wallMs ?? DEFAULT_WALL_MS) - BEGINNING_MS;
  }

  /** Milliseconds of a clock that never goes back; a new one shows 1000. */
  monotonicMs(): number {
    return this.#movedMs + this.#passing() - this.#beganAt;
  }

  wallMs(): number {
    return this.#wallOffset + this.monotonicMs();
  }

  /** Sets the time of day, in milliseconds since the Unix epoch; timers do not notice. */
  setWallMs(ms: number): void {
    this.#wallOffset = ms - this.monotonicMs();
  }

  startTimer(delayMs: number, run: () => void): Timer {
    const timer = { at: this.monotonicMs() + delayMs, run };
    this.#timers.push(timer);
    return { cancel: () => (this.#timers = this.#timers.filter((other) => other !== timer)) };
  }

  /** When the next timer falls due, on the clock of monotonicMs(); undefined when none runs. */
  get nextTimerMs(): number | undefined {
    return this.#timers.length === 0 ? undefined : Math.min(...this.#timers.map(({ at }) => at));
  }

  /** Moves time on by `ms`, running every timer that falls due at its own moment. */
  advance(ms: number): void {
    const end = this.monotonicMs() + ms;
    for (let i = 0; this.#runNext(end); i++) {
      if (i >= MAX_TIMERS_A_MOVE) throw new Error(`more than ${MAX_TIMERS_A_MOVE} timers ran in one move of ${ms} ms`);
    }
    this.#moveTo(end);
  }

  /** Moves time on to the next timer and runs it; false when none runs. */
  advanceToNextTimer(): boolean {
    return this.#runNext(Number.POSITIVE_INFINITY);
  }

  #runNext(limit: number): boolean {
    let next: Pending | undefined;
    for (const timer of this.#timers) {
      if (timer.at <= limit && (next === undefined || timer.at < next.at)) next = timer;
    }
    if (next === undefined) return false;
    this.#timers = this.#timers.filter((timer) => timer !== next);
    this.#moveTo(next.at);
    next.run();
    return true;
  }

  #moveTo(ms: number): void {
    this.#movedMs += Math.max(0, ms - this.monotonicMs());
  }
}
