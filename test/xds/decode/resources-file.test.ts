// Files of resources (lists, DiscoveryResponses, bootstraps, binary) and the JSON that config dumps show.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { AnySchema, anyPack } from "@bufbuild/protobuf/wkt";
import { ClusterSchema } from "../../../xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { DiscoveryResponseSchema } from "../../../xds/gen/envoy/service/discovery/v3/discovery_pb.ts";
import { TypedExtensionConfigSchema } from "../../../xds/gen/envoy/config/core/v3/extension_pb.ts";
import { loadResourcesFile, parseResources } from "../../../xds/decode/resources-file.ts";
import { anyToJson } from "../../../xds/decode/resource-json.ts";
import { formatLocated } from "../../../xds/decode/yaml-document.ts";
import { CLUSTER_TYPE, EXTENSION_CONFIG_TYPE, ROUTE_TYPE } from "../../../xds/type-urls.ts";

function names(text: string): readonly string[] {
  const loaded = parseResources(text, "r.yaml");
  assert.ok(loaded.ok, loaded.ok ? "" : loaded.issues.map(formatLocated).join("\n"));
  return loaded.resources.map(({ typeUrl, name }) => `${typeUrl.split(".").at(-1)} ${name}`);
}

function problems(text: string): readonly string[] {
  const loaded = parseResources(text, "r.yaml");
  return loaded.ok ? [] : loaded.issues.map(formatLocated);
}

test("parseResources() reads a list of resources of any type", () => {
  const text = `
- "@type": ${CLUSTER_TYPE}
  name: c
- "@type": ${ROUTE_TYPE}
  name: r
  virtual_hosts: []
`;
  assert.deepEqual(names(text), ["Cluster c", "RouteConfiguration r"]);
});

test("parseResources() reads a DiscoveryResponse and its version, also with the Resource wrapper", () => {
  const text = `
version_info: "7"
resources:
- "@type": ${CLUSTER_TYPE}
  name: plain
- "@type": type.googleapis.com/envoy.service.discovery.v3.Resource
  name: wrapped
  version: "1"
  resource: {"@type": ${CLUSTER_TYPE}, name: wrapped}
`;
  assert.deepEqual(names(text), ["Cluster plain", "Cluster wrapped"]);
  const loaded = parseResources(text, "r.yaml");
  assert.equal(loaded.ok && loaded.version, "7");
});

test("parseResources() reads the static resources of a bootstrap", () => {
  assert.deepEqual(names("static_resources: {clusters: [{name: a}, {name: b}]}"), ["Cluster a", "Cluster b"]);
});

test("parseResources() takes an empty file as no resources", () => {
  assert.deepEqual(names(""), []);
  assert.deepEqual(names("# nothing yet\n"), []);
});

test("parseResources() gives every problem its position", () => {
  const text = `- "@type": ${CLUSTER_TYPE}
  name: c
  conect_timeout: 1s
- "@type": type.googleapis.com/envoy.config.cluster.v3.Clustre
  name: d
`;
  assert.deepEqual(problems(text), [
    "r.yaml:3:3: [0].conect_timeout: unknown field of envoy.config.cluster.v3.Cluster; did you mean connect_timeout?",
    'r.yaml:4:12: [1].@type: unknown type "type.googleapis.com/envoy.config.cluster.v3.Clustre"; did you mean type.googleapis.com/envoy.config.cluster.v3.Cluster?',
  ]);
});

test("parseResources() validates each resource as a client would, and finds names given twice", () => {
  const text = `- "@type": ${CLUSTER_TYPE}
  name: c
  connect_timeout: 0s
- {"@type": ${CLUSTER_TYPE}, name: c}
`;
  assert.deepEqual(problems(text), [
    "r.yaml:3:20: [0].connect_timeout: is 0s, must be greater than 0s",
    'r.yaml:4:3: [1]: "c" is already the name of [0]',
  ]);
});

test("parseResources() says what a file must look like", () => {
  const problem = 'must be a list of resources with "@type", or have resources or static_resources';
  assert.deepEqual(problems("clusters: []"), [`r.yaml:1:1: ${problem}`]);
});

test("loadResourcesFile() reads a binary response, and names a file that is not there", () => {
  const directory = mkdtempSync(join(tmpdir(), "outrigger-resources-"));
  const path = join(directory, "r.pb");
  const cluster = anyPack(ClusterSchema, create(ClusterSchema, { name: "c" }));
  const response = create(DiscoveryResponseSchema, { versionInfo: "1", resources: [cluster] });
  writeFileSync(path, toBinary(DiscoveryResponseSchema, response));
  const loaded = loadResourcesFile(path);
  assert.ok(loaded.ok);
  assert.deepEqual([loaded.version, loaded.resources[0]?.name], ["1", "c"]);
  rmSync(directory, { recursive: true });
  const missing = loadResourcesFile(path);
  assert.equal(
    !missing.ok && missing.issues.map(formatLocated).join(),
    `${path}: cannot be read: the file does not exist`,
  );
});

test("anyToJson() uses proto names and puts the type first", () => {
  const value = toBinary(
    ClusterSchema,
    create(ClusterSchema, { name: "c", connectTimeout: { seconds: 1n, nanos: 500_000_000 } }),
  );
  const text = JSON.stringify(anyToJson(CLUSTER_TYPE, value));
  assert.equal(text, `{"@type":"${CLUSTER_TYPE}","name":"c","connect_timeout":"1.500s"}`);
});

test("anyToJson() shows an unknown type inside a known one by its bytes", () => {
  const typedConfig = create(AnySchema, { typeUrl: "type.googleapis.com/made.Up", value: new Uint8Array([1, 2]) });
  const value = toBinary(TypedExtensionConfigSchema, create(TypedExtensionConfigSchema, { name: "n", typedConfig }));
  assert.deepEqual(anyToJson(EXTENSION_CONFIG_TYPE, value), {
    "@type": EXTENSION_CONFIG_TYPE,
    name: "n",
    typed_config: {
      "@type": "type.googleapis.com/xds.type.v3.TypedStruct",
      type_url: "type.googleapis.com/made.Up",
      value: { bytes: "AQI=" },
    },
  });
});

test("anyToJson() knows the node and the bootstrap", () => {
  const node = anyToJson("type.googleapis.com/envoy.config.core.v3.Node", Buffer.from([0x0a, 1, 0x61]));
  assert.deepEqual(node, { "@type": "type.googleapis.com/envoy.config.core.v3.Node", id: "a" });
});
