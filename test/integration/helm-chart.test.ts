// The Helm chart, rendered by Helm itself for a matrix of values: every object is one that Kubernetes would take, what names something names
// what is there, and the programs in the pods take their arguments. UPDATE_MANIFESTS=1 writes deploy/kubernetes anew.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { parse, parseAllDocuments } from "yaml";
import { parseControlPlaneFlags } from "../../sidecar/cli/control/control-plane-flags.ts";
import { parseSettings } from "../../sidecar/cli/pod/inject-flags.ts";
import { WEBHOOK } from "../../sidecar/cli/pod/webhook.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { VERSION } from "../../sidecar/version.ts";
import { folderWith } from "../support/launcher.ts";
import { HELM_MISSING, type Rendered, renderChart } from "../support/helm-renderer.ts";
import { launcherFlags } from "../support/launcher-flags.ts";
import { kubernetesProblems } from "../support/kubernetes-schema.ts";

const ROOT = join(import.meta.dirname, "../..");
const CHART = join(ROOT, "deploy/helm/outrigger");
const MANIFESTS = join(ROOT, "deploy/kubernetes/outrigger.yaml");
const NAMESPACE = "outrigger-system";
const DIGEST = `sha256:${"a".repeat(64)}`;
const PLACEMENT = {
  nodeSelector: { disk: "fast" },
  tolerations: [{ key: "infra", operator: "Exists", effect: "NoSchedule" }],
  affinity: {
    podAntiAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [
        { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: { a: "b" } } },
      ],
    },
  },
  priorityClassName: "system-cluster-critical",
  podAnnotations: { "example.org/team": "mesh", number: "1" },
};

/** Each with the kinds that it must (`+`) or must not (`-`) have. */
const MATRIX: readonly { readonly name: string; readonly values: object; readonly kinds?: readonly string[] }[] = [
  { name: "defaults", values: {}, kinds: ["+Deployment", "+NetworkPolicy", "+PodDisruptionBudget", "-ServiceMonitor"] },
  {
    name: "an image by digest, pull secrets and policy",
    values: {
      image: { repository: "registry.example:5000/mesh/outrigger", digest: DIGEST, pullPolicy: "IfNotPresent" },
      imagePullSecrets: ["one", "two"],
    },
  },
  { name: "an image by tag", values: { image: { tag: "1.2.3-rc.1" } } },
  {
    name: "settings of injection",
    values: {
      clusterDomain: "mesh.example",
      injection: {
        "native-sidecar": false,
        "hold-application": true,
        "exclude-outbound-ports": "5432,6379",
        "exclude-namespace": ["kube-system", "quiet"],
        "proxy-concurrency": 2,
        "cpu-limit": "1",
      },
    },
  },
  {
    name: "one replica each",
    values: { webhook: { replicas: 1 }, controlPlane: { replicas: 1 } },
    kinds: ["-PodDisruptionBudget"],
  },
  {
    name: "budgets in percent",
    values: { webhook: { podDisruptionBudget: { minAvailable: "50%" } } },
    kinds: ["+PodDisruptionBudget"],
  },
  {
    name: "resources of the mesh",
    values: { controlPlane: { resources: { "a.yaml": "resources: []\n", "b.json": '{"resources":[]}' } } },
  },
  { name: "resources of somebody else", values: { controlPlane: { existingConfigMap: "mine" } } },
  {
    name: "TLS with certificates of sidecars",
    values: {
      controlPlane: {
        tlsSecret: "xds-tls",
        requireClientCertificates: true,
        allowSpiffeIds: ["spiffe://example.org/ns/*/sa/*"],
      },
    },
  },
  {
    name: "another control plane",
    values: { controlPlane: { enabled: false, address: "istiod.istio-system.svc:15010" } },
    kinds: ["+MutatingWebhookConfiguration"],
  },
  {
    name: "no webhook",
    values: { webhook: { enabled: false } },
    kinds: ["-MutatingWebhookConfiguration", "-ClusterRole", "-Role"],
  },
  {
    name: "monitoring, and policies that know who scrapes",
    values: {
      serviceMonitor: { enabled: true, interval: "15s", labels: { release: "prometheus" } },
      networkPolicy: {
        metricsFrom: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "monitoring" } } }],
      },
    },
    kinds: ["+ServiceMonitor"],
  },
  { name: "no policies", values: { networkPolicy: { enabled: false } }, kinds: ["-NetworkPolicy"] },
  {
    name: "placement",
    values: { webhook: PLACEMENT, controlPlane: PLACEMENT, commonLabels: { team: "mesh", version: "1" } },
  },
  {
    name: "a webhook for everybody that never stands in the way",
    values: {
      webhook: {
        failurePolicy: "Ignore",
        reinvocationPolicy: "Never",
        timeoutSeconds: 5,
        namespaceSelector: { matchLabels: { "istio-injection": null } },
      },
    },
  },
];

const REFUSED: readonly { readonly values: object; readonly problem: RegExp }[] = [
  { values: { webhook: { replicas: 0 } }, problem: /webhook.replicas|webhook\/replicas/ },
  { values: { webhok: {} }, problem: /webhok/ },
  { values: { image: { digest: "sha256:1" } }, problem: /image.digest|image\/digest/ },
  { values: { injection: { image: "a" } }, problem: /invalid propertyName 'image'/ },
  { values: { webhook: { failurePolicy: "Maybe" } }, problem: /failurePolicy/ },
  { values: { controlPlane: { enabled: false } }, problem: /controlPlane.address has to say/ },
  { values: { controlPlane: { allowSpiffeIds: ["spiffe://a/b"] } }, problem: /need controlPlane.tlsSecret/ },
  {
    values: { controlPlane: { tlsSecret: "a", allowSpiffeIds: ["spiffe://a/b"] } },
    problem: /needs controlPlane.requireClientCertificates/,
  },
  { values: { controlPlane: { resources: { "a.txt": "" } } }, problem: /invalid propertyName 'a.txt'/ },
];

const ENVOY = findEnvoy();
test(
  "Envoy takes the resources that sidecars get without values",
  { skip: ENVOY === undefined ? ENVOY_MISSING : false },
  (t) => {
    const { resources } = parse(readFileSync(join(CHART, "files/passthrough.yaml"), "utf8")) as { resources: Fields[] };
    const ofType = (type: string): Fields[] =>
      resources.flatMap(({ "@type": url, ...resource }) => (String(url).endsWith(type) ? [resource] : []));
    const bootstrap = { static_resources: { listeners: ofType(".Listener"), clusters: ofType(".Cluster") } };
    const folder = folderWith(t, { "bootstrap.json": JSON.stringify(bootstrap) });
    const args = ["--mode", "validate", "-l", "error", "-c", join(folder, "bootstrap.json")];
    const done = spawnSync(ENVOY ?? "", args, { encoding: "utf8" });
    assert.equal(done.status, 0, done.stderr);
  },
);

type Fields = Readonly<Record<string, unknown>>;
type Objects = readonly Fields[];

test("the chart has the version of the program", () => {
  const chart = parse(readFileSync(join(CHART, "Chart.yaml"), "utf8")) as Fields;
  assert.equal(chart["appVersion"], VERSION);
});

suite("the Helm chart", { skip: HELM_MISSING ?? false }, () => {
  const releaseOf = (values: object) => ({ name: "mesh", namespace: NAMESPACE, values });
  let rendered: readonly Rendered[] = [];
  const all = (): readonly Rendered[] => {
    if (rendered.length === 0) {
      rendered = renderChart(
        CHART,
        [...MATRIX, ...REFUSED].map(({ values }) => releaseOf(values)),
      );
    }
    return rendered;
  };

  for (const [index, { name, kinds = [] }] of MATRIX.entries()) {
    test(`renders for ${name}`, async (t) => {
      const { objects = [], error } = all()[index] as Rendered;
      assert.equal(error, undefined);
      for (const kind of kinds) {
        assert.equal(
          objects.some((each) => each["kind"] === kind.slice(1)),
          kind.startsWith("+"),
          kind,
        );
      }
      for (const object of objects.filter(({ kind }) => kind !== "ServiceMonitor")) {
        assert.deepEqual(kubernetesProblems(object), [], titleOf(object));
      }
      checkSelectors(objects);
      checkPods(objects);
      await checkArguments(objects, (files) => folderWith(t, files));
    });
  }

  test("lets the label of namespaces be taken away", () => {
    const everybody = MATRIX.findIndex(({ name }) => name.startsWith("a webhook for everybody"));
    const configuration = named(
      all()[everybody]?.objects ?? [],
      "MutatingWebhookConfiguration",
      "outrigger-sidecar-injector",
    );
    assert.equal(at(list(at(configuration, "webhooks"))[0], "namespaceSelector.matchLabels"), undefined);
  });

  for (const [index, { values, problem }] of REFUSED.entries()) {
    test(`refuses ${JSON.stringify(values)}`, () => assert.match(all()[MATRIX.length + index]?.error ?? "", problem));
  }

  test("deploy/kubernetes has what it renders without values", () => {
    const manifests = all()[0]?.manifests ?? {};
    const text = [
      "# What the Helm chart makes without values, for `kubectl apply -f`. Made by test/integration/helm-chart.test.ts: do not edit.\n",
      `apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ${NAMESPACE}\n`,
      ...Object.keys(manifests)
        .filter((path) => path.endsWith(".yaml"))
        .toSorted()
        .map(
          (path) => `# ${path.slice(path.lastIndexOf("/") + 1)}\n${manifests[path]?.trim().replace(/^---\n/, "")}\n`,
        ),
    ]
      .join("---\n")
      .replace("---\n", "")
      .replaceAll("app.kubernetes.io/instance: mesh", "app.kubernetes.io/instance: outrigger")
      .replaceAll("app.kubernetes.io/managed-by: Helm", "app.kubernetes.io/managed-by: kubectl");
    if (process.env["UPDATE_MANIFESTS"] === "1") {
      mkdirSync(join(MANIFESTS, ".."), { recursive: true });
      writeFileSync(MANIFESTS, text);
    }
    assert.equal(readFileSync(MANIFESTS, "utf8"), text);
    for (const document of parseAllDocuments(text)) {
      assert.deepEqual(kubernetesProblems(document.toJS()), []);
    }
  });
});

function fields(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

function list(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? (value as Fields[]) : [];
}

function at(object: unknown, path: string): unknown {
  return path.split(".").reduce<unknown>((value, name) => fields(value)[name], object);
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function titleOf(object: Fields): string {
  return `${textOf(object["kind"])} ${textOf(at(object, "metadata.name"))}`;
}

function named(objects: Objects, kind: string, name: unknown): Fields | undefined {
  return objects.find((each) => each["kind"] === kind && at(each, "metadata.name") === name);
}

/** What chooses pods by labels chooses those of exactly one Deployment, and names ports that these have. */
function checkSelectors(objects: Objects): void {
  const chosenBy: Readonly<Record<string, string>> = {
    Deployment: "spec.selector.matchLabels",
    Service: "spec.selector",
    PodDisruptionBudget: "spec.selector.matchLabels",
    NetworkPolicy: "spec.podSelector.matchLabels",
  };
  const deployments = objects.filter(({ kind }) => kind === "Deployment");
  for (const object of objects) {
    const path = chosenBy[textOf(object["kind"])];
    if (path === undefined) {
      continue;
    }
    const wanted = Object.entries(fields(at(object, path)));
    const chosen = deployments.filter((each) => {
      const labels = fields(at(each, "spec.template.metadata.labels"));
      return wanted.every(([name, value]) => labels[name] === value);
    });
    assert.deepEqual(
      chosen.map((each) => at(each, "metadata.name")),
      [at(object, "metadata.name")],
      titleOf(object),
    );
    const ports = new Set(containersOf(chosen[0]).flatMap((each) => list(each["ports"]).map(({ name }) => name)));
    const targets = [
      ...list(at(object, "spec.ports")).map(({ targetPort }) => targetPort),
      ...list(at(object, "spec.ingress")).flatMap(({ ports: named }) => list(named).map(({ port }) => port)),
    ];
    for (const target of targets.filter((each) => each !== undefined)) {
      assert.ok(ports.has(target), `${titleOf(object)}: port ${textOf(target)}`);
    }
  }
  for (const monitor of objects.filter(({ kind }) => kind === "ServiceMonitor")) {
    const service = named(objects, "Service", at(monitor, "metadata.name"));
    const ports = list(at(service, "spec.ports")).map(({ name }) => name);
    assert.ok(
      list(at(monitor, "spec.endpoints")).every(({ port }) => ports.includes(port)),
      titleOf(monitor),
    );
  }
}

function containersOf(deployment: unknown): readonly Fields[] {
  return list(at(deployment, "spec.template.spec.containers"));
}

/** Pods have what they mount and who they are; and may nothing that they need not. */
function checkPods(objects: Objects): void {
  for (const deployment of objects.filter(({ kind }) => kind === "Deployment")) {
    const spec = fields(at(deployment, "spec.template.spec"));
    assert.ok(named(objects, "ServiceAccount", spec["serviceAccountName"]) !== undefined, titleOf(deployment));
    for (const { configMap } of list(spec["volumes"])) {
      const name = at(configMap, "name");
      assert.ok(name === undefined || name === "mine" || named(objects, "ConfigMap", name) !== undefined, String(name));
    }
    assert.equal(at(spec, "securityContext.runAsUser"), 1337);
    for (const container of containersOf(deployment)) {
      assert.equal(at(container, "securityContext.readOnlyRootFilesystem"), true);
      assert.deepEqual(at(container, "securityContext.capabilities.drop"), ["ALL"]);
      const probes = ["startupProbe", "readinessProbe", "livenessProbe"].map((name) =>
        at(container, `${name}.httpGet.port`),
      );
      const ports = list(container["ports"]).map(({ name }) => name);
      assert.ok(probes.every((port) => ports.includes(port as string)));
    }
  }
}

/** The programs take what they are started with, and the names in it are those of objects. */
async function checkArguments(
  objects: Objects,
  folderOf: (files: Readonly<Record<string, string>>) => string,
): Promise<void> {
  const argumentsOf = (name: string): string[] =>
    containersOf(named(objects, "Deployment", name)).flatMap(({ args }) => args as string[]);
  const [verb, ...flags] = argumentsOf("outrigger-control-plane");
  if (verb !== undefined) {
    assert.equal(verb, "control-plane");
    const commands = containersOf(named(objects, "Deployment", "outrigger-control-plane")).map(
      ({ command }) => command,
    );
    assert.deepEqual(
      (commands as string[][]).flatMap((words) => words.slice(1, -1)),
      launcherFlags("control-plane"),
    );
    const settings = parseControlPlaneFlags(flags);
    assert.ok(typeof settings !== "string", settings as string);
  }
  const webhook = argumentsOf("outrigger-webhook");
  if (webhook.length === 0) {
    return;
  }
  const help = await WEBHOOK.help([]);
  const given = new Map(webhook.slice(1).map((argument) => argument.slice(2).split("=") as [string, string]));
  for (const name of given.keys()) {
    assert.match(help, new RegExp(`^ +(-\\w, )?--${name} `, "m"));
  }
  assert.ok(named(objects, "Service", given.get("service")) !== undefined);
  const configuration = named(objects, "MutatingWebhookConfiguration", given.get("webhook-config"));
  for (const entry of list(at(configuration, "webhooks"))) {
    assert.equal(at(entry, "clientConfig.service.name"), given.get("service"));
    // What the cluster cannot start without must not wait for the webhook.
    const [{ operator, values } = {}] = list(at(entry, "namespaceSelector.matchExpressions"));
    assert.deepEqual([operator, values], ["NotIn", ["kube-system", "kube-public", "kube-node-lease", NAMESPACE]]);
    assert.equal(at(entry, "clientConfig.service.namespace"), given.get("service-namespace"));
  }
  const granted = (kind: string): unknown[] =>
    list(named(objects, kind, "outrigger-webhook")?.["rules"]).flatMap(({ resourceNames }) => resourceNames ?? []);
  assert.deepEqual(granted("Role"), [given.get("secret")]);
  assert.deepEqual(granted("ClusterRole"), [given.get("webhook-config")]);
  const file = fields(at(named(objects, "ConfigMap", "outrigger-injection"), "data"))["settings.yaml"] as string;
  const settings = parseSettings([], ["--settings", join(folderOf({ "settings.yaml": file }), "settings.yaml")]);
  assert.ok(settings.ok, file);
  assert.equal(settings.settings.image, containersOf(named(objects, "Deployment", "outrigger-webhook"))[0]?.["image"]);
  assert.equal(settings.settings.controlPlane, (parse(file) as Fields)["control-plane"]);
}
