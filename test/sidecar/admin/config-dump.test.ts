import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { configDump } from "../../../sidecar/admin/config-dump.ts";
import type { ConfigDumpQuery } from "../../../sidecar/admin/config-dump.ts";
import { DUMP } from "./fake-ports.ts";

const ALL: ConfigDumpQuery = { resource: undefined, mask: undefined, names: undefined, includeEds: false };
const AT = "2026-11-25T03:51:46.598Z";

function dump(query: Partial<ConfigDumpQuery>) {
  const result = configDump(DUMP, { ...ALL, ...query });
  assert.ok(result.ok, JSON.stringify(result));
  return (result.dump["configs"] ?? []) as Record<string, unknown>[];
}

test("configDump() has Envoy's messages in Envoy's order", () => {
  assert.deepEqual(
    dump({}).map((config) => String(config["@type"]).replace("type.googleapis.com/envoy.admin.v3.", "")),
    [
      "BootstrapConfigDump",
      "ClustersConfigDump",
      "ListenersConfigDump",
      "ScopedRoutesConfigDump",
      "RoutesConfigDump",
      "SecretsConfigDump",
    ],
  );
  assert.equal(dump({ includeEds: true }).length, 7);
});

test("configDump() tells static, active, warming and refused resources apart", () => {
  const [, clusters, listeners] = dump({});
  assert.deepEqual(clusters, {
    "@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump",
    version_info: "7",
    static_clusters: [{ cluster: DUMP.clusters[0]?.value, last_updated: AT }],
    dynamic_active_clusters: [
      {
        version_info: "7",
        cluster: DUMP.clusters[1]?.value,
        last_updated: AT,
        error_state: { last_update_attempt: AT, details: "bad port", version_info: "8" },
      },
    ],
  });
  assert.deepEqual(listeners?.["dynamic_listeners"], [
    {
      name: "in",
      active_state: { version_info: "3", listener: DUMP.listeners[0]?.value, last_updated: AT },
      warming_state: { version_info: "4", listener: DUMP.listeners[1]?.value, last_updated: AT },
    },
  ]);
});

test("configDump() gives one repeated field, and masks its elements", () => {
  assert.deepEqual(dump({ resource: "dynamic_active_clusters", mask: "cluster.name,version_info" }), [
    {
      "@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump.DynamicCluster",
      version_info: "7",
      cluster: { "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", name: "web" },
    },
  ]);
});

test("configDump() with a mask leaves out messages without the field", () => {
  assert.deepEqual(dump({ mask: "bootstrap.node" }), [
    { "@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump", bootstrap: { node: { id: "n1" } } },
  ]);
});

test("configDump() filters by name", () => {
  assert.deepEqual(
    dump({ resource: "dynamic_active_clusters", names: /^nothing/ }).length +
      dump({ resource: "static_clusters", names: /^local$/ }).length,
    1,
  );
});

test("configDump() has no empty list where a resource has no elements, as Envoy", () => {
  const query = { ...ALL, resource: "dynamic_active_clusters", names: /^nothing/ };
  assert.deepEqual(configDump(DUMP, query), { ok: true, dump: {} });
});

test("configDump() explains what it cannot dump, in Envoy's words", () => {
  const problem = (query: Partial<ConfigDumpQuery>): unknown => {
    const result = configDump(DUMP, { ...ALL, ...query });
    return result.ok ? undefined : [result.status, result.problem];
  };
  assert.deepEqual(problem({ resource: "nope" }), [404, "nope not found in config dump"]);
  assert.deepEqual(problem({ resource: "bootstrap" }), [
    400,
    "bootstrap is not a repeated field. Use ?mask=bootstrap to get only this field",
  ]);
  assert.deepEqual(problem({ mask: "nope" }), [
    400,
    "FieldMask nope could not be successfully applied to any configs.",
  ]);
  // Endpoints are only there when asked for.
  assert.deepEqual(problem({ resource: "dynamic_endpoint_configs" }), [
    404,
    "dynamic_endpoint_configs not found in config dump",
  ]);
});

test("configDump() refuses a mask that no element can have, in Envoy's words", () => {
  const problem = (query: Partial<ConfigDumpQuery>): unknown => {
    const result = configDump(DUMP, { ...ALL, ...query });
    return result.ok ? undefined : [result.status, result.problem];
  };
  assert.deepEqual(problem({ resource: "static_clusters", mask: "cluster.name,nope" }), [
    400,
    'FieldMask \npaths: "cluster.name"\npaths: "nope"\n could not be successfully used.',
  ]);
  // A path does not go through a list.
  assert.deepEqual(problem({ mask: "static_clusters.cluster.name" }), [
    400,
    "FieldMask static_clusters.cluster.name could not be successfully applied to any configs.",
  ]);
});

test("configDump() shows a resource that was never accepted by its refusal only", () => {
  const value = { "@type": "t", name: "bad" };
  const error = { details: "no port", versionInfo: "2", lastAttempt: AT, value };
  const refused = { name: "bad", versionInfo: "", lastUpdated: AT, state: "active", value: undefined, error } as const;
  const state = { failed_configuration: value, last_update_attempt: AT, details: "no port", version_info: "2" };
  const result = configDump({ ...DUMP, listeners: [refused], clusters: [refused] }, ALL);
  assert.ok(result.ok);
  const [, clusters, listeners] = result.dump["configs"] as Record<string, unknown>[];
  assert.deepEqual(listeners?.["dynamic_listeners"], [{ name: "bad", error_state: state }]);
  assert.deepEqual(clusters?.["dynamic_active_clusters"], [{ error_state: state }]);
});

test("configDump() has ECDS only where there is some", () => {
  const extension = { name: "f", versionInfo: "1", lastUpdated: AT, state: "active", value: { name: "f" } } as const;
  const result = configDump({ ...DUMP, extensions: [extension] }, { ...ALL, resource: "ecds_filters" });
  assert.ok(result.ok);
  assert.deepEqual(configDump(DUMP, { ...ALL, resource: "ecds_filters" }), {
    ok: false,
    status: 404,
    problem: "ecds_filters not found in config dump",
  });
});

test("configDump() never shows a private key or a secret", () => {
  const text = JSON.stringify(dump({}));
  assert.doesNotMatch(text, /SECRET/);
  assert.match(text, /PUBLIC/);
  assert.match(text, /\[redacted\]/);
});

test("configDump() answers any query", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.boolean(), (resource, mask, includeEds) => {
      configDump(DUMP, { ...ALL, resource, mask, includeEds });
      configDump(DUMP, { ...ALL, mask, includeEds });
    }),
  );
});
