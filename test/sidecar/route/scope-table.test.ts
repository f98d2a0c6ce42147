import assert from "node:assert/strict";
import { test } from "node:test";
import { requestScopeKey, scopeKey, ScopeTable } from "../../../sidecar/route/scope-table.ts";
import type { ScopeKeyFragment } from "../../../xds/model/scoped-routes.ts";
import { HeaderMap } from "../../../sidecar/http/headers.ts";
import { RequestHead } from "../../../sidecar/http/message.ts";

const index = (header: string, at: number, elementSeparator = ""): ScopeKeyFragment => ({
  header,
  elementSeparator,
  extract: { kind: "index", index: at },
});
const element = (header: string, elementSeparator: string, separator: string, key: string): ScopeKeyFragment => ({
  header,
  elementSeparator,
  extract: { kind: "element", separator, key },
});

const headers = HeaderMap.from([
  ["x-scope", "one"],
  ["x-scope", "other"],
  ["x-list", "a=1;b;c=2=3;a=9"],
  ["x-empty", ""],
]);
const head = new RequestHead("GET", "/", "a.test", "http", headers);
const keyOf = (...fragments: readonly ScopeKeyFragment[]) => requestScopeKey(fragments, head);

test("requestScopeKey() takes the first value of a header, whole or one element of it", () => {
  assert.equal(keyOf(index("x-scope", 0)), scopeKey(["one"]));
  assert.equal(keyOf(index("x-list", 0)), scopeKey(["a=1;b;c=2=3;a=9"]));
  assert.equal(keyOf(index("x-list", 2, ";")), scopeKey(["c=2=3"]));
  assert.equal(keyOf(index("x-empty", 0, ";")), scopeKey([""]));
});

test("requestScopeKey() takes the rest of the first element that is the key", () => {
  assert.equal(keyOf(element("x-list", ";", "=", "a")), scopeKey(["1"]));
  assert.equal(keyOf(element("x-list", ";", "=", "c")), scopeKey(["2=3"]));
  assert.equal(keyOf(element("x-list", ";", "=", "b")), scopeKey([""]));
});

test("requestScopeKey() finds nothing when one part of the key is not there", () => {
  assert.equal(keyOf(index("x-scope", 0), index("x-none", 0)), undefined);
  assert.equal(keyOf(index("x-list", 4, ";")), undefined);
  assert.equal(keyOf(element("x-list", ";", "=", "d")), undefined);
});

test("ScopeTable tells keys apart that read alike, and gives the later of two scopes with one key", () => {
  const scope = (name: string, ...key: string[]) =>
    ({ name, key, onDemand: false, routes: { kind: "named", name: "r" } }) as const;
  const table = new ScopeTable<string>();
  table.set(scope("a", "x", "yz"), "first");
  table.set(scope("b", "xy", "z"), "second");
  assert.equal(table.find(scopeKey(["x", "yz"]))?.routes, "first");
  assert.equal(table.find(scopeKey(["xy", "z"]))?.routes, "second");
  assert.equal(table.find(scopeKey(["xyz"])), undefined);
  table.set(scope("c", "x", "yz"), "third");
  assert.equal(table.find(scopeKey(["x", "yz"]))?.routes, "third");
});
