// Envoy and outrigger connected to the same istiod, asked the same: node test/istio/compare.ts. Exit code 1: they differ.
// README.md says what it needs. --default: the filters of a default Istio, which Envoy refuses: only outrigger is asked.
// --verbose prints the answers; --record keeps what istiod sent and what Envoy answered for integration/istio.test.ts.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { address, http2Cluster } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { until } from "../support/sidecar-story.ts";
import { startBackends } from "./backends.ts";
import { Istiod } from "./istiod.ts";
import { FIXTURE, type Recorded } from "./recorded.ts";
import { type Answer, ask, backendOf, REQUESTS, SPLIT } from "./requests.ts";

const SPLITS = 200;

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
  /** /config_dump. */
  readonly dump: string;
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
    ofV2 += (await backendOf(SPLIT)) === "CATALOG_V2" ? 1 : 0;
  }
  const rejected = ["listener_manager.lds.update_rejected", "cluster_manager.cds.update_rejected"];
  const counts = await Promise.all(rejected.map((name) => proxy.stat(name)));
  const refused = counts.reduce((sum, count) => sum + count, 0);
  const dump = await (await fetch(`http://127.0.0.1:${proxy.adminPort}/config_dump?include_eds`)).text();
  const name = `${envoy === undefined ? "outrigger" : "Envoy"} ${apiType}`;
  return { name, answers, shareOfV2: ofV2 / SPLITS, refused, dump };
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

/** Values of /config_dump that istiod has sent, by the names of what holds them. */
const PUSHED = ["listener", "cluster", "route_config", "endpoint_config", "ecds_filter"] as const;

type Json = { readonly [key: string]: unknown };

function* pushedOf(dump: Json): Generator<Json> {
  const dynamic = Object.entries(dump).filter(([name]) => name.startsWith("dynamic_") || name === "ecds_filters");
  for (const entry of dynamic.flatMap(([, entries]) => entries as readonly Json[])) {
    const state = (entry["active_state"] ?? entry) as Json;
    for (const name of PUSHED) if (state[name] !== undefined) yield state[name] as Json;
  }
}

/** What istiod sent is as we show it: Envoy fills in weights. */
function record({ answers }: Run, { dump }: Run, ports: Readonly<Record<string, number>>): void {
  const { configs } = JSON.parse(dump) as { readonly configs: readonly Json[] };
  const recorded: Recorded = { pushed: configs.flatMap((config) => [...pushedOf(config)]), answers };
  let text = JSON.stringify(recorded, undefined, 1).replaceAll(join(import.meta.dirname, "../.."), "__ROOT__");
  for (const [name, port] of Object.entries(ports)) {
    text = text.replaceAll(`"port_value": ${port}`, `"port_value": "__${name}__"`);
  }
  writeFileSync(FIXTURE, `${text}\n`);
}

async function main(): Promise<void> {
  const isDefault = process.argv.includes("--default");
  const envoy = findEnvoy();
  assert.ok(isDefault || envoy !== undefined, ENVOY_MISSING);
  await using owned = new AsyncDisposableStack();
  const ports = await startBackends(owned);
  const istiod = owned.use(await Istiod.start({ ports, forEnvoy: !isDefault }));
  const runs: Run[] = [];
  // One after the other: istiod says where they listen.
  for (const binary of isDefault ? [undefined] : [envoy, undefined]) {
    for (const apiType of ["GRPC", "DELTA_GRPC"]) runs.push(await run(binary, apiType, istiod.port));
  }
  const [ofEnvoy, , ofOurs] = runs;
  if (process.argv.includes("--record") && ofEnvoy !== undefined && ofOurs !== undefined)
    record(ofEnvoy, ofOurs, ports);
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
