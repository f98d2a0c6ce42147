// Guests that fail: the stream that meets it, the streams beside it, the fresh VM after it.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { PluginRuntime } from "../../plugins/plugin-runtime.ts";
import type { Plugin } from "../../plugins/plugin.ts";
import { FakeStream } from "./support/fake-stream.ts";
import { fakePorts } from "./support/fake-ports.ts";
import { loaded } from "./support/loaded.ts";
import { goodModule, specOf, watBytes } from "./support/specs.ts";
import { OUT, WatGuest } from "./support/wat-guest.ts";

/** Traps on request headers when the stream has x-trap; otherwise does `then`. */
function trapsOnHeader(guest: WatGuest, then = "(i32.const 0)"): WatGuest {
  const has = `(i32.eqz (call $proxy_get_header_map_value (i32.const 0) ${guest.text("x-trap")} ${OUT}))`;
  return guest.on("proxy_on_request_headers", `(if ${has} (then unreachable)) ${then}`);
}

function trappingStream(): FakeStream {
  return new FakeStream([":method", "GET", ":path", "/", ":authority", "a", "x-trap", "1"]);
}

suite("a trap", () => {
  test("fails its stream with one 503 and the next stream gets a fresh VM", () => {
    const { plugin, hooks, ports } = loaded(trapsOnHeader(new WatGuest()));
    const stream = trappingStream();
    const context = plugin.createHttpContext(stream);
    const seen: number[] = [];
    stream.onReply = () => {
      stream.respond();
      seen.push(context.onResponseHeaders(1, true));
    };
    assert.equal(context.onRequestHeaders(4, true), 4);
    assert.deepEqual(stream.journal, ["reply 503 wasm_fail_stream"]);
    assert.deepEqual(seen, [0], "the 503 passes this filter without the plugin");
    assert.equal(stream.replies[0]?.grpcStatus, 14);
    context.onLog();
    context.close();
    const fault = hooks.at(-1)?.fault;
    assert.equal(fault?.kind, "trap");
    assert.equal(fault?.callback, "proxy_on_request_headers");
    assert.match(ports.log.lines.join("\n"), /plugin "guest" failed in proxy_on_request_headers: trap: unreachable/);
    assert.equal(plugin.view().state, "failed");
    const next = new FakeStream();
    assert.equal(plugin.createHttpContext(next).onRequestHeaders(3, true), 0);
    assert.deepEqual(next.journal, []);
    assert.equal(plugin.view().state, "running");
    assert.equal(plugin.view().restarts, 1);
    assert.equal(plugin.view().lastFault, fault);
  });

  test("with policy open lets its stream pass without the plugin", () => {
    const { plugin, callbacks } = loaded(trapsOnHeader(new WatGuest()), { failurePolicy: "open" });
    const stream = trappingStream();
    const context = plugin.createHttpContext(stream);
    assert.equal(context.onRequestHeaders(4, true), 0);
    assert.equal(context.onResponseHeaders(1, true), 0);
    context.onLog();
    context.close();
    assert.deepEqual(stream.journal, []);
    assert.equal(callbacks().at(-1), "proxy_on_request_headers 2");
  });

  test("does not fail a stream that waits for its response: that one goes on in the fresh VM", () => {
    const guest = trapsOnHeader(new WatGuest());
    guest.on("proxy_on_response_headers", `${guest.log("response")} (i32.const 0)`).on("proxy_on_delete", "");
    const { plugin, lines, callbacks } = loaded(guest);
    const waiting = new FakeStream();
    const context = plugin.createHttpContext(waiting);
    context.onRequestHeaders(3, true);
    plugin.createHttpContext(trappingStream()).onRequestHeaders(4, true);
    waiting.respond();
    assert.equal(context.onResponseHeaders(1, true), 0);
    context.close();
    assert.deepEqual(waiting.journal, []);
    assert.equal(lines().at(-1), "response");
    assert.equal(callbacks().at(-1), "proxy_on_delete 2");
    assert.equal(plugin.view().openStreams, 1, "only the trapped stream is open");
  });

  test("fails a stream that is in the middle of its request body", () => {
    const guest = trapsOnHeader(new WatGuest()).on("proxy_on_request_body", "(i32.const 0)");
    const { plugin } = loaded(guest);
    const other = new FakeStream();
    const context = plugin.createHttpContext(other);
    context.onRequestHeaders(3, false);
    plugin.createHttpContext(trappingStream()).onRequestHeaders(4, true);
    assert.equal(context.onRequestBody(1, true), 3);
    assert.deepEqual(other.journal, ["reply 503 wasm_fail_stream"]);
  });

  test("fails a stream whose response comes before its request has ended", () => {
    const { plugin } = loaded(trapsOnHeader(new WatGuest()).on("proxy_on_response_headers", "(i32.const 0)"));
    const other = new FakeStream();
    const context = plugin.createHttpContext(other);
    context.onRequestHeaders(3, false);
    plugin.createHttpContext(trappingStream()).onRequestHeaders(4, true);
    other.respond();
    assert.equal(context.onResponseHeaders(1, true), 4);
    assert.deepEqual(other.journal, ["reply 503 wasm_fail_stream"]);
  });

  test("does not leave a paused stream hanging", () => {
    for (const failurePolicy of ["closed", "open"] as const) {
      const { plugin } = loaded(trapsOnHeader(new WatGuest(), "(i32.const 1)"), { failurePolicy });
      const paused = new FakeStream();
      plugin.createHttpContext(paused).onRequestHeaders(3, true);
      plugin.createHttpContext(trappingStream()).onRequestHeaders(4, true);
      assert.deepEqual(paused.journal, [failurePolicy === "open" ? "continue-request" : "reply 503 wasm_fail_stream"]);
    }
  });

  test("in the answer of a call fails the stream that waited for it", () => {
    const guest = new WatGuest();
    const headers = Buffer.from(
      "\x03\0\0\0\x07\0\0\0\x03\0\0\0\x05\0\0\0\x01\0\0\0\x0a\0\0\0\x01\0\0\0:method\0GET\0:path\0/\0:authority\0a\0",
      "latin1",
    );
    guest.on(
      "proxy_on_request_headers",
      `(drop (call $proxy_http_call ${guest.text("auth")} ${guest.text(headers)} (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0) (i32.const 100) (i32.const 16))) (i32.const 1)`,
    );
    guest.on("proxy_on_http_call_response", "unreachable");
    const { plugin, ports } = loaded(guest);
    const stream = new FakeStream();
    plugin.createHttpContext(stream).onRequestHeaders(3, true);
    assert.equal(ports.http.calls.length, 1);
    ports.http.answer(4, { kind: "failure", message: "reset" });
    assert.deepEqual(stream.journal, ["reply 503 wasm_fail_stream"]);
  });

  test("in every callback ends the VM and never the process", () => {
    const names = ["request_headers", "request_body", "request_trailers", "response_headers", "response_body"];
    for (const name of [...names, "response_trailers", "log", "done", "delete"]) {
      const { plugin } = loaded(new WatGuest().on(`proxy_on_${name}`, "unreachable"));
      const stream = new FakeStream();
      const context = plugin.createHttpContext(stream);
      context.onRequestHeaders(3, false);
      context.onRequestBody(0, false);
      context.onRequestTrailers(0);
      context.onResponseHeaders(1, false);
      context.onResponseBody(0, false);
      context.onResponseTrailers(0);
      context.onLog();
      context.close();
      assert.equal(plugin.view().lastFault?.callback, `proxy_on_${name}`);
      const isStreamPhase = name.startsWith("re");
      assert.equal(stream.journal.length, isStreamPhase ? 1 : 0, name);
      assert.equal(plugin.view().openStreams, 0);
    }
  });
});

suite("kinds of fault", () => {
  const cases = [
    { kind: "exit", body: "(drop (call $proc_exit (i32.const 2))) (i32.const 0)", message: /proc_exit\(2\)/ },
    { kind: "stack_overflow", body: "(call $self (local.get $0) (i32.const 0) (i32.const 0))", message: /call stack/ },
    { kind: "trap", body: "(i32.load (i32.const -4))", message: /out of bounds/ },
    { kind: "trap", body: "(i32.div_u (i32.const 1) (i32.const 0))", message: /zero/ },
  ];
  for (const { kind, body, message } of cases) {
    test(`${message.source} is ${kind}`, () => {
      const text = new WatGuest().on("proxy_on_request_headers", body).wat();
      const named = text.replace(
        '(func (export "proxy_on_request_headers")',
        '(func $self (export "proxy_on_request_headers")',
      );
      const { plugin } = loaded(watBytes(named));
      plugin.createHttpContext(new FakeStream()).onRequestHeaders(3, true);
      assert.equal(plugin.view().lastFault?.kind, kind);
      assert.match(plugin.view().lastFault?.message ?? "", message);
    });
  }

  test("an allocator that calls back into the proxy is restricted_call", () => {
    const guest = new WatGuest({
      allocators: `(func (export "malloc") (param i32) (result i32)
        (drop (call $proxy_done)) (i32.const 1024))`,
    });
    guest.on("proxy_on_request_headers", `(call $proxy_get_header_map_pairs (i32.const 0) ${OUT})`);
    const { plugin } = loaded(guest);
    plugin.createHttpContext(new FakeStream()).onRequestHeaders(3, true);
    assert.equal(plugin.view().lastFault?.kind, "restricted_call");
    assert.match(plugin.view().lastFault?.message ?? "", /proxy_done must not be called inside the allocator/);
  });

  test("an embedder that throws is host_error, and the guest's VM ends", () => {
    const guest = new WatGuest();
    guest.on("proxy_on_request_headers", `(call $proxy_get_property ${guest.text("x")} ${OUT})`);
    const { plugin } = loaded(guest);
    const stream = new FakeStream();
    stream.property = () => {
      throw new Error("a bug");
    };
    plugin.createHttpContext(stream).onRequestHeaders(3, true);
    assert.equal(plugin.view().lastFault?.kind, "host_error");
  });
});

suite("a plugin that fails all the time", () => {
  const held = { maxFaults: 3, faultWindowMs: 1000 };
  function quarantined() {
    const made = loaded(trapsOnHeader(new WatGuest()), held);
    for (let i = 0; i < 3; i++) made.plugin.createHttpContext(trappingStream()).onRequestHeaders(4, true);
    return made;
  }
  function journalOf(stream: FakeStream, plugin: Plugin): string[] {
    plugin.createHttpContext(stream).onRequestHeaders(3, true);
    return stream.journal;
  }

  test("is quarantined, and says so", () => {
    const { plugin, ports } = quarantined();
    const { state, quarantines, quarantinedForMs, streamsWithout, faultsByKind } = plugin.view();
    assert.deepEqual([state, quarantines, quarantinedForMs, streamsWithout], ["quarantined", 1, 1000, 0]);
    assert.deepEqual(faultsByKind, { trap: 3 });
    assert.match(ports.log.lines.join("\n"), /is quarantined for 1 s/);
    assert.deepEqual(journalOf(new FakeStream(), plugin), ["reply 503 wasm_fail_stream"]);
    assert.deepEqual([plugin.view().streamsWithout, plugin.view().restarts], [1, 2]);
  });

  test("is tried by one stream when the hold is over; the others wait for its end", () => {
    const { plugin, ports } = quarantined();
    ports.clock.advance(1001);
    const trial = plugin.createHttpContext(new FakeStream());
    assert.equal(trial.onRequestHeaders(3, true), 0);
    assert.equal(plugin.view().state, "quarantined");
    assert.deepEqual(journalOf(new FakeStream(), plugin), ["reply 503 wasm_fail_stream"]);
    trial.close();
    assert.equal(plugin.view().state, "running");
    assert.deepEqual(journalOf(new FakeStream(), plugin), []);
    assert.equal(plugin.view().restarts, 3);
    assert.match(ports.log.lines.join("\n"), /no longer quarantined/);
  });

  test("is held twice as long when the trial fails", () => {
    const { plugin, ports } = quarantined();
    ports.clock.advance(1001);
    plugin.createHttpContext(trappingStream()).onRequestHeaders(4, true);
    assert.deepEqual([plugin.view().quarantines, plugin.view().quarantinedForMs], [2, 2000]);
    ports.clock.advance(1999);
    assert.deepEqual(journalOf(new FakeStream(), plugin), ["reply 503 wasm_fail_stream"]);
    ports.clock.advance(2);
    assert.deepEqual(journalOf(new FakeStream(), plugin), []);
  });

  test("is let go of by a trial that lasts", () => {
    const { plugin, ports } = quarantined();
    ports.clock.advance(1001);
    assert.equal(plugin.createHttpContext(new FakeStream()).onRequestHeaders(3, true), 0);
    ports.clock.advance(1000);
    assert.deepEqual(journalOf(new FakeStream(), plugin), []);
    assert.equal(plugin.view().state, "running");
  });

  test("is never quarantined with a limit of 0", () => {
    const { plugin } = loaded(trapsOnHeader(new WatGuest()), { ...held, maxFaults: 0 });
    for (let i = 0; i < 50; i++) plugin.createHttpContext(trappingStream()).onRequestHeaders(4, true);
    assert.deepEqual(journalOf(new FakeStream(), plugin), []);
  });
});

test("under the policy reload a fresh VM comes not sooner than its interval after the last start", () => {
  const { plugin, ports } = loaded(trapsOnHeader(new WatGuest()), { failurePolicy: "reload", reloadIntervalMs: 1000 });
  const trapped = trappingStream();
  plugin.createHttpContext(trapped).onRequestHeaders(4, true);
  assert.deepEqual(trapped.journal, ["reply 503 wasm_fail_stream"]);
  const early = new FakeStream();
  assert.equal(plugin.createHttpContext(early).onRequestHeaders(3, true), 4);
  assert.deepEqual(early.journal, ["reply 503 wasm_fail_stream"]);
  assert.equal(plugin.view().state, "failed");
  // Half of the half that it may wait longer.
  ports.clock.advance(1249);
  assert.equal(plugin.createHttpContext(new FakeStream()).onRequestHeaders(3, true), 4);
  ports.clock.advance(1);
  assert.equal(plugin.createHttpContext(new FakeStream()).onRequestHeaders(3, true), 0);
  assert.deepEqual(plugin.view().reloads, { backoff: 2, success: 1, failure: 0 });
});

suite("start", () => {
  const failures = [
    {
      name: "proxy_on_vm_start",
      body: "(i32.const 0)",
      problem: /failed in proxy_on_vm_start: refused: .*answered false/,
    },
    { name: "proxy_on_configure", body: "(i32.const 0)", problem: /failed in proxy_on_configure: refused/ },
    { name: "proxy_on_configure", body: "unreachable", problem: /failed in proxy_on_configure: trap: unreachable/ },
    { name: "proxy_on_context_create", body: "unreachable", problem: /failed in proxy_on_context_create: trap/ },
    { name: "_initialize", body: "unreachable", problem: /failed in _initialize: trap: unreachable/ },
    {
      name: "_initialize",
      body: "(drop (call $proxy_done))",
      problem: /_initialize: restricted_call: proxy_done must not/,
    },
    {
      name: "_start",
      body: "(drop (call $proc_exit (i32.const 1)))",
      problem: /failed in _start: exit: .*proc_exit\(1\)/,
    },
  ];
  for (const { name, body, problem } of failures) {
    test(`${name} with ${body} refuses the plugin`, () => {
      const runtime = new PluginRuntime({ ports: fakePorts() });
      const result = runtime.load(specOf(goodModule(new WatGuest().on(name, body).bytes())));
      assert.equal(result.ok, false);
      assert.match(result.ok ? "" : result.problem, problem);
      assert.equal(runtime.vmCount, 0);
      assert.equal(runtime.plugins.size, 0);
    });
  }

  test("_start that ends with proc_exit(0) is a good start, and may log", () => {
    const guest = new WatGuest();
    guest.on("_start", `${guest.log("up")} (drop (call $proc_exit (i32.const 0)))`);
    assert.deepEqual(loaded(guest).lines(), ["up"]);
  });

  test("a newcomer that fails in a shared VM does not take the others along", () => {
    const guest = new WatGuest();
    guest.on("proxy_on_configure", "(if (local.get $1) (then unreachable)) (i32.const 1)");
    const { runtime, plugin } = loaded(guest);
    const bad = specOf(plugin.spec.module, { name: "bad", pluginConfiguration: new Uint8Array(1) });
    assert.equal(runtime.load(bad).ok, false);
    const stream = new FakeStream();
    assert.equal(plugin.createHttpContext(stream).onRequestHeaders(3, true), 0);
    assert.equal(plugin.view().restarts, 0);
    assert.equal(plugin.view().sharedBy, 1);
  });

  test("newcomers of one turn are tried in one instance, until one fails in it; those of the next in another", () => {
    const guest = new WatGuest();
    guest.on("proxy_on_configure", "(if (i32.eq (local.get $1) (i32.const 1)) (then unreachable)) (i32.const 1)");
    const { runtime, plugin, ports } = loaded(guest);
    const load = (size: number): boolean =>
      runtime.load(specOf(plugin.spec.module, { pluginConfiguration: new Uint8Array(size) })).ok;
    assert.deepEqual([2, 3, 4].map(load), [true, true, true]);
    assert.equal(runtime.vmsCreated, 2);
    assert.deepEqual([1, 5].map(load), [false, true]);
    assert.equal(runtime.vmsCreated, 3);
    ports.clock.advance(1);
    assert.equal(load(6), true);
    assert.equal(runtime.vmsCreated, 4);
    assert.equal(plugin.view().sharedBy, 6);
  });
});
