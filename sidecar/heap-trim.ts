// Gives memory back where V8 would see no reason to collect.
// On the main thread, once a configuration is in use: it allocates much while it loads modules and plugin code, and little
// afterwards; with a 3 MB plugin that is 20 MB for the process's whole life. A collection takes 20 to 40 ms, on no request's way.
// On a worker, when VMs of plugins have died: their memories are outside of V8's heap, so a plugin that fills its 64 MiB in
// every request would leave a gigabyte behind before V8 looked. There a collection takes as long, but only then.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Waits for a pause in the changes, so that many pushes cost one collection. */
const QUIET_MS = 1_000;
/** Bytes of dead VMs that may wait for V8. */
const MAX_DEAD_BYTES = 32 * 1024 * 1024;

export class HeapTrim {
  #collect: (() => void) | undefined = undefined;
  #timer: NodeJS.Timeout | undefined = undefined;
  #deadBytes = 0;

  /** A VM with so much memory is not used any more: collects at once when enough has been given up. */
  givenUp(bytes: number): void {
    this.#deadBytes += bytes;
    if (this.#deadBytes >= MAX_DEAD_BYTES) {
      this.#deadBytes = 0;
      this.#run();
    }
  }

  /** Collects when nothing has asked for it for a second. */
  trimSoon(): void {
    if (this.#timer === undefined) {
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
      this.#collect = runInNewContext("globalThis.gc") as (() => void) | undefined;
      setFlagsFromString("--no-expose-gc");
    }
    this.#collect?.();
  }
}
