// Translated patterns match what RE2 matches. The judge is re2js, which also validates patterns of configuration.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { RE2JS } from "re2js";

import { compileFullMatch } from "../../sidecar/route/regex.ts";

const piece = fc.constantFrom(
  ...Array.from("abAB/.-_1 ^$|()[]*+?{}\\\n"),
  "(?:",
  "(?i)",
  "(?-i)",
  "(?s)",
  "(?m)",
  "(?U)",
  "(?i:",
  "(?P<n>",
  "[a-b]",
  "[^a]",
  "[^/]+",
  "[[:alpha:]]",
  "[[:^digit:]]",
  "[\\w.-]",
  "[]a]",
  "\\d",
  "\\D",
  "\\s",
  "\\S",
  "\\w",
  "\\W",
  "\\b",
  "\\B",
  "\\A",
  "\\z",
  "\\pL",
  "\\PL",
  "\\p{^Lu}",
  "\\Qa.b\\E",
  "\\x61",
  "\\x{62}",
  "\\101",
  "\\.",
  "\\/",
  "\\-",
  "{2}",
  "{1,2}",
  "{0,}",
  "{,2}",
  "*?",
  "+?",
  "??",
);
const pattern = fc.array(piece, { maxLength: 9 }).map((pieces) => pieces.join(""));
const subject = fc
  .array(fc.constantFrom(...Array.from("abAB/.-_1 \n\r\t\v{}]\\^$")), { maxLength: 8 })
  .map((characters) => characters.join(""));

function judge(text: string): RE2JS | undefined {
  try {
    return RE2JS.compile(text);
  } catch {
    return undefined;
  }
}

describe("compileFullMatch()", () => {
  it("agrees with RE2 on every pattern that RE2 takes", () => {
    const property = fc.property(pattern, fc.array(subject, { minLength: 1, maxLength: 8 }), (text, subjects) => {
      const expected = judge(text);
      fc.pre(expected !== undefined);
      const compiled = compileFullMatch(text);
      assert.ok(compiled.ok, compiled.ok ? "" : compiled.problem);
      for (const one of subjects) {
        assert.equal(compiled.regex.test(one), expected.matches(one), `${text} on ${JSON.stringify(one)}`);
      }
    });
    fc.assert(property, { numRuns: 3_000, maxSkipsPerRun: 1_000 });
  });

  it("never throws", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 30 }), (text) => {
        compileFullMatch(text);
      }),
      { numRuns: 1_000 },
    );
  });
});
