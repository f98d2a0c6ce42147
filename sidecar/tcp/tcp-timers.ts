// The deadlines of one TCP connection; those that few need are made when they are first armed. Owned by tcp-connection.ts.

import { Deadline, type DeadlineOwner, type TimerWheel } from "../http/timer-wheel.ts";

/** What ran out: `kind` of the owner's onDeadline. */
export const TcpTimer = { Idle: 0, Duration: 1, Retry: 2, Log: 3 } as const;
export type TcpTimer = (typeof TcpTimer)[keyof typeof TcpTimer];

export class TcpTimers {
  readonly #owner: DeadlineOwner;
  readonly #wheel: TimerWheel;
  readonly #deadlines: (Deadline | undefined)[] = [undefined, undefined, undefined, undefined];

  constructor(owner: DeadlineOwner, wheel: TimerWheel) {
    this.#owner = owner;
    this.#wheel = wheel;
  }

  /** Zero disarms. */
  arm(kind: TcpTimer, delayMs: number): void {
    if (delayMs > 0 || this.#deadlines[kind] !== undefined) {
      const deadline = (this.#deadlines[kind] ??= new Deadline(this.#owner, kind));
      this.#wheel.arm(deadline, delayMs);
    }
  }

  cancelAll(): void {
    for (const deadline of this.#deadlines) {
      if (deadline !== undefined) {
        this.#wheel.cancel(deadline);
      }
    }
  }
}
