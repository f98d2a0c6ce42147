// Foreign functions: the embedder's, in the types of the registry, what they can do later, and Envoy's expressions.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Status } from "../../plugins/abi/constants.ts";
import type { HttpContext } from "../../plugins/http-context.ts";
import type { Plugin } from "../../plugins/plugin.ts";
import { PluginRuntime } from "../../plugins/plugin-runtime.ts";
import type { ForeignCall, ForeignFunction } from "../../plugins/ports.ts";
import type { PropertyValue } from "../../plugins/property-value.ts";
import { fakePorts, type FakePorts } from "./support/fake-ports.ts";
import { FakeStream } from "./support/fake-stream.ts";
import { goodModule, specOf } from "./support/specs.ts";
import { OUT, WatGuest } from "./support/wat-guest.ts";

interface Running {
  readonly runtime: PluginRuntime;
  readonly plugin: Plugin;
  readonly context: HttpContext;
  readonly ports: FakePorts;
  readonly lines: () => string[];
}

/** Runs statements in proxy_on_request_headers of one stream. */
function run(
  guest: WatGuest,
  body: string,
  foreign: Readonly<Record<string, ForeignFunction>> = {},
  properties: Readonly<Record<string, PropertyValue>> = {},
): Running {
  guest.on("proxy_on_request_headers", `${body} (i32.const 0)`);
  const ports = fakePorts();
  const matches = (text: string, pattern: string): boolean => new RegExp(pattern).test(text);
  const runtime = new PluginRuntime({ ports: { ...ports, foreign: new Map(Object.entries(foreign)), matches } });
  const result = runtime.load(specOf(goodModule(guest.bytes())));
  assert.ok(result.ok);
  const stream = new FakeStream();
  for (const [path, value] of Object.entries(properties)) stream.properties.set(path, value);
  const context = result.plugin.createHttpContext(stream);
  context.onRequestHeaders(3, true);
  return {
    runtime,
    plugin: result.plugin,
    context,
    ports,
    lines: () => ports.log.lines.map((line) => line.replace(/^guest \d /, "")),
  };
}

const call = (guest: WatGuest, name: string, argument: string | Uint8Array): string =>
  guest.logLetter(`(call $proxy_call_foreign_function ${guest.text(name)} ${guest.text(argument)} ${OUT})`);

suite("the embedder's foreign functions", () => {
  test("get the bytes, the plugin and the stream, and answer with a status and bytes", () => {
    const calls: ForeignCall[] = [];
    const guest = new WatGuest();
    const body = `${call(guest, "greet", "you")} ${guest.logResult()} ${call(guest, "fail", "")}`;
    const { lines } = run(guest, body, {
      greet: (one) => (calls.push(one), { status: Status.Ok, result: Buffer.from(`hello ${String(one.argument)}`) }),
      fail: () => ({ status: Status.ParseFailure }),
    });
    assert.deepEqual(lines().slice(1), ["hello 121,111,117", "e"]);
    assert.equal(calls[0]?.plugin.name, "guest");
    assert.ok(calls[0].target instanceof FakeStream);
  });

  test("go before the host's own", () => {
    const guest = new WatGuest();
    const { lines } = run(guest, call(guest, "compress", ""), { compress: () => ({ status: Status.Unimplemented }) });
    assert.deepEqual(lines(), ["m"]);
  });

  test("pay for their work with the plugin's fuel", () => {
    const few = `(local $i i32) (loop $again (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $i) (i32.const 10))))`;
    for (const [work, fault] of [
      [1_000, undefined],
      [1e12, "out_of_fuel"],
    ] as const) {
      const guest = new WatGuest();
      const body = `${few.split("\n")[0]} ${call(guest, "dear", "")} ${few.slice(few.indexOf("(br_if"))}`;
      const { plugin } = run(guest, body, { dear: ({ spend }) => (spend(work), { status: Status.Ok }) });
      assert.equal(plugin.view().lastFault?.kind, fault);
    }
  });

  test("may notify later: proxy_on_foreign_function on the root context, its bytes in buffer 8 then and no longer", () => {
    const guest = new WatGuest();
    const read = `(call $proxy_get_buffer_bytes (i32.const 8) (i32.const 0) (i32.const 100) ${OUT})`;
    guest.on(
      "proxy_on_foreign_function",
      `${guest.logLetter("(local.get $0)")} ${guest.logLetter("(local.get $1)")} ${guest.logLetter("(local.get $2)")}
       ${guest.logLetter(read)} ${guest.logResult()}`,
    );
    guest.on("proxy_on_tick", `${guest.logLetter(read)} ${guest.logResult()}`);
    guest.on("proxy_on_configure", "(drop (call $proxy_set_tick_period_milliseconds (i32.const 50))) (i32.const 1)");
    const { lines, ports } = run(guest, call(guest, "later", ""), {
      later: ({ notify }) => (notify(3, Buffer.from("news")), { status: Status.Ok }),
    });
    assert.deepEqual(lines(), ["a"], "nothing inside the function");
    ports.clock.advance(0);
    assert.deepEqual(lines().slice(1), ["b", "d", "e", "a", "news"]);
    ports.clock.advance(50);
    assert.deepEqual(lines().slice(6), ["a", ""], "Ok and nothing outside its callback");
  });

  test("notify nobody when the plugin is gone", () => {
    const guest = new WatGuest();
    guest.on("proxy_on_foreign_function", "(unreachable)");
    const { runtime, plugin, context, ports, lines } = run(guest, call(guest, "later", ""), {
      later: ({ notify }) => (notify(3, Buffer.from("news")), { status: Status.Ok }),
    });
    context.close();
    runtime.unload(plugin);
    ports.clock.advance(0);
    assert.deepEqual(lines(), ["a"]);
  });
});

suite("expressions", () => {
  const token = (number: number): Uint8Array => Uint8Array.of(number, 0, 0, 0);

  test("read properties of the stream, and match by the embedder's regular expressions", () => {
    const guest = new WatGuest();
    const path = {
      kind: "object",
      bytes: undefined,
      get: (name: string) => (name === "path" ? "/a" : undefined),
    } as const;
    const body = [
      call(guest, "expr_create", "request.path + '!' + plugin_name"),
      call(guest, "expr_create", "request.path.matches('^/[a-z]$')"),
      call(guest, "expr_evaluate", token(0)),
      guest.logResult(),
      call(guest, "expr_evaluate", token(1)),
      call(guest, "expr_delete", token(0)),
      call(guest, "expr_evaluate", token(0)),
      call(guest, "expr_evaluate", "xyz"),
    ].join("\n");
    const { lines } = run(guest, body, {}, { request: path });
    assert.deepEqual(lines(), ["a", "a", "a", "/a!guest", "a", "a", "b", "c"]);
  });

  test("that are none are refused with a line of the log; so are too many", () => {
    const guest = new WatGuest();
    const create = `(call $proxy_call_foreign_function ${guest.text("expr_create")} ${guest.text("1")} ${OUT})`;
    const many = `(local $i i32) (loop $again (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (drop ${create}) (br_if $again (i32.lt_u (local.get $i) (i32.const 1024))))`;
    const { lines } = run(guest, `${many} ${guest.logLetter(create)} ${call(guest, "expr_create", "1 +")}`);
    assert.equal(lines()[0], "k");
    assert.match(lines()[1] ?? "", /no expression: the expression ends too soon/);
    assert.equal(lines()[2], "c");
  });
});
