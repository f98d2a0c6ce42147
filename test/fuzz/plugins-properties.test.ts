// Property tests of properties: what a guest reads is the value that was given, read back by the ABI's own words, and any path that a
// guest sends is taken apart the same way each time.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodePropertyValue } from "../../plugins/hostcalls/properties.ts";
import { PropertyPaths } from "../../plugins/property-path.ts";
import type { PropertyValue } from "../../plugins/property-value.ts";

const latin1 = fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
/** Envoy's times: some centuries around 1970, to the microsecond. */
const ms = fc.integer({ min: -(2 ** 43), max: 2 ** 43 }).map((value) => value / 1024);

const { value } = fc.letrec<{ value: PropertyValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    latin1,
    fc.boolean(),
    fc.uint8Array({ maxLength: 30 }),
    fc.record({
      kind: fc.constant("int" as const),
      value: fc.oneof(fc.maxSafeInteger(), fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n)),
    }),
    fc.record({ kind: fc.constant("uint" as const), value: fc.maxSafeInteger() }),
    fc.record({ kind: fc.constant("double" as const), value: fc.double() }),
    fc.record({ kind: fc.constantFrom("duration" as const, "timestamp" as const), ms }),
    fc.record({
      kind: fc.constant("map" as const),
      entries: fc.array(fc.tuple(latin1, tie("value")), { maxLength: 5 }),
    }),
    fc.record({ kind: fc.constant("list" as const), items: fc.array(tie("value"), { maxLength: 5 }) }),
  ),
}));

/** "u32 count | count x (u32 name length, u32 value length) | count x (name, 0, value, 0)", read slowly. */
function readPairs(bytes: Uint8Array): [Buffer, Buffer][] {
  const view = Buffer.from(bytes);
  const count = view.readUInt32LE(0);
  let data = 4 + count * 8;
  const take = (length: number): Buffer => {
    const part = view.subarray(data, data + length);
    assert.equal(view[data + length], 0, "a zero after each");
    data += length + 1;
    return part;
  };
  const pairs = Array.from({ length: count }, (_, i): [Buffer, Buffer] => {
    const name = take(view.readUInt32LE(4 + i * 8));
    return [name, take(view.readUInt32LE(8 + i * 8))];
  });
  assert.equal(data, view.length, "and nothing behind");
  return pairs;
}

function check(bytes: Uint8Array | undefined, wanted: PropertyValue): void {
  assert.ok(bytes !== undefined);
  const view = Buffer.from(bytes);
  if (typeof wanted === "string") assert.equal(view.toString("latin1"), wanted);
  else if (typeof wanted === "boolean") assert.deepEqual([...bytes], [wanted ? 1 : 0]);
  else if (wanted instanceof Uint8Array) assert.deepEqual([...bytes], [...wanted]);
  else if (wanted.kind === "object") assert.fail("none is made here");
  else if (wanted.kind === "list") {
    const pairs = readPairs(bytes);
    assert.equal(pairs.length, wanted.items.length);
    for (const [i, [name, empty]] of pairs.entries()) {
      assert.equal(empty.length, 0);
      check(name, wanted.items[i] as PropertyValue);
    }
  } else if (wanted.kind === "map") {
    const pairs = readPairs(bytes);
    assert.equal(pairs.length, wanted.entries.length);
    for (const [i, [name, each]] of pairs.entries()) {
      assert.equal(name.toString("latin1"), wanted.entries[i]?.[0]);
      check(each, wanted.entries[i]?.[1] as PropertyValue);
    }
  } else {
    assert.equal(view.length, 8);
    if (wanted.kind === "int" || wanted.kind === "uint") assert.equal(view.readBigInt64LE(), BigInt(wanted.value));
    else if (wanted.kind === "double") assert.ok(Object.is(view.readDoubleLE(), wanted.value));
    else
      assert.ok(
        Math.abs(Number(view.readBigInt64LE()) - wanted.ms * 1e6) <= 1_000 + Math.abs(wanted.ms) * 1e-9,
        "nanoseconds",
      );
  }
}

test("encodePropertyValue() gives what the ABI's encoding reads back, whatever the value", () => {
  fc.assert(
    fc.property(value, (wanted) => check(encodePropertyValue(wanted), wanted)),
    { numRuns: 1_000 },
  );
});

test("encodePropertyValue() gives up on what nests too deep", () => {
  let deep: PropertyValue = "x";
  for (let i = 0; i < 16; i++) deep = { kind: "list", items: [deep] };
  assert.ok(encodePropertyValue(deep) !== undefined);
  assert.equal(encodePropertyValue({ kind: "map", entries: [["k", deep]] }), undefined);
});

test("PropertyPaths.intern() splits any path at its NULs, and answers the same again", () => {
  const paths = new PropertyPaths();
  const names = fc.constantFrom(
    "plugin_name",
    "plugin_root_id",
    "plugin_vm_id",
    "toString",
    "__proto__",
    "request",
    "",
  );
  const raw = fc.oneof(
    latin1,
    fc.array(names, { maxLength: 4 }).map((parts) => parts.join("\0")),
    fc.string({ maxLength: 600 }),
  );
  fc.assert(
    fc.property(raw, (text) => {
      const found = paths.intern(text);
      const wanted = text.endsWith("\0") ? text.slice(0, -1) : text;
      assert.equal(found.path, wanted);
      assert.equal(found.segments.join("\0"), wanted);
      assert.ok(found.segments.every((segment) => !segment.includes("\0")));
      assert.equal(found.own !== undefined, /^plugin_(?:name|root_id|vm_id)$/.test(wanted));
      assert.deepEqual(paths.intern(text), found);
    }),
    { numRuns: 3_000 },
  );
});
