// A metered module does what it did before, with every class of instruction; what is appended leaves the guest's indices alone.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { readdirSync, readFileSync } from "node:fs";
import { FUEL_EXPORTS, meterModule } from "../../../plugins/metering/instrumenter.ts";
import { assemble, instance, metered, meteredBytes } from "../support/metered-pair.ts";

interface Case {
  readonly name: string;
  /** The module's fields; exports `f`, which takes and answers an i32 unless `calls` says otherwise. */
  readonly fields: string;
  readonly calls?: readonly (readonly (number | bigint)[])[];
}

const MEMORY = `(memory (export "memory") 1 4)`;
const INPUTS = [[0], [1], [2], [7], [-1], [100]] as const;

const CASES: readonly Case[] = [
  {
    name: "arithmetic",
    fields: `(func (export "f") (param i32) (result i32) local.get 0 i32.const 3 i32.mul i32.const 7 i32.rem_s i32.clz)`,
  },
  {
    name: "division by zero",
    fields: `(func (export "f") (param i32) (result i32) i32.const 10 local.get 0 i32.div_u)`,
  },
  {
    name: "64 bits and floats",
    fields: `(func (export "f") (param i32) (result i32)
      local.get 0 i64.extend_i32_s i64.const 1099511627776 i64.mul f64.convert_i64_s f64.sqrt f64.const 1.5 f64.div
      i64.trunc_sat_f64_s i64.popcnt i32.wrap_i64 f32.const 2.5 i32.trunc_sat_f32_u i32.add)`,
  },
  {
    name: "sign extension",
    fields: `(func (export "f") (param i32) (result i32) local.get 0 i32.extend8_s local.get 0 i64.extend_i32_u i64.extend16_s i32.wrap_i64 i32.xor)`,
  },
  {
    name: "loop and branches",
    fields: `(func (export "f") (param $n i32) (result i32) (local $s i32)
      (block $out (loop $l (br_if $out (i32.le_s (local.get $n) (i32.const 0)))
        (if (i32.and (local.get $n) (i32.const 1)) (then (local.set $s (i32.add (local.get $s) (local.get $n)))) (else (local.set $s (i32.xor (local.get $s) (i32.const 5)))))
        (local.set $n (i32.sub (local.get $n) (i32.const 1))) (br $l)))
      (local.get $s))`,
  },
  {
    name: "return out of a loop",
    fields: `(func (export "f") (param $n i32) (result i32) (local $i i32)
      (loop $l (if (i32.eq (local.get $i) (i32.const 3)) (then (return (i32.const 33))))
        (if (i32.eq (local.get $i) (local.get $n)) (then (return (local.get $i))))
        (local.set $i (i32.add (local.get $i) (i32.const 1))) (br $l)) (unreachable))`,
  },
  {
    name: "branch to the function's end with a value",
    fields: `(func (export "f") (param $n i32) (result i32) (local $i i32)
      (loop $l (drop (br_if 1 (i32.const 9) (i32.gt_s (local.get $i) (local.get $n))))
        (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $l (i32.lt_s (local.get $i) (i32.const 5)))) (local.get $i))`,
  },
  {
    name: "br_table",
    fields: `(func (export "f") (param $n i32) (result i32) (local $i i32)
      (loop $l (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (block $c (block $b (block $a (br_table $a $b $c $c $c (local.get $n))) (local.set $n (i32.const 1)) (br $l))
          (return (i32.add (local.get $i) (i32.const 100)))) (local.set $n (i32.const 0)) (br_if $l (i32.lt_u (local.get $i) (i32.const 9))))
      (local.get $i))`,
  },
  {
    name: "code that never runs",
    fields: `(func (export "f") (param i32) (result i32)
      (loop (result i32) (return (local.get 0)) (loop (br 0)) (block (br 0)) (drop (call $g (i32.const 1))) (unreachable)))
      (func $g (param i32) (result i32) (loop (br_if 0 (i32.const 0))) (local.get 0))`,
  },
  {
    name: "calls",
    fields: `(func $small (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
      (func $outer (param i32) (result i32) (call $small (call $small (local.get 0))))
      (func $fib (export "f") (param i32) (result i32) (if (result i32) (i32.lt_s (local.get 0) (i32.const 2)) (then (call $outer (local.get 0)))
        (else (if (result i32) (i32.gt_s (local.get 0) (i32.const 12)) (then (i32.const -1)) (else
        (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))))))`,
  },
  {
    name: "calls in a loop with its fuel in a local",
    fields: `(global $g (mut i32) (i32.const 0))
      (func $work (param i32) (result i32) (local $s i32) (loop (local.set $s (i32.add (local.get $s) (local.get 0)))
        (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get $s))
      (func (export "f") (param $n i32) (result i32) (local $i i32) (local $s i32)
        (loop $a (loop $b (local.set $s (i32.add (local.get $s) (i32.const 3))) (br_if $b (i32.lt_s (local.get $s) (local.get $n))))
          (global.set $g (i32.add (global.get $g) (call $work (i32.const 5)))) (br_if $a (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 4))))
        (i32.add (global.get $g) (local.get $s)))`,
  },
  {
    name: "call_indirect",
    fields: `(type $t (func (param i32) (result i32))) (table 4 funcref) (elem (i32.const 0) $a $b $c)
      (func $a (type $t) (i32.const 1)) (func $b (type $t) (i32.add (local.get 0) (i32.const 10))) (func $c (param i64))
      (func (export "f") (param i32) (result i32) (call_indirect (type $t) (i32.const 5) (i32.and (local.get 0) (i32.const 3))))`,
  },
  {
    name: "tail calls",
    fields: `(type $t (func (param i32) (result i32))) (table 2 funcref) (elem (i32.const 0) $even)
      (func $even (type $t) (if (result i32) (i32.le_s (local.get 0) (i32.const 0)) (then (i32.const 1)) (else (return_call $odd (i32.sub (local.get 0) (i32.const 1))))))
      (func $odd (type $t) (if (result i32) (i32.le_s (local.get 0) (i32.const 0)) (then (i32.const 0)) (else (return_call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)))))
      (func (export "f") (param i32) (result i32) (loop (br_if 0 (i32.const 0))) (return_call $even (i32.mul (local.get 0) (i32.const 1000))))`,
  },
  {
    name: "several results",
    fields: `(func $pair (param i32) (result i32 i32) (loop (br_if 0 (i32.const 0))) (local.get 0) (i32.const 3))
      (func (export "f") (param i32) (result i32) (call $pair (local.get 0)) (block (param i32 i32) (result i32) (i32.mul)))`,
  },
  {
    name: "memory and bulk memory",
    fields: `${MEMORY} (data $d "abcdefgh")
      (func (export "f") (param i32) (result i32) (memory.init $d (i32.const 8) (i32.const 0) (i32.const 8))
        (memory.copy (i32.const 100) (i32.const 8) (local.get 0)) (memory.fill (i32.const 200) (i32.const 7) (i32.const 5))
        (loop (br_if 0 (i32.const 0))) (memory.copy (i32.const 101) (i32.const 8) (local.get 0))
        (data.drop $d) (i32.add (i32.load offset=100 align=1 (i32.const 0)) (i32.load8_s offset=200 (i32.const 1))))`,
  },
  {
    name: "memory growth",
    fields: `${MEMORY} (func (export "f") (param i32) (result i32) (i32.add (memory.grow (local.get 0)) (i32.mul (memory.size) (i32.const 16))))`,
  },
  {
    name: "tables and references",
    fields: `(table $t 3 10 funcref) (elem $e func $f $f) (elem declare func $f)
      (func $f (export "f") (param i32) (result i32) (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 2))
        (table.set $t (i32.const 2) (ref.func $f)) (table.fill $t (i32.const 0) (ref.null func) (i32.const 1)) (table.copy $t $t (i32.const 1) (i32.const 0) (i32.const 1))
        (i32.add (table.grow $t (ref.null func) (local.get 0)) (i32.add (ref.is_null (table.get $t (i32.const 1))) (table.size $t))))`,
  },
  {
    name: "vectors",
    fields: `${MEMORY} (func (export "f") (param i32) (result i32) (local v128)
      (local.set 1 (i8x16.shuffle 0 1 2 3 20 21 22 23 8 9 10 11 28 29 30 31 (i32x4.splat (local.get 0)) (v128.const i32x4 1 2 3 4)))
      (v128.store offset=16 (i32.const 0) (i32x4.add (local.get 1) (v128.load32_splat (i32.const 0)))) (local.set 1 (v128.load8_lane offset=16 3 (i32.const 0) (local.get 1)))
      (i32.add (i32x4.extract_lane 1 (local.get 1)) (i8x16.extract_lane_s 3 (local.get 1))))`,
  },
  {
    name: "atomics",
    fields: `(memory (export "memory") 1) (func (export "f") (param i32) (result i32) (atomic.fence)
      (i32.atomic.store (i32.const 8) (local.get 0)) (i32.add (i32.atomic.rmw.add (i32.const 8) (i32.const 2)) (i32.atomic.load (i32.const 8))))`,
  },
  {
    name: "exceptions, thrown through a loop with a call",
    fields: `(tag $x (param i32))
      (func $thrower (param i32) (loop (if (i32.gt_s (local.get 0) (i32.const 1)) (then (throw $x (local.get 0)))) (br_if 0 (i32.const 0))))
      (func $middle (param i32) (local i32) (loop (loop (br_if 0 (i32.lt_s (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 3)))) (call $thrower (local.get 0)) (br_if 0 (i32.lt_s (local.get 1) (i32.const 5)))))
      (func (export "f") (param i32) (result i32) (local $s i32) (try (result i32) (do (loop (br_if 0 (i32.const 0))) (call $middle (local.get 0)) (i32.const -5))
        (catch $x (i32.add (i32.const 1000))) (catch_all (i32.const -6))))`,
  },
  {
    name: "exceptions: rethrow and delegate",
    fields: `(tag $x (param i32))
      (func (export "f") (param i32) (result i32) (try $outer (result i32) (do (try (result i32) (do (try (do (throw $x (local.get 0))) (delegate 0)) (i32.const 1)) (catch $x drop (rethrow 0)))) (catch_all (i32.const 77))))`,
  },
  {
    name: "loops whose code stands there several times, left at each place",
    fields: `${MEMORY} (func (export "f") (param $n i32) (result i32) (local $i i32) (local $s i32)
      (block $out (loop $l
        (br_if $out (i32.eq (local.get $i) (local.get $n)))
        (block $skip (br_if $skip (i32.and (local.get $i) (i32.const 1)))
          (if (i32.eq (local.get $i) (i32.const 90)) (then (br $out)) (else (local.set $s (i32.add (local.get $s) (i32.const 3))))))
        (if (i32.eq (local.get $s) (i32.const 66)) (then (return (local.get $i))))
        (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 200)))))
      (block $end (loop $l (br_if $end (i32.le_s (local.get $i) (i32.const 0)))
        (memory.fill (local.get $i) (local.get $i) (i32.const 5)) (local.set $i (i32.sub (local.get $i) (i32.const 1))) (i32.const 8) (br $l)))
      (i32.add (i32.load (i32.const 2)) (i32.shl (local.get $s) (i32.const 8))))`,
    calls: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 89, 90, 91, 92, 500].map((turns) => [turns]),
  },
  {
    name: "a loop with code that never runs, and one with a table of branches",
    fields: `(func (export "f") (param $n i32) (result i32) (local $i i32)
      (block (loop $l (br_if 1 (i32.ge_s (local.get $i) (local.get $n)))
        (block (br 0) (br 2)) (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $l (i32.lt_s (local.get $i) (i32.const 7)))))
      (block (loop $l (block (block (br_table 0 1 1 3 1 (local.get $n)))) (local.set $n (i32.add (local.get $n) (i32.const 1))) (br_if $l (i32.lt_s (local.get $n) (i32.const 9)))))
      (i32.add (local.get $i) (local.get $n)))`,
    calls: [0, 1, 3, 4, 5, 6, 7, 8].map((turns) => [turns]),
  },
  {
    name: "64-bit parameters",
    fields: `(func (export "f") (param i64) (result i64) (local $s i64) (loop (local.set $s (i64.add (local.get $s) (local.get 0)))
      (br_if 0 (i32.eqz (i64.eqz (local.tee 0 (i64.sub (local.get 0) (i64.const 1))))))) (local.get $s))`,
    calls: [[1n], [5n], [100n]],
  },
  {
    name: "its own globals",
    fields: `(global $a (mut i32) (i32.const 5)) (global $b (export "b") i32 (i32.const 6))
      (func (export "f") (param i32) (result i32) (global.set $a (i32.add (global.get $a) (local.get 0))) (i32.add (global.get $a) (global.get $b)))`,
  },
  {
    name: "a start function",
    fields: `(global $a (mut i32) (i32.const 5)) (func $s (loop (global.set $a (i32.add (global.get $a) (i32.const 1))) (br_if 0 (i32.lt_s (global.get $a) (i32.const 50))))) (start $s)
      (func (export "f") (param i32) (result i32) (i32.add (global.get $a) (local.get 0)))`,
  },
];

suite("a metered module does as before", () => {
  for (const { name, fields, calls = INPUTS } of CASES) {
    test(name, () => {
      const bytes = assemble(`(module ${fields})`);
      const before = instance(bytes);
      const after = metered(bytes);
      for (const args of calls) {
        assert.deepEqual(after.call("f", ...args), before.call("f", ...args), `f(${args.join(", ")})`);
      }
      const memory = before.exports["memory"] as WebAssembly.Memory | undefined;
      if (memory !== undefined) {
        assert.ok(
          Buffer.from(memory.buffer).equals(Buffer.from((after.exports["memory"] as WebAssembly.Memory).buffer)),
        );
      }
    });
  }

  test("and imports keep their numbers", () => {
    const bytes = assemble(`(module (import "m" "f" (func $i (param i32) (result i32))) (import "m" "g" (global i32))
      (func $local (param i32) (result i32) (i32.mul (call $i (local.get 0)) (global.get 0)))
      (func (export "f") (param i32) (result i32) (loop (br_if 0 (i32.const 0))) (i32.add (call $i (i32.const 1)) (call $local (local.get 0)))))`);
    const imports = { m: { f: (x: number) => x + 7, g: 3 } };
    assert.equal(metered(bytes, imports).call("f", 4), instance(bytes, imports).call("f", 4));
  });
});

suite("meterModule()", () => {
  test("keeps names, and drops what speaks of places in code", () => {
    const plain = assemble(`(module (func $named (export "f") (loop (br 0))))`);
    const debug = Buffer.concat([
      plain,
      custom(".debug_info", "xx"),
      custom("producers", "\0"),
      custom("metadata.code.branch_hint", "\0"),
    ]);
    const module = new WebAssembly.Module(meteredBytes(debug));
    const sections = (name: string): number => WebAssembly.Module.customSections(module, name).length;
    assert.deepEqual(["name", "producers", ".debug_info", "metadata.code.branch_hint"].map(sections), [1, 1, 0, 0]);
    const guest = metered(plain);
    guest.fill(10);
    const frames = stackOf(() => (guest.exports["f"] as () => void)());
    assert.match(frames, /\bnamed \(wasm:/);
  });

  test("meters the modules of all SDKs, and V8 takes them", () => {
    const folders = ["../../../plugins/examples/", "../../guests/wasm/"].map((path) => new URL(path, import.meta.url));
    const files = folders.flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: "utf8" })
        .filter((path) => path.endsWith(".wasm") && !path.includes("target"))
        .map((path) => new URL(path, folder)),
    );
    assert.ok(files.length > 30);
    for (const file of files) {
      const bytes = readFileSync(file);
      const result = meterModule(bytes);
      assert.ok(result.ok, file.pathname);
      assert.ok(WebAssembly.validate(result.bytes), file.pathname);
      assert.ok(result.bytes.length < bytes.length * 1.5 + 500, `${file.pathname} grew to ${result.bytes.length}`);
    }
  });

  test("refuses what it cannot meter, and says what that is", () => {
    const body = (...code: readonly number[]): Uint8Array => {
      const content = [0, ...code, 0x0b];
      return Uint8Array.from([
        0,
        0x61,
        0x73,
        0x6d,
        1,
        0,
        0,
        0,
        1,
        4,
        1,
        0x60,
        0,
        0,
        3,
        2,
        1,
        0,
        10,
        content.length + 2,
        1,
        content.length,
        ...content,
      ]);
    };
    const cases: readonly (readonly [Uint8Array, RegExp])[] = [
      [body(0xfb, 0x00, 0x00), /^it uses the instruction 0xfb, which cannot be metered$/],
      [body(0xfc, 0x1f), /^it uses the instruction 0xfc 0x1f, which/],
      [body(0xfd, 0xff, 0x07), /^it uses the instruction 0xfd 0x3ff, which/],
      [body(0xfe, 0x7f), /^it uses the instruction 0xfe 0x7f, which/],
      [body(0x0c, 0x05), /^its code is damaged$/],
      [body(0x05), /^its code is damaged$/],
      [body(0x0b), /^its code is damaged$/],
      [Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 3, 1, 0x5f, 0]), /^it has types that are not functions/],
      [Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 99, 0]), /unknown kind 99$/],
      [Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 50, 1]), /damaged or cut short$/],
    ];
    for (const [bytes, problem] of cases) {
      const result = meterModule(bytes);
      assert.match(result.ok ? "no problem" : result.problem, problem);
    }
  });

  test("refuses code that would grow beyond use", () => {
    const result = meterModule(assemble(`(module (func (export "f") ${"(loop) ".repeat(100_000)}))`));
    assert.equal(
      result.ok ? "no problem" : result.problem,
      "its code would grow too much: it is made of too many branches",
    );
  });

  test("offers the accessors and nothing else", () => {
    const names = Object.keys(metered(assemble(`(module (func (export "f")))`)).exports);
    assert.deepEqual(names, ["f", FUEL_EXPORTS.set, FUEL_EXPORTS.get]);
  });
});

function custom(name: string, content: string): Buffer {
  const body = Buffer.from(`${String.fromCharCode(name.length)}${name}${content}`, "latin1");
  return Buffer.concat([Buffer.from([0, body.length]), body]);
}

function stackOf(run: () => void): string {
  try {
    run();
  } catch (error) {
    return String((error as Error).stack);
  }
  return "";
}
