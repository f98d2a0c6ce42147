// What is said of a module without running it: of each SDK's example, and of modules that are wrong in one way each.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { inspectModule, type ModuleReport } from "../../../plugins/inspection/module-report.ts";
import { loadPluginModule } from "../../../plugins/plugin-module.ts";
import { assemble } from "../support/metered-pair.ts";
import { unsigned, vectorOf } from "../support/random-operations.ts";
import { exampleBytes, watBytes } from "../support/specs.ts";
import { WatGuest } from "../support/wat-guest.ts";

const MEMORY = '(memory (export "memory") 1)';
const MARKER = '(func (export "proxy_abi_version_0_2_1"))';
const MALLOC = '(func (export "malloc") (param i32) (result i32) (i32.const 0))';
const PLUGIN = `${MEMORY} ${MARKER} ${MALLOC}`;

function report(fields: string): ModuleReport {
  return inspectModule(watBytes(`(module ${fields})`));
}

function callback(name: string, body: string): string {
  return `(func (export "${name}") (param i32 i32 i32) (result i32) ${body})`;
}

suite("inspectModule() tells of the examples", () => {
  const examples = [
    [
      "go",
      "0.2.0",
      /^Go 1\.\d+/,
      /^proxy-wasm-go-sdk v0\.0\.0-20250212164326$/,
      "proxy_on_memory_allocate",
      ["_initialize"],
    ],
    ["rust", "0.2.1", /^rustc of commit [0-9a-f]{9}$/, /^proxy-wasm-rust-sdk 0\.2\.5$/, "malloc", ["_initialize"]],
    ["assemblyscript", "0.2.0", undefined, /proxy-runtime/, "malloc", ["the start function"]],
    ["cpp", "0.2.1", undefined, undefined, "malloc", []],
  ] as const;
  for (const [name, abi, compiler, sdk, allocator, start] of examples) {
    test(name, () => {
      const bytes = exampleBytes(name);
      const found = inspectModule(bytes);
      assert.deepEqual([found.loads, found.problems, found.abi], [true, [], abi]);
      assert.deepEqual([found.allocator, found.start], [allocator, start]);
      assert.match(found.toolchain.compiler ?? "none", compiler ?? /^none$/);
      assert.match(found.toolchain.sdk ?? "none", sdk ?? /^none$/);
      assert.ok(found.abilities.includes("change headers"));
      assert.ok(found.metering?.works === true && found.metering.growthPercent < 30);
      assert.equal(found.pausing, "may");
      assert.ok(found.pausesIn.includes("proxy_on_response_headers"));
      const loaded = loadPluginModule(bytes);
      assert.equal(found.digest, loaded.ok ? loaded.module.digest : "");
      assert.deepEqual(
        found.imports.filter(({ support }) => support === "stubbed" || support === "unlinkable"),
        [],
      );
      assert.ok(found.memory !== undefined && found.memory.limitBytes === 128 * 2 ** 20);
    });
  }
});

suite("inspectModule() says all that is wrong", () => {
  const cases: readonly (readonly [name: string, fields: string, problems: readonly RegExp[]])[] = [
    ["nothing is there", "", [/^not a Proxy-Wasm plugin/, /has no memory/]],
    ["no marker and no allocator", MEMORY, [/^not a Proxy-Wasm plugin/, /^missing allocator/]],
    [
      "too much memory and an unknown import",
      `(import "env" "abort" (func)) (memory (export "memory") 4096) ${MARKER} ${MALLOC}`,
      [/^unknown imports: env\.abort/, /^the module starts with 256 MiB of memory/],
    ],
    ["a large table", `${PLUGIN} (table 300000 funcref)`, [/^the module starts with a table of 300000 entries/]],
  ];
  for (const [name, fields, problems] of cases) {
    test(name, () => {
      const found = report(fields);
      assert.equal(found.loads, false);
      assert.equal(found.problems.length, problems.length, found.problems.join("\n"));
      for (const [i, problem] of problems.entries()) assert.match(found.problems[i] ?? "", problem);
    });
  }

  test("code that does not validate, with what else is wrong", () => {
    const bytes = Buffer.from(
      watBytes(`(module ${MEMORY} ${MALLOC} ${callback("proxy_on_request_body", "(i32.const 7)")})`),
    );
    bytes[bytes.lastIndexOf(Buffer.from([0x41, 7, 0x0b])) + 1] = 0xff;
    const found = inspectModule(bytes);
    assert.match(found.problems[0] ?? "", /^not a Proxy-Wasm plugin/);
    assert.match(found.problems.at(-1) ?? "", /^not a valid WebAssembly module: /);
    assert.equal(found.metering, undefined);
  });

  test("a file that is cut short, and where", () => {
    const bytes = exampleBytes("rust").subarray(0, 50_000);
    const [problem = ""] = inspectModule(bytes).problems;
    assert.match(
      problem,
      /cut short: the code section at byte \d+ says that it has 113138 bytes, and the file ends after \d+\)$/,
    );
    assert.equal(inspectModule(bytes).imports.length, 32, "what comes before is told");
  });

  test("a file that is no module", () => {
    const texts: readonly (readonly [Uint8Array, RegExp])[] = [
      [Buffer.from("(module)"), /text form \(WAT\)/],
      [Buffer.from([0, 0x61, 0x73, 0x6d, 1]), /cut short after 5 bytes$/],
      [Buffer.from([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0]), /^a WebAssembly component/],
      [new Uint8Array(0), /the file is empty$/],
    ];
    for (const [bytes, problem] of texts) {
      const found = inspectModule(bytes);
      assert.deepEqual([found.loads, found.problems.length, found.sections.length], [false, 1, 0]);
      assert.match(found.problems[0] ?? "", problem);
    }
  });

  test("and never throws, whatever is cut or changed", () => {
    const bytes = exampleBytes("cpp");
    for (let at = 0; at < bytes.length; at += 13) {
      const cut = inspectModule(bytes.subarray(0, at));
      assert.equal(cut.loads, cut.problems.length === 0);
      const changed = Uint8Array.from(bytes);
      changed[at] = (changed[at] as number) ^ 0x55;
      const found = inspectModule(changed);
      assert.equal(found.loads, found.problems.length === 0);
    }
  });
});

suite("inspectModule() warns", () => {
  const DOES = callback("proxy_on_request_headers", "(local.get 0) (i32.eqz)");
  const cases: readonly (readonly [name: string, fields: string, warning: RegExp | undefined])[] = [
    ["of nothing when there is nothing", `${PLUGIN} ${DOES}`, undefined],
    [
      "of two markers",
      `(func (export "proxy_abi_version_0_2_0")) ${PLUGIN} ${DOES}`,
      /^it marks the ABI versions 0\.2\.0, 0\.2\.1; as on Envoy the first one counts, 0\.2\.0$/,
    ],
    [
      "of functions that nobody knows",
      `(import "env" "proxy_x" (func)) (import "wasi_snapshot_preview1" "y" (func)) ${PLUGIN} ${DOES}`,
      /^it imports env\.proxy_x, wasi_snapshot_preview1\.y, which nobody knows: a call answers Unimplemented/,
    ],
    [
      "of a plugin that does nothing",
      `${PLUGIN} ${callback("proxy_on_response_body", "(i32.const 0)")}`,
      /no callback that does anything/,
    ],
    [
      "of a pause that nothing can end",
      `${PLUGIN} ${callback("proxy_on_request_headers", "(i32.const 1)")} ${callback("proxy_on_response_headers", "(local.get 0)")}`,
      /^it pauses streams, and imports nothing that lets one go on/,
    ],
    [
      "of memory that it does not get",
      `(memory (export "memory") 1 4096) ${MARKER} ${MALLOC} ${DOES}`,
      /^it declares a maximum of 256 MiB of memory, and gets at most 128 MiB$/,
    ],
    [
      "of an import with another type than the ABI's",
      `(import "env" "proxy_log" (func (param i32 i32) (result i32))) ${PLUGIN} ${DOES}`,
      /^it imports env\.proxy_log as \(i32, i32\) → i32, and the ABI has \(i32, i32, i32\) → i32: Envoy refuses it$/,
    ],
  ];
  for (const [name, fields, warning] of cases) {
    test(name, () => {
      const { loads, warnings } = report(fields);
      assert.equal(loads, true);
      assert.equal(warnings.length, warning === undefined ? 0 : 1, warnings.join("\n"));
      if (warning !== undefined) assert.match(warnings[0] ?? "", warning);
    });
  }

  test("of names and debugging information that are much of the file", () => {
    const plain = Buffer.from(watBytes(`(module ${PLUGIN} ${DOES})`));
    const debug = Buffer.concat([Buffer.from([0, 0xe4, 0x01, 11]), Buffer.from(".debug_info"), Buffer.alloc(216)]);
    const { warnings, sections } = inspectModule(Buffer.concat([plain, debug]));
    assert.match(warnings.join("\n"), /^\d+ % of it are names and debugging information: strip it$/);
    assert.deepEqual(sections.at(-1), { name: ".debug_info", isCustom: true, bytes: 228 });
  });
});

suite("inspectModule() reads callbacks", () => {
  const bodies: readonly (readonly [body: string, result: number | undefined, doesNothing: boolean])[] = [
    ["(i32.const 0)", 0, true],
    ["(drop (local.get 1)) (return (i32.const -70000))", -70_000, true],
    ["(nop) (i32.const 1)", 1, true],
    ["(local.get 1)", undefined, false],
    ["(if (local.get 0) (then (return (i32.const 0)))) (i32.const 0)", undefined, false],
    ["(unreachable)", undefined, false],
  ];
  for (const [body, result, doesNothing] of bodies) {
    test(`that are ${body}`, () => {
      const [found] = report(`${PLUGIN} ${callback("proxy_on_request_body", body)}`).callbacks;
      assert.deepEqual([found?.result, found?.doesNothing], [result, doesNothing]);
    });
  }

  test("and tells who never pauses, who may and who always does", () => {
    const pausing = (headers: string, body: string): string =>
      report(`${PLUGIN} ${callback("proxy_on_request_headers", headers)} ${callback("proxy_on_response_body", body)}`)
        .pausing;
    assert.equal(pausing("(i32.const 0)", "(i32.const 0)"), "never");
    assert.equal(pausing("(i32.const 0)", "(local.get 2)"), "may");
    assert.equal(pausing("(i32.const 1)", "(local.get 2)"), "always");
  });

  test("and not those of another kind", () => {
    const found = inspectModule(assemble(`(module ${PLUGIN} (global (export "proxy_on_tick") i32 (i32.const 1)))`));
    assert.deepEqual(found.callbacks, []);
  });
});

test("inspectModule() asks for the limit that the plugin would have", () => {
  const bytes = new WatGuest({ memory: "160" }).on("proxy_on_tick", "").bytes();
  assert.equal(inspectModule(bytes).memory?.limitBytes, 128 * 2 ** 20);
  assert.match(inspectModule(bytes, { memoryMib: 8 }).problems[0] ?? "", /more than the limit of 8 MiB$/);
});

suite("inspectModule() tells the author's callbacks from the SDK's", () => {
  const owned = ({ callbacks }: ModuleReport): string[] =>
    callbacks.filter((each) => each.isOwn === true).map(({ name }) => name);

  test("in a stripped Go module, and so where it may pause", () => {
    const found = inspectModule(exampleBytes("go"));
    assert.deepEqual(owned(found), ["proxy_on_configure", "proxy_on_response_headers"]);
    assert.equal(found.callbacks.find(({ name }) => name === "proxy_on_request_body")?.isOwn, false);
    assert.equal(found.callbacks.find(({ name }) => name === "proxy_on_context_create")?.isOwn, undefined);
    assert.deepEqual(found.pausesIn, ["proxy_on_response_headers"]);
  });

  test("not in a module without names", () => {
    const found = inspectModule(exampleBytes("rust"));
    assert.deepEqual(owned(found), []);
    assert.ok(found.callbacks.every(({ isOwn }) => isOwn === undefined));
    assert.ok(found.pausesIn.length > 4);
  });

  test("in a Rust module that has names", () => {
    const names = [
      "_ZN55_$LT$a..S$u20$as$u20$proxy_wasm..traits..HttpContext$GT$20on_http_request_body17h0123456789abcdefE",
    ];
    const text = Buffer.concat(names.map((name, i) => Buffer.from([i, name.length, ...Buffer.from(name)])));
    const map = Buffer.concat([Buffer.from([names.length]), text]);
    const section = (name: string, content: Uint8Array): Buffer => {
      const length = 1 + name.length + content.length;
      return Buffer.concat([
        Buffer.from([0, (length & 0x7f) | 0x80, length >> 7, name.length]),
        Buffer.from(name),
        content,
      ]);
    };
    const content = Buffer.concat([Buffer.from([1, (map.length & 0x7f) | 0x80, map.length >> 7]), map]);
    const body =
      callback("proxy_on_request_body", "(local.get 1)") + callback("proxy_on_request_headers", "(local.get 1)");
    const bytes = [
      watBytes(`(module ${PLUGIN} ${body})`),
      section("c", Buffer.from("/rustc/")),
      section("name", content),
    ];
    assert.deepEqual(inspectModule(Buffer.concat(bytes)).pausesIn, ["proxy_on_request_body"]);
  });
});

test("inspectModule() reads a module that exports all of its many functions once", () => {
  const count = 60_000;
  const indices = Array.from({ length: count }, (_, i) => i);
  const section = (id: number, content: readonly number[]): number[] => [id, ...unsigned(content.length)];
  const parts = [
    [1, [1, 0x60, 0, 1, 0x7f]],
    [3, vectorOf(indices.map(() => [0]))],
    [7, vectorOf(indices.map((i) => [15, ...Buffer.from(`proxy_on_${100_000 + i}`), 0, ...unsigned(i)]))],
    [10, vectorOf(indices.map(() => [4, 0, 0x41, 0, 0x0b]))],
  ] as const;
  const head = Buffer.from("\0asm\x01\0\0\0", "latin1");
  const bytes = Buffer.concat([
    head,
    ...parts.flatMap(([id, content]) => [section(id, content), content].map((each) => Buffer.from(each))),
  ]);
  const began = performance.now();
  const found = inspectModule(bytes);
  // Once takes less than a second; once for each export would take a minute.
  assert.ok(performance.now() - began < 20_000);
  assert.equal(found.callbacks.length, count);
  assert.ok(found.callbacks.every(({ doesNothing, result }) => doesNothing && result === 0));
});
