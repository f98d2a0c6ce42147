// Shared data and queues: on one thread, and from several at once.

import assert from "node:assert/strict";
import { once } from "node:events";
import { suite, test } from "node:test";
import { Worker } from "node:worker_threads";
import { PluginRuntime } from "../../plugins/plugin-runtime.ts";
import { createSharedMemory, SharedStore } from "../../plugins/shared-store.ts";
import { fakePorts } from "./support/fake-ports.ts";

function text(bytes: Uint8Array | undefined | string): string {
  return typeof bytes === "string" ? bytes : Buffer.from(bytes ?? []).toString();
}

suite("SharedStore", () => {
  test("get() gives what set() wrote, in every size class, with a new number for each write", () => {
    const store = new SharedStore(createSharedMemory());
    const seen = new Set<number>();
    for (let size = 0; size < 5000; size += 37) {
      const value = Buffer.alloc(size, size % 251);
      assert.equal(store.set("vm", "key", value, 0), "ok");
      const found = store.get("vm", "key");
      assert.deepEqual(Buffer.from(found?.value ?? []), value);
      seen.add(found?.cas ?? 0);
    }
    assert.equal(seen.size, 136);
    assert.ok(!seen.has(0));
  });

  test("set() with a number writes only when it is the stored one, or the key is new", () => {
    const store = new SharedStore(createSharedMemory());
    assert.equal(store.set("vm", "k", Buffer.from("a"), 99), "ok");
    const cas = store.get("vm", "k")?.cas ?? 0;
    assert.equal(store.set("vm", "k", Buffer.from("b"), cas + 1), "mismatch");
    assert.equal(store.set("vm", "k", Buffer.from("b"), cas), "ok");
    assert.equal(store.set("vm", "k", Buffer.from("c"), cas), "mismatch");
    assert.equal(text(store.get("vm", "k")?.value), "b");
  });

  test("names of one space are not seen in another, however they are cut", () => {
    const store = new SharedStore(createSharedMemory());
    store.set("ab", "c", Buffer.from("1"), 0);
    assert.equal(store.get("a", "bc"), undefined);
    assert.equal(store.get("", "abc"), undefined);
  });

  test("is bounded: writes fail when it is full, what is there stays, and overwriting goes on", () => {
    const store = new SharedStore(createSharedMemory(64 * 1024));
    let kept = 0;
    while (store.set("vm", `key${kept}`, Buffer.alloc(1000, 1), 0) === "ok") kept++;
    assert.ok(kept > 20 && kept < 64, String(kept));
    for (let i = 0; i < 1000; i++) {
      assert.equal(store.set("vm", "key0", Buffer.alloc(i % 2 === 0 ? 20 : 1000, i), 0), "ok");
    }
    assert.equal(store.get("vm", "key1")?.value.length, 1000);
    assert.equal(store.set("vm", "key0", Buffer.alloc(1_000_000), 0), "full");
    assert.equal(store.get("vm", "key0")?.value.length, 1000);
  });

  test("queues give messages in order and reuse their memory", () => {
    const store = new SharedStore(createSharedMemory(64 * 1024));
    const token = store.registerQueue("vm", "q", { runtime: 1, root: 1 });
    assert.equal(store.resolveQueue("vm", "q"), token);
    assert.equal(store.resolveQueue("vm", "other"), 0);
    assert.equal(store.registerQueue("vm", "q", { runtime: 2, root: 3 }), token);
    assert.deepEqual(store.listenerOf(token), { runtime: 2, root: 3 });
    for (let round = 0; round < 100; round++) {
      for (let i = 0; i < 10; i++)
        assert.equal(store.enqueue(token, Buffer.from(`${round}/${i}${"x".repeat(400)}`)), "ok");
      for (let i = 0; i < 10; i++) assert.ok(text(store.dequeue(token)).startsWith(`${round}/${i}x`));
      assert.equal(store.dequeue(token), "empty");
    }
    assert.equal(store.enqueue(token + 1, Buffer.from("")), "unknown");
    assert.equal(store.dequeue(0), "unknown");
  });

  test("a lock whose holder was ended is taken over", () => {
    const memory = createSharedMemory();
    const store = new SharedStore(memory);
    // Word 0 is the lock; 1 is what a holder leaves in it.
    new Int32Array(memory)[0] = 1;
    assert.equal(store.set("vm", "k", Buffer.from("a"), 0), "ok");
    assert.equal(text(store.get("vm", "k")?.value), "a");
  });

  test("compare-and-swap from three threads at once loses nothing", { timeout: 30_000 }, async () => {
    const memory = createSharedMemory();
    const store = new SharedStore(memory);
    store.set("vm", "counter", Buffer.from("0"), 0);
    const gate = new SharedArrayBuffer(4);
    const url = new URL("./support/sharing-worker.ts", import.meta.url);
    const workers = [1, 2, 3].map(() => new Worker(url, { workerData: { memory, kind: "count", times: 8000, gate } }));
    await Promise.all(workers.map((worker) => once(worker, "exit")));
    assert.equal(text(store.get("vm", "counter")?.value), "24000");
  });

  test("a message that is enqueued on one thread reaches the plugin on another", { timeout: 30_000 }, async () => {
    const memory = createSharedMemory();
    const url = new URL("./support/sharing-worker.ts", import.meta.url);
    const worker = new Worker(url, { workerData: { memory, kind: "listen", times: 0 } });
    assert.deepEqual(await once(worker, "message"), ["ready"]);
    const runtime = new PluginRuntime({ ports: fakePorts(), sharedMemory: memory });
    const token = runtime.shared.resolveQueue("vm", "q");
    runtime.shared.enqueue(token, Buffer.from("across"));
    runtime.ringQueue(token);
    assert.deepEqual(await once(worker, "message"), ["across"]);
    runtime.dispose();
    await worker.terminate();
  });
});
