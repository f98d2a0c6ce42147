// Sends a response's body at a given pace: the bytes wait here and go on to the next filter in slices of 50 ms.
// Used by fault-filter.ts. What waits is bounded: beyond the limit the upstream is paused.

import type { FilterCallbacks } from "../filter/filter.ts";
import { BodyBuffer } from "../http/body-buffer.ts";
import { Deadline, type DeadlineOwner, type TimerWheel } from "../http/timer-wheel.ts";

const SLICE_MS = 50;
const SLICES_PER_SECOND = 1_000 / SLICE_MS;
const MAX_WAITING_BYTES = 1024 * 1024;

export class ResponseLimiter implements DeadlineOwner {
  readonly #callbacks: FilterCallbacks;
  readonly #wheel: TimerWheel;
  readonly #sliceBytes: number;
  readonly #next = new Deadline(this, 0);
  readonly #waiting = new BodyBuffer();
  #isOver = false;
  #hasTrailers = false;
  #isPaused = false;
  #nextAt = 0;

  constructor(kibPerSecond: number, callbacks: FilterCallbacks, wheel: TimerWheel) {
    this.#callbacks = callbacks;
    this.#wheel = wheel;
    this.#sliceBytes = Math.max(1, Math.floor((kibPerSecond * 1024) / SLICES_PER_SECOND));
  }

  /** The filter's own data call has to have returned before anything is sent on: the first slice goes in the next turn. */
  write(chunk: Uint8Array, end: boolean): void {
    this.#waiting.append(chunk);
    this.#isOver = end;
    if (this.#waiting.length > MAX_WAITING_BYTES && !this.#isPaused) {
      this.#isPaused = true;
      this.#callbacks.pauseResponse();
    }
    this.#schedule();
  }

  /** False: they may pass, nothing waits before them. */
  holdTrailers(): boolean {
    this.#hasTrailers = this.#waiting.length > 0;
    return this.#hasTrailers;
  }

  close(): void {
    this.#wheel.cancel(this.#next);
    this.#waiting.clear();
  }

  onDeadline(): void {
    this.#nextAt = performance.now() + SLICE_MS;
    const bytes = this.#waiting.view();
    const isLast = bytes.length <= this.#sliceBytes;
    const slice = isLast ? this.#waiting.take() : bytes.slice(0, this.#sliceBytes);
    if (!isLast) {
      const rest = bytes.subarray(this.#sliceBytes);
      this.#waiting.clear();
      this.#waiting.append(rest);
      this.#schedule();
    }
    if (this.#isPaused && this.#waiting.length <= MAX_WAITING_BYTES / 2) {
      this.#isPaused = false;
      this.#callbacks.resumeResponse();
    }
    // Last: it may end the stream.
    if (isLast && this.#hasTrailers) {
      this.#callbacks.injectResponse(slice, false);
      this.#callbacks.continueResponse();
    } else {
      this.#callbacks.injectResponse(slice, isLast && this.#isOver);
    }
  }

  #schedule(): void {
    if (!this.#next.isArmed) {
      this.#wheel.arm(this.#next, Math.max(1, this.#nextAt - performance.now()));
    }
  }
}
