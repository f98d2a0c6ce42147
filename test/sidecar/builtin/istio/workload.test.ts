// Workloads as Istio's proxies tell each other: what is written is read again, and hostile headers are nobody.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { StructSchema } from "@bufbuild/protobuf/wkt";
import { fromBinary } from "@bufbuild/protobuf";
import {
  headerOf,
  stateOf,
  type Workload,
  workloadOfEndpoint,
  workloadOfHeader,
} from "../../../../sidecar/builtin/istio/workload.ts";

const WORKLOAD: Workload = {
  name: "web-7d9f-1",
  cluster: "Kubernetes",
  namespace: "shop",
  workload: "web",
  service: "web-canonical",
  revision: "v2",
  app: "web-app",
  version: "v2",
  type: "deployment",
  labels: [["tier", "x".repeat(200).slice(0, 100)]],
};

suite("headerOf() and workloadOfHeader()", () => {
  test("are each other's inverse, and the header is a Struct in Istio's words", () => {
    const header = headerOf(WORKLOAD);
    assert.deepEqual(workloadOfHeader(header, ["tier"]), WORKLOAD);
    const struct = fromBinary(StructSchema, Buffer.from(header, "base64"));
    const labels = struct.fields["LABELS"]?.kind;
    assert.ok(labels?.case === "structValue");
    assert.deepEqual(Object.keys(struct.fields), [
      "CLUSTER_ID",
      "LABELS",
      "NAME",
      "NAMESPACE",
      "OWNER",
      "WORKLOAD_NAME",
    ]);
    assert.deepEqual(Object.keys(labels.value.fields), [
      "app",
      "service.istio.io/canonical-name",
      "service.istio.io/canonical-revision",
      "tier",
      "version",
    ]);
  });

  test("take any Struct for a workload, and nothing else", () => {
    const struct = create(StructSchema, { fields: { NAME: { kind: { case: "numberValue", value: 1 } } } });
    const header = Buffer.from(toBinary(StructSchema, struct)).toString("base64");
    assert.equal(workloadOfHeader(header, [])?.name, "");
    for (const other of ["", "====", "é", "AAAA", Buffer.from("no message").toString("base64"), "A".repeat(20_000)]) {
      assert.equal(workloadOfHeader(other, []), undefined);
    }
  });

  test("cut a peer's texts", () => {
    const header = headerOf({ ...WORKLOAD, workload: "w".repeat(5_000) });
    assert.equal(workloadOfHeader(header, [])?.workload.length, 128);
  });
});

test("workloadOfEndpoint() reads istiod's five parts", () => {
  const found = workloadOfEndpoint("web;shop;canonical;v2;Kubernetes");
  assert.deepEqual(
    [found?.workload, found?.namespace, found?.service, found?.revision, found?.cluster],
    ["web", "shop", "canonical", "v2", "Kubernetes"],
  );
  assert.equal(workloadOfEndpoint("web;shop;canonical"), undefined);
});

test("stateOf() is a Struct with the names that expressions use", () => {
  const struct = fromBinary(StructSchema, stateOf(WORKLOAD));
  assert.deepEqual(struct.fields["workload"]?.kind, { case: "stringValue", value: "web" });
  assert.equal(struct.fields["labels"]?.kind.case, "structValue");
});
