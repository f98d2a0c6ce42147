// Loaded into the sidecar's main thread by NODE_OPTIONS=--import: at each SIGUSR2 the oldest data worker ends where it is, as
// a worker does that runs out of memory. The product knows nothing of it. For tests of what the others do then.

import type { Worker } from "node:worker_threads";

const workers: Worker[] = [];

process.on("worker", (worker: Worker) => workers.push(worker));
process.on("SIGUSR2", () => void workers.shift()?.terminate());
