// Files through injection: what is not injected stays byte for byte, comments and order stay, and what YAML says in two places is changed in one.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { parse, parseAllDocuments } from "yaml";
import { loadBootstrap } from "../../../xds/decode/bootstrap-file.ts";
import { injectManifest, type InjectedManifest } from "../../../sidecar/inject/manifest.ts";
import { DEFAULT_SETTINGS } from "../../../sidecar/inject/settings.ts";

function inject(text: string, settings = {}): InjectedManifest {
  return injectManifest({ name: "x.yaml", text, namespace: "default" }, { ...DEFAULT_SETTINGS, ...settings });
}

function documents(text: string): Record<string, unknown>[] {
  return parseAllDocuments(text, { merge: true }).map((document) => document.toJS() as Record<string, unknown>);
}

const POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - {name: a, image: b}\n";

suite("injectManifest()", () => {
  test("documents that do not change stay byte for byte, with what stands between", () => {
    const service = "# first\nkind:   Service # why\napiVersion: v1\nspec: {ports: [  ]}\n";
    const config = '---\n# third\n\nkind: ConfigMap\ndata:\n    a: "x"   # odd\n...\n';
    const { text } = inject(`${service}---\n${POD}${config}`);
    assert.ok(text.startsWith(`${service}---\n`), text);
    assert.ok(text.endsWith(config), text);
    assert.match(text, /name: outrigger-proxy/);
  });

  test("comments, order, quotes and the indentation of lists stay in what changes", () => {
    const { text } = inject(`# head
apiVersion: apps/v1
kind: Deployment
metadata:
    name: "web" # the name
spec:
    template:
        spec:
            # all of them
            containers:
            # the main one
            - image: 'a'
              name: app # here
            dnsPolicy: Default # last
`);
    for (const line of [
      "# head",
      'name: "web" # the name',
      "# the main one",
      "image: 'a'",
      "name: app # here",
      "dnsPolicy: Default # last",
    ]) {
      assert.ok(text.includes(line), `${line} in ${text}`);
    }
    assert.ok(text.indexOf("image: 'a'") < text.indexOf("name: app"));
    assert.match(text, /containers:\n +# the main one\n +- image: 'a'\n/);
    assert.match(text, /\n( +)containers:\n(?:.*\n)*\1- image/);
  });

  test("a comment above the first container stays above it when the sidecar comes first", () => {
    const { text } = inject(POD.replace("  - {", "  # mine\n  - {"), { nativeSidecar: false, holdApplication: true });
    assert.match(text, /# mine\n +- *\{?\s*name: a\b/);
  });

  test("what an anchor and its aliases share is changed only where it is meant", () => {
    const { text } = inject(`kind: Deployment
apiVersion: apps/v1
metadata: {name: web}
spec:
  template:
    metadata:
      labels: &labels {app: web}
    spec:
      containers:
      - name: a
        image: &image b
        ports: [{name: http, containerPort: 81}]
        readinessProbe: &probe {httpGet: {path: /r, port: http}}
        livenessProbe: *probe
      - name: c
        image: *image
  selector: {matchLabels: *labels}
`);
    const [deployment] = documents(text) as {
      spec: {
        selector: unknown;
        template: {
          metadata: object;
          spec: { containers: { readinessProbe: unknown; livenessProbe: unknown; image: string }[] };
        };
      };
    }[];
    assert.deepEqual(deployment?.spec.selector, { matchLabels: { app: "web" } });
    const [a, c] = deployment?.spec.template.spec.containers ?? [];
    assert.deepEqual(a?.readinessProbe, { httpGet: { path: "/app-health/a/readyz", port: 15020 } });
    assert.deepEqual(a?.livenessProbe, { httpGet: { path: "/app-health/a/livez", port: 15020 } });
    assert.equal(c?.image, "b");
    assert.ok(text.includes('\\"containerPort\\":81') || text.includes('"port":81'));
  });

  test("what comes by a merge key is written out where it changes", () => {
    const { text } = inject(`kind: List
apiVersion: v1
items:
- kind: ConfigMap
  apiVersion: v1
  data: &base {readinessProbe: {tcpSocket: {port: 5}}, image: i}
- kind: Pod
  apiVersion: v1
  metadata: {name: p}
  spec: {containers: [{<<: *base, name: a}]}
`);
    const [list] = documents(text) as { items: [{ data: unknown }, { spec: { containers: unknown[] } }] }[];
    assert.deepEqual(list?.items[0].data, { readinessProbe: { tcpSocket: { port: 5 } }, image: "i" });
    assert.deepEqual(list?.items[1].spec.containers[0], {
      readinessProbe: { httpGet: { path: "/app-health/a/readyz", port: 15020 } },
      image: "i",
      name: "a",
    });
  });

  test("JSON stays JSON, indented as before", () => {
    const json = JSON.stringify({ apiVersion: "v1", kind: "List", items: [parse(POD)] }, null, 4);
    const { text } = inject(json);
    assert.match(text, /^\{\n {4}"apiVersion"/);
    assert.match(JSON.stringify(JSON.parse(text)), /outrigger-proxy/);
    assert.equal(inject(text).text, text);
  });

  test("items of a DeploymentList need no kind", () => {
    const { outcomes } = inject(
      "kind: DeploymentList\nitems: [{spec: {template: {spec: {containers: [{name: a, image: b}]}}}}]",
    );
    assert.equal(outcomes[0]?.injection?.kind, "patched");
  });

  test("empty documents and comments alone are left alone", () => {
    const text = `# nothing\n---\n---\n# more\n---\n${POD}`;
    assert.ok(inject(text).text.startsWith("# nothing\n---\n---\n# more\n---\n"));
    assert.equal(inject("").text, "");
    assert.equal(inject("# only\n").text, "# only\n");
  });

  test("problems name file, line and column, all of them, and the text stays", () => {
    const text = `kind: Pod\nmetadata: {annotations: {sidecar.istio.io/proxyCPU: x}}\nspec: {containers: [{name: a}]}\n---\na: [\n---\nb: {c: 1, c: 2}\n`;
    const { problems, text: after } = inject(text);
    assert.equal(after, text);
    assert.match(problems.join("\n"), /^x\.yaml:1:1: Pod : annotation sidecar\.istio\.io\/proxyCPU: got "x"/);
    assert.match(problems.join("\n"), /x\.yaml:6:1: /);
    assert.match(problems.join("\n"), /x\.yaml:7:11: Map keys must be unique/);
  });

  test("a bomb of aliases is a problem, not a crash", () => {
    const levels = Array.from(
      { length: 12 },
      (_, i) =>
        `l${i + 1}: &l${i + 1} [${Array(10)
          .fill(i === 0 ? "x" : `*l${i}`)
          .join(", ")}]`,
    );
    assert.match(inject(`kind: Pod\n${levels.join("\n")}\n`).problems.join(), /alias/);
  });

  test("a pod's own keys cannot touch prototypes", () => {
    const { problems } = inject(
      'kind: Pod\nmetadata: {labels: {"__proto__": x}}\nspec: {containers: [{name: a, image: b}]}\n',
    );
    assert.deepEqual(problems, []);
    assert.equal(Object.hasOwn({}, "x"), false);
    assert.equal(inject("kind: __proto__\n").outcomes[0]?.injection, undefined);
  });

  test("the bootstrap that is made is one that the sidecar takes", () => {
    const [pod] = documents(inject(POD).text) as { spec: { initContainers: { name: string; args: string[] }[] } }[];
    const args = pod?.spec.initContainers.find(({ name }) => name === "outrigger-proxy")?.args ?? [];
    const yamlOverlay = args[args.indexOf("--config-yaml") + 1] ?? "";
    const loaded = loadBootstrap({
      path: undefined,
      yamlOverlay,
      allowUnknownFields: false,
      formatProblem: () => undefined,
    });
    assert.deepEqual(loaded.ok ? [] : loaded.issues, []);
    assert.ok(
      loaded.ok &&
        loaded.value.node.id ===
          "sidecar~$(INSTANCE_IP)~$(POD_NAME).$(POD_NAMESPACE)~$(POD_NAMESPACE).svc.cluster.local",
    );
  });
});
