/**
 * A mesh that never rests: every push is a whole configuration in which clusters and listeners come and go, and the route under
 * load moves to a cluster that is new while the one before is taken away. No request may fail and the process may not grow. The
 * control plane runs in this process; the sidecar, the load and the origin are processes of their own.
 * Run: node test/bench/churn.ts [--pushes 3600] [--gap-ms 50] [--rate 1000] [--variant GRPC] [--concurrency 2] [--json]
 * Exit code 1 when a request failed, a push was refused, or memory grew by more than a tenth after the first tenth of the pushes.
 */
import { parseArgs } from "node:util";

import { createControlPlane } from "../../xds/server/control-plane.ts";
import { LISTENER_TYPE } from "../../xds/type-urls.ts";
import type { Owner } from "../support/launcher.ts";
import { servedResources } from "../support/served-resources.ts";
import { adsBootstrapText, RunningSidecar, startOrigin } from "../support/sidecar-story.ts";
import { resources, type AdsVariant } from "../support/xds-resources.ts";
import type { FileResource } from "../../xds/decode/resources-file.ts";
import { settledRss } from "./settled-memory.ts";
import { startLoad } from "./steady-load.ts";

export interface ChurnOptions {
  readonly pushes: number;
  /** From one push's acknowledgement to the next push. */
  readonly gapMs: number;
  /** Requests per second. */
  readonly rate: number;
  readonly variant: AdsVariant;
  readonly concurrency: number;
}

export interface ChurnResult {
  readonly pushes: number;
  readonly seconds: number;
  readonly requests: number;
  readonly failed: number;
  readonly problems: Readonly<Record<string, number>>;
  readonly refusals: readonly string[];
  /** After the first tenth of the pushes, and at the end. */
  readonly rssBeforeMib: number;
  readonly rssAfterMib: number;
}

/** Of other clusters and listeners there are so many at a time; the next push has others. */
const CLUSTERS = 20;
const LISTENERS = 4;
const ALLOWED_GROWTH = 1.1;

/** The version's own resources: half of the names come again, half never do. */
function churning(version: number): string {
  const name = (i: number): string => (i % 2 === 0 ? `again-${(version + i) % 40}` : `once-${version}-${i}`);
  const clusters = Array.from(
    { length: CLUSTERS },
    (_, i) => `- "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: ${name(i)}
  type: STATIC
  connect_timeout: 1s
  load_assignment:
    cluster_name: ${name(i)}
    endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 9 } } } }] }]
`,
  );
  const listeners = Array.from(
    { length: LISTENERS },
    (_, i) => `- "@type": type.googleapis.com/envoy.config.listener.v3.Listener
  name: ${name(i)}
  address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
  filter_chains:
    - filters:
        - name: hcm
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
            stat_prefix: extra
            route_config:
              virtual_hosts: [{ name: all, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: ${name(i)} } }] }]
            http_filters:
              - name: router
                typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
`,
  );
  return [...clusters, ...listeners].join("");
}

/** Runs it all; what it starts ends with `owner`. */
export async function measureChurn(owner: Owner, options: ChurnOptions): Promise<ChurnResult> {
  const upstream = await startOrigin(owner, "origin");
  const served = (version: number): readonly FileResource[] =>
    resources(
      servedResources({ upstream, version: String(version), clusterName: `app-${version}` }) + churning(version),
    );
  const refusals: string[] = [];
  let acknowledged = (): void => {};
  const plane = createControlPlane({
    resources: served(0),
    onEvent: (event) => {
      if (event.kind === "refused") refusals.push(event.message);
      if (event.kind === "acknowledged" && event.typeUrl === LISTENER_TYPE) acknowledged();
    },
  });
  owner.after(() => plane.close());
  const port = await plane.listen("127.0.0.1", 0);
  const flags = ["--concurrency", String(options.concurrency)];
  const sidecar = await RunningSidecar.start(owner, adsBootstrapText(port, options.variant), ...flags);
  await sidecar.untilReady();
  const load = await startLoad(await sidecar.port(), options.rate);
  owner.after(() => load.stop());

  const startedAt = performance.now();
  let rssBeforeMib = 0;
  for (let version = 1; version <= options.pushes && refusals.length === 0; version++) {
    const answered = new Promise<void>((resolve) => {
      acknowledged = resolve;
    });
    plane.setResources(served(version));
    await answered;
    await new Promise((resolve) => {
      setTimeout(resolve, options.gapMs);
    });
    if (version === Math.ceil(options.pushes / 10)) rssBeforeMib = await settledRss(sidecar);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const rssAfterMib = await settledRss(sidecar);
  const { requests, errors: failed, problems } = await load.stop();
  return { pushes: options.pushes, seconds, requests, failed, problems, refusals, rssBeforeMib, rssAfterMib };
}

async function main(): Promise<void> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    options: { pushes: text, rate: text, "gap-ms": text, variant: text, concurrency: text, json: { type: "boolean" } },
  });
  const cleanUps: (() => unknown)[] = [];
  try {
    const result = await measureChurn(
      { after: (cleanUp) => cleanUps.push(cleanUp) },
      {
        pushes: Number(values.pushes ?? 3600),
        rate: Number(values.rate ?? 1000),
        gapMs: Number(values["gap-ms"] ?? 50),
        variant: values.variant === "DELTA_GRPC" ? "DELTA_GRPC" : "GRPC",
        concurrency: Number(values.concurrency ?? 2),
      },
    );
    const isFlat = result.rssAfterMib <= result.rssBeforeMib * ALLOWED_GROWTH;
    const isMet = result.failed === 0 && result.refusals.length === 0 && isFlat;
    process.stdout.write(values.json === true ? `${JSON.stringify(result)}\n` : describe(result, isMet));
    if (!isMet) process.exitCode = 1;
  } finally {
    for (const cleanUp of cleanUps.toReversed()) await cleanUp();
  }
}

function describe(result: ChurnResult, isMet: boolean): string {
  const { pushes, seconds, requests, failed, rssBeforeMib, rssAfterMib } = result;
  return `${pushes} pushes in ${seconds.toFixed(0)} s, ${requests} requests, ${failed} failed ${JSON.stringify(result.problems)}
refusals: ${result.refusals.length} ${result.refusals[0] ?? ""}
RSS ${rssBeforeMib.toFixed(1)} MiB after a tenth, ${rssAfterMib.toFixed(1)} at the end: ${isMet ? "met" : "MISSED"}
`;
}

if (import.meta.main) await main();
