/**
 * A plugin is replaced again and again, its module and its configuration, while requests run: no request may fail, none may see
 * half of a configuration, and the process may not grow. The control plane and the client run in this process, the sidecar in one
 * of its own. Resident memory is what the admin port says, when it has settled before and after.
 * Run: node test/bench/swaps.ts [--seconds 60] [--gap-ms 100] [--rate 500] [--concurrency 2] [--json]
 */
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { Agent, get } from "node:http";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { createControlPlane } from "../../xds/server/control-plane.ts";
import { guest } from "../support/bootstrap-builder.ts";
import { folderWith, type Owner } from "../support/launcher.ts";
import { servedResources } from "../support/served-resources.ts";
import { adsBootstrapText, RunningSidecar, startOrigin, until } from "../support/sidecar-story.ts";
import { resources } from "../support/xds-resources.ts";
import { settledRss } from "./settled-memory.ts";

export interface SwapsOptions {
  readonly seconds: number;
  /** From one swap to the next. */
  readonly gapMs: number;
  /** Requests per second. */
  readonly rate: number;
  readonly concurrency: number;
  /** Goes on, up to ten times as long, until the requests are so many and have seen so many versions. Default 0. */
  readonly minRequests?: number;
  readonly minSeen?: number;
  /** False: no swaps to warm up, and no resident memory, which takes some seconds. Default true. */
  readonly measuresMemory?: boolean;
}

export interface SwapsResult {
  /** Versions that were pushed, and different ones that requests saw. */
  readonly swaps: number;
  readonly seen: number;
  readonly requests: number;
  /** What was wrong with answers, and how often. */
  readonly problems: Readonly<Record<string, number>>;
  /** 0 when it was not to be measured. */
  readonly rssBeforeMib: number;
  readonly rssAfterMib: number;
  readonly vmsAfter: number;
}

const CONNECTIONS = 8;
const WARM_UP_SWAPS = 30;
const ALLOWED_GROWTH = 1.1;

/** Runs it all; what it starts ends with `owner`. */
export async function measureSwaps(owner: Owner, options: SwapsOptions): Promise<SwapsResult> {
  const folder = folderWith(owner, {});
  const modules = [join(folder, "a.wasm"), join(folder, "b.wasm")] as const;
  copyFileSync(guest("headers"), modules[0]);
  // The same guest with another digest: an empty custom section named "b".
  writeFileSync(modules[1], Buffer.concat([readFileSync(modules[0]), Buffer.from([0, 2, 1, 0x62])]));
  const upstream = await startOrigin(owner, "origin");
  const served = (version: number) => {
    const text = `response replace x-v ${version}\nresponse replace x-w ${version}`;
    const module = modules[version % 2] ?? "";
    return resources(
      servedResources({ upstream, plugin: "", module }).replace(
        /value: '\{"headers".*$/m,
        `value: ${JSON.stringify(text)}`,
      ),
    );
  };
  const plane = createControlPlane({ resources: served(0) });
  owner.after(() => plane.close());
  const port = await plane.listen("127.0.0.1", 0);
  const flags = ["--concurrency", String(options.concurrency)];
  const sidecar = await RunningSidecar.start(owner, adsBootstrapText(port, "GRPC"), ...flags);
  await sidecar.untilReady();
  const client = new Client(await sidecar.port(), options.rate);
  owner.after(() => client.stop());

  let version = 0;
  const swap = async (until: (count: number) => boolean): Promise<number> => {
    let count = 0;
    for (; !until(count); count++) {
      plane.setResources(served(++version));
      await new Promise((resolve) => setTimeout(resolve, options.gapMs));
    }
    return count;
  };
  const { measuresMemory = true, minRequests = 0, minSeen = 0 } = options;
  if (measuresMemory) await swap((count) => count >= WARM_UP_SWAPS);
  const rssBeforeMib = measuresMemory ? await settledRss(sidecar) : 0;
  const startedAt = performance.now();
  const swaps = await swap(() => {
    const seconds = (performance.now() - startedAt) / 1_000;
    const isEnough = client.requests >= minRequests && client.seen.size >= minSeen;
    return seconds >= options.seconds * (isEnough ? 1 : 10);
  });
  const last = String(version);
  await until(
    "the last version",
    () => client.latest,
    (latest) => latest === last,
  );
  await client.stop();
  const { plugins } = JSON.parse(await sidecar.text("/plugins")) as { plugins: readonly { vms: number }[] };
  const rssAfterMib = measuresMemory ? await settledRss(sidecar) : 0;
  const { requests, problems, seen } = client;
  const vmsAfter = plugins.reduce((sum, { vms }) => sum + vms, 0);
  return { swaps, seen: seen.size, requests, problems, rssBeforeMib, rssAfterMib, vmsAfter };
}

/** Keep-alive connections that ask again and again, and look at every answer. */
class Client {
  readonly problems: Record<string, number> = {};
  readonly seen = new Set<string>();
  requests = 0;
  latest = "";
  readonly #port: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  readonly #loops: Promise<void>[];
  #isOver = false;

  constructor(port: number, rate: number) {
    this.#port = port;
    this.#loops = Array.from({ length: CONNECTIONS }, () => this.#ask((1_000 * CONNECTIONS) / rate));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#loops);
    this.#agent.destroy();
  }

  async #ask(everyMs: number): Promise<void> {
    for (let due = performance.now(); !this.#isOver; due += everyMs) {
      const wait = due - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      const problem = await this.#request();
      this.requests++;
      if (problem !== "") this.problems[problem] = (this.problems[problem] ?? 0) + 1;
    }
  }

  #request(): Promise<string> {
    return new Promise((resolve) => {
      const request = get({ port: this.#port, host: "127.0.0.1", agent: this.#agent }, (answer) => {
        const { "x-v": v, "x-w": w } = answer.headers;
        this.latest = String(v);
        this.seen.add(this.latest);
        answer.resume().on("end", () => {
          if (answer.statusCode !== 200) resolve(`status ${answer.statusCode}`);
          else resolve(v !== undefined && v === w ? "" : `half a configuration: ${String(v)} and ${String(w)}`);
        });
      });
      request.on("error", (error) => resolve(error.message));
    });
  }
}

async function main(): Promise<void> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    options: { seconds: text, "gap-ms": text, rate: text, concurrency: text, json: { type: "boolean" } },
  });
  const cleanUps: (() => unknown)[] = [];
  try {
    const result = await measureSwaps(
      { after: (cleanUp) => cleanUps.push(cleanUp) },
      {
        seconds: Number(values.seconds ?? 60),
        gapMs: Number(values["gap-ms"] ?? 100),
        rate: Number(values.rate ?? 500),
        concurrency: Number(values.concurrency ?? 2),
      },
    );
    const isMet =
      Object.keys(result.problems).length === 0 && result.rssAfterMib <= result.rssBeforeMib * ALLOWED_GROWTH;
    process.stdout.write(values.json === true ? `${JSON.stringify(result)}\n` : describe(result, isMet));
    if (!isMet) process.exitCode = 1;
  } finally {
    for (const cleanUp of cleanUps.toReversed()) await cleanUp();
  }
}

function describe(result: SwapsResult, isMet: boolean): string {
  const { swaps, seen, requests, problems, rssBeforeMib, rssAfterMib, vmsAfter } = result;
  return [
    `${swaps} swaps, ${seen} versions seen by ${requests} requests\n`,
    ...Object.entries(problems).map(([problem, count]) => `  ${count} × ${problem}\n`),
    `resident memory ${rssBeforeMib.toFixed(1)} MiB before, ${rssAfterMib.toFixed(1)} after; ${vmsAfter} VMs at the end\n`,
    `no failed request, none with half a configuration, memory within 10 %: ${isMet ? "met" : "MISSED"}\n`,
  ].join("");
}

if (import.meta.main) await main();
