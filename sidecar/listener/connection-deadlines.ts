// The deadlines of one downstream connection. Those that few connections need are made when they are first armed.
// Owned by connection.ts, which reacts.

import { Deadline, type DeadlineOwner, type TimerWheel } from "../http/timer-wheel.ts";

export const IDLE_DEADLINE = 0;
export const HEAD_DEADLINE = 1;
export const DURATION_DEADLINE = 2;
export const CLOSE_DEADLINE = 3;

export class ConnectionDeadlines {
  readonly #owner: DeadlineOwner;
  readonly #wheel: TimerWheel;
  readonly #idle: Deadline;
  #head: Deadline | undefined = undefined;
  #duration: Deadline | undefined = undefined;
  #close: Deadline | undefined = undefined;

  constructor(owner: DeadlineOwner, wheel: TimerWheel) {
    this.#owner = owner;
    this.#wheel = wheel;
    this.#idle = new Deadline(owner, IDLE_DEADLINE);
  }

  armIdle(delayMs: number): void {
    this.#wheel.arm(this.#idle, delayMs);
  }

  /** Does nothing when it is armed already: more bytes of a head gain no time. */
  armHead(delayMs: number): void {
    if (delayMs > 0 && this.#head?.isArmed !== true) {
      this.#head ??= new Deadline(this.#owner, HEAD_DEADLINE);
      this.#wheel.arm(this.#head, delayMs);
    }
  }

  armDuration(delayMs: number): void {
    if (delayMs > 0) {
      this.#duration ??= new Deadline(this.#owner, DURATION_DEADLINE);
      this.#wheel.arm(this.#duration, delayMs);
    }
  }

  armClose(delayMs: number): void {
    this.#close ??= new Deadline(this.#owner, CLOSE_DEADLINE);
    this.#wheel.arm(this.#close, delayMs);
  }

  /** A request has begun. */
  cancelWaiting(): void {
    this.#wheel.cancel(this.#idle);
    if (this.#head !== undefined) {
      this.#wheel.cancel(this.#head);
    }
  }

  cancelAll(): void {
    this.cancelWaiting();
    if (this.#duration !== undefined) {
      this.#wheel.cancel(this.#duration);
    }
    if (this.#close !== undefined) {
      this.#wheel.cancel(this.#close);
    }
  }
}
