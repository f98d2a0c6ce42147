// AdmissionReviews as an API server sends them, and what is none.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { DEFAULT_SETTINGS } from "../../../sidecar/inject/settings.ts";
import { review } from "../../../sidecar/webhook/admission.ts";
import { kubernetesProblems } from "../../support/kubernetes-schema.ts";
import { applyPatch, podReview, responseOf } from "./review.ts";

const SETTINGS = { ...DEFAULT_SETTINGS, image: "example.com/outrigger:1" };

function ask(body: unknown): ReturnType<typeof review> {
  return review(Buffer.from(typeof body === "string" ? body : JSON.stringify(body)), SETTINGS);
}

suite("review()", () => {
  test("a pod gets a patch that an API server can apply and would take", () => {
    const asked = podReview();
    const answer = ask(asked);
    assert.equal(answer.outcome, "injected");
    const { uid, allowed, patchType, patch, auditAnnotations } = responseOf(answer.body);
    assert.deepEqual([uid, allowed, patchType], [asked.request.uid, true, "JSONPatch"]);
    assert.equal(auditAnnotations?.["outcome"], "injected");
    const patched = applyPatch(asked.request.object, patch ?? "");
    assert.deepEqual(kubernetesProblems({ apiVersion: "v1", kind: "Pod", ...(patched as object) }), []);
    assert.match(JSON.stringify(patched), /deployments\/web"|deployments\\\/web|deployments\/web/);
    // Sent again (reinvocationPolicy: IfNeeded) nothing changes.
    assert.equal(ask(podReview({ object: patched })).outcome, "already-injected");
  });

  test("the namespace is the request's where the pod does not say one", () => {
    assert.equal(ask(podReview({ namespace: "kube-system" })).outcome, "excluded-namespace");
  });

  test("a pod that is left alone is allowed without a patch, and the audit log has the reason", () => {
    const object = {
      metadata: { labels: { "sidecar.istio.io/inject": "false" } },
      spec: { containers: [{ name: "a", image: "b" }] },
    };
    const answer = ask(podReview({ object }));
    const response = responseOf(answer.body);
    assert.equal(answer.outcome, "pod-says-no");
    assert.deepEqual([response.allowed, response.patch], [true, undefined]);
    assert.match(response.auditAnnotations?.["reason"] ?? "", /label sidecar\.istio\.io\/inject is "false"/);
  });

  test("a pod with annotations that make no sense is denied with all of them", () => {
    const object = {
      metadata: { annotations: { "sidecar.istio.io/proxyCPU": "x", "status.sidecar.istio.io/port": "y" } },
      spec: { containers: [{ name: "a", image: "b" }] },
    };
    const { allowed, status } = responseOf(ask(podReview({ object })).body);
    assert.equal(allowed, false);
    assert.match(status?.message ?? "", /proxyCPU: got "x".*; .*port: got "y"/);
  });

  test("what the author may not expect is a warning, short enough for Kubernetes", () => {
    const object = {
      metadata: { annotations: { "proxy.istio.io/config": `{tracing: {}, ${"x".repeat(400)}: 1}` } },
      spec: { containers: [{ name: "a", image: "b" }] },
    };
    const { warnings } = responseOf(ask(podReview({ object })).body);
    assert.match(warnings?.[0] ?? "", /^outrigger: proxy\.istio\.io\/config: tracing, x+/);
    assert.equal(warnings?.[0]?.length, 256);
  });

  test("other objects and operations are allowed as they are", () => {
    for (const change of [
      { operation: "UPDATE" },
      { kind: { group: "apps", version: "v1", kind: "Deployment" } },
      { subResource: "exec" },
    ]) {
      const answer = ask(podReview(change));
      assert.equal(answer.outcome, "not-a-new-pod");
      assert.equal(responseOf(answer.body).allowed, true);
    }
  });

  const bad: readonly { name: string; body: unknown; problem: RegExp }[] = [
    { name: "nothing", body: "", problem: /no JSON/ },
    { name: "no JSON", body: "{", problem: /no JSON/ },
    { name: "a list", body: [], problem: /no AdmissionReview/ },
    { name: "null", body: "null", problem: /no AdmissionReview/ },
    {
      name: "an old version",
      body: { ...podReview(), apiVersion: "admission.k8s.io/v1beta1" },
      problem: /admission\.k8s\.io\/v1/,
    },
    { name: "no request", body: { ...podReview(), request: undefined }, problem: /no request/ },
    { name: "no uid", body: podReview({ uid: "" }), problem: /uid/ },
  ];
  for (const { name, body, problem } of bad) {
    test(`refuses as a review: ${name}`, () => {
      const answer = ask(body);
      assert.deepEqual([answer.status, answer.outcome], [400, "bad-review"]);
      assert.match(answer.body, problem);
    });
  }

  const odd: readonly unknown[] = [
    null,
    [],
    "pod",
    {},
    { spec: null },
    { spec: { containers: {} } },
    { spec: { containers: [null] } },
    { spec: { containers: [{ name: 1 }] } },
    { spec: { containers: [{ name: "a", ports: [{}] }] } },
    { spec: { containers: [{ name: "a" }], initContainers: 5 } },
    { metadata: [], spec: { containers: [{ name: "a" }] } },
    { metadata: { annotations: { "a/b": 1 } }, spec: { containers: [{ name: "a" }] } },
    { metadata: { annotations: { "proxy.istio.io/config": "[" } }, spec: { containers: [{ name: "a" }] } },
  ];
  test("objects that are no pods are denied with the place, never a crash", () => {
    for (const object of odd) {
      const { allowed, status } = responseOf(ask(podReview({ object })).body);
      assert.equal(allowed, false, JSON.stringify(object));
      assert.match(status?.message ?? "", /^the sidecar cannot be injected: ./);
    }
  });
});
