// Which bytes are a plugin, and what is said about those that are not.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { FUEL_EXPORTS } from "../../plugins/metering/instrumenter.ts";
import { loadPluginModule, meteredKey } from "../../plugins/plugin-module.ts";
import { FakeStream } from "./support/fake-stream.ts";
import { loaded } from "./support/loaded.ts";
import { assemble } from "./support/metered-pair.ts";
import { exampleBytes, watBytes } from "./support/specs.ts";
import { unmeterableModule } from "./support/unmeterable-module.ts";
import { WatGuest } from "./support/wat-guest.ts";

function wat(body: string): Uint8Array {
  return watBytes(`(module ${body})`);
}

const MEMORY = '(memory (export "memory") 1)';
const MARKER = '(func (export "proxy_abi_version_0_2_1"))';
const MALLOC = '(func (export "malloc") (param i32) (result i32) (i32.const 0))';

suite("loadPluginModule() says why it refuses", () => {
  const cases: readonly { name: string; bytes: Uint8Array; problem: RegExp }[] = [
    { name: "an empty file", bytes: new Uint8Array(0), problem: /^not a WebAssembly module: the file is empty$/ },
    { name: "a text file", bytes: Buffer.from("hello world"), problem: /starts with 68656c6c \(expected 0061736d\)$/ },
    { name: "a text form", bytes: Buffer.from("\n(module)"), problem: /: its text form \(WAT\), which wat2wasm/ },
    { name: "half a header", bytes: Buffer.from([0, 0x61, 0x73, 0x6d, 1]), problem: /: cut short after 5 bytes$/ },
    { name: "a gzip file", bytes: Buffer.from([0x1f, 0x8b, 8, 0]), problem: /gzip/ },
    {
      name: "a component",
      bytes: Buffer.from([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0]),
      problem: /^a WebAssembly component, not a core module/,
    },
    {
      name: "a cut module",
      bytes: new WatGuest().bytes().subarray(0, 40),
      problem: /^not a WebAssembly module: its sections are damaged or cut short$/,
    },
    { name: "no ABI marker", bytes: wat(MEMORY + MALLOC), problem: /^not a Proxy-Wasm plugin: no export "proxy_abi/ },
    {
      name: "an ABI of the future",
      bytes: wat(`${MEMORY} ${MALLOC} (func (export "proxy_abi_version_0_3_0"))`),
      problem: /unknown Proxy-Wasm ABI version: the module exports "proxy_abi_version_0_3_0"/,
    },
    { name: "no memory", bytes: wat(MARKER + MALLOC), problem: /has no memory/ },
    {
      name: "memory not exported",
      bytes: wat(`(memory 1) ${MARKER} ${MALLOC}`),
      problem: /does not export its memory/,
    },
    {
      name: "a memory that is a function",
      bytes: wat(`(memory 1) (func (export "memory")) ${MARKER} ${MALLOC}`),
      problem: /does not export its memory/,
    },
    {
      name: "an allocator that is a global",
      bytes: wat(`${MEMORY} ${MARKER} (global (export "malloc") i32 (i32.const 1))`),
      problem: /^missing allocator/,
    },
    {
      name: "a marker that is a global",
      bytes: wat(`${MEMORY} ${MALLOC} (global (export "proxy_abi_version_0_2_1") i32 (i32.const 1))`),
      problem: /^not a Proxy-Wasm plugin/,
    },
    {
      name: "callbacks and an allocator of other types, all of them",
      bytes: wat(
        `${MEMORY} ${MARKER} (func (export "malloc") (param i64) (result i64) (i64.const 0)) (func (export "proxy_on_tick"))`,
      ),
      problem:
        /^the module exports malloc as \(i64\) → i64, which has to be \(i32\) → i32; proxy_on_tick as \(\) → nothing, which has to be \(i32\) → nothing$/,
    },
    {
      name: "an import of other values",
      bytes: wat(`(import "env" "proxy_log" (func (param i32 i64 i32) (result i32))) ${MEMORY} ${MARKER} ${MALLOC}`),
      problem:
        /^the module imports env\.proxy_log as \(i32, i64, i32\) → i32, which has to be \(i32, i32, i32\) → i32$/,
    },
    { name: "no allocator", bytes: wat(MEMORY + MARKER), problem: /^missing allocator/ },
    {
      name: "unknown imports, all of them",
      bytes: wat(`(import "env" "abort" (func)) (import "js" "eval" (func)) (import "env" "g" (global i32))
        ${MEMORY} ${MARKER} ${MALLOC}`),
      problem: /^unknown imports: env\.abort, js\.eval, env\.g /,
    },
    {
      name: "many unknown imports with hostile names, in one line of a sensible length",
      bytes: wat(
        `(import "env" "a\\n\\1b[2J" (func)) (import "env" "${"b".repeat(500)}" (func))
         ${Array.from({ length: 30 }, (_, i) => `(import "env" "c${i}" (func))`).join("")} ${MEMORY} ${MARKER} ${MALLOC}`,
      ),
      problem:
        /^unknown imports: env\.a\\u000a\\u001b\[2J, env\.b{96}…, env\.c0, [^\n]{100,200}env\.c17 and 12 more \(a plugin/,
    },
    {
      name: "an imported memory",
      bytes: wat(`(import "env" "memory" (memory 1)) (export "memory" (memory 0)) ${MARKER} ${MALLOC}`),
      problem: /^unknown imports: env\.memory/,
    },
    {
      name: "too much memory at the start",
      bytes: wat(`(memory (export "memory") 4096) ${MARKER} ${MALLOC}`),
      problem: /^the module starts with 256 MiB of memory, more than the limit of 128 MiB$/,
    },
    {
      name: "a table too large at the start",
      bytes: wat(`${MEMORY} (table 300000 funcref) ${MARKER} ${MALLOC}`),
      problem: /^the module starts with a table of 300000 entries, more than the limit of 250000$/,
    },
  ];
  for (const { name, bytes, problem } of cases) {
    test(name, () => {
      const result = loadPluginModule(bytes);
      assert.equal(result.ok, false);
      assert.match(result.ok ? "" : result.problem, problem);
    });
  }

  test("code that does not validate, whose functions have hostile names", () => {
    const bytes = Buffer.from(
      wat(`${MEMORY} ${MARKER} ${MALLOC} (func (export "proxy_on_tick") (param i32) (drop (i32.const 7)))`),
    );
    bytes[bytes.lastIndexOf(Buffer.from([0x41, 7, 0x1a])) + 2] = 0x6a;
    // (custom "name") with the name of function 2
    const map = [1, 2, 7, 0x1b, 0x5b, 0x32, 0x4a, 0x0a, 0x79, 0x7a];
    const names = [0, 7 + map.length, 4, ...Buffer.from("name"), 1, map.length, ...map];
    const result = loadPluginModule(Buffer.concat([bytes, Buffer.from(names)]));
    assert.match(result.ok ? "" : result.problem, /^not a valid WebAssembly module: [\x20-\x7e…]+$/);
  });

  test("code that does not validate", () => {
    const bytes = Buffer.from(new WatGuest().on("proxy_on_tick", "(drop (i32.const 7))").bytes());
    const at = bytes.lastIndexOf(Buffer.from([0x41, 7, 0x1a]));
    bytes[at + 2] = 0x6a;
    const result = loadPluginModule(bytes);
    assert.match(result.ok ? "" : result.problem, /^not a valid WebAssembly module: .*Compiling function/);
  });
});

test("loadPluginModule() takes callbacks of both arities, and imports with more or fewer parameters", () => {
  const headers = (parameters: string): string =>
    `(func (export "proxy_on_request_headers") (param ${parameters}) (result i32) (i32.const 0))`;
  for (const fields of [
    headers("i32 i32"),
    headers("i32 i32 i32"),
    `(import "env" "proxy_grpc_cancel" (func (param i32 i32) (result i32))) ${headers("i32 i32")}`,
    '(import "wasi_snapshot_preview1" "fd_write" (func (param i32)))',
  ]) {
    const imports = /\(import.*?\)\)\)/.exec(fields)?.[0] ?? "";
    const result = loadPluginModule(wat(`${imports} ${MEMORY} ${MARKER} ${MALLOC} ${fields.slice(imports.length)}`));
    assert.ok(result.ok, result.ok ? "" : result.problem);
  }
});

test("every cut of a real module is refused and never throws", () => {
  const bytes = exampleBytes("rust");
  for (let length = 0; length < bytes.length; length += 997) {
    assert.equal(loadPluginModule(bytes.subarray(0, length)).ok, false);
  }
});

test("loadPluginModule() tells the version, the digest, the arities of imports and what will be stubbed", () => {
  const guest = new WatGuest({ abi: "0_1_0" });
  guest.on("proxy_on_tick", "(drop (call $proxy_new_in_0_9_9 (i32.const 0) (i32.const 0))) (drop (call $proxy_done))");
  const bytes = guest.bytes();
  const result = loadPluginModule(bytes);
  if (!result.ok) assert.fail(result.problem);
  assert.equal(result.module.abi, "0.1.0");
  assert.match(result.module.digest, /^[0-9a-f]{64}$/);
  assert.deepEqual(result.module.stubbedImports, ["env.proxy_new_in_0_9_9"]);
  assert.deepEqual(
    result.module.imports.map(({ name, parameters }) => [name, parameters.length]),
    [
      ["proxy_done", 0],
      ["proxy_new_in_0_9_9", 2],
    ],
  );
  const posted = structuredClone({ ...result.module, module: undefined });
  assert.equal(posted.digest, result.module.digest);
});

test("of several ABI markers the first export counts, as on Envoy", () => {
  for (const [first, second, abi] of [
    ["0_2_0", "0_1_0", "0.2.0"],
    ["0_1_0", "0_2_1", "0.1.0"],
  ] as const) {
    const markers = [first, second].map((version) => `(func (export "proxy_abi_version_${version}"))`).join("");
    const result = loadPluginModule(wat(`${MEMORY} ${markers} ${MALLOC}`));
    assert.equal(result.ok ? result.module.abi : result.problem, abi);
  }
});

test("a guest cannot grow a table beyond the limit, nor have many tables or memories", () => {
  const grow = (entries: number): string =>
    `(i32.eq (table.grow 0 (ref.null func) (i32.const ${entries})) (i32.const -1))`;
  const bytes = assemble(`(module ${MEMORY} (table 10 9000000 funcref) (table 1 2 funcref) ${MARKER} ${MALLOC}
    (func (export "grow") (result i32) (i32.or (i32.shl ${grow(200_000)} (i32.const 1)) ${grow(60_000)}))
    (func (export "proxy_on_tick") (param i32) (drop (table.size 1))))`);
  const result = loadPluginModule(bytes);
  if (!result.ok) assert.fail(result.problem);
  const { exports } = new WebAssembly.Instance(result.module.module, {});
  (exports[FUEL_EXPORTS.set] as (fuel: number) => void)(1e9);
  assert.equal((exports["grow"] as () => number)(), 1, "the first fits, the second does not");
  const many = loadPluginModule(assemble(`(module ${MEMORY} ${"(table 1 funcref)".repeat(9)} ${MARKER} ${MALLOC})`));
  assert.equal(many.ok ? "" : many.problem, "the module has 9 tables, at most 8 are allowed");
  const memories = loadPluginModule(assemble(`(module ${MEMORY} (memory 1) ${MARKER} ${MALLOC})`));
  assert.match(memories.ok ? "" : memories.problem, /^several memories are not supported/);
});

test("what was metered before is compiled as it is, and metered anew when it is no module", () => {
  const bytes = exampleBytes("rust");
  const first = loadPluginModule(bytes);
  assert.ok(first.ok && first.metered !== undefined);
  const again = loadPluginModule(bytes, { metered: first.metered });
  assert.ok(again.ok && again.metered === undefined);
  assert.deepEqual(WebAssembly.Module.exports(again.module.module), WebAssembly.Module.exports(first.module.module));
  const anew = loadPluginModule(bytes, { metered: new Uint8Array(8) });
  assert.ok(anew.ok && anew.metered !== undefined);
  assert.match(meteredKey(first.module.digest) ?? "", /^[0-9a-f]{64}$/);
  assert.equal(meteredKey(first.module.digest), meteredKey(first.module.digest, 128));
  assert.notEqual(meteredKey(first.module.digest), meteredKey(first.module.digest, 64));
});

test("code that cannot be metered is refused, and loads without metering", () => {
  const gc = unmeterableModule();
  const refused = loadPluginModule(gc);
  assert.equal(
    refused.ok ? "" : refused.problem,
    "the module cannot be metered: it has types that are not functions (garbage collection)",
  );
  assert.ok(loadPluginModule(gc, { metering: false }).ok);
});

test("a guest cannot grow its memory beyond the limit", () => {
  const guest = new WatGuest({ memory: "1 2000" });
  // Grows by 30 MiB, then by 62 MiB: the second passes the limit and answers -1.
  guest.on(
    "proxy_on_request_headers",
    `${guest.logLetter("(i32.eq (memory.grow (i32.const 480)) (i32.const -1))")}
     ${guest.logLetter("(i32.eq (memory.grow (i32.const 1000)) (i32.const -1))")} (i32.const 0)`,
  );
  const result = loadPluginModule(guest.bytes(), { memoryMib: 64 });
  if (!result.ok) assert.fail(result.problem);
  assert.equal(result.module.maximumMemoryPages, 1024);
  const { plugin, lines } = loaded(guest, { module: result.module });
  plugin.createHttpContext(new FakeStream()).onRequestHeaders(3, true);
  assert.deepEqual(lines(), ["a", "b"]);
  assert.equal(plugin.view().memoryBytes, 481 * 65536);
});
