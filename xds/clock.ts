// Time as xds/ needs it. The program passes the system's; tests pass one that they move by hand.

export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Calls `run` once after `delayMs`. The returned function cancels it, any number of times. A timer alone does not keep the process alive. */
  after(delayMs: number, run: () => void): () => void;
  /** Calls `run` once, when everything that this turn of the event loop has to deliver was delivered. */
  endOfTurn(run: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
  endOfTurn(run) {
    const immediate = setImmediate(run);
    return () => clearImmediate(immediate);
  },
};
