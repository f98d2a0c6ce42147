// CEL expressions: what they are worth, case by case, and what a guest's worst expressions cost.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { type CelScope, compileCel } from "../../../plugins/cel/expression.ts";
import { encodePropertyValue } from "../../../plugins/hostcalls/properties.ts";
import type { PropertyItem } from "../../../plugins/property-value.ts";

const VARIABLES: Readonly<Record<string, PropertyItem>> = {
  path: "/a/b",
  code: { kind: "int", value: 200 },
  id: { kind: "uint", value: 7 },
  headers: {
    kind: "map",
    entries: [
      ["x-id", "7"],
      ["accept", "*/*"],
    ],
  },
  names: { kind: "list", items: ["a", "b"] },
  nothing: null,
  time: { kind: "timestamp", ms: Date.UTC(2026, 10, 28, 15, 4, 5, 6) },
  node: { kind: "object", bytes: Buffer.from("node"), get: (name) => (name === "id" ? "n1" : undefined) },
};

const SCOPE: CelScope = {
  variable: (name) => (Object.hasOwn(VARIABLES, name) ? VARIABLES[name] : undefined),
  matches: (text, pattern) => new RegExp(pattern).test(text),
};

/** The value in short: JSON with `u` for uint, or `error`, or `refused`. */
function worth(source: string): string {
  const compiled = compileCel(Buffer.from(source).toString("latin1"));
  if (!compiled.ok) return "refused";
  const { value } = compiled.expression.evaluate(SCOPE);
  return value === undefined ? "error" : short(value);
}

function short(value: PropertyItem): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "string") return JSON.stringify(Buffer.from(value, "latin1").toString());
  if (value instanceof Uint8Array) return `b${Buffer.from(value).toString("hex")}`;
  switch (value.kind) {
    case "int":
      return String(value.value);
    case "uint":
      return `${value.value}u`;
    case "double":
      return Number.isInteger(value.value) ? `${value.value}.0` : String(value.value);
    case "duration":
      return `${value.ms}ms`;
    case "timestamp":
      return new Date(value.ms).toISOString();
    case "list":
      return `[${value.items.map(short).join(",")}]`;
    case "map":
      return `{${value.entries.map(([name, item]) => `${name}:${short(item)}`).join(",")}}`;
    case "object":
      return "object";
  }
}

const CASES: Readonly<Record<string, string>> = {
  "1 + 2 * 3 - -4": "11",
  "(1 + 2) * 3": "9",
  "7 / 2": "3",
  "-7 % 3": "-1",
  "7.0 / 2.0": "3.5",
  "7u / 2u": "3u",
  "1 + 1.0": "error",
  "1 / 0": "error",
  "1.0 / 0.0 > 1.0": "true",
  "9223372036854775807 + 1": "error",
  "-9223372036854775808": "-9223372036854775808",
  "9223372036854775808": "refused",
  "0xffu": "255u",
  "1e3": "1000.0",
  ".5": "0.5",
  "!true": "false",
  "!!true": "true",
  "- -1": "1",
  "-id": "error",
  "'a' + \"b\"": '"ab"',
  "'\\u00e9\\n' + r'\\n'": '"é\\n\\\\n"',
  "'''a'b'''": '"a\'b"',
  "b'\\xff' + b'a'": "bff61",
  "size('é')": "1",
  "'é'.size()": "1",
  "size(b'é')": "2",
  "size(headers) + size(names)": "4",
  "path.startsWith('/a') && path.endsWith('b') && path.contains('/')": "true",
  "path.matches('^/[a-z]/')": "true",
  "matches(path, 'x')": "false",
  "path == '/a/b' ? 'yes' : 'no'": '"yes"',
  "code == 200.0 && code == 200u && id == 7": "true",
  "code > 199.5": "true",
  "1 == '1'": "false",
  "1 < '1'": "error",
  "0.0 / 0.0 == 0.0 / 0.0": "false",
  "null == nothing": "true",
  "[1, 2.0] == [1u, 2]": "true",
  "{'a': 1} == {'a': 1.0}": "true",
  "true && missing": "error",
  "false && missing": "false",
  "missing && false": "false",
  "missing || true": "true",
  "missing || false": "error",
  missing: "error",
  "headers.accept": '"*/*"',
  "headers['x-id']": '"7"',
  "headers.nope": "error",
  "has(headers.nope) || has(headers.accept)": "true",
  "has(node.id) && !has(node.nope)": "true",
  "node.id": '"n1"',
  node: "object",
  "'accept' in headers && 'a' in names && !(3 in [1, 2])": "true",
  "names[1]": '"b"',
  "names[2]": "error",
  "names + ['c']": '["a","b","c"]',
  "names.map(n, n + '!')": '["a!","b!"]',
  "names.map(n, n != 'a', n + '!')": '["b!"]',
  "headers.filter(k, k.startsWith('x-'))": '["x-id"]',
  "names.all(n, n in ['a', 'b'])": "true",
  "names.exists(n, n == 'b')": "true",
  "names.exists_one(n, n != 'c')": "false",
  "[0, 1].exists(n, 1 / n == 1)": "true",
  "[0, 2].all(n, 1 / n == 1)": "false",
  "[1].map(a, [2].map(a, a))": "[[2]]",
  "int('12') + int(1.9) + int(3u)": "16",
  "uint(-1)": "error",
  "double('1.5')": "1.5",
  "string(1.5) + string(true) + string(2u)": '"1.5true2"',
  "string(b'\\xff')": "error",
  "bytes('é')": "bc3a9",
  "duration('1h30m') == duration('5400s')": "true",
  "duration('1.5s') + duration('500ms')": "2000ms",
  "time - duration('5s') < time": "true",
  "time.getFullYear()": "2026",
  "time.getMonth() * 100 + time.getDayOfMonth() * 10 + time.getDayOfWeek()": "1276",
  "time.getHours('+02:00')": "17",
  "timestamp('2026-11-28T15:04:05.006Z') == time": "true",
  "duration('90m').getHours()": "1",
  "type(1)": "refused",
  "nofunc(1)": "refused",
  "path.startsWith()": "refused",
  "1 +": "refused",
  "'open": "refused",
  "a.b.": "refused",
  for: "refused",
  "has(path)": "refused",
  "// only a comment": "refused",
  "1 // and one behind": "1",
  "{'a': 1, 'a': 2}": "error",
  "{1: 2}": "error",
  "[1, 2,]": "[1,2]",
  "Message{}": "refused",
};

suite("a CEL expression", () => {
  for (const [source, wanted] of Object.entries(CASES)) {
    test(`${source} is ${wanted}`, () => assert.equal(worth(source), wanted));
  }

  test("is refused when it is too long, too deep, or a chain without end", () => {
    assert.equal(worth(`'${"x".repeat(20_000)}'`), "refused");
    assert.equal(worth("(".repeat(100) + "1" + ")".repeat(100)), "refused");
    assert.equal(worth("[".repeat(5_000)), "refused");
    assert.equal(worth(Array.from({ length: 1_000 }, () => "1").join("+")), "refused");
    assert.equal(worth(`headers${".a".repeat(1_000)}`), "refused");
    assert.equal(worth("!".repeat(10_000) + "true"), "true");
  });

  test("ends when its budget is used up, whatever it does", () => {
    const list = `[${"1,".repeat(100)}]`;
    const greedy = [
      `${list}.map(a, ${list}.map(b, ${list}.map(c, ${list}.map(d, a))))`,
      `${list}.exists(a, ${list}.exists(b, ${list}.all(c, ${list}.exists(d, false)))) || true`,
      `[${list}].map(a, a + a + a + a + a + a).map(a, a + a + a + a + a + a + a).map(a, a + a + a + a + a + a).map(a, a + a + a + a)`,
      `['${"x".repeat(1_000)}'].map(a, a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a).map(a, size(a+a+a+a+a+a+a+a))`,
    ];
    for (const source of greedy) {
      const compiled = compileCel(source);
      assert.ok(compiled.ok, source.slice(-60));
      const started = performance.now();
      const { problem, steps } = compiled.expression.evaluate(SCOPE);
      assert.match(problem, /steps|too large/);
      assert.ok(steps <= 200_000, `${steps} steps`);
      assert.ok(performance.now() - started < 1_000);
    }
  });

  test("never throws, and what it is worth can be encoded or not", () => {
    const word = fc.constantFrom(
      ..."1 2u .5 'a' b'b' true null path code headers names time missing + - * / % == < in && || ! ? : ( ) [ ] { } , . size has map all x".split(
        " ",
      ),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 12 }), (words) => {
        const compiled = compileCel(words.join(" "));
        if (compiled.ok) {
          const { value } = compiled.expression.evaluate(SCOPE);
          if (value !== undefined) encodePropertyValue(value);
        }
      }),
      { numRuns: 300 },
    );
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 40 }), (text) => {
        compileCel(Buffer.from(text).toString("latin1"));
      }),
      { numRuns: 300 },
    );
  });
});
