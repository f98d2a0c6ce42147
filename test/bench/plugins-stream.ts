// What the plugin host costs: an empty callback, header and property host calls, and a whole stream (seven callbacks)
// through the tiny plugin of each SDK, with and without hook timing. Prints nanoseconds of the thread's CPU time; best of five rounds.
// Run: node test/bench/plugins-stream.ts

import { performance } from "node:perf_hooks";
import type { HttpContext } from "../../plugins/http-context.ts";
import type { HookObserver } from "../../plugins/observer.ts";
import type { Plugin } from "../../plugins/plugin.ts";
import { PluginRuntime } from "../../plugins/plugin-runtime.ts";
import type { RuntimePorts } from "../../plugins/ports.ts";
import { FakeStream } from "../plugins/support/fake-stream.ts";
import { fakePorts } from "../plugins/support/fake-ports.ts";
import { exampleBytes, goodModule, specOf, watBytes } from "../plugins/support/specs.ts";

const ROUNDS = 5;
const CALLS_PER_CALLBACK = 1000;

/** Calls one host function a thousand times in a callback; its allocator hands out the same block again and again. */
function loopGuest(importText: string, call: string): string {
  return `(module
    ${importText}
    (memory (export "memory") 2)
    (data (i32.const 64) "x-trace-id")
    (data (i32.const 96) "abcdef-0123456789")
    (data (i32.const 128) "request\\00path")
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "malloc") (param i32) (result i32) (i32.const 1024))
    (func (export "proxy_on_tick") (param i32))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (local $i i32)
      (loop $again
        ${call}
        drop
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $i) (i32.const ${CALLS_PER_CALLBACK}))))
      (i32.const 0)))`;
}

/** Keeps no journal: one that grows with every host call would be measured too. */
class BenchStream extends FakeStream {
  override clearRouteCache(): void {}
}

const watcher: HookObserver & { total: number } = {
  total: 0,
  hook(record) {
    this.total += record.endedAt - record.startedAt;
  },
};

function benchPorts(): RuntimePorts {
  const ports = fakePorts();
  return {
    ...ports,
    clock: {
      monotonicMs: () => performance.now(),
      wallMs: () => Date.now(),
      startTimer: (delay, run) => ports.clock.startTimer(delay, run),
    },
    log: { level: () => 6, write: () => {} },
  };
}

function load(bytes: Uint8Array, observer?: HookObserver): Plugin {
  const options = { ports: benchPorts(), ...(observer === undefined ? {} : { observer }) };
  const configuration = Buffer.from('{"headers":[{"name":"X-Go-Wasm","value":"APISIX"}]}');
  const loaded = new PluginRuntime(options).load(specOf(goodModule(bytes), { pluginConfiguration: configuration }));
  if (!loaded.ok) throw new Error(loaded.problem);
  return loaded.plugin;
}

function best(count: number, run: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.threadCpuUsage();
    for (let i = 0; i < count; i++) run();
    const { user, system } = process.threadCpuUsage(before);
    least = Math.min(least, ((user + system) * 1e3) / count);
  }
  return least;
}

function report(name: string, nanoseconds: number, limit: number): void {
  const verdict = nanoseconds <= limit ? "" : "  ABOVE";
  console.log(`${name.padEnd(44)} ${nanoseconds.toFixed(0).padStart(6)} ns  (limit ${limit})${verdict}`);
}

function hostCallCost(importText: string, call: string): number {
  const plugin = load(watBytes(loopGuest(importText, call)));
  const stream = new BenchStream([
    ":method",
    "GET",
    ":path",
    "/",
    ":authority",
    "a.b",
    "x-trace-id",
    "abcdef-0123456789",
  ]);
  stream.properties.set("request\0path", "/index.html?a=b");
  const context = plugin.createHttpContext(stream);
  const cost = best(200, () => {
    stream.map(0).remove("x-new");
    context.onRequestHeaders(4, true);
  });
  context.close();
  return cost / CALLS_PER_CALLBACK;
}

function wholeStream(context: HttpContext, stream: FakeStream): void {
  context.onRequestHeaders(3, true);
  stream.respond("server", "x");
  context.onResponseHeaders(2, false);
  context.onResponseBody(0, true);
  context.onLog();
  context.close();
}

const empty = load(watBytes(loopGuest("", "(i32.const 0)")));
const tickRoot = empty.liveRoot();
if (tickRoot === undefined) throw new Error("the guest did not start");
report(
  "empty callback",
  best(500_000, () => void tickRoot.vm.call(3, tickRoot.context, 0, 0, 0, 0)),
  60,
);
const i32 = (count: number): string => `(param ${"i32 ".repeat(count)}) (result i32)`;
report(
  "proxy_get_header_map_value",
  hostCallCost(
    `(import "env" "proxy_get_header_map_value" (func $f ${i32(5)}))`,
    "(call $f (i32.const 0) (i32.const 64) (i32.const 10) (i32.const 16) (i32.const 20))",
  ),
  400,
);
report(
  "proxy_replace_header_map_value",
  hostCallCost(
    `(import "env" "proxy_replace_header_map_value" (func $f ${i32(5)}))`,
    "(call $f (i32.const 0) (i32.const 64) (i32.const 10) (i32.const 96) (i32.const 17))",
  ),
  400,
);
report(
  "proxy_get_property",
  hostCallCost(
    `(import "env" "proxy_get_property" (func $f ${i32(4)}))`,
    "(call $f (i32.const 128) (i32.const 12) (i32.const 16) (i32.const 20))",
  ),
  500,
);
for (const [name, limit] of [
  ["go", 4000],
  ["rust", 2500],
  ["assemblyscript", 4000],
] as const) {
  for (const observer of [undefined, watcher]) {
    const plugin = load(exampleBytes(name), observer);
    const cost = best(50_000, () => {
      const stream = new BenchStream();
      wholeStream(plugin.createHttpContext(stream), stream);
    });
    report(`whole stream, ${name}${observer === undefined ? "" : ", with hook timing"}`, cost, limit);
  }
}
const bare = best(50_000, () => new BenchStream().respond("server", "x"));
report("of which the bench's own stream", bare, 1000);
