// Bounds of guest memory, and the assumption that growing it empties the old views.

import assert from "node:assert/strict";
import { test } from "node:test";
import { GuestMemory } from "../../plugins/memory.ts";

test("nothing is readable or writable outside the memory, or before it is attached", () => {
  const memory = new GuestMemory();
  assert.equal(memory.contains(0, 1), false);
  assert.equal(memory.putU32(0, 1), false);
  memory.attach(new WebAssembly.Memory({ initial: 1 }));
  const end = 65536;
  const cases: readonly (readonly [number, number, boolean])[] = [
    [0, 0, true],
    [end, 0, true],
    [end, 1, false],
    [end - 4, 4, true],
    [end - 3, 4, false],
    [0xffff_fff0, 0x20, false],
    [1, 0xffff_ffff, false],
  ];
  for (const [pointer, length, expect] of cases) {
    assert.equal(memory.contains(pointer, length), expect, `${pointer}+${length}`);
    assert.equal(memory.latin1(pointer, length) !== undefined, expect);
    assert.equal(memory.utf8(pointer, length) !== undefined, expect);
    assert.equal(memory.copy(pointer, length) !== undefined, expect);
  }
  assert.equal(memory.putU32(end - 3, 1), false);
  assert.equal(memory.putU64(end - 7, 1, 1), false);
  assert.equal(memory.putU64(end - 8, 1, 2), true);
  assert.equal(memory.u32(end - 4), 2);
});

test("memory.grow empties the cached views, and ensure() renews them", () => {
  const real = new WebAssembly.Memory({ initial: 1 });
  const memory = new GuestMemory();
  memory.attach(real);
  memory.putU32(0, 7);
  real.grow(1);
  assert.equal(memory.bytes.length, 0);
  memory.ensure();
  assert.equal(memory.size, 2 * 65536);
  assert.equal(memory.u32(0), 7);
  assert.equal(memory.contains(2 * 65536 - 1, 1), true);
});

test("writeLatin1() writes one byte a char, short and long", () => {
  const memory = new GuestMemory();
  memory.attach(new WebAssembly.Memory({ initial: 1 }));
  for (const length of [0, 1, 12, 13, 300]) {
    const text = "caf\u00e9 \0\r\n".repeat(50).slice(0, length);
    memory.bytes.fill(0x2a, 0, 400);
    memory.writeLatin1(8, text);
    assert.equal(memory.latin1(8, length), text);
    assert.equal(memory.bytes[8 + length], 0x2a);
  }
});
