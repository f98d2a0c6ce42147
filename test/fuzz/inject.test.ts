// Injection of anything: YAML with anchors and merges comes to the same as JSON, and no review brings the webhook down.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parse, stringify } from "yaml";
import { type InjectedManifest, injectManifest } from "../../sidecar/inject/manifest.ts";
import { DEFAULT_SETTINGS, type InjectSettings } from "../../sidecar/inject/settings.ts";
import { review } from "../../sidecar/webhook/admission.ts";
import { podReview } from "../sidecar/webhook/review.ts";

const name = fc.constantFrom("a", "b", "web", "log");
const text = fc.oneof(
  fc.constantFrom("", "yes", "1e3", "0x1F", "null", "# no comment", "a: b", "*", "&x", "- a", "<<"),
  fc.string(),
);
const handler = fc.oneof(
  fc.record({
    httpGet: fc.record({ path: text, port: fc.oneof(fc.constant("http"), fc.integer({ min: 1, max: 99 })) }),
  }),
  fc.record({ tcpSocket: fc.record({ port: fc.constantFrom<string | number>("http", 80) }) }),
  fc.record({ grpc: fc.record({ port: fc.constant(9) }) }),
  fc.record({ exec: fc.record({ command: fc.array(text, { maxLength: 2 }) }) }),
);
const texts = fc.dictionary(fc.constantFrom("app", "version", "prometheus.io/scrape", "x"), text, { maxKeys: 3 });

/** Pods whose containers share probes, labels and ports: the library writes shared parts as anchors and aliases. */
const object = fc
  .record({
    kind: fc.constantFrom("Pod", "Deployment", "CronJob", "List"),
    probe: handler,
    other: handler,
    labels: texts,
    annotations: fc.oneof(texts, fc.constant(null), fc.constant(undefined)),
    names: fc.uniqueArray(name, { minLength: 1, maxLength: 3 }),
    init: fc.boolean(),
  })
  .map(({ kind, probe, other, labels, annotations, names, init }) => {
    const ports = [{ name: "http", containerPort: 8080 }];
    const containers = names.map((each, index) => ({
      name: each,
      image: "i",
      ports,
      readinessProbe: probe,
      ...(index === 0 ? { livenessProbe: probe } : { livenessProbe: other, lifecycle: { preStop: probe } }),
    }));
    const pod = {
      metadata: { labels, ...(annotations === undefined ? {} : { annotations }) },
      spec: { containers, ...(init ? { initContainers: [{ name: "init", image: "i" }] } : {}) },
    };
    switch (kind) {
      case "Pod":
        return { apiVersion: "v1", kind, ...pod };
      case "CronJob":
        return { kind, metadata: { name: "c", labels }, spec: { jobTemplate: { spec: { template: pod } } } };
      case "List":
        return {
          kind,
          items: [
            { kind: "Pod", ...pod },
            { kind: "ConfigMap", data: labels },
            { kind: "Job", spec: { template: pod } },
          ],
        };
      case "Deployment":
        return { kind, metadata: { name: "d", labels }, spec: { selector: { matchLabels: labels }, template: pod } };
    }
  });

const settings = fc.constantFrom<Partial<InjectSettings>>(
  {},
  { nativeSidecar: false },
  { nativeSidecar: false, holdApplication: true },
  { interceptionMode: "NONE" },
);

function inject(source: string, change: Partial<InjectSettings>): InjectedManifest {
  return injectManifest({ name: "f", text: source, namespace: "n" }, { ...DEFAULT_SETTINGS, ...change });
}

test("injectManifest() makes the same of YAML, with anchors and in any style, as of JSON; a second time changes nothing", () => {
  fc.assert(
    fc.property(object, settings, fc.boolean(), fc.boolean(), (value, change, isFlow, isFlush) => {
      const yaml = stringify(value, { lineWidth: 0, indentSeq: !isFlush, collectionStyle: isFlow ? "flow" : "any" });
      const [ofYaml, ofJson] = [inject(yaml, change), inject(JSON.stringify(value), change)];
      assert.deepEqual(ofYaml.problems.map(withoutPlace), ofJson.problems.map(withoutPlace));
      assert.deepEqual(parse(ofYaml.text, { merge: true }), JSON.parse(ofJson.text));
      assert.equal(inject(ofYaml.text, change).text, ofYaml.text);
    }),
    { numRuns: 80 },
  );
});

function withoutPlace(problem: string): string {
  return problem.replace(/^f:\d+:\d+: /, "");
}

test("review() answers whatever comes, and what it allows is a review", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.json(),
        fc.string(),
        fc.jsonValue().map((each) => JSON.stringify(podReview({ object: each }))),
      ),
      (body) => {
        const { status, body: answer } = review(Buffer.from(body), DEFAULT_SETTINGS);
        assert.ok(status === 400 || (JSON.parse(answer) as { kind: string }).kind === "AdmissionReview");
      },
    ),
    { numRuns: 500 },
  );
});

test("injectManifest() reports what is no manifest, and never throws", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string({
          unit: fc.constantFrom(
            "a",
            ":",
            " ",
            "\n",
            "-",
            "&a",
            "*a",
            "{",
            "}",
            "[",
            "]",
            "<<",
            "kind: Pod\n",
            "spec:\n",
          ),
        }),
      ),
      (source) => {
        const { text: after, problems } = inject(source, {});
        assert.ok(problems.length === 0 || after === source);
      },
    ),
    { numRuns: 500 },
  );
});
