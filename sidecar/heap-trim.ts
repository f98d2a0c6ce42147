// Gives memory back once a configuration is in use. The main thread allocates much while it loads modules and plugin code,
// and little afterwards, so V8 would see no reason to collect: with a 3 MB plugin that is 20 MB for the process's whole life.
// Runs on the main thread, which is on no request's way: a collection takes 20 to 40 ms there.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Waits for a pause in the changes, so that many pushes cost one collection. */
const QUIET_MS = 1_000;

export class HeapTrim {
  #collect: (() => void) | undefined = undefined;
  #timer: NodeJS.Timeout | undefined = undefined;

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
      this.#collect = runInNewContext("gc") as () => void;
      setFlagsFromString("--no-expose-gc");
    }
    this.#collect();
  }
}
