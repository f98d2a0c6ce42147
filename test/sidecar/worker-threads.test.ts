import assert from "node:assert/strict";
import { once } from "node:events";
import { test, type TestContext } from "node:test";
import type { Worker } from "node:worker_threads";
import { WorkerThreads } from "../../sidecar/worker-threads.ts";

/** What is started ahead, and that thread; `take` as WorkerThreads has it. All threads end with the test. */
async function startedAhead(t: TestContext): Promise<{ ahead: Worker; take: () => Worker }> {
  const started = new Set<Worker>();
  const onWorker = (worker: Worker): void => void started.add(worker);
  process.on("worker", onWorker);
  t.after(async () => {
    process.off("worker", onWorker);
    await Promise.all([...started].map((worker) => worker.terminate()));
  });
  const threads = new WorkerThreads(1, undefined);
  threads.startAll();
  const [ahead] = (await once(process, "worker")) as [Worker];
  return {
    ahead,
    take: () => {
      const thread = threads.take(0);
      started.add(thread);
      return thread;
    },
  };
}

test("take() gives the thread that was started ahead, and then new ones", { timeout: 20_000 }, async (t) => {
  const { ahead, take } = await startedAhead(t);
  assert.ok(take() === ahead);
  assert.ok(take() !== ahead);
});

test(
  "take() gives no thread that has failed while it waited, which ends nobody else",
  { timeout: 20_000 },
  async (t) => {
    const { ahead, take } = await startedAhead(t);
    ahead.emit("error", new Error("it cannot load its code"));
    await ahead.terminate();
    assert.ok(take() !== ahead);
  },
);
