// The timeouts of one stream: of its route, of its request, of its whole life, and of silence. proxy.ts says when each
// begins and what happens when one runs out. A timeout of 0 is off. Hot path: armed for every request, fires almost never.

import type { ErrorCode } from "./errors.ts";
import { Deadline, type DeadlineOwner, type TimerWheel } from "./http/timer-wheel.ts";

/** Kinds, as `onDeadline` gets them. */
export const StreamTimeout = { Route: 1, Idle: 2, Duration: 3, Request: 4 } as const;

/** What a stream fails with, by kind of timeout. */
export const TIMEOUT_ERRORS: Readonly<Record<number, ErrorCode>> = {
  [StreamTimeout.Route]: "upstream_timeout",
  [StreamTimeout.Idle]: "stream_idle_timeout",
  [StreamTimeout.Duration]: "max_stream_duration",
  [StreamTimeout.Request]: "request_timeout",
};

export class StreamTimers {
  readonly #owner: DeadlineOwner;
  readonly #wheel: TimerWheel;
  #routeMs = 0;
  #idleMs = 0;
  #route: Deadline | undefined = undefined;
  #idle: Deadline | undefined = undefined;
  #duration: Deadline | undefined = undefined;
  #request: Deadline | undefined = undefined;

  constructor(owner: DeadlineOwner, wheel: TimerWheel) {
    this.#owner = owner;
    this.#wheel = wheel;
  }

  /** From now until `clear`; replaces what was set before. */
  set durationMs(delayMs: number) {
    this.#duration = this.#arm(this.#duration, StreamTimeout.Duration, delayMs);
  }

  /** From now until `requestEnded`. */
  set requestMs(delayMs: number) {
    this.#request = this.#arm(this.#request, StreamTimeout.Request, delayMs);
  }

  /** Between two signs of life; `touch` is one. */
  set idleMs(delayMs: number) {
    this.#idleMs = delayMs;
    this.#idle = this.#arm(this.#idle, StreamTimeout.Idle, delayMs);
  }

  /** Runs from `startRoute`. */
  set routeMs(delayMs: number) {
    this.#routeMs = delayMs;
  }

  /** Once: later calls change nothing. */
  startRoute(): void {
    if (this.#route === undefined && this.#routeMs > 0) {
      this.#route = this.#arm(undefined, StreamTimeout.Route, this.#routeMs);
    }
  }

  touch(): void {
    if (this.#idleMs > 0) {
      this.#idle = this.#arm(this.#idle, StreamTimeout.Idle, this.#idleMs);
    }
  }

  requestEnded(): void {
    this.#disarm(this.#request);
  }

  clear(): void {
    this.#idleMs = 0;
    this.#disarm(this.#route);
    this.#disarm(this.#idle);
    this.#disarm(this.#duration);
    this.#disarm(this.#request);
  }

  #arm(deadline: Deadline | undefined, kind: number, delayMs: number): Deadline | undefined {
    if (delayMs <= 0) {
      this.#disarm(deadline);
      return deadline;
    }
    const armed = deadline ?? new Deadline(this.#owner, kind);
    this.#wheel.arm(armed, delayMs);
    return armed;
  }

  #disarm(deadline: Deadline | undefined): void {
    if (deadline !== undefined) {
      this.#wheel.cancel(deadline);
    }
  }
}
