// Loaded into the sidecar by NODE_OPTIONS=--import: at SIGUSR2 each data worker takes memory of its heap in an endless loop, as a fault of ours
// would. The product knows nothing of it. For tests of what a memory limit is worth.

import { syncBuiltinESMExports } from "node:module";
import threads, { BroadcastChannel, isMainThread, Worker, type WorkerOptions } from "node:worker_threads";

const channel = new BroadcastChannel("hoard");
channel.unref();
if (isMainThread) {
  // Workers do not get NODE_OPTIONS.
  threads.Worker = class extends Worker {
    constructor(file: string | URL, options: WorkerOptions) {
      super(file, { ...options, execArgv: [`--import=${import.meta.filename}`] });
    }
  };
  syncBuiltinESMExports();
  process.on("SIGUSR2", () => channel.postMessage("hoard"));
} else {
  channel.onmessage = () => {
    const kept: object[] = [];
    for (;;) {
      kept.push({ index: kept.length, text: `text ${kept.length}` });
    }
  };
}
