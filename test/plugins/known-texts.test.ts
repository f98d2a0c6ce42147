import assert from "node:assert/strict";
import { test } from "node:test";
import { KnownTexts } from "../../plugins/known-texts.ts";
import { sliceBuffer } from "../../plugins/memory.ts";

test("a text is the bytes as they are now, whatever stood there before", () => {
  const bytes = sliceBuffer(new ArrayBuffer(1024));
  const texts = new KnownTexts();
  // Equal in what chooses the place: length, first, middle and last byte.
  const alike = ["abcdef", "aXcdef", "abXdef", "abcdXf", "ABCDEF", "abc\xe9ef", "abcdef"];
  for (let round = 0; round < 3; round++) {
    for (const text of [...alike, "", "x", "y", "a".repeat(32), "a".repeat(33), `${"a".repeat(31)}b`]) {
      bytes.latin1Write(text, 100, text.length);
      const found = texts.find(bytes, 100, text.length);
      assert.equal(found.text, text);
      assert.equal(found.lower, text.toLowerCase());
      assert.equal(found.isFieldName, /^[a-z]+$/i.test(text));
      assert.equal(found.isFieldValue, true);
    }
  }
});

test("the same bytes are recognised", () => {
  const bytes = sliceBuffer(new ArrayBuffer(64));
  const texts = new KnownTexts();
  bytes.latin1Write("x-name", 0, 6);
  bytes.latin1Write("x-name", 20, 6);
  const first = texts.find(bytes, 0, 6);
  assert.equal(texts.find(bytes, 20, 6), first);
  bytes.latin1Write("\n", 22, 1);
  const broken = texts.find(bytes, 20, 6);
  assert.deepEqual([broken.isFieldName, broken.isFieldValue], [false, false]);
});
