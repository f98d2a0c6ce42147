// Whether a VM that died may be replaced: a circuit breaker over its faults. vm-group.ts asks before it starts a fresh VM.
//
//          maxFaults within the window             the hold is over, a stream comes
//   closed ───────────────────────────▶ open ─────────────────────────────────────▶ half-open: that stream alone
//     ▲                                   ▲  a fault: the hold is twice as long           │
//     │                                   └───────────────────────────────────────────────┤
//     └───────────────────────────────────────────────────────────────────────────────────┘
//        the stream ended well, or lives on after one window
//
// Starting a Go plugin costs 25 ms of the thread, so one that fails on every request must not be started for every request.

/** Longest hold: bad requests that somebody sends on purpose must not take the plugin away for long after they stopped. */
const MAX_HOLD_MS = 60_000;

export class Quarantine {
  /** How often it closed the door. */
  entered = 0;
  /** 0: no number of faults does. */
  maxFaults: number;
  /** Milliseconds; also the first hold. */
  windowMs: number;
  /** Times of the latest faults, oldest first, at most maxFaults of them. */
  readonly #faultTimes: number[] = [];
  /** When the hold that is, or was last, ends; the hold's length. */
  #until = 0;
  #holdMs = 0;
  #state: "closed" | "open" | "half-open" = "closed";
  #trialStartedAt = 0;

  constructor(maxFaults: number, windowMs: number) {
    this.maxFaults = maxFaults;
    this.windowMs = windowMs;
  }

  get isClosed(): boolean {
    return this.#state === "closed";
  }

  /** Milliseconds until a stream may try again; 0 when one may now. */
  waitMs(now: number): number {
    return this.#state === "open" ? Math.max(0, this.#until - now) : 0;
  }

  onFault(now: number): void {
    if (this.#state === "half-open") {
      this.#open(now, Math.min(this.#holdMs * 2, MAX_HOLD_MS));
      return;
    }
    this.#faultTimes.push(now);
    if (this.#faultTimes.length > this.maxFaults) this.#faultTimes.shift();
    if (this.#state === "open" || this.maxFaults === 0 || this.#faultTimes.length < this.maxFaults) return;
    if (now - (this.#faultTimes[0] as number) >= this.windowMs) return;
    // Soon after a hold that seemed to have helped: it is the same trouble.
    const isAgain = this.#holdMs > 0 && now - this.#until < this.#holdMs * 2;
    this.#open(now, isAgain ? Math.min(this.#holdMs * 2, MAX_HOLD_MS) : this.windowMs);
  }

  /** Holds at once, whatever has been counted. */
  enter(now: number): void {
    this.#open(now, this.windowMs);
  }

  /** Whether a fresh VM may be started for a stream; when it was held, that stream is the trial. */
  mayStart(now: number): boolean {
    if (this.#state === "closed") return true;
    if (this.#state === "half-open" || now < this.#until) return false;
    this.#state = "half-open";
    this.#trialStartedAt = now;
    return true;
  }

  /** Whether the trial has gone well for long enough, though its stream lives on. */
  isTrialLong(now: number): boolean {
    return this.#state === "half-open" && now - this.#trialStartedAt >= this.windowMs;
  }

  /** The trial went well. */
  onTrialPassed(): void {
    if (this.#state !== "half-open") return;
    this.#state = "closed";
    this.#faultTimes.length = 0;
  }

  #open(now: number, holdMs: number): void {
    this.entered++;
    this.#state = "open";
    this.#holdMs = holdMs;
    this.#until = now + holdMs;
    this.#faultTimes.length = 0;
  }
}
