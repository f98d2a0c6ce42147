import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";

import { compileFullMatch, compileSearch, literalPrefix } from "../../../sidecar/route/regex.ts";

const wire = (text: string) => Buffer.from(text, "utf8").toString("latin1");

describe("compileFullMatch()", () => {
  const cases: readonly { pattern: string; yes: readonly string[]; no?: readonly string[] }[] = [
    { pattern: "", yes: [""], no: ["a"] },
    { pattern: "a|bc", yes: ["a", "bc"], no: ["abc", "ac", "b"] },
    { pattern: "(?i)abC/x", yes: ["ABc/X"], no: ["ab"] },
    { pattern: "a(?i)b|c", yes: ["aB", "C", "ab"], no: ["AB"] },
    { pattern: "a(?i:b)c", yes: ["aBc"], no: ["aBC"] },
    { pattern: "(?i)[a-c]+(?-i)d", yes: ["AbCd"], no: ["AbCD"] },
    { pattern: "(?i:[^a])", yes: ["b"], no: ["a", "A"] },
    { pattern: "(?P<year>\\d{4})-(?<m>\\d\\d)", yes: ["2026-11"], no: ["202-11"] },
    { pattern: "\\Aab\\z", yes: ["ab"], no: ["ab\n"] },
    { pattern: "^a$", yes: ["a"], no: ["a\n"] },
    { pattern: "(?m)a$\n^b", yes: ["a\nb"] },
    { pattern: "a.b", yes: ["axb", "a\rb"], no: ["a\nb"] },
    { pattern: "(?s)a.b", yes: ["a\nb"] },
    { pattern: "\\Qa.b*\\E+", yes: ["a.b*", "a.b**"], no: ["axb"] },
    { pattern: "[[:alpha:]_-]+", yes: ["a-B_"], no: ["a1"] },
    { pattern: "[[:^digit:]]", yes: ["a", wire("é")], no: ["1"] },
    { pattern: "[]a]+", yes: ["]a"], no: ["["] },
    { pattern: "[^]a]", yes: ["b"], no: ["]"] },
    { pattern: "[a-]+", yes: ["a-"], no: ["b"] },
    { pattern: "[\\w.-]+", yes: ["a_.-"], no: ["/"] },
    { pattern: "[\\x41-\\x{43}\\103]+", yes: ["ABC"], no: ["D"] },
    { pattern: "\\s", yes: [" ", "\t"], no: ["\v", "\xa0"] },
    { pattern: "[\\S]", yes: ["a", "\v"], no: [" "] },
    { pattern: "\\pL+\\p{Nd}\\P{Lu}", yes: ["aB1c"], no: ["aB1C"] },
    { pattern: "\\p{Greek}", yes: [], no: ["a"] },
    { pattern: '\\-\\/\\_\\"\\%', yes: ['-/_"%'] },
    { pattern: "a{2,3}", yes: ["aa", "aaa"], no: ["a", "aaaa"] },
    { pattern: "a{,2}", yes: ["a{,2}"], no: ["aa"] },
    { pattern: "a{", yes: ["a{"] },
    { pattern: "(?U)a+", yes: ["aa"] },
    { pattern: "é+", yes: [wire("é"), wire("éé")], no: ["é", wire("è")] },
    { pattern: "(^)*a\\b", yes: ["a"], no: ["aa"] },
    { pattern: "/a\\.b\\?", yes: ["/a.b?"], no: ["/axb?"] },
    // RE2's own, not V8's.
    { pattern: "(?i:\\p{^Lu})", yes: ["1"], no: ["a", "A"] },
    { pattern: "(?i)[[:^upper:]]", yes: ["1"], no: ["a", "A"] },
    { pattern: "(?i)\u212a", yes: ["k", "K", wire("\u212a")], no: ["c"] },
    { pattern: "(?i)s", yes: ["S", wire("\u017f")], no: ["z"] },
    { pattern: "a(?i)*b", yes: ["aaB", "b"], no: ["AB"] },
    // One character, not one byte.
    { pattern: ".", yes: [wire("é"), wire("😀"), "a"], no: [wire("éé"), "\xe9"] },
    { pattern: "[^a]{2}", yes: [wire("éb"), "bc"], no: [wire("é"), "ab"] },
    { pattern: "[é-ü]", yes: [wire("ö")], no: [wire("ÿ"), "o"] },
    { pattern: ".*", yes: ["", wire("été")], no: ["a\xff"] },
    { pattern: "\\101\\x{1F600}?", yes: ["A", wire("A😀")], no: ["B"] },
  ];
  for (const { pattern, yes, no = [] } of cases) {
    it(`understands ${pattern}`, () => {
      const compiled = compileFullMatch(pattern);
      assert.ok(compiled.ok, compiled.ok ? "" : compiled.problem);
      assert.deepEqual(
        yes.filter((text) => !compiled.regex.test(text)),
        [],
      );
      assert.deepEqual(
        no.filter((text) => compiled.regex.test(text)),
        [],
      );
    });
  }

  const broken = [
    "(",
    ")",
    "a)",
    "[a",
    "[b-a]",
    "*a",
    "a**",
    "a++",
    "a{1001}",
    "\\8",
    "\\y",
    "a\\",
    "(?=a)",
    "(?!a)",
    "(?<=a)b",
    "\\p{Nope}",
    "[[:nope:]]",
    "(?P<n",
    "\\1x(",
  ];
  for (const pattern of broken) {
    it(`refuses ${pattern}`, () => assert.equal(compileFullMatch(pattern).ok, false));
  }

  it("refuses deep nesting instead of overflowing the stack", () => {
    assert.equal(compileFullMatch("(".repeat(50_000) + ")".repeat(50_000)).ok, false);
  });
});

describe("compileSearch()", () => {
  it("finds anywhere, lazily when asked", () => {
    const compiled = compileSearch("(?U)a.+b");
    assert.ok(compiled.ok);
    assert.equal(
      compiled.regex.replaceAll("xaxbxb", () => "-"),
      "x-xb",
    );
  });
});

describe("literalPrefix()", () => {
  const cases = [
    ["/api/v1/\\d+", "/api/v1/"],
    ["^/api", "/api"],
    ["/a\\.b", "/a.b"],
    ["/ab?c", "/a"],
    ["/ab*", "/a"],
    ["/ab{0,2}", "/a"],
    ["/ab+", "/ab"],
    ["/a|/b", ""],
    ["(?i)/a", ""],
    ["/ab(?i)?", ""],
    ["/+(?i)*", ""],
    ["/ab(?:c)*", "/ab"],
    [".*", ""],
    ["/\\d", "/"],
  ] as const;
  for (const [pattern, prefix] of cases) {
    it(`of ${pattern} is ${JSON.stringify(prefix)}`, () => assert.equal(literalPrefix(pattern), prefix));
  }
});

describe("compiled patterns", () => {
  it("run in linear time", { timeout: 20_000 }, () => {
    const module = JSON.stringify(new URL("../../../sidecar/route/regex.ts", import.meta.url).href);
    // Each backtracks exponentially on its subject without V8's linear engine.
    const script = `
      const { compileFullMatch } = await import(${module});
      for (const pattern of ["(a*)*b", "(?i)(a*)*b", "([a-z]+)*\\\\z!", "(\\\\pL+)*1", "((?s).*)*x"]) {
        const { regex } = compileFullMatch(pattern);
        const start = performance.now();
        regex.test("a".repeat(40));
        if (performance.now() - start > 1000) { console.log(pattern); process.exit(1); }
      }`;
    const run = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
      encoding: "utf8",
      timeout: 15_000,
    });
    assert.equal(run.status, 0, run.stdout + run.stderr);
  });
});
