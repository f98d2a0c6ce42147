// go-control-plane's own integration program (pkg/test/main of v0.14.0, with the bootstraps of its samples) with us in Envoy's
// place: it serves snapshots, sends requests to every listener, and passes when all of them have answered after each.
// Needs Go once, to build it (test/fixtures/go-control-plane/build.sh); skipped by name without. Its mode "rest" is not ours.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { folderWith, launch } from "../support/launcher.ts";

const CACHE = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
const PROGRAM = join(CACHE, "outrigger/go-control-plane-test-v0.14.0");
const skip = existsSync(PROGRAM) ? false : `not built (${PROGRAM}): run test/fixtures/go-control-plane/build.sh`;
const LISTENERS = 8;
const MESSAGE = "Hi, there!";

/** The first of `count` ports in a row that nobody has; below those that the system gives out. */
async function freeRange(count: number): Promise<number> {
  for (;;) {
    const first = 20_000 + Math.floor(Math.random() * 12_000);
    const servers = Array.from({ length: count }, () => createServer());
    const free = await Promise.all(
      servers.map(async (server, index) => {
        const settled = Promise.race([
          once(server, "listening").then(() => true),
          once(server, "error").then(() => false),
        ]);
        server.listen(first + index, "127.0.0.1");
        return settled.catch(() => false);
      }),
    );
    servers.forEach((server) => server.close());
    if (free.every(Boolean)) return first;
  }
}

const XDS_SERVICE =
  "grpc_services: [{ envoy_grpc: { cluster_name: xds_cluster } }], set_node_on_first_message_only: true";
const api = (apiType: string) => `{ api_type: ${apiType}, transport_api_version: V3, ${XDS_SERVICE} }`;

/** What sample/bootstrap-MODE.yaml of the module says, with other ports. */
function bootstrap(mode: string, ports: { xds: number; als: number }): string {
  const apiType = mode.startsWith("delta") ? "DELTA_GRPC" : "GRPC";
  const source = mode.includes("ads") ? "ads: {}" : `api_config_source: ${api(apiType)}`;
  const own = `{ ${source}, resource_api_version: V3 }`;
  const ads = `  ads_config: ${api(apiType)}`;
  const cluster = (name: string, port: number) => `  - { name: ${name}, connect_timeout: 1s, http2_protocol_options: {},
      load_assignment: { cluster_name: ${name}, endpoints: [{ lb_endpoints: [{ endpoint: { address: {
        socket_address: { address: 127.0.0.1, port_value: ${port} } } } }] }] } }`;
  return `admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }
node: { cluster: test-cluster, id: test-id }
dynamic_resources:
  cds_config: ${own}
  lds_config: ${own}
${mode.includes("ads") ? ads : ""}
static_resources:
  clusters:
${cluster("xds_cluster", ports.xds)}
${cluster("als_cluster", ports.als)}
layered_runtime: { layers: [{ name: runtime-0, rtds_layer: { name: runtime-0, rtds_config: ${own} } }] }
`;
}

suite("go-control-plane's own test", { skip, concurrency: 5 }, () => {
  for (const [mode, ...flags] of [["ads"], ["delta-ads"], ["xds"], ["xds", "-mux"], ["delta"]] as const) {
    test(`passes with us in Envoy's place: ${[mode, ...flags].join(" ")}`, async (t) => {
      const upstream = createHttpServer((_request, response) => response.end(MESSAGE));
      const first = await freeRange(LISTENERS + 4);
      const [xds, gateway, als, echo, base] = [first, first + 1, first + 2, first + 3, first + 4];
      upstream.listen(echo, "127.0.0.1");
      t.after(() => {
        upstream.closeAllConnections();
        upstream.close();
      });
      const ports = { port: xds, gateway, als, upstream: echo, base };
      const args = Object.entries(ports).flatMap(([name, port]) => [`-${name}`, String(port)]);
      const program = spawn(
        PROGRAM,
        [`--xds=${mode}`, "-message", MESSAGE, "-u", "2", "-r", "25", "-delay", "250ms", ...args, ...flags],
        { stdio: ["ignore", "ignore", "pipe"] },
      );
      t.after(() => program.kill("SIGKILL"));
      let log = "";
      program.stderr.on("data", (chunk: Buffer) => (log += chunk.toString()));
      const folder = folderWith(t, { "bootstrap.yaml": bootstrap(mode, { xds, als }) });
      const ours = launch(t, "run", "-c", join(folder, "bootstrap.yaml"), "--concurrency", "1", "--drain-time-s", "1");
      const [code] = (await once(program, "close")) as [number | null];
      assert.equal(code, 0, `${log.slice(-2_000)}\n${ours.stderr.all.join("\n").slice(-2_000)}`);
      assert.match(log, /passed!/);
    });
  }
});
