// Gives memory back where V8 would see no reason to collect.
// On the main thread, once a configuration is in use: it allocates much while it loads modules and plugin code, and little
// afterwards; with a 3 MB plugin that is 20 MB for the process's whole life. A collection takes 20 to 40 ms, on no request's way.
// On a worker, when VMs of plugins have died: their memories are outside of V8's heap, so a plugin that fills its 64 MiB in
// every request would leave a gigabyte behind before V8 looked. There a collection takes as long, but only then.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Waits for a pause in the changes, so that many pushes cost one collection. */
const QUIET_MS = 1_000;
/**
 * How much a heap may grow between collections, in percent of what lived after the last, once a configuration is in use. V8's own
 * measure grows with a heap: the three of a sidecar that gets a push every 50 ms kept 325 MB of which 70 lived.
 */
const GROWTH_PERCENT = 40;
/** Bytes of dead VMs that may wait for V8. */
const MAX_DEAD_BYTES = 32 * 1024 * 1024;

/** What V8 did not give back at once is asked for so often again, with so long a wait before. */
const TRIES = 3;
const TRY_AGAIN_MS = 20;

type Collect = (options?: { readonly type: "minor" }) => void;

export class HeapTrim {
  #collect: Collect | undefined = undefined;
  #timer: NodeJS.Timeout | undefined = undefined;
  #deadBytes = 0;
  #isDue = false;

  /** A VM with so much memory is not used any more: collects when this turn is over, if enough has been given up. */
  givenUp(bytes: number): void {
    this.#deadBytes += bytes;
    if (this.#deadBytes < MAX_DEAD_BYTES || this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => this.wanted()).unref();
  }

  /** A VM is about to be made: what is to be collected is collected before it takes as much. */
  wanted(): void {
    if (!this.#isDue) return;
    this.#isDue = false;
    const bytes = this.#deadBytes;
    this.#deadBytes = 0;
    // V8 may have begun to mark while the VM lived: that collection keeps it, the next one does not.
    if (!this.#gaveBack(bytes) && !this.#gaveBack(bytes)) this.#tryAgain(bytes, TRIES);
  }

  /** Whether a collection made the process smaller by about so much. */
  #gaveBack(bytes: number): boolean {
    const before = process.memoryUsage.rss();
    this.#run();
    return before - process.memoryUsage.rss() >= bytes / 2;
  }

  /** Code that V8 made for one instance, or is making, keeps it until it has been called with another, or is finished. */
  #tryAgain(bytes: number, tries: number): void {
    setTimeout(() => {
      if (!this.#gaveBack(bytes) && tries > 1) this.#tryAgain(bytes, tries - 1);
    }, TRY_AGAIN_MS).unref();
  }

  /** A configuration is in use: collects when nothing has said so for a second. */
  trimSoon(): void {
    if (this.#timer === undefined) {
      // For all threads of the process, and not before: a start is faster without.
      setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
      this.#timer = setTimeout(() => this.#run(), QUIET_MS);
      this.#timer.unref();
    } else {
      this.#timer.refresh();
    }
  }

  #run(): void {
    if (this.#collect === undefined) {
      // Node.js has no call for it; a context made while the flag is set has the function.
      setFlagsFromString("--expose-gc");
      // Flags are the process's: another thread may have taken this one back in between. Then the next time.
      this.#collect = runInNewContext("globalThis.gc") as Collect | undefined;
      setFlagsFromString("--no-expose-gc");
    }
    this.#collect?.();
    // What lies outside of the heap is given back by another thread, unless the next collection finds it undone: a small one.
    this.#collect?.({ type: "minor" });
  }
}
