import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { hex32, RandomSource, spanIdText, traceIdText, uuidText } from "../../sidecar/random-id.ts";

const UUID_4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const makers = [
  {
    name: "spanIdText",
    make: (random: RandomSource) => spanIdText(random.next(), random.next()),
    form: /^[0-9a-f]{16}$/,
  },
  { name: "traceIdText", make: traceIdText, form: /^[0-9a-f]{32}$/ },
  { name: "uuidText", make: uuidText, form: UUID_4 },
];
for (const { name, make, form } of makers) {
  test(`${name}() gives distinct ids of its form, with every digit in every place that is free`, () => {
    const random = new RandomSource();
    const ids = Array.from({ length: 5000 }, () => make(random));
    assert.equal(new Set(ids).size, ids.length);
    for (const id of ids) assert.match(id, form);
    const length = ids[0]?.length ?? 0;
    const counts = Array.from({ length }, (_, at) => new Set(ids.map((id) => id[at])).size);
    const fixed =
      name === "uuidText"
        ? new Map([
            [8, 1],
            [13, 1],
            [14, 1],
            [18, 1],
            [19, 4],
            [23, 1],
          ])
        : new Map([[31, 8]]);
    counts.forEach((count, at) => assert.equal(count, fixed.get(at) ?? 16, `place ${at}`));
  });
}

test("RandomSource uses all 32 bits", () => {
  const random = new RandomSource();
  let bits = 0;
  for (let i = 0; i < 1000; i++) bits |= random.next();
  assert.equal(bits >>> 0, 0xffffffff);
});

test("hex32() is the number in 8 digits", () => {
  fc.assert(fc.property(fc.nat(0xffffffff), (n) => hex32(n) === n.toString(16).padStart(8, "0")));
});
