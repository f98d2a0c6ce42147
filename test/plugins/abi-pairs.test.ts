// The wire form of header maps, against worked examples; test/fuzz/plugins-pairs.test.ts has the properties.

import assert from "node:assert/strict";
import { test } from "node:test";
import { decodePairs, encodeBytePairs, pairsByteLength, writePairs } from "../../plugins/abi/pairs.ts";
import { HeaderList } from "../../plugins/header-list.ts";
import { GuestMemory, sliceBuffer } from "../../plugins/memory.ts";

const ONE_PAIR = "0100000001000000020000006100626300";

function decode(hex: string): string[] | undefined {
  const bytes = Buffer.from(hex, "hex");
  const copy = new Uint8Array(bytes).buffer;
  return decodePairs(sliceBuffer(copy), 0, bytes.length);
}

test("writePairs() gives the documented layout", () => {
  const memory = new GuestMemory();
  memory.attach(new WebAssembly.Memory({ initial: 1 }));
  const map = new HeaderList(["a", "bc"]);
  assert.equal(pairsByteLength(map), 17);
  writePairs(memory, 100, map);
  assert.equal(memory.bytes.toString("hex", 100, 117), ONE_PAIR);
  assert.equal(pairsByteLength(new HeaderList()), 0);
});

test("decodePairs() takes the three forms of an empty list", () => {
  for (const hex of ["", "00", "00000000"]) assert.deepEqual(decode(hex), []);
});

test("decodePairs() refuses everything that is not exactly a list", () => {
  assert.deepEqual(decode(ONE_PAIR), ["a", "bc"]);
  for (let cut = 2; cut < ONE_PAIR.length; cut += 2) {
    const hex = ONE_PAIR.slice(0, -cut);
    if (hex !== "" && hex !== "00") assert.equal(decode(hex), undefined, hex);
  }
  const bad = {
    "one byte too many": `${ONE_PAIR}00`,
    "name not terminated": "0100000001000000020000006101626300",
    "value not terminated": "0100000001000000020000006100626301",
    "count beyond the data": `ffffffff${ONE_PAIR.slice(8)}`,
    "count beyond the limit": "01040000",
    "length that overflows 32 bits": `01000000ffffffffffffffff${ONE_PAIR.slice(24)}`,
  };
  for (const [name, hex] of Object.entries(bad)) assert.equal(decode(hex), undefined, name);
});

test("encodeBytePairs() gives what decodePairs() reads", () => {
  const encoded = encodeBytePairs([
    ["k", Uint8Array.of(1, 2)],
    ["", new Uint8Array(0)],
  ]);
  assert.deepEqual(decode(Buffer.from(encoded).toString("hex")), ["k", "\x01\x02", "", ""]);
});
