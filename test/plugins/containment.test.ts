// What a plugin may not have too much of: each limit holds, what it asked for is refused or put off, and somebody counts it.
// Fuel is in fuel.test.ts, faults in faults.test.ts.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Callback } from "../../plugins/abi/callbacks.ts";
import { loadPluginModule } from "../../plugins/plugin-module.ts";
import { PluginRuntime } from "../../plugins/plugin-runtime.ts";
import { createSharedMemory } from "../../plugins/shared-store.ts";
import { fakePorts } from "./support/fake-ports.ts";
import { FakeStream } from "./support/fake-stream.ts";
import { loaded } from "./support/loaded.ts";
import { specOf } from "./support/specs.ts";
import { OUT, WatGuest } from "./support/wat-guest.ts";

/** Runs `statements` in proxy_on_request_body, where the request has `body`; the status of the last is logged as a letter. */
function inBody(statements: (guest: WatGuest) => string, body = "", options: { memory?: string } = {}) {
  const guest = new WatGuest(options);
  guest.on("proxy_on_request_headers", "(i32.const 1)");
  guest.on("proxy_on_request_body", `${statements(guest)} (i32.const 0)`);
  const made = loaded(guest);
  const stream = new FakeStream();
  const context = made.plugin.createHttpContext(stream);
  context.onRequestHeaders(3, false);
  stream.bodies[0] = Buffer.from(body);
  context.onRequestBody(body.length, true);
  return { ...made, stream, hits: made.ports.limits.hits };
}

suite("a limit on what the host keeps for a plugin", () => {
  test("a body of its making ends at 16 MiB, in place, and the guest is told", () => {
    const { hits, stream, lines } = inBody(
      (guest) => {
        const append = `(call $proxy_set_buffer_bytes (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 65536) (i32.const 0x400000))`;
        return `${`(drop ${append})`.repeat(4)} ${guest.logLetter(append)}`;
      },
      "",
      { memory: "80" },
    );
    assert.equal(stream.bodies[0]?.length, 16 * 1024 * 1024);
    assert.deepEqual([lines(), hits], [["c"], ["guest body"]]);
  });

  test("a map ends at 4096 fields", () => {
    const guest = new WatGuest();
    const add = `(call $proxy_add_header_map_value (i32.const 0) ${guest.text("x-a")} ${guest.text("b")})`;
    guest.on(
      "proxy_on_request_headers",
      `(local $i i32) (loop $l (drop ${add}) (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 5000))))
       (i32.const 0)`,
    );
    const { plugin, ports } = loaded(guest);
    const stream = new FakeStream();
    plugin.createHttpContext(stream).onRequestHeaders(3, true);
    assert.equal(stream.maps[0]?.size, 4096);
    assert.equal(ports.limits.hits.length, 5000 - (4096 - 3));
    assert.equal(ports.limits.hits[0], "guest headers");
  });

  test("shared data and queues end with the memory that all plugins share", () => {
    const guest = new WatGuest();
    const key = `(i32.store (i32.const 1024) (i32.add (i32.load (i32.const 1024)) (i32.const 1)))`;
    const set = `(call $proxy_set_shared_data (i32.const 1024) (i32.const 4) ${guest.text("value")} (i32.const 0))`;
    const enqueue = `(call $proxy_enqueue_shared_queue (i32.load (i32.const 24)) ${guest.text("message")})`;
    guest.on(
      "proxy_on_request_headers",
      `(drop (call $proxy_register_shared_queue ${guest.text("q")} (i32.const 24)))
       (loop $l ${key} (br_if $l (i32.eqz ${set}))) (loop $m (br_if $m (i32.eqz ${enqueue}))) (i32.const 0)`,
    );
    const ports = fakePorts();
    const runtime = new PluginRuntime({ ports, sharedMemory: createSharedMemory(40_000) });
    const module = loadPluginModule(guest.bytes());
    assert.ok(module.ok);
    const result = runtime.load(specOf(module.module));
    assert.ok(result.ok);
    result.plugin.createHttpContext(new FakeStream()).onRequestHeaders(3, true);
    assert.deepEqual(ports.limits.hits, ["guest shared_data", "guest shared_queue"]);
  });

  test("calls that cannot be taken are counted", () => {
    const guest = new WatGuest();
    const headers = Buffer.from(
      "\x03\0\0\0\x07\0\0\0\x03\0\0\0\x05\0\0\0\x01\0\0\0\x0a\0\0\0\x01\0\0\0:method\0GET\0:path\0/\0:authority\0a\0",
      "latin1",
    );
    guest.on(
      "proxy_on_request_headers",
      `(drop (call $proxy_http_call ${guest.text("down")} ${guest.text(headers)} (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0) (i32.const 100) (i32.const 16))) (i32.const 0)`,
    );
    const { plugin, ports } = loaded(guest);
    plugin.createHttpContext(new FakeStream()).onRequestHeaders(3, true);
    assert.deepEqual(ports.limits.hits, ["guest http_calls"]);
  });
});

test("a pointer or length outside the memory is a status, and counted", () => {
  const { hits, lines } = inBody((guest) =>
    [
      `(call $proxy_log (i32.const 2) (i32.const 0) (i32.const -1))`,
      `(call $proxy_get_header_map_value (i32.const 0) (i32.const -8) (i32.const 16) ${OUT})`,
      `(call $proxy_set_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 65530) (i32.const 100))`,
      `(call $random_get (i32.const 65530) (i32.const 100))`,
    ]
      .map((call) => guest.logLetter(call))
      .join(" "),
  );
  assert.deepEqual(hits, Array(4).fill("guest memory_access"));
  assert.deepEqual(lines().slice(0, 3), ["g", "g", "g"]);
});

suite("ticks", () => {
  test("take a tenth of the thread's time at most, and those that come later are counted", () => {
    const guest = new WatGuest();
    guest.on("proxy_on_configure", "(drop (call $proxy_set_tick_period_milliseconds (i32.const 1))) (i32.const 1)");
    guest.on("proxy_on_tick", "(drop (call $proxy_get_current_time_nanoseconds (i32.const 16)))");
    const { hooks, ports } = loaded(guest);
    const { clock } = ports;
    const wallMs = clock.wallMs.bind(clock);
    // Each tick asks for the time, and takes 5 ms.
    clock.wallMs = () => ((clock.nowMs += 5), wallMs());
    const ticks = (): number =>
      hooks.filter(({ fault, callback }) => fault === undefined && callback === Callback.OnTick).length;
    clock.advance(1);
    assert.equal(ticks(), 1);
    clock.advance(49);
    assert.equal(ticks(), 1, "it rests for nine times what the tick took");
    clock.advance(2);
    assert.equal(ticks(), 2);
    assert.deepEqual(new Set(ports.limits.hits), new Set(["guest ticks"]));
  });

  test("that take no time come as often as was asked", () => {
    const guest = new WatGuest();
    guest.on("proxy_on_configure", "(drop (call $proxy_set_tick_period_milliseconds (i32.const 10))) (i32.const 1)");
    guest.on("proxy_on_tick", "");
    const { hooks, ports } = loaded(guest);
    ports.clock.advance(100);
    assert.equal(hooks.filter(({ callback }) => callback === Callback.OnTick).length, 10);
    assert.deepEqual(ports.limits.hits, []);
  });
});

suite("a guest at the limit of its memory", () => {
  const atLimit = "(drop (memory.grow (i32.const 15)))";
  function run(guest: WatGuest) {
    const ports = fakePorts();
    const module = loadPluginModule(guest.bytes(), { memoryMib: 1 });
    assert.ok(module.ok);
    const result = new PluginRuntime({ ports }).load(specOf(module.module, { memoryLimitName: "the key" }));
    assert.ok(result.ok);
    const stream = new FakeStream();
    result.plugin.createHttpContext(stream).onRequestHeaders(3, true);
    const next = new FakeStream();
    const status = result.plugin.createHttpContext(next).onRequestHeaders(3, true);
    return { view: result.plugin.view(), journal: stream.journal, status };
  }

  test("that gives up is out_of_memory, and replaced", () => {
    const guest = new WatGuest().on(
      "proxy_on_request_headers",
      `${atLimit} (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable)) (i32.const 0)`,
    );
    const { view, journal } = run(guest);
    assert.deepEqual(journal, ["reply 503 wasm_fail_stream"]);
    assert.deepEqual(view.faultsByKind, { out_of_memory: 2 });
    assert.equal(view.lastFault?.message, "unreachable, its memory has 1 of at most 1 MiB; the key sets the limit");
    assert.deepEqual([view.peakMemoryBytes, view.memoryLimitBytes], [1_048_576, 1_048_576]);
  });

  test("whose allocator has nothing to give to the host is out_of_memory too", () => {
    const guest = new WatGuest({ allocators: `(func (export "malloc") (param i32) (result i32) (i32.const 0))` });
    guest.on(
      "proxy_on_request_headers",
      `${atLimit} (drop (call $proxy_get_header_map_pairs (i32.const 0) ${OUT})) (i32.const 0)`,
    );
    const { view } = run(guest);
    assert.deepEqual(view.faultsByKind, { out_of_memory: 2 });
    assert.match(view.lastFault?.message ?? "", /^its memory has 1 of at most 1 MiB/);
  });

  test("below it, the same is a status", () => {
    const guest = new WatGuest({ allocators: `(func (export "malloc") (param i32) (result i32) (i32.const 0))` });
    guest.on(
      "proxy_on_request_headers",
      `(drop (call $proxy_get_header_map_pairs (i32.const 0) ${OUT})) (i32.const 0)`,
    );
    const { view, status } = run(guest);
    assert.deepEqual([view.faultsByKind, status], [{}, 0]);
  });
});
