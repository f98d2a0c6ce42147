// `outrigger webhook` as a process: in a cluster (its API played by support/fake-kubernetes-api.ts) two replicas agree on one certificate, the
// API server learns to trust it, and pods are injected; outside one the certificates are in a folder.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { request } from "node:https";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { suite, test } from "node:test";
import { WEBHOOK } from "../../sidecar/cli/pod/webhook.ts";
import { printed } from "../support/cli-printer.ts";
import { FakeKubernetesApi } from "../support/fake-kubernetes-api.ts";
import { folderWith, Launched, type Owner } from "../support/launcher.ts";
import { podReview, responseOf } from "../sidecar/webhook/review.ts";

const CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/injector";
const SECRET = "/api/v1/namespaces/mesh/secrets/certs";
const FLAGS = [
  "--port",
  "0",
  "--metrics-port",
  "0",
  "--address",
  "127.0.0.1",
  "--drain-time-s",
  "0",
  "--image",
  "outrigger:test",
];

interface Replica {
  readonly process: Launched;
  readonly port: number;
  readonly metricsPort: number;
}

async function start(t: Owner, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Replica> {
  const { NODE_TEST_CONTEXT: _, ...inherited } = process.env;
  const child = spawn(join(import.meta.dirname, "../../outrigger"), ["webhook", ...FLAGS, ...args], {
    env: { ...inherited, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const launched = new Launched(child);
  t.after(() => launched.end("SIGKILL"));
  const line = await launched.stderr.first("serving", (text) => text.includes('"serving"'));
  const { port, metrics_port: metricsPort } = JSON.parse(line) as { port: number; metrics_port: number };
  return { process: launched, port, metricsPort };
}

/** What the API server does: trusts the bundle, calls the Service by name, posts a review. */
function callAsApiServer(port: number, ca: string, servername: string, body: unknown): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const headers = { "content-type": "application/json", accept: "application/json, */*" };
  const call = request({
    host: "127.0.0.1",
    port,
    servername,
    ca,
    path: "/inject?timeout=10s",
    method: "POST",
    headers,
    agent: false,
  });
  call.on("error", reject);
  call.on("response", (response) => {
    const chunks: Buffer[] = [];
    response.on("data", (chunk: Buffer) => chunks.push(chunk));
    response.on("end", () => resolve(Buffer.concat(chunks).toString()));
  });
  call.end(JSON.stringify(body));
  return promise;
}

suite("outrigger webhook", () => {
  test("in a cluster: one certificate for all replicas, trusted by the API server", async (t) => {
    const api = await FakeKubernetesApi.start();
    t.after(() => api.close());
    api.put(CONFIGURATION, {
      webhooks: [
        { name: "a", clientConfig: { service: { name: "hook" } } },
        { name: "b", clientConfig: {} },
      ],
    });
    // Of before native sidecars.
    api.objects.set("/version", { major: "1", minor: "28+" });
    const args = ["--service", "hook", "--secret", "certs", "--webhook-config", "injector"];
    const replicas = await Promise.all([start(t, args, api.environment), start(t, args, api.environment)]);
    const { webhooks } = api.objects.get(CONFIGURATION) as unknown as {
      webhooks: { clientConfig: { caBundle: string } }[];
    };
    const bundles = webhooks.map(({ clientConfig }) => clientConfig.caBundle);
    const { data } = api.objects.get(SECRET) as unknown as { data: Record<string, string> };
    assert.deepEqual(bundles, [data["ca.crt"], data["ca.crt"]]);
    assert.deepEqual(Object.keys(data).toSorted(), ["ca.crt", "ca.key", "tls.crt", "tls.key"]);
    const ca = Buffer.from(bundles[0] ?? "", "base64").toString();
    for (const { port, metricsPort } of replicas) {
      const response = responseOf(await callAsApiServer(port, ca, "hook.mesh.svc", podReview()));
      assert.equal(response.allowed, true);
      const patch = Buffer.from(response.patch ?? "", "base64").toString();
      assert.match(patch, /outrigger:test/);
      assert.match(patch, /"path":"\/spec\/containers\/1"/);
      assert.doesNotMatch(patch, /"restartPolicy"/);
      assert.equal((await fetch(`http://127.0.0.1:${metricsPort}/ready`)).status, 200);
    }
    const made = api.requests.all.filter((line) => /^(?:POST|PATCH).* 20[01]$/.test(line) && line.includes("secrets"));
    assert.equal(made.length, 1, made.join("\n"));
    for (const { process: replica } of replicas) {
      assert.deepEqual(await replica.end(), { code: 0, signal: null });
    }
  });

  test("outside a cluster: certificates in a folder, the same after a restart", async (t) => {
    const folder = folderWith(t, {
      "settings.yaml": "image: from-file:1\nexclude-namespace: [shop]\ncluster-id: c9\n",
    });
    const args = ["--cert-dir", join(folder, "certs"), "--settings", join(folder, "settings.yaml")];
    const first = await start(t, args);
    assert.deepEqual(readdirSync(join(folder, "certs")).toSorted(), ["ca.crt", "ca.key", "tls.crt", "tls.key"]);
    assert.deepEqual(await first.process.end(), { code: 0, signal: null });
    const second = await start(t, args);
    assert.ok(second.process.stderr.all.every((line) => !line.includes("new certificate")));
    const ca = readFileSync(join(folder, "certs/ca.crt"), "utf8");
    const answer = responseOf(await callAsApiServer(second.port, ca, "localhost", podReview()));
    assert.equal(answer.auditAnnotations?.["outcome"], "excluded-namespace");
  });

  test("a change of the settings file is in use at once; what cannot be used leaves the last good ones, and is told", async (t) => {
    // As the kubelet writes a ConfigMap: settings.yaml → ..data/settings.yaml, and ..data, a link, is swapped.
    const folder = folderWith(t, {});
    const write = (version: string, text: string): void => {
      mkdirSync(join(folder, version));
      writeFileSync(join(folder, version, "settings.yaml"), text);
      symlinkSync(version, join(folder, "..data_tmp"));
      renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
    };
    write("..1", "image: one:1\ncluster-id: c9\n");
    symlinkSync("..data/settings.yaml", join(folder, "settings.yaml"));
    const certificates = folderWith(t, {});
    const args = ["--cert-dir", certificates, "--settings", join(folder, "settings.yaml")];
    // A flag wins over the file.
    const { process: replica, port, metricsPort } = await start(t, [...args, "--cluster-id", "flag"]);
    const ca = readFileSync(join(certificates, "ca.crt"), "utf8");
    const patch = async (): Promise<string> => {
      const { patch: encoded } = responseOf(await callAsApiServer(port, ca, "localhost", podReview()));
      return Buffer.from(encoded ?? "", "base64").toString();
    };
    // The flag of the others, --image, would win too.
    assert.match(await patch(), /outrigger:test/);
    write("..2", "proxy-log-level: debug\ncluster-id: c10\n");
    const taken = await replica.stderr.first("new settings", (line) => line.includes("read again"));
    assert.deepEqual((JSON.parse(taken) as { changed: unknown }).changed, ["logLevel"]);
    assert.match(await patch(), /"--log-level","debug"/);
    assert.match(await patch(), /CLUSTER_ID\\":\\"flag/);
    write("..3", "proxy-log-levle: info\n");
    const refused = await replica.stderr.first("refusal", (line) => line.includes("cannot be used"));
    assert.match(refused, /settings\.yaml: unknown setting \\"proxy-log-levle\\"/);
    assert.match(await patch(), /"--log-level","debug"/);
    const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
    assert.match(metrics, /^outrigger_webhook_settings_changes_total\{result="refused"\} 1$/m);
    assert.match(metrics, /^outrigger_webhook_settings_stale 1$/m);
    write("..4", "proxy-log-level: debug\n");
    await replica.stderr.first("the old ones again", (line) => line.includes("read again") && line.includes("[]"));
    const after = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
    assert.match(after, /^outrigger_webhook_settings_stale 0$/m);
  });

  test("a port that is taken, or none, is said with its flag", async (t) => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    t.after(() => taken.close());
    const { port } = taken.address() as AddressInfo;
    const folder = folderWith(t, {});
    const { io, err } = printed();
    const args = ["--cert-dir", folder, "--address", "127.0.0.1"];
    assert.equal(await WEBHOOK.run([...args, "--metrics-port", String(port)], io), 1);
    assert.match(err(), new RegExp(`cannot listen at --metrics-port ${port}: the port is taken`));
    assert.equal(await WEBHOOK.run([...args, "--port", "70000"], io), 2);
    assert.match(err(), /flag --port got "70000": must be a port from 0 to 65535/);
  });

  test("without a place for certificates it says so; a bad settings file is named", async (t) => {
    const folder = folderWith(t, { "bad.yaml": "imagee: x\n" });
    const { io, err } = printed();
    assert.equal(await WEBHOOK.run([], io), 2);
    assert.match(err(), /--cert-dir DIR/);
    for (const unusable of [join(folder, "bad.yaml"), join(folder, "bad.yaml/certs"), "/proc/outrigger/certs"]) {
      assert.equal(await WEBHOOK.run(["--cert-dir", unusable, "--port", "0", "--metrics-port", "0"], io), 1);
      assert.match(err(), new RegExp(`cannot keep certificates in --cert-dir ${unusable}: E(NOTDIR|NOENT)`));
    }
    assert.equal(await WEBHOOK.run(["--cert-dir", folder, "--settings", join(folder, "bad.yaml")], io), 1);
    assert.match(err(), /bad\.yaml: unknown setting "imagee"/);
  });
});
