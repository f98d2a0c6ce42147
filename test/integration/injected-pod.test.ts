// What injection writes into a pod, run: the sidecar's container with its own arguments against a real control plane, until it is ready, and the
// rules of its init container as the verb iptables takes them.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { parse } from "yaml";
import { injectManifest } from "../../sidecar/inject/manifest.ts";
import { DEFAULT_SETTINGS } from "../../sidecar/inject/settings.ts";
import { launch } from "../support/launcher.ts";
import { freePort, RunningControlPlane, until } from "../support/sidecar-story.ts";

const POD = `apiVersion: v1
kind: Pod
metadata:
  name: web
  annotations:
    sidecar.istio.io/nativeSidecar: "false"
    traffic.sidecar.istio.io/excludeOutboundPorts: "3306"
spec:
  containers:
  - {name: web, image: web}
`;
const RESOURCES = `resources:
- "@type": type.googleapis.com/envoy.config.listener.v3.Listener
  name: in
  address: {socket_address: {address: 127.0.0.1, port_value: 0}}
  filter_chains:
  - filters:
    - name: hcm
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
        stat_prefix: in
        http_filters:
        - name: envoy.filters.http.router
          typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
        route_config: {name: r, virtual_hosts: [{name: a, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 204}}]}]}
`;

interface Container {
  readonly name: string;
  readonly args: readonly string[];
}

function containersOf(controlPlane: string): readonly Container[] {
  const settings = { ...DEFAULT_SETTINGS, controlPlane };
  const { text } = injectManifest({ name: "pod.yaml", text: POD, namespace: "shop" }, settings);
  const { spec } = parse(text) as { spec: { containers: Container[]; initContainers: Container[] } };
  return [...spec.initContainers, ...spec.containers];
}

suite("an injected pod", { timeout: 60_000 }, () => {
  test("its sidecar comes up with the arguments that it was given", async (t) => {
    const controlPlane = await RunningControlPlane.start(t, RESOURCES);
    const args =
      containersOf(`127.0.0.1:${controlPlane.port}`).find(({ name }) => name === "outrigger-proxy")?.args ?? [];
    const [admin, status, health] = [await freePort(), await freePort(), await freePort()];
    // What the kubelet fills in, and ports that are free on this machine.
    const values: Readonly<Record<string, string>> = {
      POD_NAME: "web",
      POD_NAMESPACE: "shop",
      INSTANCE_IP: "10.0.0.7",
    };
    const filled = args.map((arg) =>
      arg
        .replaceAll(/\$\((\w+)\)/g, (_, name: string) => values[name] ?? "x")
        .replaceAll("15000", String(admin))
        .replaceAll("15020", String(status))
        .replaceAll("15021", String(health)),
    );
    const sidecar = launch(t, ...filled, "--concurrency", "1");
    await until(
      "readiness",
      async () => {
        assert.equal(sidecar.hasEnded, false, sidecar.stderr.all.join("\n"));
        return (await fetch(`http://127.0.0.1:${health}/healthz/ready`)).status;
      },
      (code) => code === 200,
    );
    const info = (await (await fetch(`http://127.0.0.1:${admin}/server_info`)).json()) as {
      node: { id: string; cluster: string; metadata: Record<string, string> };
    };
    assert.equal(info.node.id, "sidecar~10.0.0.7~web.shop~shop.svc.cluster.local");
    assert.equal(info.node.cluster, "web.shop");
    assert.deepEqual([info.node.metadata["NAME"], info.node.metadata["NAMESPACE"]], ["web", "shop"]);
    assert.equal((await fetch(`http://127.0.0.1:${status}/stats/prometheus`)).status, 200);
  });

  test("the rules of its init container are rules", async (t) => {
    const [iptables, apply, ...flags] = containersOf("a:1").find(({ name }) => name === "outrigger-init")?.args ?? [];
    assert.deepEqual([iptables, apply], ["iptables", "apply"]);
    const printed = launch(t, "iptables", "print", ...flags);
    assert.deepEqual(await printed.untilEnded(), { code: 0, signal: null });
    const rules = printed.stdout.all.join("\n");
    for (const port of ["15001", "15006", "15020", "15021", "15090", "3306"]) {
      assert.match(rules, new RegExp(`\\b${port}\\b`), rules);
    }
  });
});
