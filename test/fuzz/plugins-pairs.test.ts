// Property tests of the header-map wire form: what is written is read back, and no bytes make the decoder throw or
// read outside its range.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodePairs, encodeBytePairs, pairsByteLength, writePairs } from "../../plugins/abi/pairs.ts";
import { lowerName } from "../../plugins/field-syntax.ts";
import { HeaderList } from "../../plugins/header-list.ts";
import { GuestMemory, sliceBuffer } from "../../plugins/memory.ts";

const latin1 = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
const lists = fc.array(fc.tuple(latin1, latin1), { maxLength: 20 });

test("what writePairs() writes decodePairs() reads, whatever bytes are in it", () => {
  fc.assert(
    fc.property(lists, fc.nat(1000), (list, pointer) => {
      const memory = new GuestMemory();
      memory.attach(new WebAssembly.Memory({ initial: 1 }));
      const pairs = list.flat();
      const map = new HeaderList(pairs);
      const length = pairsByteLength(map);
      if (length !== 0) writePairs(memory, pointer, map);
      const expected = pairs.map((text, i) => (i % 2 === 0 ? lowerName(text) : text));
      assert.deepEqual(decodePairs(memory.bytes, pointer, length), expected);
      assert.equal(memory.bytes[pointer + length], 0, "nothing was written behind it");
    }),
  );
});

test("decodePairs() answers a list that encodes to the same bytes, or undefined", () => {
  fc.assert(
    fc.property(mutatedLists(), (bytes) => {
      const copy = new Uint8Array(bytes.length + 8).fill(0x41);
      copy.set(bytes, 4);
      const pairs = decodePairs(sliceBuffer(copy.buffer), 4, bytes.length);
      if (pairs === undefined || pairs.length === 0) return;
      const again: [string, Uint8Array][] = [];
      for (let i = 0; i < pairs.length; i += 2) {
        again.push([pairs[i] as string, Buffer.from(pairs[i + 1] as string, "latin1")]);
      }
      assert.deepEqual(Buffer.from(encodeBytePairs(again)), Buffer.from(bytes));
    }),
    { numRuns: 500 },
  );
});

/** Good encodings with a few bytes changed, cut or added: random bytes alone never get past the count. */
function mutatedLists(): fc.Arbitrary<Uint8Array> {
  const edits = fc.array(fc.tuple(fc.nat(200), fc.integer({ min: 0, max: 255 })), { maxLength: 3 });
  return fc.tuple(lists, edits, fc.integer({ min: -3, max: 3 })).map(([list, changes, change]) => {
    const pairs = list.map(([name, value]) => [name, Buffer.from(value, "latin1")] as const);
    const encoded = encodeBytePairs(pairs);
    const bytes = new Uint8Array(Math.max(0, encoded.length + change));
    bytes.set(encoded.subarray(0, bytes.length));
    for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
    return bytes;
  });
}
