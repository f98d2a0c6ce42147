import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { HeaderMap } from "../../../sidecar/http/headers.ts";
import { RequestHead } from "../../../sidecar/http/message.ts";
import { compileHeader, compileQuery, compileString } from "../../../sidecar/route/matchers.ts";
import type { StringMatcher } from "../../../xds/model/matcher.ts";
import type { HeaderMatcher } from "../../../xds/model/route.ts";
import { buildHead } from "./builders.ts";

const wire = (text: string) => Buffer.from(text, "utf8").toString("latin1");

describe("compileString()", () => {
  const cases: readonly { matcher: StringMatcher; yes: readonly string[]; no: readonly string[] }[] = [
    { matcher: { kind: "exact", value: "Ab", ignoreCase: false }, yes: ["Ab"], no: ["ab", "Abc", ""] },
    { matcher: { kind: "exact", value: "Ab", ignoreCase: true }, yes: ["ab", "AB"], no: ["abc"] },
    { matcher: { kind: "prefix", value: "ab", ignoreCase: false }, yes: ["ab", "abc"], no: ["a", "xab", "Ab"] },
    { matcher: { kind: "suffix", value: "bC", ignoreCase: true }, yes: ["abc", "BC"], no: ["bcd"] },
    { matcher: { kind: "contains", value: "mid", ignoreCase: false }, yes: ["amidst"], no: ["aMidst"] },
    { matcher: { kind: "regex", value: "a+", ignoreCase: false }, yes: ["a", "aa"], no: ["", "ab", "A"] },
    { matcher: { kind: "exact", value: "é", ignoreCase: false }, yes: [wire("é")], no: ["é"] },
    // The bytes of É and é differ in a byte that is a letter of latin1: folding must leave them alone.
    { matcher: { kind: "exact", value: "aÉ", ignoreCase: true }, yes: [wire("AÉ")], no: [wire("aé")] },
  ];
  for (const { matcher, yes, no } of cases) {
    it(`${matcher.kind} ${matcher.value}${matcher.ignoreCase ? " without case" : ""}`, () => {
      const test = compileString(matcher, []);
      assert.ok(test);
      assert.deepEqual(
        yes.filter((value) => !test(value)),
        [],
      );
      assert.deepEqual(
        no.filter((value) => test(value)),
        [],
      );
    });
  }
});

describe("compileHeader()", () => {
  const base = { name: "x-a", invert: false, treatMissingAsEmpty: false };
  const string = { ...base, kind: "string", matcher: { kind: "exact", value: "1", ignoreCase: false } } as const;
  const range = { ...base, kind: "range", start: -10, end: 0 } as const;
  const present = { ...base, kind: "present", present: true } as const;
  const table: readonly {
    says: string;
    matcher: HeaderMatcher;
    yes: readonly (string | undefined)[];
    no: readonly (string | undefined)[];
  }[] = [
    { says: "string", matcher: string, yes: ["1"], no: ["2", undefined] },
    // Envoy: a missing header fails the rule even when inverted.
    { says: "inverted string", matcher: { ...string, invert: true }, yes: ["2", ""], no: ["1", undefined] },
    {
      says: "inverted string, missing is empty",
      matcher: { ...string, invert: true, treatMissingAsEmpty: true },
      yes: ["2", undefined],
      no: ["1"],
    },
    { says: "range, end excluded", matcher: range, yes: ["-1", "-10"], no: ["0", "-11", "x", "1.5", "", undefined] },
    { says: "inverted range", matcher: { ...range, invert: true }, yes: ["0", "x"], no: ["-1", undefined] },
    { says: "present", matcher: present, yes: ["", "x"], no: [undefined] },
    { says: "absent", matcher: { ...present, present: false }, yes: [undefined], no: ["x"] },
    { says: "inverted present", matcher: { ...present, invert: true }, yes: [undefined], no: ["x"] },
    { says: "inverted absent", matcher: { ...present, present: false, invert: true }, yes: ["x"], no: [undefined] },
  ];
  for (const { says, matcher, yes, no } of table) {
    it(says, () => {
      const test = compileHeader(matcher, []);
      const run = (value: string | undefined) =>
        test(buildHead("/", { headers: value === undefined ? {} : { "X-A": value } }));
      assert.deepEqual(
        yes.filter((value) => !run(value)),
        [],
      );
      assert.deepEqual(
        no.filter((value) => run(value)),
        [],
      );
    });
  }

  it("sees repeated fields joined by a comma", () => {
    const test = compileHeader(
      { ...base, kind: "string", matcher: { kind: "exact", value: "1,2", ignoreCase: false } },
      [],
    );
    const headers = HeaderMap.from([
      ["X-A", "1"],
      ["x-a", "2"],
    ]);
    assert.equal(test(new RequestHead("GET", "/", "h", "http", headers)), true);
  });

  it("sees pseudo-headers and host", () => {
    const head = buildHead("/p?q", { method: "POST", authority: "h:1", scheme: "https" });
    for (const [name, value] of [
      [":method", "POST"],
      [":path", "/p?q"],
      [":authority", "h:1"],
      ["host", "h:1"],
      [":scheme", "https"],
    ] as const) {
      const test = compileHeader(
        { ...base, name, kind: "string", matcher: { kind: "exact", value, ignoreCase: false } },
        [],
      );
      assert.equal(test(head), true, name);
    }
  });

  it("never matches a regex that cannot be compiled, not even inverted", () => {
    const problems: string[] = [];
    const matcher = { kind: "regex", value: "(", ignoreCase: false } as const;
    const test = compileHeader({ ...base, invert: true, kind: "string", matcher }, problems);
    assert.equal(test(buildHead("/", { headers: { "x-a": "v" } })), false);
    assert.equal(problems.length, 1);
  });
});

describe("compileQuery()", () => {
  const run = (path: string, name: string, value: string) => {
    const test = compileQuery({ name, kind: "string", matcher: { kind: "exact", value, ignoreCase: false } }, []);
    const query = path.indexOf("?");
    return test(path, query < 0 ? path.length : query);
  };
  const cases = [
    { path: "/?a=1", name: "a", value: "1", matches: true },
    { path: "/?b=2&a=1", name: "a", value: "1", matches: true },
    { path: "/?a=2&a=1", name: "a", value: "1", matches: false },
    { path: "/?aa=1", name: "a", value: "1", matches: false },
    { path: "/?a", name: "a", value: "", matches: true },
    { path: "/?a=", name: "a", value: "", matches: true },
    { path: "/?a=x=y", name: "a", value: "x=y", matches: true },
    { path: "/?a=1#a=2", name: "a", value: "1", matches: true },
    { path: "/?a=%31", name: "a", value: "1", matches: false },
    { path: "/a=1", name: "a", value: "1", matches: false },
  ];
  for (const { path, name, value, matches } of cases) {
    it(`${path} ${matches ? "has" : "has not"} ${name}=${value}`, () => assert.equal(run(path, name, value), matches));
  }

  it("tests presence and absence", () => {
    const test = (present: boolean, path: string) => compileQuery({ name: "a", kind: "present", present }, [])(path, 1);
    assert.deepEqual(
      [test(true, "/?a"), test(true, "/?b"), test(false, "/?b"), test(false, "/?a=1")],
      [true, false, true, false],
    );
  });
});
