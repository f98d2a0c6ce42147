// What the comparison with Envoy (test/integration/matched-filters.test.ts) leaves open: a variable of the environment, of which Envoy
// 1.40 says that it matches by its value, and matches none; and ranges of addresses in all their spellings.

import assert from "node:assert/strict";
import { test } from "node:test";
import { IpRanges } from "../../../sidecar/builtin/ip-ranges.ts";
import type { MatchData } from "../../../sidecar/builtin/match-input.ts";
import { compileMatchTree, type Verdict } from "../../../sidecar/builtin/match-tree.ts";
import type { MatchTree } from "../../../xds/model/match-tree.ts";

test("compileMatchTree() takes a variable of the environment by its value", () => {
  const tree: MatchTree = {
    branches: {
      kind: "map",
      by: "exact",
      input: { of: "environment", name: "STAGE" },
      map: [["live", { kind: "skip" }]],
    },
    onNoMatch: undefined,
  };
  const data = {} as MatchData;
  const verdicts = [{ STAGE: "live" }, { STAGE: "test" }, {}].map((each) => compileMatchTree(tree, each)(data));
  assert.deepEqual(verdicts, ["skip", "none", "none"]);
});

test("compileMatchTree() looks for no wildcard that is longer than all that there are", () => {
  const names = ["a.b.c", "*.b.c", "*.c", "*"].map((name) => [name, { kind: "skip" }] as const);
  const of = { of: "request", name: "x" } as const;
  const verdict = (list: MatchTree["branches"] & { kind: "domains" }, value: string): Verdict => {
    const request = { headers: { getJoined: () => value, get: () => value } };
    const test = compileMatchTree({ branches: list, onNoMatch: undefined }, {});
    return test({ request } as unknown as MatchData);
  };
  for (const [count, value, expected] of [
    [1, "a.b.c", "skip"],
    [1, "x.a.b.c", "none"],
    [2, "a.b.c", "skip"],
    [2, "x.b.c", "skip"],
    [2, "y.x.b.c", "skip"],
    [2, "b.c", "none"],
    [3, "long.name.of.c", "skip"],
    [3, `${".".repeat(60_000)}c`, "skip"],
    [3, `${".".repeat(60_000)}d`, "none"],
    [4, "anything", "skip"],
    [4, "", "none"],
  ] as const) {
    assert.equal(
      verdict({ kind: "domains", input: of, names: names.slice(0, count) }, value),
      expected,
      value.slice(0, 20),
    );
  }
});

test("IpRanges.find() has the longest prefix first, then the order", () => {
  const range = (address: string, prefixLength: number) =>
    [{ address, prefixLength }, `${address}/${prefixLength}`] as const;
  const ranges = new IpRanges([
    range("0.0.0.0", 0),
    range("10.9.0.0", 8),
    range("10.1.2.0", 24),
    range("10.0.0.0", 8),
    range("10.1.2.3", 32),
    range("::", 0),
    range("2001:db8::", 32),
    range("2001:db8:0:1::5", 128),
    range("::ffff:10.1.0.0", 112),
  ]);
  for (const [address, found] of [
    ["10.1.2.3", ["10.1.2.3/32", "10.1.2.0/24", "10.9.0.0/8", "10.0.0.0/8", "0.0.0.0/0"]],
    ["11.0.0.1", ["0.0.0.0/0"]],
    ["2001:0DB8:0000:1::0005", ["2001:db8:0:1::5/128", "2001:db8::/32", "::/0"]],
    ["2001:db8:0:1:0:0:0:6", ["2001:db8::/32", "::/0"]],
    ["::ffff:10.1.255.255", ["::ffff:10.1.0.0/112", "::/0"]],
    ["::", ["::/0"]],
    ["10.1.2", undefined],
    ["", undefined],
  ] as const) {
    assert.deepEqual(ranges.find(address), found, address);
  }
});
