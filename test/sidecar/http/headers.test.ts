import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { H1_REQUEST_LIMITS, H1Parser } from "../../../sidecar/http/h1-parser.ts";
import { type HeaderMap, isFieldName, isFieldValue } from "../../../sidecar/http/headers.ts";

/** The map that the parser makes of these field lines. */
function parsed(lines: string): HeaderMap {
  const ignore = (): void => undefined;
  const parser = new H1Parser("request", { onHead: ignore, onBody: ignore, onTrailers: ignore }, H1_REQUEST_LIMITS);
  const bytes = Buffer.from(`GET / HTTP/1.1\r\n${lines}\r\n`, "latin1");
  parser.execute(bytes, 0, bytes.length);
  assert.equal(parser.failure, undefined);
  return parser.headers;
}

test("HeaderMap.write() normalises white space around values", () => {
  assert.equal(
    parsed("A: 1\r\nB:2\r\nC: \t3 \t\r\nD: \r\nE:\r\nF: 6\r\n").write(),
    "A: 1\r\nB: 2\r\nC: 3\r\nD: \r\nE: \r\nF: 6\r\n",
  );
});

test("HeaderMap ignores case in lookups and keeps it in what it writes", () => {
  const map = parsed("X-Aa: 1\r\nhost: h\r\nx-AA: 2\r\n");
  assert.equal(map.get("x-aa"), "1");
  assert.equal(map.getJoined("x-aa"), "1,2");
  map.set("x-aa", "3");
  assert.equal(map.write(), "X-Aa: 3\r\nhost: h\r\n");
  map.add("New", "4");
  assert.equal(map.remove("host"), 1);
  assert.equal(map.write(), "X-Aa: 3\r\nNew: 4\r\n");
});

test("isFieldName() and isFieldValue() refuse what would split a message", () => {
  assert.ok(isFieldName("x-a!#"));
  for (const name of ["", "a b", "a:", "a\r\n", "\xe9", "a\0"]) {
    assert.ok(!isFieldName(name), JSON.stringify(name));
  }
  assert.ok(isFieldValue("a\tb \xff"));
  for (const value of ["a\r\nb", "a\nb", "\0", "\x7f", "\u0100"]) {
    assert.ok(!isFieldValue(value), JSON.stringify(value));
  }
});

test("HeaderMap behaves like a list of pairs under any edits", () => {
  const name = fc.constantFrom("a", "A", "b", "Bb", "content-length", "c");
  const text = fc.stringMatching(/^[a-z]([a-z ]{0,4}[a-z])?$/);
  const edit = fc.oneof(
    fc.tuple(fc.constant("add"), name, text),
    fc.tuple(fc.constant("set"), name, text),
    fc.tuple(fc.constant("remove"), name, text),
    fc.tuple(fc.constant("clone"), name, text),
  );
  const line = fc.tuple(
    name.filter((n) => n !== "content-length"),
    fc.constantFrom(": ", ":"),
    text,
    fc.constantFrom("", " "),
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 5 }), fc.array(edit, { maxLength: 6 }), (start, edits) => {
      let map = parsed(start.map((parts) => `${parts.join("")}\r\n`).join(""));
      let pairs: [string, string][] = start.map(([n, , v]) => [n, v]);
      for (const [kind, n, v] of edits) {
        const same = (pair: [string, string]): boolean => pair[0].toLowerCase() === n.toLowerCase();
        if (kind === "clone") {
          map = map.clone();
        } else if (kind === "add" || (kind === "set" && !pairs.some(same))) {
          map[kind](n, v);
          pairs.push([n, v]);
        } else if (kind === "set") {
          map.set(n, v);
          const first = pairs.findIndex(same);
          pairs = pairs.flatMap((pair, i) => (i === first ? [[pair[0], v]] : same(pair) ? [] : [pair]));
        } else {
          assert.equal(map.remove(n.toLowerCase()), pairs.filter(same).length);
          pairs = pairs.filter((pair) => !same(pair));
        }
      }
      assert.deepEqual([...map], pairs);
      assert.equal(map.size, pairs.length);
      assert.equal(map.byteSize, pairs.join("").length - pairs.length);
      assert.equal(map.write(), pairs.map(([n, v]) => `${n}: ${v}\r\n`).join(""));
    }),
    { numRuns: 500 },
  );
});
