// Pods that have a sidecar already: with other settings they come out as if they had never had it, with the same ones nothing changes.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { parse } from "yaml";
import { explain } from "../../../sidecar/inject/explain.ts";
import { injectPod } from "../../../sidecar/inject/inject-pod.ts";
import { type JsonObject, wireForm } from "../../../sidecar/inject/json-patch.ts";
import { injectManifest } from "../../../sidecar/inject/manifest.ts";
import { DEFAULT_SETTINGS, type InjectSettings } from "../../../sidecar/inject/settings.ts";
import { kubernetesProblems } from "../../support/kubernetes-schema.ts";
import { applyPatch } from "../webhook/review.ts";
import { ANNOTATIONS } from "./pod-choices.ts";
import { workload } from "./pod-shape.ts";
import { CONTAINERS, KINDS, PROBES } from "./pod-shapes.ts";

function inject(text: string, change: Partial<InjectSettings>): ReturnType<typeof injectManifest> {
  return injectManifest({ name: "f", text, namespace: "default" }, { ...DEFAULT_SETTINGS, ...change });
}

const SETTINGS: Readonly<Record<string, Partial<InjectSettings>>> = {
  "another image": { image: "outrigger:2", imagePullSecrets: ["registry", "other"] },
  "the other kind of sidecar": { nativeSidecar: false, holdApplication: true },
  "no capture, no metrics, no token": { interceptionMode: "NONE", mergeMetrics: false, tokenAudience: "" },
};

suite("injection of what was injected with other settings", () => {
  for (const [name, change] of Object.entries(SETTINGS)) {
    test(`${name}: comes to the same as the first injection with them`, () => {
      for (const { name: shape, yaml, settings } of [...KINDS, ...CONTAINERS, ...PROBES, ...ANNOTATIONS]) {
        const first = inject(JSON.stringify(parse(yaml)), { ...settings });
        const direct = inject(JSON.stringify(parse(yaml)), { ...settings, ...change });
        const again = inject(first.text, { ...settings, ...change });
        assert.deepEqual(again.problems, direct.problems, shape);
        if (direct.problems.length > 0) {
          assert.equal(again.text, first.text);
          continue;
        }
        assert.deepEqual(withoutDefaults(again.text), withoutDefaults(direct.text), shape);
        assert.equal(inject(again.text, { ...settings, ...change }).text, again.text, shape);
      }
    });
  }

  test("says why, and leaves comments of everything else", () => {
    const yaml = workload("Deployment")
      .replace("kind:", "# of the shop\nkind:")
      .replace("- {name", "# the app\n      - {name");
    const first = inject(yaml, {});
    const again = inject(first.text, { image: "outrigger:2" });
    assert.match(
      explain(again.outcomes[0] ?? assert.fail()),
      /injected, because the policy is enabled; the sidecar that it had was of other settings/,
    );
    const changed = again.text.split("\n").filter((line) => !first.text.split("\n").includes(line));
    assert.deepEqual(
      changed
        .map((line) => line.trim().replace(/"hash\\?":\\?"\w+/, ""))
        .filter((line) => !line.includes("sidecar.istio.io/status")),
      ["image: outrigger:2", "image: outrigger:2"],
    );
    assert.deepEqual(kubernetesProblems(parse(again.text)), []);
    assert.match(again.text, /# of the shop/);
    assert.match(again.text, /# the app/);
  });

  test("a pod that says no by now keeps what it has", () => {
    const first = inject(workload("Deployment"), {});
    const again = inject(
      first.text.replace("labels: {app: web", 'labels: {sidecar.istio.io/inject: "false", app: web'),
      {
        image: "outrigger:2",
      },
    );
    assert.match(
      explain(again.outcomes[0] ?? assert.fail()),
      /left alone: label .* is "false"; the sidecar that it has already stays/,
    );
  });

  test("what another webhook added since is served by the new sidecar", () => {
    const first = injectPod(POD, DEFAULT_SETTINGS, { namespace: "n" });
    assert.ok(first.kind === "patched");
    const pod = applied(POD, first.operations) as {
      spec: { containers: object[]; initContainers: { name: string }[] };
    };
    pod.spec.containers.push({ name: "agent", image: "agent:1", readinessProbe: { tcpSocket: { port: 9 } } });
    const again = injectPod(pod as unknown as JsonObject, DEFAULT_SETTINGS, { namespace: "n" });
    assert.ok(again.kind === "patched");
    const text = JSON.stringify(applied(pod, again.operations));
    assert.match(text, /APP_CONTAINERS\\":\\"app,agent/);
    assert.match(text, /app-health\/app\/readyz/);
    assert.match(text, /"httpGet":{"path":"\/app-health\/agent\/readyz","port":15020}/);
  });

  test("what another webhook added to the sidecar itself stays in the new one, and nothing of the old one", () => {
    const first = injectPod(POD, { ...DEFAULT_SETTINGS, tokenAudience: "old" }, { namespace: "n" });
    assert.ok(first.kind === "patched");
    interface Container {
      readonly name: string;
      readonly env: object[];
      readonly volumeMounts?: object[];
      readonly envFrom?: object[];
    }
    const pod = applied(POD, first.operations) as { spec: { initContainers: Container[] } };
    const role = { name: "AWS_ROLE_ARN", value: "arn:1" };
    const mount = { name: "aws-iam-token", mountPath: "/var/run/secrets/eks", readOnly: true };
    const from = { configMapRef: { name: "proxy-vars" } };
    pod.spec.initContainers = pod.spec.initContainers.map((container) => ({
      ...container,
      env: [...container.env, role],
      envFrom: [from],
      volumeMounts: [...(container.volumeMounts ?? []), mount],
    }));
    const settings = { ...DEFAULT_SETTINGS, tokenAudience: "", image: "outrigger:2" };
    const direct = injectPod(POD, settings, { namespace: "n" });
    const again = injectPod(pod as unknown as JsonObject, settings, { namespace: "n" });
    assert.ok(direct.kind === "patched" && again.kind === "patched");
    const wanted = applied(POD, direct.operations) as typeof pod;
    const result = applied(pod, again.operations) as typeof pod;
    for (const [index, container] of wanted.spec.initContainers.entries()) {
      assert.deepEqual(result.spec.initContainers[index], {
        ...container,
        env: [...container.env, role],
        envFrom: [from],
        volumeMounts: [...(container.volumeMounts ?? []), mount],
      });
    }
    const third = injectPod(result as unknown as JsonObject, settings, { namespace: "n" });
    assert.ok(third.kind === "skipped" && third.code === "already-injected");
  });

  test("a status that is another mesh's, or nonsense, is nobody's to take away", () => {
    for (const status of [
      '{"containers":["istio-proxy"]}',
      "injected",
      "{}",
      "null",
      '{"containers":"outrigger-proxy"}',
    ]) {
      const pod = { metadata: { annotations: { "sidecar.istio.io/status": status } }, spec: POD["spec"] };
      const injection = injectPod(pod as unknown as JsonObject, DEFAULT_SETTINGS, { namespace: "n" });
      assert.ok(injection.kind === "skipped" && injection.code === "already-injected", status);
      assert.match(injection.reason, /not outrigger's/);
    }
  });

  test("a sidecar whose parts somebody has broken is replaced", () => {
    const first = injectPod(POD, DEFAULT_SETTINGS, { namespace: "n" });
    assert.ok(first.kind === "patched");
    for (const broken of [
      { args: "run", env: "none" },
      { args: null, env: [null, 7, { name: "ISTIO_KUBE_APP_PROBERS", value: "{" }] },
      { env: [{ name: "ISTIO_KUBE_APP_PROBERS", value: '{"/app-health/app/readyz":{"httpGet":7}}' }] },
    ]) {
      const pod = applied(POD, first.operations) as { spec: { initContainers: { name: string }[] } };
      pod.spec.initContainers = pod.spec.initContainers.map((each) =>
        each.name === "outrigger-proxy" ? { ...each, ...broken } : each,
      );
      const again = injectPod(pod as unknown as JsonObject, { ...DEFAULT_SETTINGS, image: "i:2" }, { namespace: "n" });
      assert.ok(again.kind === "patched");
      const { spec } = applied(pod, again.operations) as {
        spec: { initContainers: { name: string; args: string[] }[] };
      };
      assert.deepEqual(
        spec.initContainers.map(({ name }) => name),
        ["outrigger-init", "outrigger-proxy"],
      );
      assert.equal(spec.initContainers[1]?.args[0], "run");
    }
  });
});

const POD = {
  metadata: { labels: { app: "web" } },
  spec: { containers: [{ name: "app", image: "app:1", readinessProbe: { httpGet: { path: "/r", port: 80 } } }] },
} as unknown as JsonObject;

function applied(pod: unknown, operations: Parameters<typeof wireForm>[0]): unknown {
  return applyPatch(pod, Buffer.from(JSON.stringify(wireForm(operations))).toString("base64"));
}

/** Metrics annotations that had defaults are written out on the way back. */
function withoutDefaults(json: string): unknown {
  return JSON.parse(json, (key, each: unknown) =>
    (key === "prometheus.io/path" && each === "/metrics") || (key === "prometheus.io/port" && each === "80")
      ? undefined
      : each,
  );
}
