// The host functions that are not about headers or bodies, each called by a guest.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { generateKeyPairSync, verify } from "node:crypto";
import { deflateSync } from "node:zlib";
import { signText, verifySignature } from "../../plugins/hostcalls/signatures.ts";
import type { PluginSpec } from "../../plugins/plugin-spec.ts";
import { readFields, writeFields } from "../../plugins/proto-fields.ts";
import type { PropertyValue } from "../../plugins/property-value.ts";
import { FakeStream } from "./support/fake-stream.ts";
import { loaded } from "./support/loaded.ts";
import { OUT, RESULT, WatGuest } from "./support/wat-guest.ts";

/** Runs statements in on_request_headers and answers the log lines. */
function run(guest: WatGuest, body: string, changes: Partial<PluginSpec> = {}, stream = new FakeStream()): string[] {
  guest.on("proxy_on_request_headers", `${body} (i32.const 0)`);
  const { plugin, lines } = loaded(guest, changes);
  plugin.createHttpContext(stream).onRequestHeaders(stream.map(0).size, true);
  return lines();
}

test("a hook's record counts headers by what became of them: a replace of what is not there adds", () => {
  const guest = new WatGuest();
  const set = (what: string, name: string) =>
    `(drop (call $proxy_${what}_header_map_value (i32.const 0) ${guest.text(name)} ${guest.text("1")}))`;
  const remove = (name: string) => `(drop (call $proxy_remove_header_map_value (i32.const 0) ${guest.text(name)}))`;
  const calls = [set("replace", "x-new"), set("replace", "X-New"), set("replace", ":path"), set("add", "x-more")];
  guest.on("proxy_on_request_headers", `${[...calls, remove("x-more"), remove("x-none")].join(" ")} (i32.const 0)`);
  const { plugin, hooks } = loaded(guest);
  plugin.createHttpContext(new FakeStream()).onRequestHeaders(3, true);
  const record = hooks.at(-1);
  assert.deepEqual([record?.headersAdded, record?.headersReplaced, record?.headersRemoved], [2, 2, 1]);
});

/** Where a host function notes what its work costs. */
const unpaid = (): { work: number } => ({ work: 0 });

suite("properties", () => {
  const values: readonly { name: string; value: PropertyValue | null; hex: string }[] = [
    { name: "string", value: "/a\xff", hex: "2f61ff" },
    { name: "empty string", value: "", hex: "" },
    { name: "true", value: true, hex: "01" },
    { name: "bytes", value: Uint8Array.of(1, 2), hex: "0102" },
    { name: "int", value: { kind: "int", value: 200 }, hex: "c800000000000000" },
    { name: "negative int", value: { kind: "int", value: -2 }, hex: "feffffffffffffff" },
    { name: "int above 2^32", value: { kind: "int", value: 2 ** 40 + 1 }, hex: "0100000000010000" },
    { name: "bigint", value: { kind: "int", value: 2n ** 64n - 1n }, hex: "ffffffffffffffff" },
    { name: "double", value: { kind: "double", value: 1 }, hex: "000000000000f03f" },
    { name: "duration 1.5 ms", value: { kind: "duration", ms: 1.5 }, hex: "60e3160000000000" },
    { name: "timestamp", value: { kind: "timestamp", ms: 1 }, hex: "40420f0000000000" },
    {
      name: "map",
      value: { kind: "map", entries: [["a", true]] },
      hex: "0100000001000000010000006100 0100".replace(" ", ""),
    },
    { name: "list", value: { kind: "list", items: ["ab"] }, hex: "01000000020000000000000061620000" },
  ];
  for (const { name, value, hex } of values) {
    test(`proxy_get_property gives a ${name} as ${hex === "" ? "nothing" : hex}`, () => {
      const guest = new WatGuest();
      const stream = new FakeStream();
      stream.properties.set("a\0b", value);
      const get = `(call $proxy_get_property ${guest.text("a\0b")} ${OUT})`;
      const keep = `(drop (call $proxy_set_property ${guest.text("copy")} ${RESULT}))`;
      assert.deepEqual(run(guest, `${guest.logLetter(get)} ${keep}`, {}, stream), ["a"]);
      assert.equal(Buffer.from(stream.properties.get("copy") as Uint8Array).toString("hex"), hex);
    });
  }

  test("unknown is NotFound, null and an empty path are SerializationFailure, read-only is BadArgument", () => {
    const guest = new WatGuest();
    const stream = new FakeStream();
    stream.properties.set("none", null);
    const get = (path: string): string => guest.logLetter(`(call $proxy_get_property ${guest.text(path)} ${OUT})`);
    const set = guest.logLetter(`(call $proxy_set_property ${guest.text("readonly")} ${guest.text("x")})`);
    assert.deepEqual(run(guest, get("what") + get("none") + get("") + set, {}, stream), ["b", "d", "d", "c"]);
  });

  test("a trailing NUL of the path does not matter", () => {
    const guest = new WatGuest();
    const stream = new FakeStream();
    stream.properties.set("request\0path", "/p");
    const get = `(drop (call $proxy_get_property ${guest.text("request\0path\0")} ${OUT}))`;
    assert.deepEqual(run(guest, get + guest.logResult(), {}, stream), ["/p"]);
  });

  test("the plugin's own properties are there from proxy_on_context_create on", () => {
    const guest = new WatGuest();
    const get = (name: string): string =>
      `(drop (call $proxy_get_property ${guest.text(name)} ${OUT})) ${guest.logResult()}`;
    guest.on("proxy_on_context_create", get("plugin_name") + get("plugin_root_id") + get("plugin_vm_id"));
    const { lines } = loaded(guest, { name: "guest", rootId: "root", vmId: "vm" });
    assert.deepEqual(lines(), ["guest", "root", "vm"]);
  });

  test("a root context reads the embedder's process-wide properties and cannot set any", () => {
    const guest = new WatGuest();
    guest.on("proxy_on_vm_start", "(drop (call $proxy_set_tick_period_milliseconds (i32.const 1))) (i32.const 1)");
    const get = `(drop (call $proxy_get_property ${guest.text("xds\0cluster_name")} ${OUT}))`;
    const set = guest.logLetter(`(call $proxy_set_property ${guest.text("a")} ${guest.text("b")})`);
    guest.on("proxy_on_tick", get + guest.logResult() + set);
    const { ports, lines } = loaded(guest);
    ports.properties.values.set("xds\0cluster_name", "local");
    ports.clock.advance(1);
    assert.deepEqual(lines(), ["local", "b"]);
  });
});

suite("configuration", () => {
  const SPEC = { vmConfiguration: Buffer.from("vm"), pluginConfiguration: Buffer.from("plugin") };

  test("buffers 6 and 7 hold it in their callbacks, 7 nowhere else", () => {
    const guest = new WatGuest();
    const get = (type: number): string =>
      `${guest.logLetter(`(call $proxy_get_buffer_bytes (i32.const ${type}) (i32.const 0) (i32.const 100) ${OUT})`)}`;
    guest.on("proxy_on_vm_start", `${get(6)} ${guest.logResult()} ${get(7)} (i32.eq (local.get $1) (i32.const 2))`);
    guest.on("proxy_on_configure", `${get(7)} ${guest.logResult()} (i32.eq (local.get $1) (i32.const 6))`);
    assert.deepEqual(loaded(guest, SPEC).lines(), ["a", "vm", "b", "a", "plugin"]);
  });

  test("ABI 0.1.0 reads it with proxy_get_configuration", () => {
    const guest = new WatGuest({ abi: "0_1_0" });
    const get = `(drop (call $proxy_get_configuration ${OUT})) ${guest.logResult()} (i32.const 1)`;
    guest.on("proxy_on_vm_start", get).on("proxy_on_configure", get);
    assert.deepEqual(loaded(guest, SPEC).lines(), ["vm", "plugin"]);
  });
});

test("a missing header is Ok and empty for ABI 0.1.0, NotFound after it", () => {
  for (const [abi, letter] of [
    ["0_1_0", "a"],
    ["0_2_0", "b"],
    ["0_2_1", "b"],
  ] as const) {
    const guest = new WatGuest({ abi });
    const get = `(call $proxy_get_header_map_value (i32.const 0) ${guest.text("x-none")} ${OUT})`;
    assert.deepEqual(run(guest, guest.logLetter(get)), [letter]);
  }
});

test("host is another name of :authority, and names are found in any case", () => {
  const guest = new WatGuest();
  const get = (name: string): string =>
    `(drop (call $proxy_get_header_map_value (i32.const 0) ${guest.text(name)} ${OUT})) ${guest.logResult()}`;
  assert.deepEqual(run(guest, get("Host") + get(":Authority")), ["example.com", "example.com"]);
});

test("proxy_on_memory_allocate is preferred to malloc", () => {
  const guest = new WatGuest({
    allocators: `(func (export "malloc") (param i32) (result i32) unreachable)
      (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 2048))`,
  });
  const get = `(drop (call $proxy_get_header_map_value (i32.const 0) ${guest.text(":path")} ${OUT}))`;
  assert.deepEqual(run(guest, get + guest.logResult()), ["/"]);
});

test("an allocator that answers 0 or outside, or grows memory, does no harm", () => {
  const cases = [
    { body: "(i32.const 0)", letter: "g" },
    { body: "(i32.const -8)", letter: "g" },
    { body: "(drop (memory.grow (i32.const 1))) (i32.const 65536)", letter: "a" },
  ];
  for (const { body, letter } of cases) {
    const allocators = `(func (export "malloc") (param i32) (result i32) ${body})`;
    const guest = new WatGuest({ allocators });
    const get = `(call $proxy_get_header_map_pairs (i32.const 0) ${OUT})`;
    assert.deepEqual(run(guest, guest.logLetter(get)), [letter], body);
  }
});

suite("shared data", () => {
  test("is compared and swapped, and belongs to the vm_id", () => {
    const guest = new WatGuest();
    const set = (value: string, cas: string): string =>
      guest.logLetter(`(call $proxy_set_shared_data ${guest.text("key")} ${guest.text(value)} ${cas})`);
    const get = guest.logLetter(`(call $proxy_get_shared_data ${guest.text("key")} ${OUT} (i32.const 28))`);
    const body = `${get} ${set("one", "(i32.const 0)")} ${get} ${set("two", "(i32.load (i32.const 28))")}
      ${set("three", "(i32.load (i32.const 28))")} ${get} ${guest.logResult()}`;
    guest.on("proxy_on_request_headers", `${body} (i32.const 0)`);
    const { runtime, plugin, lines } = loaded(guest, { vmId: "a" });
    plugin.createHttpContext(new FakeStream()).onRequestHeaders(3, true);
    assert.deepEqual(lines(), ["b", "a", "a", "a", "i", "a", "two"]);
    assert.equal(runtime.shared.get("b", "key"), undefined);
  });
});

test("metrics are defined once and follow their types", () => {
  const guest = new WatGuest();
  const define = (type: number, name: string): string =>
    guest.logLetter(`(call $proxy_define_metric (i32.const ${type}) ${guest.text(name)} (i32.const 28))`);
  const id = "(i32.load (i32.const 28))";
  const body = [
    define(3, "bad"),
    define(0, "hits"),
    define(0, "hits"),
    guest.logLetter(`(call $proxy_increment_metric ${id} (i64.const 2))`),
    guest.logLetter(`(call $proxy_increment_metric ${id} (i64.const 0))`),
    guest.logLetter(`(call $proxy_record_metric ${id} (i64.const 3))`),
    define(1, "level"),
    guest.logLetter(`(call $proxy_increment_metric ${id} (i64.const -7))`),
    define(2, "time"),
    guest.logLetter(`(call $proxy_increment_metric ${id} (i64.const 1))`),
    guest.logLetter(`(call $proxy_get_metric ${id} (i32.const 32))`),
    guest.logLetter(`(call $proxy_record_metric (i32.const 99) (i64.const 1))`),
  ].join("\n");
  guest.on("proxy_on_request_headers", `${body} (i32.const 0)`);
  const { plugin, ports, lines } = loaded(guest);
  plugin.createHttpContext(new FakeStream()).onRequestHeaders(3, true);
  assert.equal(lines().join(""), "caaacaaaaccb");
  assert.deepEqual(
    ports.metrics.series.map(({ name, value }) => [name, value]),
    [
      ["hits", 5],
      ["level", -7],
      ["time", 0],
    ],
  );
});

suite("foreign functions", () => {
  const call = (guest: WatGuest, name: string, argument: string | Uint8Array): string =>
    guest.logLetter(`(call $proxy_call_foreign_function ${guest.text(name)} ${guest.text(argument)} ${OUT})`);

  test("compress, uncompress and clear_route_cache are there, others are not", () => {
    const guest = new WatGuest();
    const stream = new FakeStream();
    const body = [
      call(guest, "uncompress", deflateSync("packed")),
      guest.logResult(),
      call(guest, "uncompress", "junk"),
      call(guest, "compress", "packed"),
      call(guest, "clear_route_cache", ""),
      call(guest, "no_such", ""),
      call(guest, "constructor", ""),
    ].join("\n");
    assert.deepEqual(run(guest, body, {}, stream), ["a", "packed", "d", "a", "a", "b", "b"]);
    assert.deepEqual(stream.journal, ["clear-route-cache"]);
  });

  test("sign and verify_signature work with RSA and ECDSA keys in DER and PEM", () => {
    for (const pair of [
      generateKeyPairSync("rsa", { modulusLength: 1024 }),
      generateKeyPairSync("ec", { namedCurve: "prime256v1" }),
    ]) {
      const text = Buffer.from("what is signed");
      const der = pair.privateKey.export({ type: "pkcs8", format: "der" });
      const pem = Buffer.from(pair.publicKey.export({ type: "spki", format: "pem" }));
      const hash = Buffer.from("SHA256");
      const signed = signText(
        writeFields([
          [1, hash],
          [2, der],
          [3, text],
        ]),
        unpaid(),
      );
      const { numbers, bytes } = readFields(signed.result ?? new Uint8Array(0)) ?? assert.fail();
      assert.deepEqual([signed.status, numbers.get(1)], [0, 1]);
      const signature = bytes.get(2) ?? assert.fail();
      assert.ok(verify("sha256", text, pair.publicKey, signature));
      const check = (changed: Uint8Array): number | undefined => {
        const { status, result } = verifySignature(
          writeFields([
            [1, hash],
            [3, signature],
            [4, changed],
            [5, pem],
          ]),
          unpaid(),
        );
        assert.equal(status, 0);
        return readFields(result ?? assert.fail())?.numbers.get(1);
      };
      assert.equal(check(text), 1);
      assert.equal(check(Buffer.from("another")), undefined);
    }
  });

  test("sign and verify_signature refuse what is no key, and say so of an unknown hash", () => {
    const junk = Buffer.from("junk");
    for (const run of [signText, verifySignature]) {
      assert.equal(run(junk, unpaid()).status, 2, "no message");
      assert.equal(run(writeFields([[1, Buffer.from("sha256")]]), unpaid()).status, 2, "no key");
      assert.equal(run(writeFields([[2, junk]]), unpaid()).status, 2, "bad key");
    }
    const { publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
    const der = publicKey.export({ type: "spki", format: "der" });
    const { status, result } = verifySignature(
      writeFields([
        [1, Buffer.from("md5")],
        [2, der],
      ]),
      unpaid(),
    );
    assert.equal(status, 0);
    assert.equal(Buffer.from(result ?? "").toString("latin1"), "\x12\x15md5 is not supported.");
    const both = writeFields([
      [2, der],
      [5, Buffer.from(publicKey.export({ type: "spki", format: "pem" }))],
    ]);
    assert.equal(verifySignature(both, unpaid()).status, 2, "two keys");
  });

  test("a property declared read-only can be set once a stream, any other often", () => {
    const guest = new WatGuest();
    const set = (name: string): string =>
      guest.logLetter(`(call $proxy_set_property ${guest.text(name)} ${guest.text("v")})`);
    const declare = call(
      guest,
      "declare_property",
      writeFields([
        [1, Buffer.from("once")],
        [2, 1],
      ]),
    );
    assert.deepEqual(run(guest, declare + declare + set("once") + set("once") + set("often") + set("often")), [
      "a",
      "c",
      "a",
      "c",
      "a",
      "a",
    ]);
  });
});

suite("capabilities", () => {
  test("a host function that is not allowed answers InternalFailure, a callback that is not allowed does not run", () => {
    const guest = new WatGuest();
    guest.on("proxy_on_response_headers", "unreachable");
    guest.on("proxy_on_request_headers", `${guest.logLetter("(call $proxy_done)")} (i32.const 0)`);
    const capabilities = ["proxy_log", "proxy_on_request_headers"];
    const { plugin, lines } = loaded(guest, { capabilities });
    const context = plugin.createHttpContext(new FakeStream());
    context.onRequestHeaders(3, true);
    assert.equal(context.onResponseHeaders(1, true), 0);
    assert.match(lines()[0] ?? "", /proxy_done, which its capabilities do not allow/);
    assert.equal(lines()[1], "k");
  });
});

test("an unknown host function is answered Unimplemented and reported once", () => {
  const guest = new WatGuest();
  const odd = guest.logLetter("(call $proxy_new_in_0_9_9 (i32.const 0) (i32.const 0))");
  const wasi = guest.logLetter("(i32.sub (call $fd_new_in_preview_9 (i32.const 0)) (i32.const 52))");
  const lines = run(guest, odd + odd + wasi);
  assert.match(lines[0] ?? "", /called env\.proxy_new_in_0_9_9, which the host does not have: answered 12/);
  assert.deepEqual(lines.slice(1, 3), ["m", "m"]);
  assert.match(lines[3] ?? "", /fd_new_in_preview_9/);
  assert.equal(lines[4], "a");
});

test("an unknown host function is reported once a plugin, also when its VM is replaced", () => {
  const guest = new WatGuest();
  const odd = "(drop (call $proxy_new_in_0_9_9 (i32.const 0) (i32.const 0)))";
  guest.on("proxy_on_request_headers", `${odd} unreachable`);
  const { plugin, lines } = loaded(guest);
  for (let i = 0; i < 2; i++) plugin.createHttpContext(new FakeStream()).onRequestHeaders(3, true);
  assert.equal(lines().filter((line) => line.includes("unreachable")).length, 2);
  assert.equal(lines().filter((line) => line.includes("proxy_new_in_0_9_9")).length, 1);
});

suite("WASI", () => {
  test("environment variables come as KEY=value", () => {
    const guest = new WatGuest();
    const body = `(drop (call $environ_sizes_get (i32.const 32) (i32.const 36)))
      (drop (call $environ_get (i32.const 40) (i32.const 64)))
      (drop (call $proxy_log (i32.const 2) (i32.load (i32.const 40)) (i32.load (i32.const 36))))`;
    assert.deepEqual(run(guest, body, { environment: { A: "1", LONG_NAME: "value" } }), ["A=1\0LONG_NAME=value\0"]);
  });

  test("fd_write is a log line without its newline, fd_prestat_get says EBADF", () => {
    const guest = new WatGuest();
    const [pointer = "", length = ""] = guest.text("hello\n").split(") (");
    const body = `(i32.store (i32.const 32) ${pointer})) (i32.store (i32.const 36) (${length})
      ${guest.logLetter("(call $fd_write (i32.const 1) (i32.const 32) (i32.const 1) (i32.const 40))")}
      ${guest.logLetter("(i32.sub (i32.load (i32.const 40)) (i32.const 6))")}
      ${guest.logLetter("(i32.sub (call $fd_prestat_get (i32.const 3) (i32.const 40)) (i32.const 8))")}
      ${guest.logLetter("(i32.sub (call $fd_write (i32.const 5) (i32.const 32) (i32.const 1) (i32.const 40)) (i32.const 8))")}`;
    assert.deepEqual(run(guest, body), ["hello", "a", "a", "a", "a"]);
  });

  test("pieces written to the outputs are put together to lines, the last one at the end of the callback", () => {
    const guest = new WatGuest();
    const write = (fd: number, text: string): string => {
      const [pointer = "", length = ""] = guest.text(text).split(") (");
      return `(i32.store (i32.const 32) ${pointer})) (i32.store (i32.const 36) (${length})
        (drop (call $fd_write (i32.const ${fd}) (i32.const 32) (i32.const 1) (i32.const 40)))`;
    };
    const body = write(2, "panic: ") + write(1, "out") + write(2, "no\n\nmore\nlast") + guest.log("end");
    assert.deepEqual(run(guest, body), ["panic: no", "more", "end", "out", "last"]);
  });

  test("clock_time_get and proxy_get_current_time_nanoseconds agree to the nanosecond", () => {
    const guest = new WatGuest();
    const body = `(drop (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 32)))
      (drop (call $proxy_get_current_time_nanoseconds (i32.const 40)))
      ${guest.logLetter("(i64.eq (i64.load (i32.const 32)) (i64.const 1700000001000000000))")}
      ${guest.logLetter("(i64.eq (i64.load (i32.const 40)) (i64.const 1700000001000000000))")}`;
    assert.deepEqual(run(guest, body), ["b", "b"]);
  });

  test("poll_oneoff answers one event for each subscription and does not wait", () => {
    const guest = new WatGuest();
    const body = `(i64.store (i32.const 512) (i64.const 77))
      ${guest.logLetter("(call $poll_oneoff (i32.const 512) (i32.const 1024) (i32.const 1) (i32.const 32))")}
      ${guest.logLetter("(i32.load (i32.const 32))")}
      ${guest.logLetter("(i64.eq (i64.load (i32.const 1024)) (i64.const 77))")}`;
    assert.deepEqual(run(guest, body), ["a", "b", "b"]);
  });
});
