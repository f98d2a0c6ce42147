// What lives beside streams: calls and their answers, ticks, queues, sharing of VMs, the end of a plugin.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { encodeBytePairs } from "../../plugins/abi/pairs.ts";
import { PluginRuntime } from "../../plugins/plugin-runtime.ts";
import { FakeStream } from "./support/fake-stream.ts";
import { fakePorts } from "./support/fake-ports.ts";
import { loaded } from "./support/loaded.ts";
import { goodModule, specOf } from "./support/specs.ts";
import { OUT, WatGuest } from "./support/wat-guest.ts";

function fields(...pairs: [string, string][]): Uint8Array {
  return encodeBytePairs(pairs.map(([name, value]) => [name, Buffer.from(value)] as const));
}

const GET = fields([":method", "GET"], [":path", "/check"], [":authority", "auth"], ["X-Mixed", "1"]);

/** An expression: proxy_http_call with a body, its token at 28. */
function httpCall(guest: WatGuest, cluster = "auth", headers = GET, timeoutMs = 250): string {
  return `(call $proxy_http_call ${guest.text(cluster)} ${guest.text(headers)} ${guest.text("body")}
    (i32.const 0) (i32.const 0) (i32.const ${timeoutMs}) (i32.const 28))`;
}

suite("proxy_http_call", () => {
  test("pauses a stream, and its answer resumes it with a header added", () => {
    const guest = new WatGuest();
    guest.on("proxy_on_request_headers", `${guest.logLetter(httpCall(guest))} (i32.const 1)`);
    const read = (map: number, name: string): string =>
      `(drop (call $proxy_get_header_map_value (i32.const ${map}) ${guest.text(name)} ${OUT}))`;
    guest.on(
      "proxy_on_http_call_response",
      `(drop (call $proxy_set_effective_context (i32.const 2)))
       ${read(6, ":status")} ${guest.logResult()} ${read(7, "x-end")} ${guest.logResult()}
       (drop (call $proxy_get_buffer_bytes (i32.const 4) (i32.const 0) (i32.const 99) ${OUT})) ${guest.logResult()}
       ${guest.logLetter("(local.get $2)")} ${guest.logLetter("(local.get $3)")} ${guest.logLetter("(local.get $4)")}
       (drop (call $proxy_add_header_map_value (i32.const 0) ${guest.text("x-user")} ${guest.text("ann")}))
       (drop (call $proxy_continue_stream (i32.const 0)))`,
    );
    const { plugin, ports, lines, hooks } = loaded(guest);
    const stream = new FakeStream();
    const context = plugin.createHttpContext(stream);
    assert.equal(context.onRequestHeaders(3, true), 4);
    const [call] = ports.http.calls;
    assert.equal(call?.cluster, "auth");
    assert.deepEqual(call?.headers, [":method", "GET", ":path", "/check", ":authority", "auth", "x-mixed", "1"]);
    assert.equal(Buffer.from(call?.body ?? []).toString(), "body");
    assert.equal(call?.timeoutMs, 250);
    assert.equal(call?.stream, stream);
    assert.deepEqual(hooks.at(-1)?.callTokens, [call?.token]);
    ports.http.answer(call?.token ?? 0, {
      kind: "response",
      headers: [":status", "200"],
      body: Buffer.from("yes"),
      trailers: ["x-end", "1"],
    });
    assert.deepEqual(lines(), ["a", "200", "1", "yes", "b", "d", "b"]);
    assert.equal(stream.map(0).get("x-user"), "ann");
    assert.deepEqual(stream.journal, ["clear-route-cache", "continue-request"]);
    assert.equal(hooks.at(-1)?.answeredToken, call?.token);
    assert.equal(hooks.at(-1)?.effectiveStream, stream);
  });

  test("refusals: unknown cluster, cluster down, no :path, no pairs, negative timeout", () => {
    const guest = new WatGuest();
    const attempts = [
      httpCall(guest, "unknown"),
      httpCall(guest, "down"),
      httpCall(guest, "auth", fields([":method", "GET"], [":authority", "a"])),
      httpCall(guest, "auth", Uint8Array.of(9, 9, 9, 9, 9)),
      httpCall(guest, "auth", GET, -1),
      httpCall(guest, "auth", fields([":method", "GET"], [":path", "/ \r\n"], [":authority", "a"])),
    ];
    guest.on("proxy_on_request_headers", `${attempts.map((one) => guest.logLetter(one)).join("\n")} (i32.const 0)`);
    const { plugin, lines } = loaded(guest);
    plugin.createHttpContext(new FakeStream()).onRequestHeaders(3, true);
    assert.deepEqual(
      lines().filter((line) => line.length === 1),
      ["c", "k", "c", "c", "c", "c"],
    );
  });

  test("a broken call arrives as 0, 0, 0 with its status and message", () => {
    const guest = new WatGuest();
    guest.on("proxy_on_request_headers", `(drop ${httpCall(guest)}) (i32.const 0)`);
    guest.on(
      "proxy_on_http_call_response",
      `(drop (call $proxy_get_status (i32.const 32) ${OUT})) ${guest.logResult()}
       ${guest.logLetter("(i32.load (i32.const 32))")} ${guest.logLetter("(local.get $2)")}
       ${guest.logLetter(`(call $proxy_get_buffer_bytes (i32.const 4) (i32.const 0) (i32.const 9) ${OUT})`)}`,
    );
    const { plugin, ports, lines } = loaded(guest);
    plugin.createHttpContext(new FakeStream()).onRequestHeaders(3, true);
    ports.http.answer(4, { kind: "failure", message: "reset" });
    assert.deepEqual(lines(), ["reset", "l", "a", "b"]);
  });

  test("the answer is there only while its callback runs", () => {
    const guest = new WatGuest();
    guest.on("proxy_on_vm_start", "(drop (call $proxy_set_tick_period_milliseconds (i32.const 50))) (i32.const 1)");
    guest.on("proxy_on_request_headers", `(drop ${httpCall(guest)}) (drop ${httpCall(guest)}) (i32.const 0)`);
    const look = `${guest.logLetter(`(call $proxy_get_buffer_bytes (i32.const 4) (i32.const 0) (i32.const 9) ${OUT})`)}
      ${guest.logLetter(`(call $proxy_get_header_map_value (i32.const 6) ${guest.text(":status")} ${OUT})`)}
      (drop (call $proxy_get_status (i32.const 32) ${OUT})) ${guest.logResult()}`;
    guest.on("proxy_on_tick", look);
    const { plugin, ports, lines } = loaded(guest);
    plugin.createHttpContext(new FakeStream()).onRequestHeaders(3, true);
    ports.http.answer(4, { kind: "response", headers: [":status", "200"], body: Buffer.from("x"), trailers: [] });
    ports.http.answer(8, { kind: "failure", message: "reset" });
    ports.clock.advance(50);
    assert.deepEqual(lines(), ["b", "b", ""]);
  });

  test("the answer still arrives when the stream has gone, and calls are cancelled with the plugin", () => {
    const guest = new WatGuest();
    guest.on("proxy_on_request_headers", `(drop ${httpCall(guest)}) (drop ${httpCall(guest)}) (i32.const 1)`);
    guest.on("proxy_on_http_call_response", guest.logLetter("(call $proxy_set_effective_context (i32.const 2))"));
    const { plugin, ports, lines } = loaded(guest);
    const context = plugin.createHttpContext(new FakeStream());
    context.onRequestHeaders(3, true);
    context.close();
    ports.http.answer(4, { kind: "failure", message: "reset" });
    assert.deepEqual(lines(), ["c"], "the stream's context is unknown by now");
    plugin.dispose();
    assert.deepEqual(ports.http.cancelled, [8]);
    ports.http.answer(8, { kind: "failure", message: "late" });
    assert.deepEqual(lines(), ["c"]);
  });
});

test("ticks come at their period until it is set to 0", () => {
  const guest = new WatGuest();
  guest.on("proxy_on_vm_start", "(drop (call $proxy_set_tick_period_milliseconds (i32.const 100))) (i32.const 1)");
  guest.on(
    "proxy_on_tick",
    `${guest.log("tick")} (i32.store (i32.const 32) (i32.add (i32.load (i32.const 32)) (i32.const 1)))
     (if (i32.eq (i32.load (i32.const 32)) (i32.const 3)) (then (drop (call $proxy_set_tick_period_milliseconds (i32.const 0)))))`,
  );
  const { ports, lines } = loaded(guest);
  ports.clock.advance(250);
  assert.equal(lines().length, 2);
  ports.clock.advance(1000);
  assert.equal(lines().length, 3);
  assert.equal(ports.clock.timerCount, 0);
});

test("a trap in a tick is a fault, and the next stream starts the plugin and its ticks again", () => {
  const guest = new WatGuest();
  guest.on("proxy_on_vm_start", "(drop (call $proxy_set_tick_period_milliseconds (i32.const 100))) (i32.const 1)");
  guest.on("proxy_on_tick", "unreachable").on("proxy_on_request_headers", "(i32.const 0)");
  const { plugin, ports } = loaded(guest);
  ports.clock.advance(100);
  assert.equal(plugin.view().lastFault?.callback, "proxy_on_tick");
  assert.equal(ports.clock.timerCount, 0);
  assert.equal(plugin.createHttpContext(new FakeStream()).onRequestHeaders(3, true), 0);
  assert.equal(ports.clock.timerCount, 1);
});

test("a queue tells the latest registrant about each message", async () => {
  const guest = new WatGuest();
  guest.on(
    "proxy_on_vm_start",
    `(drop (call $proxy_register_shared_queue ${guest.text("q")} (i32.const 28))) (i32.const 1)`,
  );
  const token = "(i32.load (i32.const 28))";
  const resolve = guest.logLetter(
    `(call $proxy_resolve_shared_queue ${guest.text("")} ${guest.text("q")} (i32.const 32))`,
  );
  const enqueue = guest.logLetter(`(call $proxy_enqueue_shared_queue (i32.load (i32.const 32)) ${guest.text("hi")})`);
  const unknown = guest.logLetter(`(call $proxy_enqueue_shared_queue (i32.const 77) ${guest.text("hi")})`);
  guest.on("proxy_on_request_headers", `${resolve} ${enqueue} ${unknown} (i32.const 0)`);
  const dequeue = guest.logLetter(`(call $proxy_dequeue_shared_queue ${token} ${OUT})`);
  guest.on("proxy_on_queue_ready", `${dequeue} ${guest.logResult()} ${dequeue} ${guest.log("done")}`);
  const { plugin, lines, runtime } = loaded(guest);
  plugin.createHttpContext(new FakeStream()).onRequestHeaders(3, true);
  assert.deepEqual(lines(), ["a", "a", "b"], "not before the callback has returned");
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  assert.deepEqual(lines().slice(3), ["a", "hi", "h", "done"]);
  runtime.dispose();
});

suite("sharing of VMs", () => {
  const module = goodModule(new WatGuest().on("proxy_on_request_headers", "(i32.const 0)").bytes());
  const base = specOf(module, { vmId: "a", environment: { A: "1", B: "2" } });
  const cases = [
    {
      name: "other plugin configuration and root id",
      change: { rootId: "r", pluginConfiguration: Buffer.from("x") },
      vms: 1,
    },
    { name: "the same environment in another order", change: { environment: { B: "2", A: "1" } }, vms: 1 },
    { name: "another vm_id", change: { vmId: "b" }, vms: 2 },
    { name: "another VM configuration", change: { vmConfiguration: Buffer.from("x") }, vms: 2 },
    { name: "another environment", change: { environment: { A: "1" } }, vms: 2 },
    { name: "other capabilities", change: { capabilities: ["proxy_log"] }, vms: 2 },
  ];
  for (const { name, change, vms } of cases) {
    test(`${name}: ${vms === 1 ? "shared" : "not shared"}`, () => {
      const runtime = new PluginRuntime({ ports: fakePorts() });
      const first = runtime.load(base);
      const second = runtime.load({ ...base, ...change });
      assert.equal(runtime.vmCount, vms);
      if (!first.ok || !second.ok) assert.fail("did not load");
      assert.equal(first.plugin.root?.vm === second.plugin.root?.vm, vms === 1);
      assert.notEqual(first.plugin.root, second.plugin.root);
    });
  }
});

test("a plugin reaches its own contexts only, whatever id it names in a VM that it shares", () => {
  const guest = new WatGuest().on("proxy_on_vm_start", "(i32.const 1)");
  // A root each, then a stream each: 1 and 3 are the first plugin's, 2 and 4 the second's.
  const each = [1, 2, 3, 4].map((id) => guest.logLetter(`(call $proxy_set_effective_context (i32.const ${id}))`));
  guest.on("proxy_on_response_headers", `${each.join(" ")} (i32.const 0)`);
  const ports = fakePorts();
  const runtime = new PluginRuntime({ ports });
  const spec = specOf(goodModule(guest.bytes()), { vmId: "shared" });
  const contexts = ["first", "second"].map((name) => {
    const result = runtime.load({ ...spec, name, rootId: name });
    if (!result.ok) assert.fail(result.problem);
    return result.plugin;
  });
  assert.equal(runtime.vmCount, 1);
  const streams = contexts.map((plugin) => plugin.createHttpContext(new FakeStream()));
  for (const stream of streams) stream.onRequestHeaders(3, true);
  assert.deepEqual(
    streams.map((stream) => stream.contextId),
    [3, 4],
  );
  ports.log.lines.length = 0;
  streams[1]?.onResponseHeaders(3, true);
  assert.deepEqual(
    ports.log.lines.map((line) => line.at(-1)),
    ["c", "a", "c", "a"],
  );
});

suite("the end of a plugin", () => {
  function ending(done: string): WatGuest {
    const guest = new WatGuest();
    guest.on("proxy_on_done", done).on("proxy_on_delete", "").on("proxy_on_request_headers", "(i32.const 0)");
    guest.on("proxy_on_vm_start", "(drop (call $proxy_set_tick_period_milliseconds (i32.const 10))) (i32.const 1)");
    return guest.on("proxy_on_tick", guest.logLetter("(call $proxy_done)"));
  }

  test("waits for the last stream, then runs done and delete and drops the VM", () => {
    const { runtime, plugin, callbacks } = loaded(ending("(i32.const 1)"));
    const context = plugin.createHttpContext(new FakeStream());
    context.onRequestHeaders(3, true);
    runtime.unload(plugin);
    assert.equal(runtime.vmCount, 1);
    context.close();
    assert.deepEqual(callbacks().slice(-2), ["proxy_on_done 1", "proxy_on_delete 1"]);
    assert.equal(runtime.vmCount, 0);
  });

  test("a root context that is not done lives on until proxy_done", () => {
    const { runtime, plugin, ports, callbacks, lines } = loaded(ending("(i32.const 0)"));
    ports.clock.advance(10);
    assert.deepEqual(lines(), ["b"], "proxy_done without a pending end is NotFound");
    runtime.unload(plugin);
    assert.equal(callbacks().at(-1), "proxy_on_done 1");
    ports.clock.advance(10);
    assert.deepEqual(lines(), ["b", "a"]);
    assert.equal(callbacks().at(-1), "proxy_on_delete 1");
    assert.equal(runtime.vmCount, 0);
    assert.equal(ports.clock.timerCount, 0);
  });

  test("a root context that never says so is ended after 30 seconds", () => {
    const guest = new WatGuest().on("proxy_on_done", "(i32.const 0)").on("proxy_on_delete", "");
    const { runtime, plugin, ports, callbacks } = loaded(guest);
    runtime.unload(plugin);
    ports.clock.advance(29_999);
    assert.equal(runtime.vmCount, 1);
    ports.clock.advance(1);
    assert.equal(callbacks().at(-1), "proxy_on_delete 1");
    assert.equal(runtime.vmCount, 0);
  });

  test("a plugin whose VM is dead goes quietly", () => {
    const guest = new WatGuest().on("proxy_on_request_headers", "unreachable");
    const { runtime, plugin } = loaded(guest);
    const context = plugin.createHttpContext(new FakeStream());
    context.onRequestHeaders(3, true);
    context.close();
    runtime.unload(plugin);
    assert.equal(runtime.vmCount, 0);
  });
});
