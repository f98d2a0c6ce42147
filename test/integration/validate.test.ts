// The verb validate and Envoy's flags: every problem of a bootstrap and of the files that it names, each with its place; a good
// one says so; a launcher made for Envoy can start us with all of its flags.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { suite, test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { folderWith, launchIn } from "../support/launcher.ts";
import { until } from "../support/sidecar-story.ts";

const BAD = `admin: { address: { socket_address: { address: 127.0.0.1, port_value: 70000 } } }
static_resources:
  clusters:
    - name: a
      conect_timeout: 1s
    - name: b
      connect_timeout: -1s
    - name: c
      lb_policy: ROUND_ROBBIN
      load_assignment: { cluster_name: c, endpoints: [] }
`;

const GOOD = `admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }
static_resources:
  clusters:
    - { name: a, type: STATIC, connect_timeout: 1s, load_assignment: { cluster_name: a, endpoints: [] } }
`;

const CLUSTERS_FROM_FILE = `node: { id: n, cluster: c }
dynamic_resources:
  cds_config: { path_config_source: { path: clusters.yaml } }
`;

async function outcome(t: TestContext, files: Readonly<Record<string, string>>, ...args: readonly string[]) {
  const program = launchIn(t, folderWith(t, files), ...args);
  const { code } = await program.untilEnded();
  return { code, stderr: program.stderr.all, stdout: program.stdout.all };
}

suite("validate", { concurrency: 2 }, () => {
  for (const args of [
    ["validate", "-c", "b.yaml"],
    ["--mode", "validate", "-c", "b.yaml"],
  ]) {
    test(`outrigger ${args.join(" ")} lists every problem with its place`, async (t) => {
      const { code, stderr, stdout } = await outcome(t, { "b.yaml": BAD }, ...args);
      assert.equal(code, 1);
      assert.deepEqual(stdout, []);
      assert.deepEqual(
        stderr.map((line) => line.replace(/: (is|must|unknown|ROUND).*/, "")),
        [
          "b.yaml:1:71: admin.address.socket_address.port_value",
          "b.yaml:5:7: static_resources.clusters[0].conect_timeout",
          "b.yaml:7:24: static_resources.clusters[1].connect_timeout",
          "b.yaml:9:18: static_resources.clusters[2].lb_policy",
        ],
      );
      assert.match(stderr[1] ?? "", /did you mean connect_timeout\?/);
      assert.match(stderr[3] ?? "", /did you mean ROUND_ROBIN\?/);
    });

    test(`outrigger ${args.join(" ")} says of a good file that it is`, async (t) => {
      const { code, stderr, stdout } = await outcome(t, { "b.yaml": GOOD }, ...args);
      assert.deepEqual({ code, stderr, stdout }, { code: 0, stderr: [], stdout: ["configuration 'b.yaml' OK"] });
    });
  }

  test("run and validate read a bootstrap from a pipe, and a signal ends them while they wait for it", async (t) => {
    const folder = folderWith(t, {});
    const pipe = join(folder, "pipe.yaml");
    await promisify(execFile)("mkfifo", [pipe]);
    // Opening it to write waits for who reads it.
    const waiting = launchIn(t, folder, "run", "-c", "pipe.yaml");
    const silent = await open(pipe, "w");
    const stopped = await waiting.end();
    await silent.close();
    assert.deepEqual(stopped, { code: 0, signal: null });
    assert.match(waiting.stderr.all.join(), /^outrigger: SIGTERM came while pipe\.yaml was waited for$/);

    const checked = launchIn(t, folder, "validate", "-c", "pipe.yaml");
    const writer = await open(pipe, "w");
    await writer.write(GOOD.slice(0, 20));
    await writer.write(GOOD.slice(20));
    await writer.close();
    assert.deepEqual(await checked.untilEnded(), { code: 0, signal: null });
    assert.deepEqual(checked.stdout.all, ["configuration 'pipe.yaml' OK"]);
  });

  test("validate looks for variables, and not into secrets that nobody uses", async (t) => {
    const bootstrap = `static_resources:
  secrets:
    - { name: unused, tls_certificate: { certificate_chain: { filename: gone.pem }, private_key: { filename: gone.key } } }
    - { name: too, generic_secret: { secret: { environment_variable: NOT_SET_ANYWHERE } } }
  listeners:
    - name: l
      address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
      filter_chains:
        - filters:
            - name: hcm
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: s
                http_filters: [{ name: r, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router } }]
                route_config: { virtual_hosts: [{ name: all, domains: ["*"], routes: [
                  { match: { path: /a }, direct_response: { status: 200, body: { environment_variable: PATH } } },
                  { match: { path: /b }, direct_response: { status: 200, body: { environment_variable: NOT_SET_ANYWHERE } } } ] }] }
`;
    const { code, stderr } = await outcome(t, { "b.yaml": bootstrap }, "validate", "-c", "b.yaml");
    assert.equal(code, 1);
    assert.deepEqual(
      stderr.map((line) => line.replace(/: static_resources\..*\.body\./, ": … ")),
      ['b.yaml:17:104: … environment_variable: "NOT_SET_ANYWHERE" is not in the environment'],
    );
  });

  test("validate checks the files that a bootstrap names", async (t) => {
    const clusters = `resources:
  - "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
    name: a
    conect_timeout: 1s
`;
    const files = { "b.yaml": CLUSTERS_FROM_FILE, "clusters.yaml": clusters };
    const bad = await outcome(t, files, "validate", "-c", "b.yaml");
    assert.equal(bad.code, 1);
    assert.match(bad.stderr.join("\n"), /^clusters\.yaml:4:5: .*conect_timeout.*did you mean connect_timeout\?$/);
    const missing = await outcome(t, { "b.yaml": CLUSTERS_FROM_FILE }, "validate", "-c", "b.yaml");
    assert.equal(missing.code, 1);
    assert.match(
      missing.stderr.join("\n"),
      /^b\.yaml:3:\d+: dynamic_resources\..*path: "clusters\.yaml" .*does not exist$/,
    );
  });

  test("run takes the flags that Istio's agent gives to Envoy, and --config-yaml over the file", async (t) => {
    const folder = folderWith(t, { "b.yaml": GOOD });
    const overlay = "node: { metadata: { NAME: overlaid } }";
    const flags = [
      ["-c", "b.yaml", "--config-yaml", overlay, "--drain-time-s", "1", "--drain-strategy", "immediate"],
      ["--local-address-ip-version", "v4", "--file-flush-interval-msec", "1000", "--disable-hot-restart"],
      ["--allow-unknown-static-fields", "-l", "warning", "--component-log-level", "misc:error", "--concurrency", "1"],
      ["--log-format", "%Y-%m-%dT%T.%fZ\t%l\tenvoy %n %g:%#\t%v\tthread=%t", "--service-node", "sidecar~1.2.3.4~a.b~c"],
      ["--service-cluster", "b.c", "--parent-shutdown-time-s", "60", "--base-id", "0", "--skip-deprecated-logs"],
      [
        "--admin-address-path",
        "admin",
        "--service-zone",
        "here",
        "--use-dynamic-base-id",
        "--enable-fine-grain-logging",
      ],
      ["--restart-epoch", "0", "--mode", "serve", "--ignore-unknown-dynamic-fields", "--log-path", "log"],
    ].flat();
    const program = launchIn(t, folder, ...flags);
    const info = await serverInfo(join(folder, "admin"));
    assert.equal(info.node.id, "sidecar~1.2.3.4~a.b~c");
    assert.equal(info.node.cluster, "b.c");
    assert.deepEqual(info.node.locality, { zone: "here" });
    assert.deepEqual(info.node.metadata, { NAME: "overlaid" });
    assert.deepEqual(await program.end(), { code: 0, signal: null });
    assert.deepEqual(program.stderr.all, []);
  });
});

interface ServerInfo {
  readonly node: {
    readonly id: string;
    readonly cluster: string;
    readonly locality: object;
    readonly metadata: object;
  };
}

async function serverInfo(adminFile: string): Promise<ServerInfo> {
  const address = await until(
    "the admin address",
    () => readFile(adminFile, "utf8"),
    (text) => text !== "",
  );
  return (await (await fetch(`http://${address}/server_info`)).json()) as ServerInfo;
}
