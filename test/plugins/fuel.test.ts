// Guests that never return: each callback ends when its fuel does, by the failure policy, and nobody else notices.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { FuelLimits } from "../../plugins/metering/fuel-gauge.ts";
import { loadPluginModule } from "../../plugins/plugin-module.ts";
import { PluginRuntime } from "../../plugins/plugin-runtime.ts";
import { FakeStream } from "./support/fake-stream.ts";
import { fakePorts } from "./support/fake-ports.ts";
import { loaded } from "./support/loaded.ts";
import { goodModule, specOf } from "./support/specs.ts";
import { OUT, WatGuest } from "./support/wat-guest.ts";

const FUEL: FuelLimits = {
  perCallback: 100_000,
  start: 1_000_000,
  perCallbackName: "the key",
  startName: "the start key",
};
const FOREVER = "(loop $forever (br $forever))";

/** Loops in that callback when the request has x-loop. */
function loopsIn(callback: string, rest: string): WatGuest {
  const guest = new WatGuest();
  const asked = `(i32.eqz (call $proxy_get_header_map_value (i32.const 0) ${guest.text("x-loop")} ${OUT}))`;
  return guest.on(callback, `(if ${asked} (then ${FOREVER})) ${rest}`);
}

const LOOPING = [":method", "GET", ":path", "/", ":authority", "a", "x-loop", "1"];

suite("a callback out of fuel", () => {
  const callbacks: readonly (readonly [callback: string, run: (stream: FakeStream, context: Context) => unknown])[] = [
    ["proxy_on_request_headers", (_stream, context) => context.onRequestHeaders(4, false)],
    [
      "proxy_on_request_body",
      (stream, context) => (context.onRequestHeaders(4, false), body(stream, 0), context.onRequestBody(4, true)),
    ],
    [
      "proxy_on_request_trailers",
      (_stream, context) => (context.onRequestHeaders(4, false), context.onRequestTrailers(1)),
    ],
    [
      "proxy_on_response_headers",
      (stream, context) => (context.onRequestHeaders(4, true), stream.respond(), context.onResponseHeaders(1, false)),
    ],
  ];
  type Context = ReturnType<ReturnType<typeof loaded>["plugin"]["createHttpContext"]>;

  for (const [callback, run] of callbacks) {
    for (const policy of ["closed", "open"] as const) {
      test(`${callback}: its stream fails ${policy}, the next one gets a fresh VM`, () => {
        const { plugin, hooks, ports } = loaded(loopsIn(callback, "(i32.const 0)"), {
          fuel: FUEL,
          failurePolicy: policy,
        });
        const stream = new FakeStream([...LOOPING]);
        const context = plugin.createHttpContext(stream);
        run(stream, context);
        assert.deepEqual(stream.journal, policy === "open" ? [] : ["reply 503 wasm_fail_stream"]);
        context.close();
        const record = hooks.find(({ fault }) => fault !== undefined);
        assert.equal(record?.fault?.kind, "out_of_fuel");
        assert.equal(record.fault.callback, callback);
        assert.equal(
          record.fault.message,
          `${callback} used all of its 100000 units of fuel; the key sets the limit (0: none)`,
        );
        assert.ok(record.fuel > FUEL.perCallback && record.fuel < FUEL.perCallback * 1.2, `${record.fuel}`);
        assert.match(ports.log.lines.join("\n"), /failed in .*: out_of_fuel: .* used all of its 100000 units/);
        const next = new FakeStream();
        assert.equal(plugin.createHttpContext(next).onRequestHeaders(3, true), 0);
        assert.deepEqual(next.journal, []);
        assert.equal(plugin.view().restarts, 1);
        assert.equal(plugin.view().state, "running");
      });
    }
  }

  test("does not fail a stream of the same VM that waits for its response", () => {
    const guest = loopsIn("proxy_on_request_headers", "(i32.const 0)");
    const { plugin } = loaded(guest.on("proxy_on_response_headers", "(i32.const 0)"), { fuel: FUEL });
    const waiting = new FakeStream();
    const context = plugin.createHttpContext(waiting);
    assert.equal(context.onRequestHeaders(3, true), 0);
    plugin.createHttpContext(new FakeStream([...LOOPING])).onRequestHeaders(4, true);
    waiting.respond();
    assert.equal(context.onResponseHeaders(1, true), 0);
    assert.deepEqual(waiting.journal, []);
  });

  test("ends a tick, and the allocator inside a host call", () => {
    const ticking = new WatGuest().on(
      "proxy_on_configure",
      "(drop (call $proxy_set_tick_period_milliseconds (i32.const 10))) (i32.const 1)",
    );
    const { plugin, ports } = loaded(ticking.on("proxy_on_tick", FOREVER), { fuel: FUEL });
    ports.clock.advance(10);
    assert.equal(plugin.view().lastFault?.callback, "proxy_on_tick");
    const allocators = `(func (export "malloc") (param i32) (result i32) ${FOREVER} (i32.const 0))`;
    const allocating = new WatGuest({ allocators });
    allocating.on(
      "proxy_on_request_headers",
      `(call $proxy_get_header_map_value (i32.const 0) ${allocating.text(":path")} ${OUT})`,
    );
    const second = loaded(allocating, { fuel: FUEL });
    second.plugin.createHttpContext(new FakeStream()).onRequestHeaders(3, true);
    assert.equal(second.plugin.view().lastFault?.kind, "out_of_fuel");
  });
});

function body(stream: FakeStream, direction: 0 | 1): void {
  stream.bodies[direction] = Buffer.from("body");
}

suite("a start out of fuel", () => {
  const starts: Readonly<Record<string, WatGuest>> = {
    _initialize: new WatGuest().on("_initialize", FOREVER),
    proxy_on_context_create: new WatGuest().on("proxy_on_context_create", FOREVER),
    proxy_on_vm_start: new WatGuest().on("proxy_on_vm_start", `${FOREVER} (i32.const 1)`),
    proxy_on_configure: new WatGuest().on("proxy_on_configure", `${FOREVER} (i32.const 1)`),
  };
  for (const [callback, guest] of Object.entries(starts)) {
    test(`is refused: ${callback}`, () => {
      const result = new PluginRuntime({ ports: fakePorts() }).load(specOf(goodModule(guest.bytes()), { fuel: FUEL }));
      const problem = `plugin "guest" failed in ${callback}: out_of_fuel: ${callback} used all of its 1000000 units of fuel; the start key sets the limit (0: none)`;
      assert.deepEqual(result, { ok: false, problem });
    });
  }

  test("has its own limit: work that no callback may do", () => {
    const work = (turns: number): string =>
      `(local $i i32) (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const ${turns})))) (i32.const 1)`;
    const { plugin } = loaded(new WatGuest().on("proxy_on_configure", work(100_000)), { fuel: FUEL });
    assert.equal(plugin.view().state, "running");
  });
});

suite("fuel", () => {
  test("is the same for the same request on every run and in every VM", () => {
    const guest = new WatGuest().on(
      "proxy_on_request_headers",
      `(call $proxy_get_header_map_pairs (i32.const 0) ${OUT})`,
    );
    const used = [1, 2].flatMap(() => {
      const { plugin, hooks } = loaded(guest);
      for (let i = 0; i < 3; i++) plugin.createHttpContext(new FakeStream()).onRequestHeaders(3, true);
      return hooks.filter(({ callback }) => callback === 6).map(({ fuel }) => fuel);
    });
    assert.equal(used.length, 6);
    assert.equal(new Set(used).size, 1, used.join());
    assert.ok((used[0] as number) > 0);
  });

  test("counts what the host moves for the guest", () => {
    const guest = new WatGuest({ memory: "40" });
    guest.on(
      "proxy_on_request_headers",
      "(drop (call $proxy_log (i32.const 0) (i32.const 0) (i32.const 60000))) (i32.const 0)",
    );
    const { plugin, hooks } = loaded(guest);
    plugin.createHttpContext(new FakeStream()).onRequestHeaders(3, true);
    const fuel = hooks.find(({ callback }) => callback === 6)?.fuel ?? 0;
    assert.ok(fuel > 60_000, `${fuel}`);
  });

  test("ends a guest that makes the host copy for ever", () => {
    const guest = new WatGuest({ memory: "40" });
    const copy = "(drop (call $proxy_set_property (i32.const 0) (i32.const 2) (i32.const 0) (i32.const 2000000)))";
    const { plugin, hooks } = loaded(guest.on("proxy_on_request_headers", `(loop $l ${copy} (br $l)) (i32.const 0)`), {
      fuel: { ...FUEL, perCallback: 50_000_000 },
    });
    const stream = new FakeStream();
    plugin.createHttpContext(stream).onRequestHeaders(3, true);
    const record = hooks.at(-1);
    assert.equal(record?.fault?.kind, "out_of_fuel");
    assert.ok(record.hostCalls < 40, `${record.hostCalls} copies of 2 MB`);
  });

  test("0 is no limit, and a module that is not metered has no gauge", () => {
    const spin = `(local $i i32) (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100000)))) (i32.const 0)`;
    const guest = new WatGuest().on("proxy_on_request_headers", spin);
    const unlimited = loaded(guest, { fuel: { ...FUEL, perCallback: 0 } });
    assert.equal(unlimited.plugin.createHttpContext(new FakeStream()).onRequestHeaders(3, true), 0);
    assert.ok((unlimited.hooks.at(-1)?.fuel ?? 0) > 100_000);
    const plain = loadPluginModule(guest.bytes(), { metering: false });
    assert.ok(plain.ok && !plain.module.isMetered);
    const { plugin, hooks } = loaded(guest, { fuel: FUEL, module: plain.module });
    assert.equal(plugin.createHttpContext(new FakeStream()).onRequestHeaders(3, true), 0);
    assert.equal(hooks.at(-1)?.fuel, -1);
  });

  test("a plugin's limit may change while it runs", () => {
    const { plugin } = loaded(loopsIn("proxy_on_request_headers", "(i32.const 0)"));
    plugin.fuel = { ...FUEL, perCallback: 5_000 };
    plugin.createHttpContext(new FakeStream([...LOOPING])).onRequestHeaders(4, true);
    assert.match(plugin.view().lastFault?.message ?? "", /all of its 5000 units/);
  });
});
