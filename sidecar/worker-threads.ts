// The threads of data workers. Loading a worker's code takes most of its start and needs nothing of the configuration, so all of
// them are started before that is read, and wait for their settings (worker.ts). WorkerHandle takes one for each life of a worker.

import { setFlagsFromString } from "node:v8";
import { Worker } from "node:worker_threads";
import { resourceLimits, workerHeapMib } from "./resource-limits.ts";

/**
 * Half of a worker's young generation. The launcher's 2 MiB suit the main thread; measured with the Go plugin at 50
 * connections, a worker's 4 take 5 % less CPU than 2, and 16 take no less than 4 but 25 MB more.
 */
const SEMI_SPACE_MIB = 4;
/** threadId of a thread that has ended. */
const ENDED = -1;

export class WorkerThreads {
  readonly #count: number;
  readonly #compileCache: string | undefined;
  readonly #waiting = new Map<number, Worker>();

  /** `compileCache`: the folder that NODE_COMPILE_CACHE names. */
  constructor(count: number, compileCache: string | undefined) {
    this.#count = count;
    this.#compileCache = compileCache;
  }

  /** One for each place of `count`, to be taken later. */
  startAll(): void {
    for (let index = 0; index < this.#count; index++) {
      const thread = this.#start(index);
      // Whoever takes it finds that it has ended; without a listener the process would.
      thread.on("error", () => {});
      this.#waiting.set(index, thread);
    }
  }

  /** A thread that waits for its settings: the one that was started ahead, or a new one. */
  take(index: number): Worker {
    const waiting = this.#waiting.get(index);
    this.#waiting.delete(index);
    return waiting === undefined || waiting.threadId === ENDED ? this.#start(index) : waiting;
  }

  #start(index: number): Worker {
    const heapMib = workerHeapMib(resourceLimits(), this.#count);
    setFlagsFromString(`--max-semi-space-size=${SEMI_SPACE_MIB}`);
    return new Worker(new URL("./worker.ts", import.meta.url), {
      name: `data-${index}`,
      ...(heapMib === undefined ? {} : { resourceLimits: { maxOldGenerationSizeMb: heapMib } }),
      // Without it the worker would strip the types of every file anew, for 17 MB and half of its start.
      env: this.#compileCache === undefined ? {} : { NODE_COMPILE_CACHE: this.#compileCache },
    });
  }
}
