/** The set-ups that the bench measures, and how one is started, checked and measured. */
import { mkdirSync, writeFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";

import { capture, start, type Child } from "./child.ts";
import { runLoad, type LoadResult } from "./load.ts";
import { coreBusy, cpuSpent, cpuTimes, residentMib } from "./machine.ts";
import { command, configuration, PLUGIN_HEADER, type ProxyName, type Setup } from "./peers.ts";

export interface Variant {
  /** `outrigger-go-sampled` and so on: what `--only` takes. */
  readonly name: string;
  readonly proxy: ProxyName;
  readonly plugin: boolean;
  readonly sampledPercent: number | undefined;
}

export const VARIANTS: readonly Variant[] = [
  { name: "outrigger", proxy: "outrigger", plugin: false, sampledPercent: undefined },
  { name: "envoy", proxy: "envoy", plugin: false, sampledPercent: undefined },
  { name: "nginx", proxy: "nginx", plugin: false, sampledPercent: undefined },
  { name: "haproxy", proxy: "haproxy", plugin: false, sampledPercent: undefined },
  { name: "outrigger-go", proxy: "outrigger", plugin: true, sampledPercent: undefined },
  { name: "envoy-go", proxy: "envoy", plugin: true, sampledPercent: undefined },
  { name: "outrigger-unsampled", proxy: "outrigger", plugin: false, sampledPercent: 0 },
  { name: "outrigger-go-unsampled", proxy: "outrigger", plugin: true, sampledPercent: 0 },
  { name: "outrigger-go-sampled", proxy: "outrigger", plugin: true, sampledPercent: 100 },
];

/** The core that the proxy has for itself, and the one that load, origin and collector share. */
export const PROXY_CORE = 0;
export const LOAD_CORE = 1;

/** How long a load tool may run beyond its time before it is ended, and the bench with it. */
const GRACE_MS = 20_000;

/** One measurement of one variant. Times in milliseconds, CPU in microseconds per request. */
export interface Sample {
  readonly requests: number;
  readonly errors: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuUs: number;
  /** Share of the proxy's core that other processes took meanwhile, 0 to 1. */
  readonly foreignShare: number;
}

/** A number of TCP ports on 127.0.0.1 that are free now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = net.createServer();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as net.AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

export class RunningVariant {
  readonly variant: Variant;
  readonly #child: Child;
  readonly #port: number;
  readonly #wrk: string | undefined;

  constructor(variant: Variant, child: Child, port: number, wrk: string | undefined) {
    this.variant = variant;
    this.#child = child;
    this.#port = port;
    this.#wrk = wrk;
  }

  get residentMib(): number {
    return residentMib(this.#child.pid);
  }

  /** Full load from one core for some seconds: wrk where it is found, else our own client. */
  async fullLoad(seconds: number, connections: number): Promise<Sample> {
    const url = `http://127.0.0.1:${this.#port}/`;
    const wrk = this.#wrk;
    if (wrk === undefined) return this.#measure(() => this.#ownClient(seconds, connections, []));
    const flags = ["-t1", `-c${connections}`, `-d${seconds}s`, "--latency", url];
    return this.#measure(async () => parseWrk(await capture(LOAD_CORE, [wrk, ...flags], seconds * 1000 + GRACE_MS)));
  }

  /** A fixed number of requests per second, open loop, by our own client. */
  async fixedRate(seconds: number, connections: number, rate: number): Promise<Sample> {
    return this.#measure(() => this.#ownClient(seconds, connections, ["--rate", String(rate)]));
  }

  async #ownClient(seconds: number, connections: number, more: readonly string[]): Promise<LoadReading> {
    const client = [process.execPath, join(import.meta.dirname, "load.ts"), "--json"];
    const expected = this.variant.plugin ? ["--expect-header", `${PLUGIN_HEADER.name}: ${PLUGIN_HEADER.value}`] : [];
    const flags = ["--seconds", String(seconds), "--connections", String(connections), ...expected, ...more];
    // The client exits with 1 when a request failed; its result is on standard output all the same.
    const shell = ["sh", "-c", '"$@" || [ $? = 1 ]', "sh", ...client, ...flags, `http://127.0.0.1:${this.#port}/`];
    return JSON.parse(await capture(LOAD_CORE, shell, seconds * 1000 + GRACE_MS)) as LoadResult;
  }

  async #measure(load: () => Promise<LoadReading>): Promise<Sample> {
    const busyBefore = coreBusy(PROXY_CORE);
    const before = cpuTimes(this.#child.pid);
    const startedAt = performance.now();
    const reading = await load();
    const spent = cpuSpent(before, cpuTimes(this.#child.pid));
    const elapsedNs = (performance.now() - startedAt) * 1e6;
    const foreign = coreBusy(PROXY_CORE) - busyBefore - spent;
    if (!this.#child.isRunning) throw new Error(`${this.variant.name} has ended:\n${this.#child.output}`);
    return {
      requests: reading.requests,
      errors: reading.errors,
      requestsPerSecond: reading.requestsPerSecond,
      p50Ms: reading.p50Ms,
      p99Ms: reading.p99Ms,
      cpuUs: spent / 1000 / Math.max(1, reading.requests),
      foreignShare: Math.max(0, foreign / elapsedNs),
    };
  }
}

type LoadReading = Pick<LoadResult, "requests" | "errors" | "requestsPerSecond" | "p50Ms" | "p99Ms">;

const UNITS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000, m: 60_000 };

/** Reads wrk's report. Errors are sockets that failed and answers that were not 2xx or 3xx. */
export function parseWrk(report: string): LoadReading {
  const time = (label: string): number => {
    const found = new RegExp(`^\\s+${label}\\s+([\\d.]+)(us|ms|s|m)$`, "m").exec(report);
    return Number(found?.[1] ?? Number.NaN) * (UNITS[found?.[2] ?? ""] ?? Number.NaN);
  };
  const sockets = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(report)?.slice(1) ?? [];
  const answers = Number(/Non-2xx or 3xx responses: (\d+)/.exec(report)?.[1] ?? 0);
  const requests = Number(/(\d+) requests in /.exec(report)?.[1] ?? Number.NaN);
  if (Number.isNaN(requests)) throw new Error(`wrk said:\n${report}`);
  return {
    requests,
    errors: sockets.reduce((sum, count) => sum + Number(count), answers),
    requestsPerSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(report)?.[1] ?? 0),
    p50Ms: time("50%"),
    p99Ms: time("99%"),
  };
}

/** Waits until one request is answered as it should be; says what the proxy wrote when it never is. */
async function untilReady(variant: Variant, child: Child, port: number): Promise<void> {
  const deadline = performance.now() + 30_000;
  const expected = variant.plugin ? { expectHeader: `${PLUGIN_HEADER.name}: ${PLUGIN_HEADER.value}` } : {};
  for (;;) {
    const result = await runLoad({ port, connections: 1, requests: 1, timeoutMs: 2000, ...expected });
    if (result.errors === 0) return;
    const problem = Object.keys(result.problems).join(", ");
    if (!child.isRunning) throw new Error(`${variant.name} does not start:\n${child.output}`);
    if (performance.now() > deadline) throw new Error(`${variant.name} is not ready (${problem}):\n${child.output}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export interface StartOptions {
  readonly folder: string;
  readonly originPort: number;
  readonly collectorPort: number;
  readonly program: string;
  readonly wrk: string | undefined;
}

/** Starts a variant on the proxy's core and waits until it answers. Throws, with the proxy's own words, when not. */
export async function startVariant(variant: Variant, options: StartOptions): Promise<RunningVariant> {
  const folder = join(options.folder, variant.name);
  mkdirSync(folder, { recursive: true });
  const [listenPort = 0, adminPort = 0] = await freePorts(2);
  const setup: Setup = { ...options, ...variant, folder, listenPort, adminPort };
  const file = join(folder, variant.proxy === "nginx" || variant.proxy === "haproxy" ? "proxy.conf" : "bootstrap.json");
  writeFileSync(file, configuration(variant.proxy, setup));
  const child = await start(variant.name, PROXY_CORE, command(variant.proxy, options.program, file, setup));
  try {
    await untilReady(variant, child, listenPort);
  } catch (error) {
    await child.stop();
    throw error;
  }
  return new RunningVariant(variant, child, listenPort, options.wrk);
}
