import assert from "node:assert/strict";
import { test } from "node:test";
import type { HttpContext } from "../../plugins/http-context.ts";
import { PluginRuntime } from "../../plugins/plugin-runtime.ts";
import { HeapTrim } from "../../sidecar/heap-trim.ts";
import { fakePorts } from "./support/fake-ports.ts";
import { FakeStream } from "./support/fake-stream.ts";
import { goodModule, specOf } from "./support/specs.ts";
import { WatGuest } from "./support/wat-guest.ts";

const MIB = 1024 * 1024;
const PAGES_OF_40_MIB = 640;

test("the memory of a VM that died can be had back though its streams live on", async () => {
  const guest = new WatGuest();
  guest.on("proxy_on_request_headers", `(drop (memory.grow (i32.const ${PAGES_OF_40_MIB}))) unreachable`);
  const givenUp: number[] = [];
  const heap = new HeapTrim();
  const runtime = new PluginRuntime({
    ports: {
      ...fakePorts(),
      memory: {
        givenUp: (bytes) => {
          givenUp.push(bytes);
          heap.givenUp(bytes);
        },
        wanted: () => heap.wanted(),
      },
    },
  });
  const result = runtime.load(specOf(goodModule(guest.bytes()), { maxFaults: 1000 }));
  if (!result.ok) assert.fail(result.problem);
  const { plugin } = result;
  const open: HttpContext[] = [];
  const memories: WeakRef<object>[] = [];
  for (let i = 0; i < 6; i++) {
    const waits = plugin.createHttpContext(new FakeStream());
    waits.onRequestBody(0, false);
    open.push(waits);
    assert.ok(plugin.root !== undefined);
    memories.push(new WeakRef(plugin.root.vm.memory.bytes.buffer));
    // A WeakRef holds what it names until the turn is over.
    await new Promise((resolve) => setImmediate(resolve));
    const context = plugin.createHttpContext(new FakeStream());
    context.onRequestHeaders(3, true);
    context.close();
    assert.equal(plugin.view().memoryBytes, 0);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(givenUp.length, 6);
  for (const bytes of givenUp) assert.ok(bytes >= 40 * MIB && bytes < 42 * MIB, `${bytes}`);
  assert.deepEqual(
    memories.map((memory) => memory.deref() === undefined),
    [true, true, true, true, true, true],
  );
  for (const context of open) context.close();
  assert.equal(plugin.view().peakMemoryBytes, givenUp[0]);
});
