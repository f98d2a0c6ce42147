// Worker of shared-store.test.ts: a PluginRuntime on the memory it is given. "count": adds to a shared counter by
// compare-and-swap through the store; "listen": registers a queue and reports its messages.

import { parentPort, workerData } from "node:worker_threads";
import { SharedStore } from "../../../plugins/shared-store.ts";
import { PluginRuntime } from "../../../plugins/plugin-runtime.ts";
import { fakePorts } from "./fake-ports.ts";
import { goodModule, specOf } from "./specs.ts";
import { OUT, WatGuest } from "./wat-guest.ts";

interface Job {
  readonly memory: SharedArrayBuffer;
  readonly kind: "count" | "listen";
  readonly times: number;
  /** Counts the workers that are ready: three start together. */
  readonly gate?: SharedArrayBuffer;
}

const job = workerData as Job;
if (job.kind === "count") count();
else listen();

function count(): void {
  const store = new SharedStore(job.memory);
  const gate = new Int32Array(job.gate ?? new SharedArrayBuffer(4));
  if (Atomics.add(gate, 0, 1) === 2) Atomics.notify(gate, 0);
  for (let ready = Atomics.load(gate, 0); ready < 3; ready = Atomics.load(gate, 0)) Atomics.wait(gate, 0, ready, 5000);
  for (let done = 0; done < job.times;) {
    const old = store.get("vm", "counter");
    const next = Buffer.from(String(Number(Buffer.from(old?.value ?? []).toString()) + 1));
    if (store.set("vm", "counter", next, old?.cas ?? 0) === "ok") done++;
  }
}

function listen(): void {
  const guest = new WatGuest();
  guest.on(
    "proxy_on_vm_start",
    `(drop (call $proxy_register_shared_queue ${guest.text("q")} (i32.const 28))) (i32.const 1)`,
  );
  guest.on(
    "proxy_on_queue_ready",
    `(drop (call $proxy_dequeue_shared_queue (local.get $1) ${OUT})) ${guest.logResult()}`,
  );
  const ports = fakePorts();
  const runtime = new PluginRuntime({ ports, sharedMemory: job.memory });
  const loaded = runtime.load(specOf(goodModule(guest.bytes()), { vmId: "vm" }));
  if (!loaded.ok) throw new Error(loaded.problem);
  ports.log.write = (_plugin, _level, message) => parentPort?.postMessage(message);
  parentPort?.on("message", () => {});
  parentPort?.postMessage("ready");
}
