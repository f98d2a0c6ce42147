// The verbs `config` and `status` against a running control plane with real clients: push, diff, roll back, history,
// canaries, and what is refused.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { CONFIG } from "../../../sidecar/cli/control/config.ts";
import { STATUS } from "../../../sidecar/cli/control/status.ts";
import { bootstrap, adsBootstrap } from "../../support/xds-resources.ts";
import { type Answer, ask, controlPlane, file } from "../../support/control-plane-verbs.ts";
import { startClient } from "../../support/xds-client.ts";
import type { TestClient } from "../../support/xds-client.ts";
import { CLUSTER_TYPE } from "../../../xds/type-urls.ts";

const cluster = (name: string, extra = "") =>
  `- { "@type": ${CLUSTER_TYPE}, name: ${name}, connect_timeout: 1s, type: STATIC${extra} }\n`;

function connect(t: TestContext, port: number, id = "test-node"): TestClient {
  const text = adsBootstrap(port, "DELTA_GRPC");
  const client = startClient(id === "test-node" ? text : nodeBootstrap(port, id));
  t.after(() => client.client.close());
  return client;
}

function nodeBootstrap(port: number, id: string) {
  const address = `{ socket_address: { address: 127.0.0.1, port_value: ${port} } }`;
  return bootstrap(`
node: { id: ${id}, cluster: shop }
dynamic_resources:
  ads_config: { api_type: GRPC, transport_api_version: V3, grpc_services: [{ envoy_grpc: { cluster_name: xds } }] }
  cds_config: { ads: {}, resource_api_version: V3 }
static_resources:
  clusters:
    - name: xds
      type: STATIC
      connect_timeout: 1s
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: { http2_protocol_options: {} }
      load_assignment: { cluster_name: xds, endpoints: [{ lb_endpoints: [{ endpoint: { address: ${address} } }] }] }
`);
}

test("config push, diff, history and rollback change what sidecars have", async (t) => {
  const scene = await controlPlane(t, cluster("a"));
  const client = connect(t, scene.port);
  await client.until("a", ({ clusters }) => clusters.has("a"));
  const next = await file(scene, "next.txt", cluster("a", ", dns_refresh_rate: 2s") + cluster("b"));

  const diff = await ask(CONFIG.run, scene, "diff", "-f", next);
  assert.equal(diff.code, 0, diff.err);
  assert.equal(
    diff.out,
    [
      "changed CDS a: 1 sidecar",
      '      "name": "a",',
      '      "type": "STATIC",',
      '  -   "connect_timeout": "1s"',
      '  +   "connect_timeout": "1s",',
      '  +   "dns_refresh_rate": "2s"',
      "    }",
      "added CDS b: 1 sidecar",
      "2 changes, which 1 sidecar would see at once",
      "",
    ].join("\n"),
  );

  const pushed = await ask(CONFIG.run, scene, "push", "-f", next, "--wait", "--origin", "a test");
  assert.equal(pushed.code, 0, pushed.err);
  assert.match(pushed.out, /^release 2 is serving: 2 resources\n/);
  assert.match(pushed.out, /1 of 1 sidecars acknowledged, 0 refused\n$/);
  assert.ok(client.client.snapshot.clusters.has("b"));
  assert.match(
    (await ask(CONFIG.run, scene, "push", "-f", next)).out,
    /release 2 is serving: 2 resources, nothing changes/,
  );
  assert.equal((await ask(CONFIG.run, scene, "diff", "-f", next)).out, "nothing would change\n");

  assert.match((await ask(CONFIG.run, scene, "rollback")).out, /^serving release 3: rollback to 1\n$/);
  await client.until("a alone", ({ clusters }) => !clusters.has("b"));
  const history = (await ask(CONFIG.run, scene, "history")).out;
  assert.match(
    history,
    /RELEASE .*\n3 .* serving .*rollback to 1\n2 .* past .*push by a test\n1 .* past .*served\.yaml\n$/,
  );
  assert.match((await ask(CONFIG.run, scene, "rollback", "--to", "9")).err, /no release 9; kept are 1, 2, 3/);

  // The control plane's own file counts again when it changes.
  await file(scene, "served.yaml", cluster("c"));
  await client.until("c", ({ clusters }) => clusters.has("c"));
});

test("config push and diff refuse what is wrong with its place, and nothing changes", async (t) => {
  const scene = await controlPlane(t, cluster("a"));
  const bad = await file(scene, "bad.txt", cluster("b", ", no_such_field: 1"));
  for (const verb of ["push", "diff"]) {
    const { code, err } = await ask(CONFIG.run, scene, verb, "-f", bad);
    assert.equal(code, 1);
    assert.match(err, /bad\.txt:1:\d+: .*no_such_field/);
  }
  assert.match((await ask(CONFIG.run, scene, "push", "-f", join(scene.folder, "none"))).err, /does not exist/);
  assert.match(
    (await ask(CONFIG.run, scene, "push", "-f", bad, "--canary", "20,10")).err,
    /percents of the sidecars that grow/,
  );
  assert.equal((await ask(CONFIG.run, scene, "history")).out.trim().split("\n").length, 2);
  for (const argv of [[], ["nope"], ["push"], ["diff", "-f", "x", "y"], ["rollback", "--to", "x"]]) {
    assert.equal((await ask(CONFIG.run, scene, ...argv)).code, 2, argv.join(" "));
  }
  assert.equal((await ask(CONFIG.run, { ...scene, admin: "127.0.0.1:1" }, "history")).code, 1);
});

const CANARY = ["--canary", "20", "--hold-s", "0.2", "--timeout-s", "5"];

test("config push --canary reaches a fraction first, and all when that has acknowledged", async (t) => {
  const scene = await controlPlane(t, cluster("a"));
  const clients = await Promise.all(
    ["node-0", "node-1", "node-2", "node-3", "node-4"].map(async (id) => {
      const client = connect(t, scene.port, id);
      await client.until("a", ({ clusters }) => clusters.has("a"));
      return client;
    }),
  );
  const good = await file(scene, "good.txt", cluster("b"));
  const pushed = await ask(CONFIG.run, scene, "push", "-f", good, ...CANARY, "--wait");
  assert.equal(pushed.code, 0, pushed.out + pushed.err);
  assert.match(pushed.out, /^release 2 is canary: 1 resources\n/);
  await scene.lines.first("first step", (line) =>
    /canary of release 2: acknowledging, step 1 of 1 \(20 %\)/.test(line),
  );
  await scene.lines.first("the end", (line) => /canary of release 2: complete/.test(line));
  for (const { client } of clients) assert.ok(client.snapshot.clusters.has("b"));
});

test("a canary that refuses its configuration halts it, and everybody keeps what was", async (t) => {
  const scene = await controlPlane(t, cluster("a"));
  const clients = ["node-0", "node-1", "node-2"].map((id) => {
    // Who prepares a resource may refuse it: a plugin's module that does not compile is the usual case.
    const client = startClient(nodeBootstrap(scene.port, id), {
      prepare: async (resource) => (resource.name === "bad" ? [{ path: "", problem: "not on my watch" }] : []),
    });
    t.after(() => client.client.close());
    return client;
  });
  for (const client of clients) await client.until("a", ({ clusters }) => clusters.has("a"));
  const bad = await file(scene, "bad.txt", cluster("a") + cluster("bad"));
  const pushed = await ask(CONFIG.run, scene, "push", "-f", bad, ...CANARY, "--wait");
  assert.equal(pushed.code, 1);
  assert.match(pushed.out, /canary of release 2: halted, .*; node-\d refused Cluster: .*not on my watch\n$/);
  const history = (await ask(CONFIG.run, scene, "history")).out;
  assert.match(history, /\n2 .* halted .*not on my watch.*\n1 .* serving /);
  // The canary took the release before again, and says so.
  const until = Date.now() + 10_000;
  let status: Answer;
  do status = await ask(STATUS.run, scene, "--control-plane");
  while (status.code !== 0 && Date.now() < until);
  assert.match(status.out, /3 sidecars: 3 acknowledged, 0 pending, 0 refused\nserving release 1 /);
  assert.match(status.out, /\ncanary of release 2: halted/);
});

test("status --control-plane shows each sidecar, and its refusals with their text", async (t) => {
  const scene = await controlPlane(t, cluster("a"));
  const { client, until } = startClient(nodeBootstrap(scene.port, "picky"), {
    prepare: async (resource) => (resource.name === "bad" ? [{ path: "", problem: "not on my watch" }] : []),
  });
  t.after(() => client.close());
  await until("a", ({ clusters }) => clusters.has("a"));
  await scene.lines.first("ACK", (line) => line.includes("acknowledged"));
  const before = await ask(STATUS.run, scene, "--control-plane");
  assert.equal(before.code, 0, before.err);
  assert.match(before.out, /\npicky +127\.0\.0\.1:\d+ +\d+s +1 +acknowledged +CDS=[0-9a-f]{8}\n$/);
  await file(scene, "served.yaml", cluster("bad"));
  await scene.lines.first("refusal", (line) => line.includes("REFUSED"));
  const after = await ask(STATUS.run, scene, "--control-plane", "--state", "refused");
  assert.equal(after.code, 1);
  assert.match(
    after.out,
    /CDS=[0-9a-f]{8}\(refused\)\n\npicky refused CDS [0-9a-f]{16} \d+s ago:\n {2}Cluster "bad": not on my watch\n$/,
  );
  const json = await ask(STATUS.run, scene, "--control-plane", "--node", "nobody", "--json");
  assert.deepEqual((JSON.parse(json.out) as { sidecars: unknown[] }).sidecars, []);
  assert.equal((await ask(STATUS.run, scene, "--node", "x")).code, 2);
  // A control plane's port is not a sidecar's.
  assert.match((await ask(STATUS.run, scene)).err, /does not answer as a sidecar's admin port: 404/);
});
