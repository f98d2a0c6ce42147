// deploy/README.md's two-service mesh, without a cluster: the services' pods as `outrigger inject` makes them, their init containers' rules and
// their sidecars in network namespaces, and a control plane that serves the very files. What a kubelet does, the test does.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { parseAllDocuments } from "yaml";
import { examplePlugin } from "../support/bootstrap-builder.ts";
import { kubernetesProblems } from "../support/kubernetes-schema.ts";
import { folderWith, Launched, type Owner } from "../support/launcher.ts";
import { NamespaceApp } from "../support/namespace-app.ts";
import { namespacesMissing, NetworkNamespace } from "../support/network-namespace.ts";

const ROOT = join(import.meta.dirname, "../..");
const LAUNCHER = join(ROOT, "outrigger");
const SERVICES = join(ROOT, "deploy/walk-through/services.yaml");
const CONTROL_PLANE = "10.78.1.1";
const PODS = { shop: "10.78.1.2", prices: "10.78.2.2" } as const;
type Service = keyof typeof PODS;

interface Container {
  readonly name: string;
  readonly args: readonly string[];
}

type Deployment = Readonly<{
  kind: string;
  metadata: { name: string };
  spec: { template: { spec: { initContainers: readonly Container[] } } };
}>;

function injected(): Deployment[] {
  const args = ["inject", "-f", SERVICES, "--control-plane", `${CONTROL_PLANE}:18000`];
  const objects = parseAllDocuments(execFileSync(LAUNCHER, args, { encoding: "utf8" })).map(
    (each) => each.toJS() as unknown,
  );
  for (const object of objects) {
    assert.deepEqual(kubernetesProblems(object), []);
  }
  return (objects as Deployment[]).filter(({ kind }) => kind === "Deployment");
}

/** The arguments of a container of a service's pod, with what the kubelet puts in. */
function argumentsOf(deployments: readonly Deployment[], service: Service, container: string): string[] {
  const values: Readonly<Record<string, string>> = {
    POD_NAME: `${service}-1`,
    POD_NAMESPACE: "walk-through",
    INSTANCE_IP: PODS[service],
    INSTANCE_IPS: PODS[service],
    NODE_NAME: "node",
    SERVICE_ACCOUNT: "default",
  };
  const deployment = deployments.find(({ metadata }) => metadata.name === service);
  const found = deployment?.spec.template.spec.initContainers.find(({ name }) => name === container);
  return (found?.args ?? []).map((text) => text.replaceAll(/\$\((\w+)\)/g, (_, name: string) => values[name] ?? ""));
}

/** The files that are served. There is neither DNS nor a Service's address here, and no image with the plugin in it. */
function resourcesFor(t: Owner): string {
  const mesh = readFileSync(join(ROOT, "deploy/walk-through/mesh.yaml"), "utf8")
    .replace("prices.walk-through.svc.cluster.local, port_value: 80", `${PODS.prices}, port_value: 8080`)
    .replace("/opt/outrigger/plugins/examples/go/plugin.wasm", examplePlugin("go"));
  return folderWith(t, {
    "10-passthrough.yaml": readFileSync(join(ROOT, "deploy/helm/outrigger/files/passthrough.yaml"), "utf8"),
    "20-walk-through.yaml": mesh,
  });
}

async function network(t: Owner): Promise<Record<Service | "world", NetworkNamespace>> {
  const [world, shop, prices] = await Promise.all([1, 2, 3].map(() => NetworkNamespace.create(t)));
  assert.ok(world !== undefined && shop !== undefined && prices !== undefined);
  for (const [pod, address] of [
    [shop, PODS.shop],
    [prices, PODS.prices],
  ] as const) {
    const gateway = address.replace(/2$/, "1");
    const outer = `v${gateway.split(".")[2]}`;
    await pod.sh(`ip link add eth0 type veth peer name ${outer} netns ${world.pid}
ip addr add ${address}/24 dev eth0; ip link set eth0 up`);
    await world.sh(
      `ip addr add ${gateway}/24 dev ${outer}; ip link set ${outer} up; echo 1 > /proc/sys/net/ipv4/ip_forward`,
    );
    await pod.sh(`ip route add default via ${gateway}`);
  }
  return { world, shop, prices };
}

suite("the walk-through of a two-service mesh", { skip: namespacesMissing() }, () => {
  test("pods as they are injected call each other through their sidecars, as the control plane's files say", async (t) => {
    const places = await network(t);
    const serve = ["control-plane", "-f", resourcesFor(t), "--address", "::", "--allow-plaintext"];
    const plane = new Launched(places.world.spawn(LAUNCHER, serve) as never);
    t.after(() => plane.end("SIGKILL"));
    const deployments = injected();
    const services = ["shop", "prices"] as const;
    const sidecars = services.map((service) => {
      const child = places[service].spawn(LAUNCHER, argumentsOf(deployments, service, "outrigger-proxy"), {
        uid: 1337,
      });
      const sidecar = new Launched(child as never);
      t.after(() => sidecar.end("SIGKILL"));
      return sidecar;
    });
    for (const service of services) {
      const rules = await places[service].run(LAUNCHER, argumentsOf(deployments, service, "outrigger-init"));
      assert.equal(rules.code, 0, rules.stderr);
    }
    const apps = await Promise.all(services.map((service) => NamespaceApp.start(t, places[service], service)));
    const [shop, prices] = apps;
    assert.ok(shop !== undefined && prices !== undefined);
    await prices.serve("http", 8080);
    await prices.serve("tcp", 9000);
    for (const [index, service] of services.entries()) {
      const ready = await places[service].run(LAUNCHER, ["wait"], "", { uid: 1337 });
      assert.equal(ready.code, 0, `${ready.stderr}\n${sidecars[index]?.stderr.all.join("\n")}`);
    }

    const curl = ["-sS", "-D", "-", "--max-time", "8", "-H", "host: prices", `http://${PODS.prices}/list`];
    const answer = await places.shop.run("curl", curl, "", { uid: 1000 });
    assert.match(answer.stdout, /^HTTP\/1\.1 200/, answer.stderr);
    assert.match(answer.stdout, /^X-Mesh: outrigger\r$/m, "the plugin of the shop's sidecar");
    const seen = JSON.parse(answer.stdout.slice(answer.stdout.indexOf("{"))) as unknown;
    assert.deepEqual(seen, { who: "prices", from: "127.0.0.6", at: `${PODS.prices} 8080`, path: "/list" });

    const admin = (service: Service) =>
      places[service]
        .run("curl", ["-sS", "http://127.0.0.1:15000/traces"], "", { uid: 1337 })
        .then(({ stdout }) => stdout);
    const [callerTraces, calleeTraces] = await Promise.all([admin("shop"), admin("prices")]);
    assert.match(callerTraces, /"cluster": "prices"/);
    assert.match(callerTraces, /"callback": "proxy_on_response_headers"/);
    assert.match(calleeTraces, /"path": "\/list"[^]*"cluster": "inbound_passthrough"/);

    const passed = await shop.see({ do: "tcp", host: PODS.prices, port: 9000 });
    assert.deepEqual([passed.who, passed.from], ["prices", "127.0.0.6"], "other ports pass through both");

    const status = await places.world.run(LAUNCHER, ["status", "--control-plane"]);
    assert.equal(status.code, 0, status.stdout + status.stderr);
    for (const service of services) {
      assert.match(status.stdout, new RegExp(`${service}-1\\.walk-through`));
    }
  });
});
