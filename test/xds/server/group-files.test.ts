// Files of resource groups: what people write, as groups, and each mistake with its place.

import assert from "node:assert/strict";
import { test } from "node:test";
import { readGroups } from "../../../xds/server/group-files.ts";
import type { ResourceGroup } from "../../../xds/server/resource-groups.ts";
import { CLUSTER_TYPE, ROUTE_TYPE, VIRTUAL_HOST_TYPE } from "../../../xds/type-urls.ts";

const cluster = (name: string, indent = "  ") =>
  `${indent}- { "@type": ${CLUSTER_TYPE}, name: ${name}, connect_timeout: 1s, type: STATIC }\n`;

const routes = (name: string) => `  - { "@type": ${ROUTE_TYPE}, name: ${name} }\n`;

const host = (name: string) => `  - { "@type": ${VIRTUAL_HOST_TYPE}, name: ${name}, domains: [a] }\n`;

function groupsOf(...texts: readonly string[]): readonly ResourceGroup[] {
  const read = readGroups(texts.map((text, index) => ({ name: `${index}.yaml`, text })));
  assert.ok(read.ok, read.ok ? "" : read.problems.join("\n"));
  return read.groups;
}

function problemsOf(...texts: readonly string[]): readonly string[] {
  const read = readGroups(texts.map((text, index) => ({ name: `${index}.yaml`, text })));
  assert.ok(!read.ok);
  return read.problems;
}

test("readGroups() reads documents with selectors, and files as they were", () => {
  const groups = groupsOf(
    `selector:
  node_id: [ "shop-*", other ]
  cluster: shop
  locality: { region: eu, sub_zone: b }
  labels: { app: shop }
  metadata: { NAMESPACE: shop, DEEP: { n: 3 } }
spiffe_ids: spiffe://example.org/ns/shop/sa/*
resources:
${cluster("a")}---
---
resources:
${cluster("b")}`,
    cluster("c", ""),
    `static_resources: { clusters: [{ name: d, connect_timeout: 1s, type: STATIC }] }`,
    "[]",
  );
  assert.deepEqual(
    groups.map(({ name, resources }) => [name, resources.map((each) => each.name)]),
    [
      ["0.yaml:1", ["a"]],
      ["0.yaml:12", ["b"]],
      ["1.yaml:1", ["c"]],
      ["2.yaml:1", ["d"]],
      ["3.yaml:1", []],
    ],
  );
  assert.deepEqual(groups[0]?.selector, {
    nodeId: ["shop-*", "other"],
    cluster: ["shop"],
    locality: { region: "eu", subZone: "b" },
    labels: { app: "shop" },
    metadata: { NAMESPACE: "shop", DEEP: { n: 3 } },
  });
  assert.deepEqual(groups[0]?.spiffeIds, ["spiffe://example.org/ns/shop/sa/*"]);
  assert.equal(groups[1]?.selector, undefined);
});

test("readGroups() keeps the time to live of a resource in its wrapper", () => {
  const [group] = groupsOf(`resources:
  - "@type": type.googleapis.com/envoy.service.discovery.v3.Resource
    ttl: 1.5s
    resource: { "@type": ${CLUSTER_TYPE}, name: a, connect_timeout: 1s, type: STATIC }
`);
  assert.equal(group?.resources[0]?.ttlMs, 1500);
  assert.equal(group?.resources[0]?.name, "a");
});

test("readGroups() reads virtual hosts, on demand or not, by the name of their wrapper", () => {
  const wrapped = `  - "@type": type.googleapis.com/envoy.service.discovery.v3.Resource
    name: routes/b
    resource: { "@type": ${VIRTUAL_HOST_TYPE}, name: inner, domains: [b] }
`;
  const groups = groupsOf(
    `on_demand: true\nresources:\n${host("routes/a")}${wrapped}---\non_demand: false\nresources:\n${host("a/b/c")}`,
  );
  assert.deepEqual(
    groups.map(({ resources }) => resources.map(({ name, onDemand }) => [name, onDemand])),
    [
      [
        ["routes/a", true],
        ["routes/b", true],
      ],
      [["a/b/c", undefined]],
    ],
  );
});

test("readGroups() names the place of every mistake", () => {
  const table: readonly [text: string, problem: RegExp][] = [
    [
      "selector: { node_ids: a }\nresources: []",
      /^0\.yaml:1:13: selector\.node_ids: is not known; did you mean node_id\?/,
    ],
    ["selector: { colour: a }\nresources: []", /1:13: selector\.colour: is not known; known are node_id, cluster/],
    [
      "selector: { labels: { v: 1.3 } }\nresources: []",
      /1:26: .*labels\.v: must be a text.*the number 1\.3; write it in/,
    ],
    ["selector: shop\nresources: []", /1:11: selector: must be a map, not the string "shop"/],
    ["selector: { cluster: [] }\nresources: []", /selector\.cluster: must be a text or a list of texts, not an empty/],
    ["spiffe_ids: {}\nresources: []", /1:13: spiffe_ids: must be a text or a list of texts, not a map/],
    ["on_demand: 1\nresources: []", /1:12: on_demand: must be true or false, not the number 1/],
    [
      `on_demand: true\nresources:\n${routes("a")}`,
      /0\.yaml:3:5: .*on_demand is for virtual hosts, clusters and their endpoints/,
    ],
    [`resources:\n${host("alone")}`, /0\.yaml:2:5: .*the name must be that of the route configuration, a slash/],
    ["selector: {}\n", /must be a list of resources with "@type", or have resources or static_resources/],
    ["\n \n", /0\.yaml:1:1: the file is empty/],
    [`a: [\n---\nb`, /0\.yaml:2:1: not valid YAML/],
    [`resources:\n${cluster("a")}---\nresources:\n  - { "@type": ${CLUSTER_TYPE}, nam: b }\n`, /0\.yaml:5:\d+: .*nam/],
  ];
  for (const [text, problem] of table) assert.match(problemsOf(text).join("\n"), problem, text);
});

test("readGroups() refuses one name twice for the same sidecars, and lets a group replace another's", () => {
  const both = `resources:\n${cluster("a")}`;
  assert.match(
    problemsOf(both, both).join("\n"),
    /^1\.yaml:2:5: .*a resource with this name is already at 0\.yaml:2:5, for the same sidecars$/,
  );
  assert.equal(groupsOf(both, `selector: { cluster: shop }\n${both}`).length, 2);
});
