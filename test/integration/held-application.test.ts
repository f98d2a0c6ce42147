// Pods as they are injected, run as a kubelet runs them, in a process and a network namespace of their own: an application that must wait for its
// sidecar begins only when the sidecar is ready, whose control plane comes late; and a Job whose application is over is over.

import assert from "node:assert/strict";
import { join } from "node:path";
import { suite, test } from "node:test";
import { parse } from "yaml";
import { injectManifest } from "../../sidecar/inject/manifest.ts";
import { DEFAULT_SETTINGS } from "../../sidecar/inject/settings.ts";
import { Kubelet, type KubeletPod } from "../support/kubelet.ts";
import { folderWith, type Owner } from "../support/launcher.ts";
import { PodSandbox, podsMissing } from "../support/pod-sandbox.ts";

const READY = "http://127.0.0.1:15021/healthz/ready";
/** Says what it finds when it begins, and works until its input ends. */
const APP = `curl -s -o /dev/null -w "ready %{http_code}\\n" ${READY}; cat; echo done`;
const RESOURCES = `resources:
- "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: PassthroughCluster
  type: ORIGINAL_DST
  lb_policy: CLUSTER_PROVIDED
`;

function job(annotations: string): KubeletPod {
  const yaml = `apiVersion: v1
kind: Pod
metadata:
  name: job-1
  namespace: shop
  annotations: {${annotations}}
spec:
  restartPolicy: Never
  shareProcessNamespace: true
  containers:
  - {name: app, image: job, command: [sh, -c], args: ['${APP}']}
`;
  const settings = { ...DEFAULT_SETTINGS, controlPlane: "127.0.0.1:18000", concurrency: 1 };
  const { text, problems } = injectManifest({ name: "job.yaml", text: yaml, namespace: "shop" }, settings);
  assert.deepEqual(problems, []);
  return parse(text) as KubeletPod;
}

/** The control plane that was not there. */
function startControlPlane(t: Owner, sandbox: PodSandbox): void {
  const folder = folderWith(t, { "resources.yaml": RESOURCES });
  const args = ["control-plane", "-f", folder, "--address", "127.0.0.1", "--port", "18000"];
  sandbox.onNode([join(import.meta.dirname, "../../outrigger"), ...args]);
}

/** Until the sidecar listens and says that it is not ready. */
async function untilNotReady(sandbox: PodSandbox): Promise<void> {
  const script = `until curl -s ${READY} >/dev/null; do sleep 0.1; done; curl -s -w "%{http_code}" ${READY}`;
  const asking = sandbox.onNode(["timeout", "20", "sh", "-c", script]);
  assert.deepEqual(await asking.ended, { code: 0, signal: null });
  assert.match(asking.stdout.all.join("\n"), /503$/);
}

suite("an application that its sidecar holds", { skip: podsMissing(), timeout: 90_000, concurrency: true }, () => {
  const classic =
    'sidecar.istio.io/nativeSidecar: "false", proxy.istio.io/config: "{holdApplicationUntilProxyStarts: true, terminationDrainDuration: 1s}"';

  test("classic: begins after postStart; the sidecar of a Job ends by itself when the application's processes are gone", async (t) => {
    const sandbox = await PodSandbox.create(t);
    const kubelet = new Kubelet(sandbox, job(classic));
    const started = kubelet.start();
    await Promise.race([untilNotReady(sandbox), started]);
    assert.ok(!kubelet.events.all.includes("started app"));
    startControlPlane(t, sandbox);
    await started;
    const app = kubelet.process("app");
    assert.equal(await app.stdout.first("its first words", () => true), "ready 200");
    assert.deepEqual(kubelet.events.all, [
      "started outrigger-init",
      "ended outrigger-init 0",
      "started outrigger-proxy",
      "postStart outrigger-proxy 0",
      "started app",
    ]);
    // Seen by the watch as another container's.
    const sidecar = kubelet.process("outrigger-proxy");
    await sidecar.stderr.first("the application seen", (line) => line.includes("other containers are there"));
    app.stdin.end();
    assert.deepEqual(await app.ended, { code: 0, signal: null });
    assert.deepEqual(await sidecar.untilEnded(), { code: 0, signal: null }, sidecar.stderr.all.join("\n"));
    assert.ok(sidecar.stderr.all.some((line) => line.includes("the processes of the other containers are gone")));
  });

  test("native: begins after the startup probe; the kubelet ends the sidecar of a Job", async (t) => {
    const sandbox = await PodSandbox.create(t);
    const kubelet = new Kubelet(sandbox, job(""));
    const started = kubelet.start();
    await kubelet.events.first("a probe that failed", (event) => event === "probe outrigger-proxy 503");
    assert.ok(!kubelet.events.all.includes("started app"));
    startControlPlane(t, sandbox);
    await started;
    const app = kubelet.process("app");
    assert.equal(await app.stdout.first("its first words", () => true), "ready 200");
    app.stdin.end();
    assert.deepEqual(await app.ended, { code: 0, signal: null });
    assert.ok(!kubelet.process("outrigger-proxy").hasEnded, "a native sidecar waits for its signal");
    assert.deepEqual(await kubelet.stop("outrigger-proxy"), { code: 0, signal: null });
    assert.ok(kubelet.events.all.includes("preStop outrigger-proxy 0"));
  });
});
