// Which sidecar gets which resources: selectors, SPIFFE ids, and what many sidecars share.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeInfo } from "../../../xds/discovery-wire.ts";
import { spiffeIdsOf } from "../../../xds/server/peer-identity.ts";
import { ResourceGroups } from "../../../xds/server/resource-groups.ts";
import type { ResourceGroup } from "../../../xds/server/resource-groups.ts";
import { isAllowed, matchesPattern, selects } from "../../../xds/server/selector.ts";
import { CLUSTER_TYPE } from "../../../xds/type-urls.ts";
import { CertificateAuthority } from "../../support/certificates.ts";
import { X509Certificate } from "node:crypto";

const NODE: NodeInfo = {
  id: "shop-7",
  cluster: "shop",
  userAgent: "test/1",
  locality: { region: "eu", zone: "a", subZone: "" },
  metadata: { LABELS: { app: "shop", version: "v2" }, NAMESPACE: "retail", MESH: { id: 3 } },
};

const resource = (name: string, content = "") => ({
  typeUrl: CLUSTER_TYPE,
  name,
  value: Buffer.from(`${name}${content}`),
});

function namesFor(groups: readonly ResourceGroup[], node: Partial<NodeInfo>, ...spiffeIds: readonly string[]) {
  const admission = ResourceGroups.of(groups).admit({ node: { ...NODE, ...node }, spiffeIds });
  return admission.ok ? [...admission.resources.type(CLUSTER_TYPE).keys()] : admission.problem;
}

test("selects() holds when all that is given does", () => {
  assert.ok(selects({}, NODE));
  assert.ok(selects({ nodeId: ["x", "shop-*"], cluster: ["shop"], locality: { region: "e*", zone: "a" } }, NODE));
  assert.ok(
    selects({ labels: { app: "shop", version: "v*" }, metadata: { NAMESPACE: "retail", MESH: { id: 3 } } }, NODE),
  );
  for (const selector of [
    { nodeId: ["shop"] },
    { cluster: ["sho"] },
    { locality: { region: "eu", subZone: "x" } },
    { labels: { app: "shop", version: "v1" } },
    { labels: { other: "*" } },
    { labels: { constructor: "*" } },
    { metadata: { MESH: { id: "3" } } },
    { metadata: { MESH: "3" } },
  ]) {
    assert.ok(!selects(selector, NODE), JSON.stringify(selector));
  }
});

test("matchesPattern() takes * for any text, in bounded time", () => {
  for (const [pattern, text, matches] of [
    ["*", "", true],
    ["a*c", "abbc", true],
    ["a*c*", "abcbd", true],
    ["*b", "ab", true],
    ["a*b", "abc", false],
    ["", "a", false],
    ["a.c", "abc", false],
  ] as const) {
    assert.equal(matchesPattern(pattern, text), matches, `${pattern} ${text}`);
  }
  assert.ok(!matchesPattern("*a".repeat(20) + "b", "a".repeat(1_000)));
});

test("isAllowed() compares SPIFFE ids part by part", () => {
  const patterns = ["spiffe://example.org/ns/*/sa/shop"];
  assert.ok(isAllowed(patterns, ["spiffe://example.org/ns/eu/sa/shop"]));
  assert.ok(!isAllowed(patterns, ["spiffe://example.org/ns/eu/x/sa/shop"]));
  assert.ok(!isAllowed(["spiffe://*"], ["spiffe://example.org/ns/eu"]));
  assert.ok(!isAllowed(["*"], []));
});

test("spiffeIdsOf() reads the one SPIFFE id of a certificate", () => {
  const authority = new CertificateAuthority();
  const idsOf = (...uris: readonly string[]) =>
    spiffeIdsOf(new X509Certificate(authority.issue({ commonName: "x", dns: ["a.b"], uris }).certificate).raw);
  assert.deepEqual(idsOf("spiffe://example.org/a"), ["spiffe://example.org/a"]);
  assert.deepEqual(idsOf(), []);
  assert.deepEqual(idsOf("https://example.org/a"), []);
  // Two are nobody, and a name with a comma is no second name.
  assert.deepEqual(idsOf("spiffe://example.org/a", "spiffe://example.org/b"), []);
  assert.deepEqual(idsOf("spiffe://example.org/a, URI:spiffe://example.org/b"), [
    "spiffe://example.org/a, URI:spiffe://example.org/b",
  ]);
  assert.deepEqual(spiffeIdsOf(Buffer.from("no certificate")), []);
  assert.deepEqual(spiffeIdsOf(undefined), []);
});

test("ResourceGroups gives a sidecar the groups that select it, the later one's resource where both have it", () => {
  const groups = [
    { resources: [resource("all"), resource("a", "base")] },
    { selector: { cluster: ["shop"] }, resources: [resource("a", "shop"), resource("shop")] },
    { selector: { cluster: ["bank"] }, resources: [resource("bank")] },
  ];
  assert.deepEqual(namesFor(groups, {}), ["all", "a", "shop"]);
  assert.deepEqual(namesFor(groups, { cluster: "bank" }), ["all", "a", "bank"]);
  const all = ResourceGroups.of(groups);
  const one = all.admit({ node: NODE, spiffeIds: [] });
  const other = all.admit({ node: { ...NODE, id: "shop-8" }, spiffeIds: [] });
  assert.ok(one.ok && other.ok && one.resources === other.resources, "both sidecars share one set");
  assert.equal(one.resources.type(CLUSTER_TYPE).get("a")?.wire.bytes, groups[1]?.resources[0]?.value);
});

test("ResourceGroups refuses who is selected without an allowed SPIFFE id", () => {
  const groups = [
    {
      name: "s.yaml:1",
      selector: { cluster: ["shop"] },
      spiffeIds: ["spiffe://e.org/sa/shop"],
      resources: [resource("s")],
    },
  ];
  assert.deepEqual(namesFor(groups, {}, "spiffe://e.org/sa/shop"), ["s"]);
  assert.match(
    String(namesFor(groups, {}, "spiffe://e.org/sa/bank")),
    /not allowed for s\.yaml:1: it is spiffe:.*bank$/,
  );
  assert.match(String(namesFor(groups, {})), /it has none$/);
  assert.deepEqual(namesFor(groups, { cluster: "bank" }), []);
});

test("ResourceGroups.of() keeps what did not change, and its digest tells contents apart", () => {
  const group = (content: string) => [{ resources: [resource("a"), resource("b", content)] }];
  const before = ResourceGroups.of(group("1"));
  const after = ResourceGroups.of(group("2"), before);
  const same = (index: number) => after.groups[0]?.resources[index] === before.groups[0]?.resources[index];
  assert.deepEqual([same(0), same(1)], [true, false]);
  assert.notEqual(before.digest, after.digest);
  assert.equal(ResourceGroups.of(group("1")).digest, before.digest);
  assert.notEqual(
    ResourceGroups.of([{ selector: {}, resources: group("1")[0]?.resources ?? [] }]).digest,
    before.digest,
  );
});
