// Stream events → callbacks → statuses, pause and continue, local replies. Guests are WAT; streams are fakes.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { HeaderList } from "../../plugins/header-list.ts";
import { FakeStream } from "./support/fake-stream.ts";
import { loaded } from "./support/loaded.ts";
import { OUT, WatGuest } from "./support/wat-guest.ts";

const CONTINUE_REQUEST = "(drop (call $proxy_continue_stream (i32.const 0)))";
const CONTINUE_RESPONSE = "(drop (call $proxy_continue_stream (i32.const 1)))";

/** A statement that answers the client with 403, details "not allowed", body "no" and a header. */
function deny(guest: WatGuest): string {
  const headers = Buffer.from("\x01\0\0\0\x05\0\0\0\x01\0\0\0X-Why\x001\0", "latin1");
  return `(drop (call $proxy_send_local_response (i32.const 403) ${guest.text("not allowed")} ${guest.text("no")}
    ${guest.text(headers)} (i32.const -1)))`;
}

suite("statuses", () => {
  const cases = [
    { callback: "proxy_on_request_headers", returned: 0, expect: 0 },
    { callback: "proxy_on_request_headers", returned: 1, expect: 4 },
    { callback: "proxy_on_request_headers", returned: 1, allow: true, expect: 1 },
    { callback: "proxy_on_request_headers", returned: 2, expect: 0 },
    { callback: "proxy_on_request_headers", returned: 3, expect: 3 },
    { callback: "proxy_on_request_headers", returned: 4, expect: 4 },
    { callback: "proxy_on_request_headers", returned: -1, expect: 4 },
    { callback: "proxy_on_request_body", returned: 1, expect: 1 },
    { callback: "proxy_on_request_body", returned: 2, expect: 2 },
    { callback: "proxy_on_request_body", returned: 3, expect: 3 },
    { callback: "proxy_on_request_body", returned: 9, expect: 3 },
    { callback: "proxy_on_request_trailers", returned: 7, expect: 1 },
    { callback: "proxy_on_response_headers", returned: 1, expect: 4 },
    { callback: "proxy_on_response_body", returned: 1, expect: 1 },
    { callback: "proxy_on_response_trailers", returned: 1, expect: 1 },
  ];
  for (const { callback, returned, allow, expect } of cases) {
    test(`${callback} returning ${returned}${allow === true ? " with stop iteration allowed" : ""} gives ${expect}`, () => {
      const guest = new WatGuest().on(callback, `(i32.const ${returned})`);
      const { plugin } = loaded(guest, { allowOnHeadersStopIteration: allow === true });
      const context = plugin.createHttpContext(new FakeStream());
      const run: Record<string, () => number> = {
        proxy_on_request_headers: () => context.onRequestHeaders(3, false),
        proxy_on_request_body: () => context.onRequestBody(1, false),
        proxy_on_request_trailers: () => context.onRequestTrailers(1),
        proxy_on_response_headers: () => context.onResponseHeaders(1, false),
        proxy_on_response_body: () => context.onResponseBody(1, false),
        proxy_on_response_trailers: () => context.onResponseTrailers(1),
      };
      assert.equal(run[callback]?.(), expect);
    });
  }
});

test("HttpContext runs the callbacks of a stream in Envoy's order, each with its arguments", () => {
  const guest = new WatGuest();
  guest.on("proxy_on_context_create", "").on("proxy_on_delete", "").on("proxy_on_log", "");
  guest.on("proxy_on_request_headers", "(i32.const 0)").on("proxy_on_request_body", "(i32.const 0)");
  guest.on("proxy_on_response_headers", "(i32.const 0)").on("proxy_on_done", "(i32.const 1)");
  const { plugin, callbacks, hooks } = loaded(guest);
  const context = plugin.createHttpContext(new FakeStream());
  context.onRequestHeaders(3, false);
  context.onRequestBody(10, true);
  context.onResponseHeaders(1, true);
  context.onLog();
  context.close();
  assert.deepEqual(callbacks(), [
    "proxy_on_context_create 1",
    "proxy_on_context_create 2",
    "proxy_on_request_headers 2",
    "proxy_on_request_body 2",
    "proxy_on_response_headers 2",
    "proxy_on_log 2",
    "proxy_on_done 2",
    "proxy_on_delete 2",
  ]);
  assert.deepEqual(
    hooks.slice(2, 5).map((hook) => [hook.endOfStream, hook.bodyBytes, hook.action]),
    [
      [0, -1, 0],
      [1, 10, 0],
      [1, -1, 0],
    ],
  );
  context.close();
  assert.equal(callbacks().length, 8, "close() twice runs nothing twice");
});

test("a stream that ends before its first event runs nothing in the plugin", () => {
  const { plugin, callbacks } = loaded(new WatGuest().on("proxy_on_context_create", "").on("proxy_on_delete", ""));
  plugin.createHttpContext(new FakeStream()).close();
  assert.deepEqual(callbacks(), ["proxy_on_context_create 1"]);
});

suite("continue", () => {
  test("proxy_continue_stream in its own callback turns Pause into Continue", () => {
    const guest = new WatGuest().on("proxy_on_request_headers", `${CONTINUE_REQUEST} (i32.const 1)`);
    const stream = new FakeStream();
    assert.equal(loaded(guest).plugin.createHttpContext(stream).onRequestHeaders(3, true), 0);
    assert.deepEqual(stream.journal, []);
  });

  test("a tick resumes a paused stream through the effective context, once", () => {
    const guest = new WatGuest();
    guest.on("proxy_on_vm_start", "(drop (call $proxy_set_tick_period_milliseconds (i32.const 50))) (i32.const 1)");
    guest.on("proxy_on_request_headers", "(i32.const 1)");
    guest.on(
      "proxy_on_tick",
      `(drop (call $proxy_set_effective_context (i32.const 2))) ${CONTINUE_REQUEST} ${CONTINUE_REQUEST}`,
    );
    const { plugin, ports, hooks } = loaded(guest);
    const stream = new FakeStream();
    const context = plugin.createHttpContext(stream);
    assert.equal(context.onRequestHeaders(3, true), 4);
    ports.clock.advance(100);
    assert.deepEqual(stream.journal, ["continue-request"]);
    const tick = hooks.at(-1);
    assert.equal(tick?.stream, undefined);
    assert.equal(tick?.effectiveStream, stream);
    context.close();
    ports.clock.advance(100);
    assert.equal(stream.journal.length, 1, "a closed stream is not an effective context any more");
  });

  test("continuing a direction that is not paused changes nothing", () => {
    const guest = new WatGuest().on("proxy_on_request_headers", `${CONTINUE_RESPONSE} (i32.const 0)`);
    const stream = new FakeStream();
    assert.equal(loaded(guest).plugin.createHttpContext(stream).onRequestHeaders(3, true), 0);
    assert.deepEqual(stream.journal, []);
  });

  test("a response callback can resume the request that is still paused", () => {
    const guest = new WatGuest();
    guest.on("proxy_on_request_headers", "(i32.const 1)");
    guest.on("proxy_on_response_headers", `${CONTINUE_REQUEST} (i32.const 0)`);
    const stream = new FakeStream();
    const context = loaded(guest).plugin.createHttpContext(stream);
    context.onRequestHeaders(3, false);
    context.onResponseHeaders(1, true);
    assert.deepEqual(stream.journal, ["continue-request"]);
  });
});

suite("local replies", () => {
  test("a reply from the request headers stops the request whatever is returned", () => {
    const guest = new WatGuest();
    guest.on("proxy_on_request_headers", `${deny(guest)} (i32.const 0)`);
    const stream = new FakeStream();
    const context = loaded(guest).plugin.createHttpContext(stream);
    assert.equal(context.onRequestHeaders(3, true), 4);
    assert.deepEqual(stream.journal, ["reply 403 not_allowed"]);
    const [reply] = stream.replies;
    assert.equal(Buffer.from(reply?.body ?? []).toString(), "no");
    assert.deepEqual(reply?.headers, ["X-Why", "1"]);
    assert.equal(reply?.grpcStatus, -1);
  });

  test("the plugin sees its own reply as a response, and a second reply is ignored", () => {
    const guest = new WatGuest();
    guest.on("proxy_on_request_headers", `${deny(guest)} ${deny(guest)} (i32.const 0)`);
    guest.on("proxy_on_response_headers", `${deny(guest)} ${guest.log("own reply")} (i32.const 0)`);
    const { plugin, lines } = loaded(guest);
    const stream = new FakeStream();
    const context = plugin.createHttpContext(stream);
    const statuses: number[] = [];
    stream.onReply = () => {
      stream.respond();
      statuses.push(context.onResponseHeaders(1, false));
    };
    assert.equal(context.onRequestHeaders(3, true), 4);
    assert.deepEqual(statuses, [0]);
    assert.deepEqual(stream.journal, ["reply 403 not_allowed"]);
    assert.deepEqual(lines(), ["own reply"]);
  });

  test("a reply from response headers stops the response", () => {
    const guest = new WatGuest();
    guest.on("proxy_on_response_headers", `${deny(guest)} (i32.const 0)`);
    const stream = new FakeStream();
    const context = loaded(guest).plugin.createHttpContext(stream);
    context.onRequestHeaders(3, true);
    stream.respond();
    assert.equal(context.onResponseHeaders(1, false), 4);
    assert.deepEqual(stream.journal, ["reply 403 not_allowed"]);
  });

  test("a response that was replied to from a tick is not continued any more", () => {
    const guest = new WatGuest();
    guest.on("proxy_on_vm_start", "(drop (call $proxy_set_tick_period_milliseconds (i32.const 50))) (i32.const 1)");
    guest.on("proxy_on_request_headers", "(i32.const 0)").on("proxy_on_response_headers", "(i32.const 1)");
    guest.on(
      "proxy_on_tick",
      `(drop (call $proxy_set_effective_context (i32.const 2))) ${deny(guest)} ${CONTINUE_RESPONSE} ${CONTINUE_REQUEST}`,
    );
    const { plugin, ports } = loaded(guest);
    const stream = new FakeStream();
    const context = plugin.createHttpContext(stream);
    context.onRequestHeaders(3, true);
    stream.respond();
    context.onResponseHeaders(1, false);
    ports.clock.advance(200);
    assert.deepEqual(stream.journal, ["reply 403 not_allowed"]);
  });

  test("a reply from the log phase or a root callback has no effect", () => {
    const guest = new WatGuest();
    guest.on("proxy_on_vm_start", `${deny(guest)} (i32.const 1)`).on("proxy_on_log", deny(guest));
    const stream = new FakeStream();
    const context = loaded(guest).plugin.createHttpContext(stream);
    context.onRequestHeaders(3, true);
    context.onLog();
    context.close();
    assert.deepEqual(stream.journal, []);
  });

  test("proxy_close_stream resets the stream after the callback", () => {
    const guest = new WatGuest().on(
      "proxy_on_request_headers",
      "(drop (call $proxy_close_stream (i32.const 0))) (drop (call $proxy_close_stream (i32.const 1))) (i32.const 0)",
    );
    const stream = new FakeStream();
    assert.equal(loaded(guest).plugin.createHttpContext(stream).onRequestHeaders(3, true), 4);
    assert.deepEqual(stream.journal, ["close"]);
  });
});

suite("what may be written when", () => {
  const ADD = "(call $proxy_add_header_map_value (i32.const MAP) KEY VALUE)";
  function add(guest: WatGuest, map: number, name: string, value = "1"): string {
    return guest.logLetter(
      ADD.replace("MAP", String(map)).replace("KEY", guest.text(name)).replace("VALUE", guest.text(value)),
    );
  }

  test("request headers are writable in their callback and while paused, readable later", () => {
    const guest = new WatGuest();
    const read = `(call $proxy_get_header_map_value (i32.const 0) ${guest.text(":path")} ${OUT})`;
    guest.on("proxy_on_request_headers", `${add(guest, 0, "X-One")} (i32.const 1)`);
    guest.on("proxy_on_request_body", `${add(guest, 0, "x-two")} (i32.const 0)`);
    guest.on(
      "proxy_on_request_trailers",
      `${add(guest, 0, "x-three")} ${guest.logLetter(read)} ${guest.logResult()} (i32.const 0)`,
    );
    const { plugin, lines } = loaded(guest, { allowOnHeadersStopIteration: true });
    const stream = new FakeStream();
    const context = plugin.createHttpContext(stream);
    context.onRequestHeaders(3, false);
    context.onRequestBody(1, false);
    stream.maps[1] = new HeaderList(["t", "1"]);
    context.onRequestTrailers(1);
    assert.deepEqual(lines(), ["a", "a", "c", "a", "/"]);
    assert.deepEqual(stream.map(0).pairs.slice(6), ["X-One", "1", "x-two", "1"]);
  });

  test("a header goes out as the plugin spelled it, is read in lower case and found in any", () => {
    const guest = new WatGuest();
    const map = "(i32.const 2)";
    const replace = `(drop (call $proxy_replace_header_map_value ${map} ${guest.text("X-OLD")} ${guest.text("new")}))`;
    const read = `(drop (call $proxy_get_header_map_value ${map} ${guest.text("X-ONE")} ${OUT})) ${guest.logResult()}`;
    const pairs = `(drop (call $proxy_get_header_map_pairs ${map} ${OUT})) ${guest.logResult()}`;
    guest.on("proxy_on_response_headers", `${add(guest, 2, "x-One")} ${replace} ${read} ${pairs} (i32.const 0)`);
    const { plugin, lines } = loaded(guest);
    const stream = new FakeStream();
    const context = plugin.createHttpContext(stream);
    context.onRequestHeaders(3, true);
    stream.respond("x-old", "1", "Date", "now", "X-Old", "2");
    context.onResponseHeaders(4, true);
    assert.deepEqual(stream.map(2).pairs, [":status", "200", "X-OLD", "new", "Date", "now", "x-One", "1"]);
    const [added, first, list] = lines();
    assert.deepEqual([added, first], ["a", "1"]);
    assert.ok(list?.endsWith("x-old\0new\0date\0now\0x-one\x001\0"), `read: ${list}`);
  });

  test("a request's Host and pseudo headers are one entry however a plugin spells them", () => {
    const guest = new WatGuest();
    const replace = (name: string): string =>
      `(drop (call $proxy_replace_header_map_value (i32.const 0) ${guest.text(name)} ${guest.text(name)}))`;
    guest.on("proxy_on_request_headers", `${replace("HOST")} ${replace(":Path")} (i32.const 0)`);
    const stream = new FakeStream();
    loaded(guest).plugin.createHttpContext(stream).onRequestHeaders(3, true);
    assert.deepEqual(stream.map(0).pairs, [":method", "GET", ":path", ":Path", ":authority", "HOST"]);
  });

  test("names and values that could split a message are refused", () => {
    const guest = new WatGuest();
    const attempts = [
      ["x-a", "b\r\nset-cookie: c"],
      ["x-a", "b\0"],
      ["x a", "b"],
      ["", "b"],
      ["x:a", "b"],
      [":bogus", "b"],
      ["x-é", "b"],
      ["x-fine", "caf\u00e9 \t"],
    ] as const;
    const body = attempts.map(([name, value]) => add(guest, 0, name, value)).join("\n");
    guest.on("proxy_on_request_headers", `${body} (i32.const 0)`);
    const { plugin, lines } = loaded(guest);
    const stream = new FakeStream();
    plugin.createHttpContext(stream).onRequestHeaders(3, true);
    assert.deepEqual(lines(), ["c", "c", "c", "c", "c", "c", "c", "a"]);
    assert.deepEqual(stream.map(0).pairs.slice(6), ["x-fine", "caf\u00e9 \t"]);
  });

  test("writing to trailers at the end of a body creates them", () => {
    const guest = new WatGuest();
    const both = `${add(guest, 3, "x-sum")} ${add(guest, 3, "x-end")}`;
    guest.on("proxy_on_response_body", `${both} ${add(guest, 1, "x-wrong")} (i32.const 0)`);
    const { plugin, lines } = loaded(guest);
    const stream = new FakeStream();
    const context = plugin.createHttpContext(stream);
    context.onResponseHeaders(1, false);
    context.onResponseBody(1, false);
    context.onResponseBody(1, true);
    assert.deepEqual(lines(), ["c", "c", "c", "a", "a", "c"]);
    assert.deepEqual(stream.map(3).pairs, ["x-sum", "1", "x-end", "1"]);
  });

  test("changing request headers clears the route", () => {
    const guest = new WatGuest();
    guest.on("proxy_on_request_headers", `${add(guest, 0, "x-a")} (i32.const 0)`);
    const stream = new FakeStream();
    loaded(guest).plugin.createHttpContext(stream).onRequestHeaders(3, true);
    assert.deepEqual(stream.journal, ["clear-route-cache"]);
  });

  test("a body can be replaced in its callback and while paused, not after", () => {
    const guest = new WatGuest();
    const replace = (text: string, start: number, length: number): string =>
      guest.logLetter(
        `(call $proxy_set_buffer_bytes (i32.const 0) (i32.const ${start}) (i32.const ${length}) ${guest.text(text)})`,
      );
    guest.on(
      "proxy_on_request_body",
      `${replace("new", 0, 0x7fffffff)} ${replace("<", 0, 0)} ${replace(">", 0x7fffffff, 0)}
      (i32.xor (local.get $2) (i32.const 1))`,
    );
    guest.on("proxy_on_request_trailers", `${replace("late", 0, 1)} (i32.const 0)`);
    const { plugin, lines } = loaded(guest);
    const stream = new FakeStream();
    const context = plugin.createHttpContext(stream);
    context.onRequestHeaders(3, false);
    stream.bodies[0] = Buffer.from("old");
    assert.equal(context.onRequestBody(3, false), 1);
    assert.equal(stream.bodies[0]?.toString(), "<new>");
    assert.equal(context.onRequestBody(5, true), 0);
    assert.equal(stream.bodies[0]?.toString(), "<new>");
    context.onRequestTrailers(0);
    assert.deepEqual(lines(), ["a", "a", "a", "a", "a", "a", "c"]);
  });
});
