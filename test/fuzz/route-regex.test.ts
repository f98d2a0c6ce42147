// Translated patterns match what RE2 matches. The judge is re2js, which also validates patterns of configuration.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { RE2JS } from "re2js";

import { compileFullMatch, compileSearch } from "../../sidecar/route/regex.ts";
import { wireText } from "../../sidecar/route/request-value.ts";

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
  "(?P<m>b)",
  "(a|)",
  "(?:",
  "é",
  "ſ",
  "[é-ü]",
  "[^é]",
  "\\x{212a}",
  "[a-\\x{17f}]",
  "[[:^lower:]]",
  "\\pN",
  "\\C",
  "k",
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
  .array(fc.constantFrom(...Array.from("abAB/.-_1 \n\r\t\v{}]\\^$kKsſéö😀")), { maxLength: 8 })
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
        assert.equal(compiled.regex.test(wireText(one)), expected.matches(one), `${text} on ${JSON.stringify(one)}`);
      }
    });
    fc.assert(property, {
      numRuns: 3_000,
      maxSkipsPerRun: 1_000,
      examples: [
        ["(?i:\\p{^Lu})", ["a"]],
        ["(?i:[[:^upper:]])", ["a"]],
      ],
    });
  });

  it("refuses what RE2 refuses", () => {
    const property = fc.property(pattern, (text) => {
      assert.equal(compileFullMatch(text).ok, judge(text) !== undefined, text);
    });
    fc.assert(property, { numRuns: 3_000 });
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

// GlobalReplace of RE2, written once more over re2js's own search.
function replaceAll(expected: RE2JS, text: string): string {
  const matcher = expected.matcher(text);
  let result = "";
  let lastEnd = -1;
  for (let at = 0; at <= text.length;) {
    if (!matcher.find(at)) {
      return result + text.slice(at);
    }
    const [start, end] = [matcher.start(), matcher.end()];
    result += text.slice(at, start);
    at = start;
    if (start !== end || start !== lastEnd) {
      result += `<${[...Array.from({ length: matcher.groupCount() + 1 }).keys()].map((group) => matcher.group(group) ?? "").join(",")}>`;
      lastEnd = end;
      at = end;
    } else {
      const next = String.fromCodePoint(text.codePointAt(at) ?? 0);
      result += at < text.length ? next : "";
      at += next.length;
    }
  }
  return result;
}

describe("compileSearch()", () => {
  it("replaces what RE2 replaces, with RE2's groups", () => {
    const property = fc.property(pattern, fc.array(subject, { minLength: 1, maxLength: 8 }), (text, subjects) => {
      const expected = judge(text);
      fc.pre(expected !== undefined);
      const compiled = compileSearch(text);
      assert.ok(compiled.ok, compiled.ok ? "" : compiled.problem);
      for (const one of subjects) {
        const replaced = compiled.regex.replaceAll(
          wireText(one),
          (groups) => `<${groups.map((group) => group ?? "").join(",")}>`,
        );
        assert.equal(replaced, wireText(replaceAll(expected, one)), `${text} on ${JSON.stringify(one)}`);
      }
    });
    fc.assert(property, {
      numRuns: 2_000,
      maxSkipsPerRun: 1_000,
      examples: [
        ["(?:(a)|b)+", ["ab"]],
        ["(|a)*", ["aa"]],
        ["a*", ["baaac"]],
      ],
    });
  });
});
