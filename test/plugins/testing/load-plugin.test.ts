// The test API as a plugin author uses it, with the example of each SDK and with the guests.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { CALLBACK_NAMES } from "../../../plugins/abi/callbacks.ts";
import { Exchange } from "../support/exchange.ts";
import { loaded } from "../support/loaded.ts";
import { OUT, WatGuest } from "../support/wat-guest.ts";
import { createSharedMemory, loadPlugin, type LoadOptions, PluginLoadError } from "../../../plugins/testing/index.ts";

const EXAMPLE = { headers: [{ name: "X-Wasm", value: "yes" }] };
const example = (name: string): URL => new URL(`../../../plugins/examples/${name}/plugin.wasm`, import.meta.url);
const guest = (name: string, options: LoadOptions = {}) =>
  loadPlugin(new URL(`../../guests/wasm/${name}.wasm`, import.meta.url), options);

for (const language of ["go", "rust", "assemblyscript", "cpp"]) {
  test(`loadPlugin() drives the ${language} example`, () => {
    using plugin = loadPlugin(example(language), { configuration: EXAMPLE, rootId: "custom-response-header" });
    const stream = plugin.request({ path: "/hello", headers: { accept: "*/*" } });
    assert.equal(stream.request.isComplete, true);
    stream.respond({ headers: { server: "origin" }, body: "hello" });
    assert.deepEqual(stream.response.headers.toObject(), { ":status": "200", server: "origin", "x-wasm": "yes" });
    assert.equal(stream.response.body.toString(), "hello");
    assert.ok(plugin.hostCalls("proxy_on_response_headers").includes("proxy_replace_header_map_value"));
    stream.end();
    assert.equal(plugin.fault, undefined);
    assert.ok(plugin.memoryBytes > 0);
  });
}

suite("loadPlugin()", () => {
  test("says what is wrong with a module, and what the plugin said when it refused", () => {
    assert.throws(() => loadPlugin(Buffer.from("no")), {
      name: "PluginLoadError",
      message: /not a WebAssembly module/,
    });
    assert.throws(() => loadPlugin("/nowhere/x.wasm"), { code: "ENOENT" });
    assert.throws(
      () => guest("refuse", { configuration: "refuse this" }),
      (error) => error instanceof PluginLoadError && error.logs.length > 0 && /refused/.test(error.message),
    );
  });

  test("takes configurations as text, bytes and objects", () => {
    using plugin = guest("configuration", { configuration: { a: 1 }, vmConfiguration: Buffer.from("vm"), rootId: "r" });
    const { headers } = plugin.request().respond().response;
    assert.equal(headers.get("x-plugin-config"), '{"a":1}');
    assert.equal(headers.get("x-vm-config"), "vm");
    assert.equal(headers.get("x-plugin-root-id"), "r");
  });

  test("gives the environment, and shared memory to several", () => {
    using plugin = guest("environment", { environment: { A: "b" } });
    assert.equal(plugin.request().respond().response.headers.get("x-env"), "A=b");
    const sharedMemory = createSharedMemory();
    using first = guest("shared-data", { configuration: "counter", vmId: "vm", sharedMemory });
    using second = guest("shared-data", { configuration: "counter", vmId: "vm", sharedMemory });
    first.request().respond();
    second.setSharedData("other", "value");
    assert.equal(second.request().respond().response.headers.get("x-count"), "2");
    assert.equal(first.sharedData("other")?.toString(), "value");
    assert.equal(first.sharedData("nothing"), undefined);
  });
});

suite("TestStream", () => {
  test("pushes single parts and says what each callback answered", () => {
    using plugin = guest("body-buffer", { configuration: "request append !" });
    const stream = plugin.stream();
    assert.equal(stream.requestHeaders({ ":method": "POST", ":path": "/", ":authority": "a" }), "continue");
    assert.equal(stream.requestBody("one "), "pause");
    assert.equal(stream.request.heldBody.toString(), "one ");
    assert.equal(stream.request.isPaused, true);
    assert.equal(stream.requestBody("two", { endOfStream: true }), "continue");
    assert.equal(stream.request.body.toString(), "one two!");
    assert.equal(stream.request.isComplete, true);
    assert.throws(() => stream.requestBody("three"), /the request has ended already/);
    assert.throws(() => stream.requestHeaders({}), /the request has its headers already/);
    assert.throws(() => stream.responseBody("x"), /the response needs its headers first/);
    stream.end();
    assert.throws(() => stream.responseHeaders({ ":status": 200 }), /the stream has ended/);
  });

  test("shows what the plugin does to trailers, and adds those that it makes", () => {
    using plugin = guest("trailers", { configuration: "request add x-a 1\ncreate-response x-made yes" });
    const stream = plugin.request({ body: ["a", "b"], trailers: { "x-t": "1" } });
    assert.deepEqual(stream.request.trailers?.toObject(), { "x-t": "1", "x-a": "1" });
    stream.respond({ body: "body" });
    assert.deepEqual(stream.response.trailers?.toObject(), { "x-made": "yes" });
    assert.equal(stream.response.isComplete, true);
  });

  for (const [path, headers, status] of [
    ["/reply/request-headers", { ":status": "418", "x-local": "request-headers" }, 418],
    ["/reply/empty", { ":status": "204" }, 204],
  ] as const) {
    test(`has the plugin's own answer to ${path}`, () => {
      using plugin = guest("local-reply");
      const stream = plugin.request({ path });
      assert.equal(stream.localReply?.status, status);
      assert.equal(stream.status, status);
      const seen = stream.response.headers.toObject();
      for (const [name, value] of Object.entries(headers)) assert.equal(seen[name], value);
      assert.throws(() => stream.respond(), /the plugin answered itself/);
    });
  }

  test("is reset when the plugin closes it", () => {
    using plugin = guest("local-reply");
    assert.equal(plugin.request({ path: "/reply/reset" }).isReset, true);
  });

  test("answers 503 for a plugin that traps, and the next stream has a fresh one", () => {
    using plugin = guest("trap");
    const stream = plugin.request({ path: "/trap" });
    assert.equal(stream.localReply?.details, "wasm_fail_stream");
    assert.equal(stream.status, 503);
    assert.equal(plugin.fault?.kind, "trap");
    assert.equal(plugin.callbacks.at(-1)?.fault?.callback, "proxy_on_request_headers");
    assert.equal(plugin.request().respond().response.headers.get("x-guest"), "trap");
  });

  test("says when no upstream could respond", () => {
    using plugin = guest("pause-forever");
    assert.throws(() => plugin.request({ path: "/request-headers" }).respond(), /holds the request's headers/);
  });

  test("has properties of its own, of the plugin, and those that the plugin sets", () => {
    const configuration = "request request.path\nrequest xds.node.id\nrequest source.port\nrequest no.such";
    using plugin = guest("properties", { configuration, properties: { "xds.node.id": "n1" } });
    const { headers } = plugin.request({ path: "/x?y" }, { properties: { "source.port": 81 } }).respond().response;
    const hex = (text: string): string => Buffer.from(text).toString("hex");
    assert.equal(headers.get("x-req-prop-request-path"), hex("/x?y"));
    assert.equal(headers.get("x-req-prop-xds-node-id"), hex("n1"));
    assert.equal(headers.get("x-req-prop-source-port"), "5100000000000000");
    assert.equal(headers.get("x-req-prop-no-such"), "none");
    using setter = guest("set-property", { configuration: "set my.value hello" });
    assert.equal(setter.request().storedProperty("my.value")?.toString(), "hello");
  });

  test("carries UTF-8", () => {
    using plugin = guest("headers", { configuration: "response add x-word grün" });
    const stream = plugin.request({ headers: [["x-in", "über"]] }).respond();
    assert.equal(stream.request.headers.get("X-In"), "über");
    assert.equal(stream.response.headers.get("x-word"), "grün");
  });
});

suite("TestPlugin", () => {
  test("lists calls and delivers the test's answers", () => {
    using plugin = guest("http-call");
    const stream = plugin.request({ path: "/check" });
    assert.equal(stream.request.isPaused, true);
    const call = plugin.pendingCall;
    assert.deepEqual([call.cluster, call.path, call.timeoutMs, call.stream], ["auth", "/check", 1000, stream.access]);
    call.respond({ body: "ok", headers: { "X-Any": "1" } });
    assert.equal(stream.request.headers.get("x-call-status"), "200");
    assert.equal(stream.request.headers.get("x-call-body"), "ok");
    assert.equal(stream.request.isComplete, true);
    assert.throws(() => call.respond(), /is answered already/);
    assert.throws(() => plugin.pendingCall, /0 calls wait/);
  });

  test("breaks calls off, lets them time out, and knows only the clusters that it is given", () => {
    using plugin = guest("http-call", { clusters: ["auth"] });
    const failed = plugin.request({ path: "/a" });
    plugin.pendingCall.fail("reset");
    assert.equal(failed.status, 403);
    const late = plugin.request({ path: "/b" });
    plugin.clock.advance(999);
    assert.equal(late.status, 0);
    plugin.clock.advance(1);
    assert.equal(late.status, 403);
    assert.match(late.response.headers.get("x-call") ?? "", /504/);
    assert.equal(plugin.request({ path: "/fail" }).status, 500);
    assert.match(plugin.logs.map(({ message }) => message).join("\n"), /unknown cluster/);
  });

  test("plays the server of gRPC calls", () => {
    using plugin = guest("grpc-call", { clusters: ["grpc"] });
    const stream = plugin.request({ path: "/call/Echo" });
    const call = plugin.pendingGrpcCall;
    assert.deepEqual(
      [call.cluster, call.path, call.timeoutMs, call.isStream],
      ["grpc", "/test.Echo/Echo", 2000, false],
    );
    assert.deepEqual([call.messages.map(String), call.metadata.get("X-From")], [["hello"], "guest"]);
    assert.equal(call.stream, stream.access);
    call.respond("hi");
    assert.equal(stream.localReply?.body.toString(), "sent 1\nanswer true 2 hi\n");
    assert.throws(() => call.respond("again"), /is ended already/);
    const failed = plugin.request({ path: "/call/Echo" });
    plugin.pendingGrpcCall.fail(7, "no");
    assert.match(failed.localReply?.body.toString() ?? "", /failure true 7 7 no/);
    const late = plugin.request({ path: "/call/Echo" });
    plugin.clock.advance(2_000);
    assert.match(late.localReply?.body.toString() ?? "", /failure true 14 14 upstream request timeout/);
    assert.match(plugin.request({ path: "/no-cluster" }).localReply?.body.toString() ?? "", /ParseFailure/);
    assert.throws(() => plugin.pendingGrpcCall, /0 gRPC calls wait/);
  });

  test("plays the server of gRPC streams", () => {
    using plugin = guest("grpc-call");
    const talk = plugin.request({ path: "/stream-talk/Chat/1/2" });
    const call = plugin.pendingGrpcCall;
    assert.equal(call.isStream, true);
    call.begin({ "x-initial": "yes" }).message("one");
    assert.deepEqual([call.messages.map(String), call.isClosed], [["m0", "t1"], true]);
    call.message("two").end({ trailers: { "x-end": "1" } });
    assert.equal(call.state, "ended");
    assert.deepEqual(talk.localReply?.body.toString().trimEnd().split("\n"), [
      "opened 2",
      "initial 3: :status=200 content-type=application/grpc x-initial=yes (true)",
      "message 3 one",
      "message 3 two",
      "trailing 2: grpc-status=0 x-end=1 (true)",
      "close true 0 0",
    ]);
    plugin.request({ path: "/stream-cancel/Chat/1" });
    const cancelled = plugin.pendingGrpcCall;
    cancelled.message("one");
    assert.equal(cancelled.state, "cancelled");
    plugin.request({ path: "/stream-hold/Chat/1" });
    const held = plugin.pendingGrpcCall;
    plugin.close();
    assert.equal(held.state, "cancelled");
  });

  test("moves time: ticks come when they are due", () => {
    using plugin = guest("tick", { configuration: "period_ms 100\nstop_after 3" });
    plugin.clock.advance(250);
    assert.equal(plugin.metric("guest_ticks"), 2);
    plugin.tick();
    assert.equal(plugin.metric("guest_ticks"), 3);
    plugin.clock.advance(10_000);
    assert.equal(plugin.metric("guest_ticks"), 3);
    assert.throws(() => plugin.metric("nothing"), /no metric "nothing"; there are: guest_ticks/);
  });

  test("resumes what a tick resumes", () => {
    using plugin = guest("pause-resume", { configuration: "50" });
    const stream = plugin.request({ path: "/request-headers", body: ["a", "b"] });
    assert.equal(stream.request.isPaused, true);
    plugin.clock.advance(50);
    assert.equal(stream.request.isComplete, true);
    assert.equal(stream.request.body.toString(), "ab");
    assert.equal(stream.request.headers.get("x-resumed"), "request");
    assert.deepEqual(
      plugin.callbacks
        .filter(({ name }) => name === "proxy_on_request_body")
        .map(({ arguments: { body_size } }) => body_size),
      [2],
    );
  });

  test("keeps logs, metrics and the transcript", () => {
    using plugin = guest("metrics", { logLevel: "info" });
    plugin.request({ path: "/gauge/7" }).respond().end();
    assert.deepEqual(
      plugin.metrics.map(({ name, type, value }) => [name, type, value]),
      [
        ["guest_requests", "counter", 1],
        ["guest_active", "gauge", 7],
        ["guest_path_length", "histogram", 8],
      ],
    );
    const [start] = plugin.callbacks;
    assert.equal(start?.name, "proxy_on_context_create");
    const headers = plugin.callbacks.find(({ name }) => name === "proxy_on_request_headers");
    assert.deepEqual(headers?.arguments, { num_headers: 4, end_of_stream: true });
    assert.equal(headers?.result, "continue");
    assert.ok((headers?.fuel ?? 0) > 0);
    assert.match(
      plugin.transcript({ times: false }),
      /▶ proxy_on_request_headers \[2\] num_headers=4, end_of_stream=true/,
    );
  });

  test("puts messages into the plugin's queue and takes those that it sends", async () => {
    const wat = new WatGuest();
    wat.on(
      "proxy_on_vm_start",
      `(drop (call $proxy_register_shared_queue ${wat.text("q")} (i32.const 28))) (i32.const 1)`,
    );
    wat.on(
      "proxy_on_queue_ready",
      `(drop (call $proxy_dequeue_shared_queue (local.get $1) ${OUT})) ${wat.logResult()}`,
    );
    wat.on(
      "proxy_on_request_headers",
      `(drop (call $proxy_enqueue_shared_queue (i32.load (i32.const 28)) ${wat.text("own")})) (i32.const 0)`,
    );
    using plugin = loadPlugin(wat.bytes(), { vmId: "vm" });
    await plugin.enqueue("q", "hello");
    assert.deepEqual(plugin.logs, [{ level: "info", message: "hello" }]);
    plugin.request();
    assert.equal(plugin.dequeue("q")?.toString(), "own");
    assert.equal(plugin.dequeue("q"), undefined);
    await assert.rejects(plugin.enqueue("none", "x"), /no plugin registered the queue "none" of vm_id "vm"/);
  });

  test("ends streams and the plugin", () => {
    const plugin = guest("callbacks");
    plugin.request();
    plugin.close();
    plugin.close();
    assert.deepEqual(
      plugin.callbacks.slice(-5).map(({ name, contextId }) => `${name} ${contextId}`),
      ["proxy_on_log 2", "proxy_on_done 2", "proxy_on_delete 2", "proxy_on_done 1", "proxy_on_delete 1"],
    );
  });

  test("uses the same fuel as a host that nobody listens to", () => {
    const configuration = JSON.stringify(EXAMPLE);
    using plugin = loadPlugin(example("rust"), { configuration });
    plugin.request().respond().end();
    const bare = loaded(readFileSync(example("rust")), { pluginConfiguration: Buffer.from(configuration) });
    const exchange = new Exchange(bare.plugin);
    exchange.end();
    const startFuel = ({ name, fuel }: { readonly name: string; readonly fuel: number }): string => `${name} ${fuel}`;
    assert.deepEqual(
      plugin.callbacks.slice(0, 4).map(startFuel),
      bare.hooks.slice(0, 4).map(({ callback, fuel }) => startFuel({ name: CALLBACK_NAMES[callback] ?? "", fuel })),
    );
  });
});

test("the test API has a name that tests can import", () => {
  assert.equal(
    import.meta.resolve("outrigger/plugins/testing"),
    new URL("../../../plugins/testing/index.ts", import.meta.url).href,
  );
});
