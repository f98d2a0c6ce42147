// Every shape of pod through injection: what comes out is what a Kubernetes API server takes, injecting again changes nothing, and every "no"
// has its reason.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { parse } from "yaml";
import { explain } from "../../../sidecar/inject/explain.ts";
import { injectManifest, type Outcome } from "../../../sidecar/inject/manifest.ts";
import { DEFAULT_SETTINGS } from "../../../sidecar/inject/settings.ts";
import { kubernetesProblems } from "../../support/kubernetes-schema.ts";
import { ANNOTATIONS, REFUSALS, SKIPS } from "./pod-choices.ts";
import type { PodShape } from "./pod-shape.ts";
import { CONTAINERS, KINDS, PROBES } from "./pod-shapes.ts";

const POD_SHAPES = [...KINDS, ...CONTAINERS, ...PROBES, ...ANNOTATIONS, ...SKIPS, ...REFUSALS];

interface Containers {
  readonly initContainers?: readonly { readonly name: string; readonly restartPolicy?: string }[];
  readonly containers: readonly { readonly name: string }[];
}

function inject(shape: PodShape, text = shape.yaml): { text: string; outcome: Outcome; problems: readonly string[] } {
  const source = { name: "shape.yaml", text, namespace: "default" };
  const { outcomes, ...rest } = injectManifest(source, { ...DEFAULT_SETTINGS, ...shape.settings });
  const [outcome] = outcomes;
  assert.ok(outcome !== undefined);
  return { ...rest, outcome };
}

/** The pod's spec, wherever the kind keeps it. */
function specOf(object: Record<string, unknown>): Containers {
  const walk = (value: unknown): Containers | undefined => {
    if (typeof value !== "object" || value === null) {
      return undefined;
    }
    return "containers" in value
      ? (value as Containers)
      : Object.values(value)
          .map(walk)
          .find((each) => each !== undefined);
  };
  const spec = walk(object);
  assert.ok(spec !== undefined);
  return spec;
}

suite("injection of pods of every shape", () => {
  test("there are at least 60 shapes, each with a name of its own", () => {
    assert.ok(POD_SHAPES.length >= 60, String(POD_SHAPES.length));
    assert.equal(new Set(POD_SHAPES.map(({ name }) => name)).size, POD_SHAPES.length);
  });

  for (const shape of POD_SHAPES) {
    test(shape.name, () => {
      const { text, outcome, problems } = inject(shape);
      const { expect } = shape;
      if (typeof expect === "object") {
        assert.match(problems.join("\n"), expect.refused);
        assert.match(problems.join("\n"), /^shape\.yaml:\d+:\d+: \w+ /);
        assert.equal(text, shape.yaml);
        return;
      }
      assert.deepEqual(problems, []);
      if (expect !== "native" && expect !== "classic") {
        assert.ok(outcome.injection?.kind === "skipped");
        assert.equal(outcome.injection.code, expect);
        assert.ok(outcome.injection.reason.length > 10);
        assert.match(explain(outcome), /left alone: /);
        assert.equal(text, shape.yaml);
        return;
      }
      const object = parse(text) as Record<string, unknown>;
      assert.deepEqual(kubernetesProblems(object), []);
      const spec = specOf(object);
      const before = specOf(parse(shape.yaml) as Record<string, unknown>);
      checkOrder(spec, before, expect, text);
      const flat = JSON.stringify(object);
      for (const wanted of shape.has ?? []) {
        assert.ok(flat.includes(wanted), `${wanted} is in ${flat}`);
      }
      for (const unwanted of shape.lacks ?? []) {
        assert.ok(!flat.includes(unwanted), `${unwanted} is not in ${flat}`);
      }
      const again = inject(shape, text);
      assert.equal(again.text, text);
      assert.ok(again.outcome.injection?.kind === "skipped" && again.outcome.injection.code === "already-injected");
    });
  }
});

/** Rules, sidecar, the rest; or the rest, then rules, and the sidecar at an end. */
function checkOrder(spec: Containers, before: Containers, expect: "native" | "classic", text: string): void {
  const init = (spec.initContainers ?? []).map(({ name }) => name);
  const own = (before.initContainers ?? []).map(({ name }) => name);
  const main = spec.containers.map(({ name }) => name);
  const apps = before.containers.map(({ name }) => name);
  const rules = text.includes("outrigger-init") ? ["outrigger-init"] : [];
  if (expect === "native") {
    assert.deepEqual(init, [...rules, "outrigger-proxy", ...own]);
    assert.deepEqual(main, apps);
    return;
  }
  assert.deepEqual(init, [...own, ...rules]);
  const isHeld = text.includes("postStart");
  assert.deepEqual(main, isHeld ? ["outrigger-proxy", ...apps] : [...apps, "outrigger-proxy"]);
}

suite("kubernetesProblems() itself", () => {
  const pod = (spec: string): unknown => parse(`{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: ${spec}}`);
  const cases: readonly { spec: string; problem: RegExp }[] = [
    { spec: "{containers: [{name: a, image: b, nonsense: 1}]}", problem: /nonsense: unknown field/ },
    { spec: "{containers: [{name: a, image: b, ports: [{containerPort: x}]}]}", problem: /is string, must be integer/ },
    { spec: "{containers: [{name: a, image: b, ports: [{name: x}]}]}", problem: /containerPort: is missing/ },
    { spec: "{containers: [{name: a, image: b}, {name: a, image: b}]}", problem: /two containers are named a/ },
    { spec: "{containers: [{name: a, image: b, restartPolicy: Always}]}", problem: /restartPolicy is for init/ },
    { spec: "{containers: [{name: a, image: b, volumeMounts: [{name: v, mountPath: /v}]}]}", problem: /no volume v/ },
    { spec: "{containers: [{name: a, image: b, livenessProbe: {}}]}", problem: /0 handlers/ },
    {
      spec: "{containers: [{name: a, image: b}], initContainers: [{name: c, image: d, startupProbe: {exec: {}}}]}",
      problem: /not for init/,
    },
  ];
  for (const { spec, problem } of cases) {
    test(`refuses ${spec}`, () => assert.match(kubernetesProblems(pod(spec)).join("\n"), problem));
  }
});
