// Arguments of foreign functions: what is written is read, and no bytes of a guest's make the reader throw.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readFields, writeFields } from "../../plugins/proto-fields.ts";

const number = fc.integer({ min: 1, max: 2 ** 29 - 1 });
const value = fc.oneof(
  fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  fc.uint8Array({ minLength: 1, maxLength: 300 }),
);

test("readFields() reads what writeFields() writes, the last of a field's values", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(number, value), { maxLength: 8 }), (fields) => {
      const { numbers, bytes } = readFields(writeFields(fields)) ?? assert.fail("not read");
      const expected = { numbers: new Map<number, number>(), bytes: new Map<number, Buffer>() };
      for (const [field, each] of fields) {
        if (typeof each === "number") expected.numbers.set(field, each);
        else expected.bytes.set(field, Buffer.from(each));
      }
      assert.deepEqual(numbers, expected.numbers);
      assert.deepEqual(new Map([...bytes].map(([field, each]) => [field, Buffer.from(each)])), expected.bytes);
    }),
  );
});

test("readFields() never throws and never answers bytes from outside", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (message) => {
      for (const each of readFields(message)?.bytes.values() ?? []) {
        assert.ok(each.byteOffset + each.length <= message.byteOffset + message.length);
      }
    }),
  );
});

test("readFields() refuses cut messages, groups and field 0", () => {
  for (const hex of ["08", "0a05", "0a0541", "0b", "0001", "0d010203", "08ffffffffffffffffffff01"]) {
    assert.equal(readFields(Buffer.from(hex, "hex")), undefined, hex);
  }
});
