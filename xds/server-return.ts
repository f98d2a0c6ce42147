// The way back to a better server: while a stream runs on one of a lower tier, the first tier is tried by a connection of its
// own, and when that stands the stream moves. A server that takes connections and then refuses the stream is tried ever
// more seldom. Used by sources.ts. Times by the clock that it is given.

import type { Clock } from "./clock.ts";

export type ServerReturnDeps = Readonly<{
  /** Whether the better server can be connected to. Never rejects. */
  probe(): Promise<boolean>;
  /** It can: move the stream there. */
  onBack(): void;
  clock: Clock;
}>;

/** As soon as a server that was away may be wanted back, and as late as one that refuses streams is. */
const FIRST_MS = 30_000;
const LONGEST_MS = 600_000;

export class ServerReturn {
  readonly #deps: ServerReturnDeps;
  #delayMs = FIRST_MS;
  #cancel: (() => void) | undefined;
  #generation = 0;

  constructor(deps: ServerReturnDeps) {
    this.#deps = deps;
  }

  /** A stream works on a server that is not of the first tier. */
  onSecondBest(): void {
    if (this.#cancel === undefined) this.#schedule();
  }

  /** A stream works on a server of the first tier. */
  onBest(): void {
    this.stop();
    this.#delayMs = FIRST_MS;
  }

  /** The stream has ended. */
  stop(): void {
    this.#generation += 1;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #schedule(): void {
    const generation = this.#generation;
    this.#cancel = this.#deps.clock.after(this.#delayMs, () => {
      void this.#deps.probe().then((isThere) => {
        if (generation !== this.#generation) return;
        if (!isThere) {
          this.#schedule();
          return;
        }
        this.stop();
        // Until a stream there has worked.
        this.#delayMs = Math.min(this.#delayMs * 2, LONGEST_MS);
        this.#deps.onBack();
      });
    });
  }
}
