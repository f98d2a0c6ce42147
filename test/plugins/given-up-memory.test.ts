import assert from "node:assert/strict";
import { test } from "node:test";
import { PluginRuntime } from "../../plugins/plugin-runtime.ts";
import { HeapTrim } from "../../sidecar/heap-trim.ts";
import { fakePorts } from "./support/fake-ports.ts";
import { FakeStream } from "./support/fake-stream.ts";
import { goodModule, specOf } from "./support/specs.ts";
import { WatGuest } from "./support/wat-guest.ts";

const MIB = 1024 * 1024;
const PAGES_OF_40_MIB = 640;

test("the memory of a VM that died is given up, and can be had back before its successor is made", async () => {
  const guest = new WatGuest();
  guest.on("proxy_on_request_headers", `(drop (memory.grow (i32.const ${PAGES_OF_40_MIB}))) unreachable`);
  const givenUp: number[] = [];
  const heap = new HeapTrim();
  const runtime = new PluginRuntime({
    ports: {
      ...fakePorts(),
      memoryGivenUp: (bytes) => {
        givenUp.push(bytes);
        heap.givenUp(bytes);
      },
    },
  });
  const result = runtime.load(specOf(goodModule(guest.bytes()), { maxFaults: 1000 }));
  if (!result.ok) assert.fail(result.problem);
  const { plugin } = result;
  const vms: WeakRef<object>[] = [];
  for (let i = 0; i < 6; i++) {
    const context = plugin.createHttpContext(new FakeStream());
    context.onRequestHeaders(3, true);
    context.close();
    if (plugin.root !== undefined) vms.push(new WeakRef(plugin.root.vm));
    // A WeakRef holds what it names until the turn is over.
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(givenUp.length, 5);
  for (const bytes of givenUp) assert.ok(bytes >= 40 * MIB && bytes < 42 * MIB, `${bytes}`);
  assert.deepEqual(
    vms.map((vm) => vm.deref() === undefined),
    [true, true, true, true, true, false],
  );
});
