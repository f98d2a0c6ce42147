import assert from "node:assert/strict";
import { test } from "node:test";
import { linearRegExp } from "../../sidecar/linear-regex.ts";
import { compileFilter } from "../../sidecar/stats/filter.ts";

/** By backtracking this takes half an hour. */
const SUBJECT = "a".repeat(40);
const MOST_MS = 5_000;

test("linearRegExp() matches in linear time without a V8 flag on the command line", () => {
  const startedAt = performance.now();
  assert.equal(linearRegExp("^(?:(a*)*b)$", "").test(SUBJECT), false);
  const filter = compileFilter("(a*)*b$");
  assert.equal(filter.ok && filter.filter.test(SUBJECT), false);
  assert.ok(performance.now() - startedAt < MOST_MS);
});

test("linearRegExp() throws as RegExp does", () => {
  assert.throws(() => linearRegExp("(", ""), SyntaxError);
});
