// Whatever way a guest finds to run for ever, or to do much by little: it ends when its fuel does, and says so by the gauge.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { assemble, metered } from "../support/metered-pair.ts";

/** More than any of these needs for one turn, little enough that the whole suite takes a moment. */
const FUEL = 1_000_000;
const MEMORY = `(memory (export "memory") 1 8)`;
const T = "(type $t (func (param i32) (result i32)))";

const ENDLESS: Readonly<Record<string, string>> = {
  "an empty loop": `(func (export "f") (loop (br 0)))`,
  "a loop with a condition": `(func (export "f") (loop (br_if 0 (i32.const 1))))`,
  "a loop in a loop": `(func (export "f") (local i32) (loop (loop (br_if 0 (i32.lt_s (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 3)))) (local.set 0 (i32.const 0)) (br 0)))`,
  "an inner loop that leaves for the outer one": `(func (export "f") (loop $a (loop $b (br_if $a (i32.const 1)) (br $b))))`,
  "br_table back to a loop": `(func (export "f") (loop $l (block $b (br_table $l $b $l (i32.const 7)))))`,
  "a loop through an if": `(func (export "f") (loop $l (if (i32.const 1) (then (br $l)) (else (nop)))))`,
  "a loop with a result": `(func (export "f") (result i32) (loop $l (result i32) (br $l)))`,
  "a loop in a function with two results": `(func (export "f") (result i32 i32) (loop $l (br $l)) (i32.const 1) (i32.const 2))`,
  "a loop that catches": `(tag $x) (func (export "f") (loop $l (try (do (throw $x)) (catch_all)) (br $l)))`,
  "a loop that calls what throws": `(tag $x) (func $g (throw $x)) (func (export "f") (loop $l (try (do (call $g)) (catch $x)) (br $l)))`,
  "a loop of calls that cost nothing": `(func $g (param i32) (result i32) (local.get 0)) (func (export "f") (loop $l (drop (call $g (i32.const 1))) (br $l)))`,
  "a loop of indirect calls": `${T} (table 1 funcref) (elem (i32.const 0) $g) (func $g (type $t) (local.get 0)) (func (export "f") (loop $l (drop (call_indirect (type $t) (i32.const 1) (i32.const 0))) (br $l)))`,
  "recursion that branches": `(func $f (export "f") (param i32) (if (i32.lt_s (local.get 0) (i32.const 60)) (then (call $f (i32.add (local.get 0) (i32.const 1))) (call $f (i32.add (local.get 0) (i32.const 1))))))`,
  "mutual recursion that branches": `(func $f (export "f") (param i32) (if (i32.lt_s (local.get 0) (i32.const 60)) (then (call $g (local.get 0)) (call $g (local.get 0))))) (func $g (param i32) (call $f (i32.add (local.get 0) (i32.const 1))))`,
  "recursion through a table": `(type $u (func (param i32))) (table 1 funcref) (elem (i32.const 0) $f) (func $f (export "f") (param i32) (if (i32.lt_s (local.get 0) (i32.const 60)) (then (call_indirect (type $u) (i32.add (local.get 0) (i32.const 1)) (i32.const 0)) (call_indirect (type $u) (i32.add (local.get 0) (i32.const 1)) (i32.const 0)))))`,
  "a tail call to itself": `(func $f (export "f") (return_call $f))`,
  "tail calls in a circle": `(func $f (export "f") (param i32) (return_call $g (local.get 0))) (func $g (param i32) (return_call $f (local.get 0)))`,
  "a tail call through a table": `(type $u (func)) (table 1 funcref) (elem (i32.const 0) $f) (func $f (export "f") (return_call_indirect (type $u) (i32.const 0)))`,
  "an imported function": `(import "m" "f" (func $i)) (func (export "f") (loop $l (call $i) (br $l)))`,
  "memory.fill": `${MEMORY} (func (export "f") (loop $l (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (br $l)))`,
  "memory.copy": `${MEMORY} (func $g (memory.copy (i32.const 0) (i32.const 1) (i32.const 65535))) (func (export "f") (loop $l (call $g) (br $l)))`,
  "memory.grow": `${MEMORY} (func (export "f") (loop $l (drop (memory.grow (i32.const 1))) (br $l)))`,
  "table.grow and table.fill": `(table $t 1000 funcref) (func (export "f") (loop $l (drop (table.grow $t (ref.null func) (i32.const 0))) (table.fill $t (i32.const 0) (ref.null func) (i32.const 1000)) (br $l)))`,
};

suite("out of fuel ends", () => {
  for (const [name, fields] of Object.entries(ENDLESS)) {
    test(name, () => {
      const bytes = assemble(`(module ${fields})`);
      const guest = metered(bytes, { m: { f: () => {} } });
      guest.fill(FUEL);
      assert.equal(guest.call("f", 0), "[unreachable]");
      const left = guest.left();
      assert.ok(left < 0, `${left} left`);
      assert.ok(left > -FUEL / 2, `${left} is far below zero: much ran between two checks`);
    });
  }

  test("a start function, which runs when the host has filled the gauge", () => {
    const bytes = assemble(`(module (func $s (loop $l (br $l))) (start $s))`);
    assert.throws(() => metered(bytes, {}, FUEL), /unreachable/);
  });
});

suite("the gauge", () => {
  const LOOP = `(func (export "f") (param $n i32) (local i32) (loop $l
    (local.set 1 (i32.mul (i32.add (local.get 1) (i32.const 3)) (i32.const 5))) (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))`;

  test("takes the same for the same work, and in proportion to it", () => {
    const guest = metered(assemble(`(module ${LOOP})`));
    const used = (turns: number): number => {
      guest.fill(FUEL);
      guest.call("f", turns);
      return FUEL - guest.left();
    };
    assert.deepEqual([used(1000), used(1000)], [used(1000), used(1000)]);
    const each = used(1001) - used(1000);
    assert.ok(each >= 3 && each <= 8, `${each} a turn`);
    assert.equal(used(5000) - used(1000), 4000 * each);
  });

  test("lets work pass that needs all of it", () => {
    const guest = metered(assemble(`(module ${LOOP})`));
    guest.fill(FUEL);
    guest.call("f", 1000);
    const needed = FUEL - guest.left();
    guest.fill(needed);
    assert.equal(guest.call("f", 1000), undefined);
    assert.equal(guest.left(), 0);
    // A short loop is checked every few turns.
    guest.fill(needed - (4 * needed) / 1000);
    assert.equal(guest.call("f", 1000), "[unreachable]");
    assert.ok(guest.left() < 0);
  });

  test("costs as much for each turn of a loop as for another", () => {
    for (const body of [
      `(loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))`,
      `(block $out (loop $l (br_if $out (i32.eqz (local.get 0))) (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br $l)))`,
    ]) {
      const guest = metered(assemble(`(module (func (export "f") (param i32) ${body}))`));
      const used = Array.from({ length: 12 }, (_, turns) => {
        guest.fill(FUEL);
        guest.call("f", turns + 1);
        return FUEL - guest.left();
      });
      const steps = new Set(used.slice(1).map((each, i) => each - (used[i] as number)));
      assert.equal(steps.size, 1, used.join(" "));
    }
  });

  test("tells a trap of the guest's own from an empty gauge", () => {
    const guest = metered(assemble(`(module (func (export "f") (loop (br_if 0 (i32.const 0))) unreachable))`));
    guest.fill(FUEL);
    assert.equal(guest.call("f"), "[unreachable]");
    assert.ok(guest.left() > 0);
  });

  test("goes on through calls that throw", () => {
    const guest = metered(
      assemble(`(module (tag $x) (func $work (param i32) (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (throw $x))
        (func (export "f") (param i32) (try (do (call $work (local.get 0))) (catch_all))))`),
    );
    guest.fill(FUEL);
    guest.call("f", 10_000);
    assert.ok(FUEL - guest.left() >= 20_000, "what ran before the throw is paid for");
  });

  test("is not the guest's: code that names it is no valid module", () => {
    const bytes = assemble(
      `(module (global (mut i64) (i64.const 0)) (func (export "f") (global.set 0 (i64.const 9))))`,
    );
    const at = Buffer.from(bytes).indexOf(Buffer.from([0x42, 0x09, 0x24, 0x00]));
    bytes[at + 3] = 1;
    assert.equal(WebAssembly.validate(bytes), false);
  });

  test("leaves deep recursion to the engine", () => {
    const guest = metered(
      assemble(
        `(module (func $f (export "f") (param i32) (result i32) (i32.add (i32.const 1) (call $f (local.get 0)))))`,
      ),
    );
    guest.fill(2 ** 40);
    assert.equal(guest.call("f", 0), "[Maximum call stack size exceeded]");
    assert.ok(guest.left() > 0);
  });
});
