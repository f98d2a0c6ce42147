/**
 * Pushes of routes while requests run: how long from the server's send until every worker uses them, and whether a request
 * fails. The control plane runs in this process, so that its clock says when it sent; the sidecar, the load and the origin are
 * processes of their own. "In use" is what the sidecar's /xds says, in whole milliseconds.
 * Run: node test/bench/pushes.ts [--pushes 500] [--rate 2000] [--gap-ms 20] [--variant GRPC] [--concurrency 2] [--json]
 */
import { createConnection } from "node:net";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { parseResources, type FileResource } from "../../xds/decode/resources-file.ts";
import { createControlPlane, type ControlPlaneEvent } from "../../xds/server/control-plane.ts";
import { ROUTE_TYPE } from "../../xds/type-urls.ts";
import type { Owner } from "../support/launcher.ts";
import { servedResources } from "../support/served-resources.ts";
import { adsBootstrapText, freePort, RunningSidecar, until } from "../support/sidecar-story.ts";
import type { AdsVariant } from "../support/xds-resources.ts";
import { start } from "./child.ts";
import { percentile, type LoadResult } from "./load.ts";
import { startLoad } from "./steady-load.ts";

const TARGET_P99_MS = 50;

export interface PushesOptions {
  readonly pushes: number;
  /** Requests per second. */
  readonly rate: number;
  /** From one push in use to the next push. */
  readonly gapMs: number;
  readonly variant: AdsVariant;
  readonly concurrency: number;
}

export interface PushesResult {
  readonly pushes: number;
  readonly seconds: number;
  readonly requests: number;
  readonly failed: number;
  readonly problems: Readonly<Record<string, number>>;
  /** From the server's send to in use on all workers, ms. */
  readonly inUseP50Ms: number;
  readonly inUseP99Ms: number;
  readonly inUseMaxMs: number;
  /** From the server's send to its receipt of the ACK, ms. */
  readonly ackP50Ms: number;
  readonly ackP99Ms: number;
  readonly requestP50Ms: number;
  readonly requestP99Ms: number;
}

type RdsEvent = Extract<ControlPlaneEvent, { kind: "pushed" | "acknowledged" | "refused" }>;

/** Runs it all; what it starts ends with `owner`. Fails when a push is refused or does not come into use in 15 s. */
export async function measurePushes(owner: Owner, options: PushesOptions): Promise<PushesResult> {
  const upstream = await startOrigin(owner);
  let sentAt = 0;
  const ackMs: number[] = [];
  const refusals: string[] = [];
  const onRds = (event: RdsEvent): void => {
    if (event.kind === "pushed") sentAt = Date.now();
    else if (event.kind === "refused") refusals.push(event.message);
    else ackMs.push(Date.now() - sentAt);
  };
  const plane = createControlPlane({
    resources: resources(upstream, 0),
    onEvent: (event) => {
      if ("typeUrl" in event && event.typeUrl === ROUTE_TYPE && event.kind !== "unknown type") onRds(event);
    },
  });
  owner.after(() => plane.close());
  const port = await plane.listen("127.0.0.1", 0);
  const flags = ["--concurrency", String(options.concurrency)];
  const sidecar = await RunningSidecar.start(owner, adsBootstrapText(port, options.variant), ...flags);
  await sidecar.untilReady();
  const load = await startLoad(await sidecar.port(), options.rate);
  owner.after(() => load.stop());

  const inUseMs: number[] = [];
  let before = (await sidecar.xds("RouteConfiguration", "routes"))?.version;
  const startedAt = performance.now();
  for (let push = 1; push <= options.pushes; push++) {
    plane.setResources(resources(upstream, push));
    const used = await until(
      `push ${push} in use`,
      () => sidecar.xds("RouteConfiguration", "routes"),
      (routes) => refusals.length > 0 || (routes !== undefined && routes.version !== before && isInUse(routes)),
    );
    if (refusals.length > 0) throw new Error(`a push was refused: ${refusals[0]}`);
    inUseMs.push(Date.parse(used?.in_use_at ?? "") - sentAt);
    before = used?.version;
    await new Promise((resolve) => setTimeout(resolve, options.gapMs));
  }
  const seconds = (performance.now() - startedAt) / 1000;
  return summary(inUseMs, ackMs.slice(1), seconds, await load.stop());
}

function isInUse({
  received_at: received = "",
  in_use_at: used = "",
}: {
  received_at?: string;
  in_use_at?: string;
}): boolean {
  return used !== "" && used >= received;
}

function summary(inUse: number[], acks: number[], seconds: number, load: LoadResult): PushesResult {
  const [used, acked] = [Float64Array.from(inUse).sort(), Float64Array.from(acks).sort()];
  return {
    pushes: inUse.length,
    seconds,
    requests: load.requests,
    failed: load.errors,
    problems: load.problems,
    inUseP50Ms: percentile(used, 0.5),
    inUseP99Ms: percentile(used, 0.99),
    inUseMaxMs: used.at(-1) ?? 0,
    ackP50Ms: percentile(acked, 0.5),
    ackP99Ms: percentile(acked, 0.99),
    requestP50Ms: load.p50Ms,
    requestP99Ms: load.p99Ms,
  };
}

function resources(upstream: number, version: number): readonly FileResource[] {
  const loaded = parseResources(servedResources({ upstream, version: String(version) }), "resources.yaml");
  if (!loaded.ok) throw new Error(loaded.issues.map(({ problem }) => problem).join("\n"));
  return loaded.resources;
}

async function startOrigin(owner: Owner): Promise<number> {
  const [port, collector] = [await freePort(), await freePort()];
  const script = join(import.meta.dirname, "origin.ts");
  const child = await start("origin", 1, [process.execPath, script, String(port), String(collector)]);
  owner.after(() => child.stop());
  await until(
    "the origin",
    () => accepts(port),
    (isThere) => isThere,
  );
  return port;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

async function main(): Promise<void> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    options: { pushes: text, rate: text, "gap-ms": text, variant: text, concurrency: text, json: { type: "boolean" } },
  });
  const cleanUps: (() => unknown)[] = [];
  try {
    const result = await measurePushes(
      { after: (cleanUp) => cleanUps.push(cleanUp) },
      {
        pushes: Number(values.pushes ?? 500),
        rate: Number(values.rate ?? 2000),
        gapMs: Number(values["gap-ms"] ?? 20),
        variant: values.variant === "DELTA_GRPC" ? "DELTA_GRPC" : "GRPC",
        concurrency: Number(values.concurrency ?? 2),
      },
    );
    process.stdout.write(values.json === true ? `${JSON.stringify(result)}\n` : describe(result));
    if (result.failed > 0 || result.inUseP99Ms > TARGET_P99_MS) process.exitCode = 1;
  } finally {
    for (const cleanUp of cleanUps.toReversed()) await cleanUp();
  }
}

function describe(result: PushesResult): string {
  const { pushes, seconds, requests, failed, problems } = result;
  const verdict = failed === 0 && result.inUseP99Ms <= TARGET_P99_MS ? "met" : "MISSED";
  const ms = (name: string, ...values: readonly number[]): string =>
    `${name.padEnd(24)} ${values.map((value) => value.toFixed(1).padStart(7)).join("")}\n`;
  return [
    `${pushes} pushes in ${seconds.toFixed(1)} s, ${requests} requests meanwhile, ${failed} failed\n`,
    ...Object.entries(problems).map(([problem, count]) => `  ${count} × ${problem}\n`),
    `ms                            p50    p99    max\n`,
    ms("send to in use", result.inUseP50Ms, result.inUseP99Ms, result.inUseMaxMs),
    ms("send to ACK", result.ackP50Ms, result.ackP99Ms),
    ms("request", result.requestP50Ms, result.requestP99Ms),
    `no failed request, p99 to in use at most ${TARGET_P99_MS} ms: ${verdict}\n`,
  ].join("");
}

if (import.meta.main) await main();
