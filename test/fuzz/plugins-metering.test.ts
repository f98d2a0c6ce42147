// Metering against anything: random programs run the same with and without it and use the same fuel each time, and damaged
// modules are refused or metered into valid ones, never thrown at.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { meterModule } from "../../plugins/metering/instrumenter.ts";
import { assemble, instance, metered } from "../plugins/support/metered-pair.ts";

type Code = string;

const LOCALS = 4;
const FUNCTIONS = 4;
/** A program ends by itself after this many turns of its loops and calls, all counted in one global. */
const MAX_TURNS = 2_000;

const local = fc.integer({ min: 0, max: LOCALS - 1 });
const constant = fc.oneof(fc.integer({ min: -4, max: 40 }), fc.integer()).map((value) => `(i32.const ${value | 0})`);
const address = local.map((index) => `(i32.and (local.get ${index}) (i32.const 1020))`);

/** Expressions of type i32; one may trap. */
const { expression } = fc.letrec<{ expression: Code }>((tie) => ({
  expression: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    constant,
    local.map((index) => `(local.get ${index})`),
    address.map((at) => `(i32.load ${at})`),
    fc
      .tuple(
        fc.constantFrom("add", "sub", "mul", "xor", "shl", "lt_s", "eq", "div_s", "rem_u"),
        tie("expression"),
        tie("expression"),
      )
      .map(([name, a, b]) => `(i32.${name} ${a} ${b})`),
    fc
      .tuple(tie("expression"), tie("expression"), tie("expression"))
      .map(([a, b, c]) => `(if (result i32) ${a} (then ${b}) (else ${c}))`),
    fc
      .tuple(fc.integer({ min: 0, max: FUNCTIONS - 1 }), tie("expression"))
      .map(([callee, a]) => `(call $f${callee} ${a})`),
    fc
      .tuple(tie("expression"), tie("expression"))
      .map(([a, b]) => `(call_indirect (type $t) ${a} (i32.and ${b} (i32.const 7)))`),
    tie("expression").map((a) => `(block (result i32) (drop (br_if 0 (i32.const 3) ${a})) (i32.const 4))`),
  ),
}));

const TURN = `(if (i32.gt_u (global.get $turns) (i32.const ${MAX_TURNS})) (then (return (i32.const -7))))
  (global.set $turns (i32.add (global.get $turns) (i32.const 1)))`;

/** Statements; `$out` is the label of the block around the function's body. */
const { statement } = fc.letrec<{ statement: Code }>((tie) => {
  const body = fc.array(tie("statement"), { maxLength: 4 }).map((codes) => codes.join("\n"));
  return {
    statement: fc.oneof(
      { depthSize: "medium", withCrossShrink: true },
      fc.tuple(local, expression).map(([index, a]) => `(local.set ${index} ${a})`),
      fc.tuple(address, expression).map(([at, a]) => `(i32.store ${at} ${a})`),
      expression.map((a) => `(return ${a})`),
      fc.tuple(expression, body, body).map(([a, b, c]) => `(if ${a} (then ${b}) (else ${c}))`),
      fc.tuple(expression, body).map(([a, b]) => `(block (br_if 0 ${a}) ${b})`),
      fc.tuple(expression, body).map(([a, b]) => `(loop ${TURN} ${b} (br_if 0 ${a}))`),
      fc
        .tuple(expression, body, body)
        .map(([a, b, c]) => `(block (block ${b} (br_table 0 1 $out 0 ${a})) ${c} (br 0))`),
      expression.map((a) => `(br_if $out ${a})`),
      fc
        .tuple(address, address)
        .map(([to, from]) => `(memory.copy ${to} ${from} (i32.and (local.get 0) (i32.const 63)))`),
      fc.constant("(drop (memory.grow (i32.const 1)))"),
      expression.map((a) => `(global.set $mine (i64.add (global.get $mine) (i64.extend_i32_s ${a})))`),
    ),
  };
});

const body = fc.array(statement, { minLength: 1, maxLength: 6 }).map((codes) => codes.join("\n"));

const program = fc.array(body, { minLength: FUNCTIONS, maxLength: FUNCTIONS }).map((bodies) => {
  const functions = bodies.map(
    (code, i) =>
      `(func $f${i} (export "f${i}") (type $t) (local i32 i32 i32) ${TURN} (block $out ${code}) (i32.xor (local.get 1) (local.get 2)))`,
  );
  return `(module (type $t (func (param i32) (result i32)))
    (memory (export "memory") 1 3) (table 8 funcref) (elem (i32.const 0) $f0 $f1 $f2 $f3)
    (global $turns (mut i32) (i32.const 0)) (global $mine (export "mine") (mut i64) (i64.const 0))
    ${functions.join("\n")})`;
});

interface Exports {
  readonly memory: WebAssembly.Memory;
  readonly mine: { readonly value: bigint };
}

test("random programs do the same with and without metering, on the same fuel each time", () => {
  let used = 0;
  fc.assert(
    fc.property(program, fc.integer(), (text, argument) => {
      const bytes = assemble(text);
      const plain = instance(bytes);
      const guests = [metered(bytes), metered(bytes)] as const;
      for (const name of ["f0", "f1", "f2", "f3"]) {
        const expected = plain.call(name, argument);
        assert.deepEqual(
          guests.map((guest) => guest.call(name, argument)),
          [expected, expected],
        );
      }
      const [first, second] = guests;
      assert.equal(first.left(), second.left());
      used += 2 ** 52 - first.left();
      const [before, after] = [plain, first].map(({ exports }) => exports as unknown as Exports) as [Exports, Exports];
      assert.equal(after.mine.value, before.mine.value);
      assert.ok(Buffer.from(before.memory.buffer).equals(Buffer.from(after.memory.buffer)));
    }),
    { numRuns: 400 },
  );
  assert.ok(used > 400 * 1_000, `the programs did little: ${used}`);
});

const SEEDS = ["trap", "abi-0-1-0", "callbacks", "no-abi"].map((name) =>
  readFileSync(new URL(`../guests/wasm/${name}.wasm`, import.meta.url)),
);

test("damaged modules are refused, or metered into valid ones when they are valid", () => {
  const mutation = fc.record({
    seed: fc.constantFrom(...SEEDS),
    changes: fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 3 }),
    cut: fc.option(fc.nat(), { nil: undefined, freq: 6 }),
  });
  let valid = 0;
  fc.assert(
    fc.property(mutation, ({ seed, changes, cut }) => {
      const bytes = Uint8Array.from(seed.subarray(0, cut === undefined ? seed.length : cut % seed.length));
      for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
      const result = meterModule(bytes);
      if (!result.ok) assert.match(result.problem, /^[^\n]+$/);
      if (!WebAssembly.validate(bytes)) return;
      valid++;
      if (!result.ok) assert.fail(`a valid module is refused: ${result.problem}`);
      assert.ok(WebAssembly.validate(result.bytes), "a valid module stays valid");
    }),
    { numRuns: 6_000 },
  );
  assert.ok(valid > 40, `only ${valid} of the damaged modules were valid`);
});

test("any bytes at all are refused or metered", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.constantFrom(1, 2, 3, 6, 7, 10), (noise, id) => {
      const head = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, id, noise.length & 0x7f];
      assert.equal(typeof meterModule(Uint8Array.from([...head, ...noise])).ok, "boolean");
      assert.equal(typeof meterModule(noise).ok, "boolean");
    }),
    { numRuns: 2_000 },
  );
});
