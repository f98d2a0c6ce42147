/**
 * A plugin that takes all memory it may have (64 MiB) and aborts, ten times a second as long as the
 * machine keeps up, while others run through the same plugin on the same worker, some of them
 * held by the upstream for longer than a VM lives: by how much the process grows, and what the others feel. First without bombs, then with.
 * Run: node test/bench/memory-bomb.ts [--seconds 10] [--rate 200] [--memory-mib 64] [--json]
 * Exit code 1 when another request failed, a bomb was not answered with 503, or the process grew by more than the limit.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";

import { bootstrap, cluster, guest, listener, wasmFilter } from "../support/bootstrap-builder.ts";
import type { Owner } from "../support/launcher.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";
import { runLoad, type LoadOptions, type LoadResult } from "./load.ts";
import { peakResidentMib, resetPeak } from "./machine.ts";

export interface MemoryBombOptions {
  readonly seconds: number;
  /** Requests per second of the others. */
  readonly rate: number;
  readonly memoryMib: number;
}

export interface MemoryBombResult {
  /** Requests that took all memory, and how many of them got the failed plugin's 503. */
  readonly bombs: number;
  readonly answered: number;
  readonly before: LoadResult;
  readonly during: LoadResult;
  /** Those that the upstream held. */
  readonly held: LoadResult;
  /** Peaks of the process's resident memory without bombs and with. */
  readonly peakBeforeMib: number;
  readonly peakMib: number;
}

const BOMB_EVERY_MS = 100;
const REST_MS = 40;
/** An answer that spans more than two bombs: its stream belongs to a VM that is dead by then. */
const HOLD_MS = 250;

/** Runs it all; what it starts ends with `owner`. */
export async function measureMemoryBomb(owner: Owner, options: MemoryBombOptions): Promise<MemoryBombResult> {
  const origin = createServer((asked, answer) => {
    if (asked.url === "/held") setTimeout(() => answer.end("late"), HOLD_MS);
    else answer.end("ok");
  });
  origin.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
  owner.after(() => {
    origin.closeAllConnections();
    origin.close();
  });
  const sidecar = await SidecarProcess.start(
    bootstrap({
      runtime: { "outrigger.wasm.max_faults": 1_000_000, "outrigger.wasm.memory_mib": options.memoryMib },
      listeners: [listener("in", { filters: [wasmFilter("bomb", guest("memory-bomb"))] })],
      clusters: [cluster("origin", [(origin.address() as AddressInfo).port])],
    }),
    { args: ["-l", "off"] },
  );
  owner.after(() => sidecar[Symbol.asyncDispose]());

  const load = (rest: Partial<LoadOptions>): Promise<LoadResult> =>
    runLoad({ port: sidecar.port("in"), seconds: options.seconds, expectHeader: "x-memory-pages", ...rest });
  const both = () =>
    Promise.all([load({ connections: 20, rate: options.rate }), load({ connections: 10, path: "/held" })]);

  await both();
  resetPeak(sidecar.pid);
  const [before] = await both();
  const peakBeforeMib = peakResidentMib(sidecar.pid);
  resetPeak(sidecar.pid);
  const over = new AbortController();
  const bombing = explodeUntil(over.signal, sidecar.url("in", "/bomb"));
  const [during, held] = await both();
  over.abort();
  const statuses = await bombing;
  const peakMib = peakResidentMib(sidecar.pid);
  const answered = statuses.filter((status) => status === 503).length;
  return { bombs: statuses.length, answered, before, during, held, peakBeforeMib, peakMib };
}

/** One after the other: at the given pace, with a rest after each answer when the machine does not keep up. The statuses. */
async function explodeUntil(over: AbortSignal, url: string): Promise<number[]> {
  const statuses: number[] = [];
  while (!over.aborted) {
    const rest = wait(BOMB_EVERY_MS);
    const answer = await fetch(url);
    await answer.arrayBuffer();
    statuses.push(answer.status);
    await Promise.all([rest, wait(REST_MS)]);
  }
  return statuses;
}

async function main(): Promise<void> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    options: { seconds: text, rate: text, "memory-mib": text, json: { type: "boolean" } },
  });
  const memoryMib = Number(values["memory-mib"] ?? 64);
  const cleanUps: (() => unknown)[] = [];
  try {
    const result = await measureMemoryBomb(
      { after: (cleanUp) => cleanUps.push(cleanUp) },
      { seconds: Number(values.seconds ?? 10), rate: Number(values.rate ?? 200), memoryMib },
    );
    const { bombs, answered, during, held, peakBeforeMib, peakMib } = result;
    const isMet =
      answered === bombs && during.errors === 0 && held.errors === 0 && peakMib - peakBeforeMib <= memoryMib;
    process.stdout.write(values.json === true ? `${JSON.stringify(result)}\n` : describe(result, memoryMib, isMet));
    if (!isMet) process.exitCode = 1;
  } finally {
    for (const cleanUp of cleanUps.toReversed()) await cleanUp();
  }
}

function describe(result: MemoryBombResult, memoryMib: number, isMet: boolean): string {
  const { bombs, answered, before, during, held, peakBeforeMib, peakMib } = result;
  const line = (name: string, load: LoadResult): string =>
    `${name}: ${load.requests} requests, ${load.errors} failed${load.errors > 0 ? ` (${JSON.stringify(load.problems)})` : ""}, ` +
    `p50 ${load.p50Ms.toFixed(2)} ms, p99 ${load.p99Ms.toFixed(1)} ms, max ${load.maxMs.toFixed(0)} ms\n`;
  return [
    line("without bombs", before),
    line("with bombs", during),
    line("with bombs, held by the upstream", held),
    `${bombs} bombs of ${memoryMib} MiB, ${answered} answered 503\n`,
    `peak of resident memory ${peakBeforeMib.toFixed(1)} MiB without, ${peakMib.toFixed(1)} with: +${(peakMib - peakBeforeMib).toFixed(1)} MiB\n`,
    `no other failed, the process grew by no more than the limit: ${isMet ? "met" : "MISSED"}\n`,
  ].join("");
}

if (import.meta.main) await main();
