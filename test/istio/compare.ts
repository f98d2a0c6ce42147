// Envoy and outrigger connected to the same istiod, asked the same: node test/istio/compare.ts. Exit code 1: they differ.
// README.md says what it needs. --default: the filters of a default Istio, which Envoy refuses: only outrigger is asked.
// --verbose prints the answers.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { address, http2Cluster } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { until } from "../support/sidecar-story.ts";
import { Istiod } from "./istiod.ts";
import { type Answer, ask, REQUESTS, SPLIT } from "./requests.ts";

const BACKENDS = ["CATALOG_V1", "CATALOG_V2", "PRICES", "APPLICATION"] as const;
const SPLITS = 200;
const SLOW_MS = 1_000;

/** Answers with what it saw. */
function respond(name: string, request: IncomingMessage, response: ServerResponse): void {
  const { host, ...rest } = request.headers;
  const kept = Object.entries(rest).filter(([key]) => key.startsWith("x-") && key !== "x-request-id");
  kept.sort(([a], [b]) => (a < b ? -1 : 1));
  const seen = { backend: name, method: request.method, path: request.url, host, ...Object.fromEntries(kept) };
  const text = JSON.stringify(seen, undefined, 1);
  const answer = () => response.setHeader("x-backend", name).end(text);
  request.resume().on("end", () => (request.url?.startsWith("/slow") ? setTimeout(answer, SLOW_MS).unref() : answer()));
}

async function backend(name: string, owned: AsyncDisposableStack): Promise<number> {
  const server = createServer((request, response) => respond(name, request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  owned.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** What Istio's agent writes, as far as a sidecar without interception needs it. */
function bootstrapFor(istiod: number, apiType: string): object {
  const source = { ads: {}, initial_fetch_timeout: "0s", resource_api_version: "V3" };
  const labels = { app: "shop", version: "v1" };
  return {
    node: {
      id: "sidecar~127.0.0.2~shop.default~default.svc.cluster.local",
      cluster: "shop.default",
      metadata: {
        NAMESPACE: "default",
        CLUSTER_ID: "Kubernetes",
        ISTIO_VERSION: "1.31.0",
        INTERCEPTION_MODE: "NONE",
        INSTANCE_IPS: "127.0.0.2",
        MESH_ID: "cluster.local",
        WORKLOAD_NAME: "shop",
        SERVICE_ACCOUNT: "default",
        NAME: "shop",
        LABELS: labels,
        PROXY_CONFIG: {},
      },
    },
    admin: { address: address(0) },
    dynamic_resources: {
      lds_config: source,
      cds_config: source,
      ads_config: {
        api_type: apiType,
        transport_api_version: "V3",
        set_node_on_first_message_only: true,
        grpc_services: [{ envoy_grpc: { cluster_name: "xds-grpc" } }],
      },
    },
    static_resources: { clusters: [http2Cluster("xds-grpc", istiod)] },
  };
}

interface Run {
  readonly name: string;
  readonly answers: readonly Answer[];
  readonly shareOfV2: number;
  readonly refused: number;
}

async function run(envoy: string | undefined, apiType: string, istiod: number): Promise<Run> {
  await using proxy = await ProxyProcess.start(envoy, bootstrapFor(istiod, apiType));
  const answers = [];
  for (const asked of REQUESTS) {
    // The first requests may come before the listener is there.
    answers.push(
      await until(
        `an answer of ${asked.port}`,
        () => ask(asked),
        () => true,
        10_000,
      ),
    );
  }
  let ofV2 = 0;
  for (let count = 0; count < SPLITS; count++) {
    ofV2 += (await ask(SPLIT)).headers["x-backend"] === "CATALOG_V2" ? 1 : 0;
  }
  const rejected = ["listener_manager.lds.update_rejected", "cluster_manager.cds.update_rejected"];
  const counts = await Promise.all(rejected.map((name) => proxy.stat(name)));
  const refused = counts.reduce((sum, count) => sum + count, 0);
  const name = `${envoy === undefined ? "outrigger" : "Envoy"} ${apiType}`;
  return { name, answers, shareOfV2: ofV2 / SPLITS, refused };
}

const print = (line: string): boolean => process.stdout.write(`${line}\n`);

/** How many answers differ from the first run's; prints each. */
function differences(runs: readonly Run[]): number {
  const [first] = runs;
  let count = 0;
  for (const [index, { method = "GET", path, host }] of REQUESTS.entries()) {
    const texts = runs.map(({ answers }) => JSON.stringify(answers[index], undefined, 1));
    if (process.argv.includes("--verbose")) print(`${method} ${host}${path}\n${texts[0]}`);
    for (const [at, text] of texts.entries()) {
      if (text !== texts[0]) {
        count += 1;
        print(`DIFFERENT: ${method} ${host}${path}\n${first?.name}: ${texts[0]}\n${runs[at]?.name}: ${text}`);
      }
    }
  }
  return count;
}

async function main(): Promise<void> {
  const isDefault = process.argv.includes("--default");
  const envoy = findEnvoy();
  assert.ok(isDefault || envoy !== undefined, ENVOY_MISSING);
  await using owned = new AsyncDisposableStack();
  const ports: Record<string, number> = {};
  for (const name of BACKENDS) ports[name] = await backend(name, owned);
  const istiod = owned.use(await Istiod.start({ ports, forEnvoy: !isDefault }));
  const runs: Run[] = [];
  // One after the other: istiod says where they listen.
  for (const binary of isDefault ? [undefined] : [envoy, undefined]) {
    for (const apiType of ["GRPC", "DELTA_GRPC"]) runs.push(await run(binary, apiType, istiod.port));
  }
  const different = differences(runs);
  for (const { name, shareOfV2, refused } of runs) {
    print(
      `${name}: ${REQUESTS.length} requests, ${(shareOfV2 * 100).toFixed(1)} % of ${SPLITS} to v2 (20 %), ${refused} refused`,
    );
  }
  const isFine = different === 0 && runs.every((each) => each.refused === 0 && Math.abs(each.shareOfV2 - 0.2) < 0.12);
  print(isFine ? "the same" : `${different} different`);
  process.exitCode = isFine ? 0 : 1;
}

await main();
