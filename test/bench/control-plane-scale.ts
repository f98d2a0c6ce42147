/**
 * One control plane and many sidecars: how long a change of its files takes to reach all of them, and what it costs. The
 * control plane is the verb, in a process of its own; this process has the clients, each with a connection of its own, half
 * of them state of the world and half delta. Each of ten kinds of sidecars has a group of resources, and all share one.
 * Run: node test/bench/control-plane-scale.ts [--clients 1000] [--clusters 100] [--rounds 3]
 * Exit code 1 when a push takes more than 2 s to reach all, or the control plane had more than 300 MiB.
 */
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { CLUSTER_TYPE, ENDPOINTS_TYPE, LISTENER_TYPE, ROUTE_TYPE } from "../../xds/type-urls.ts";
import { LightClient } from "../support/light-xds-client.ts";
import { start, stopAll } from "./child.ts";
import type { Child } from "./child.ts";
import { cpuSpent, cpuTimes } from "./machine.ts";

const TARGET_MS = 2_000;
const TARGET_MIB = 300;
const KINDS = 10;
/** Each group has a tenth of the clusters, and all have as many more in common. */
const HOME = join(import.meta.dirname, "../..");

type Options = Readonly<{ clients: number; clusters: number; rounds: number }>;

/** The YAML of one group: `kind` undefined for what all have. `version` changes every cluster, route and endpoint. */
function group(kind: number | undefined, count: number, version: number, changed: number): string {
  const name = (index: number) => `${kind === undefined ? "common" : `kind${kind}`}-${index}`;
  const ads = "{ ads: {}, resource_api_version: V3 }";
  const lines = kind === undefined ? ["resources:"] : ["selector:", `  cluster: kind${kind}`, "resources:"];
  for (let index = 0; index < count; index++) {
    const seconds = 1 + (index < changed ? version : 0);
    lines.push(
      `- { "@type": ${CLUSTER_TYPE}, name: ${name(index)}, type: EDS, connect_timeout: ${seconds}s, eds_cluster_config: { eds_config: ${ads} } }`,
    );
    const endpoints = Array.from({ length: 3 }, (_, host) => {
      const address = `{ address: 10.${kind ?? 99}.${index % 250}.${host + 1}, port_value: ${8000 + (index < changed ? version : 0)} }`;
      return `{ endpoint: { address: { socket_address: ${address} } } }`;
    });
    lines.push(
      `- { "@type": ${ENDPOINTS_TYPE}, cluster_name: ${name(index)}, endpoints: [{ lb_endpoints: [${endpoints.join(", ")}] }] }`,
    );
  }
  const hosts = Array.from({ length: count }, (_, index) => {
    const route = `{ match: { prefix: "/v${version}" }, route: { cluster: ${name(index)}, timeout: 5s } }`;
    return `{ name: ${name(index)}, domains: ["${name(index)}.svc"], routes: [${route}] }`;
  });
  const label = kind === undefined ? "common" : `kind${kind}`;
  lines.push(`- { "@type": ${ROUTE_TYPE}, name: ${label}, virtual_hosts: [${hosts.join(", ")}] }`);
  const hcm = [
    `"@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    `stat_prefix: ${label}`,
    `rds: { route_config_name: ${label}, config_source: ${ads} }`,
    `http_filters: [{ name: router, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router } }]`,
  ];
  const port = kind === undefined ? 9000 : 9001 + kind;
  lines.push(
    `- { "@type": ${LISTENER_TYPE}, name: ${label}, address: { socket_address: { address: 127.0.0.1, port_value: ${port} } }, filter_chains: [{ filters: [{ name: hcm, typed_config: { ${hcm.join(", ")} } }] }] }`,
  );
  return `${lines.join("\n")}\n`;
}

class Bench {
  readonly #options: Options;
  readonly #folder: string;
  readonly #clients: LightClient[] = [];
  readonly #received = { responses: 0, resources: 0 };
  /** Who has received something of the type since the push, and when the last one did. */
  #waiting: Readonly<{ typeUrl: string; left: Set<number>; done: () => void }> | undefined;
  /** When the first response of a push came. */
  #firstAt = 0;
  #child: Child | undefined;

  constructor(options: Options, folder: string) {
    this.#options = options;
    this.#folder = folder;
  }

  async run(): Promise<boolean> {
    const { clients, clusters, rounds } = this.#options;
    const perGroup = Math.max(1, Math.round(clusters / 2));
    await this.#write(perGroup, 0, 0);
    this.#child = await start("control plane", 0, [
      join(HOME, "outrigger"),
      "control-plane",
      "-f",
      this.#folder,
      "--port",
      "0",
      "--quiet",
    ]);
    const { port, admin } = await this.#ports();
    say(`control plane with ${KINDS} groups of ${perGroup} clusters and ${perGroup} for all: ${await this.#mib()} MiB`);

    let began = performance.now();
    const everybody = this.#untilAll(ROUTE_TYPE, clients);
    for (let index = 0; index < clients; index++) this.#clients.push(await this.#connect(index, port, perGroup));
    await everybody;
    say(
      `${clients} clients connected and served in ${Math.round(performance.now() - began)} ms: ${await this.#mib()} MiB`,
    );

    let isMet = true;
    for (const [what, changed, names] of [
      ["one cluster with its endpoints and its routes, which all have", 1, ["common.yaml"]],
      ["every cluster, endpoint and route", perGroup, this.#names()],
    ] as const) {
      for (let round = 1; round <= rounds; round++) {
        const version = changed * 100 + round;
        await this.#settled(admin, clients);
        const before = { ...this.#received };
        // Routes are the last of what changes: clusters and endpoints are acknowledged before.
        const all = this.#untilAll(ROUTE_TYPE, clients);
        await this.#write(perGroup, version, changed, ".new");
        this.#firstAt = 0;
        const spent = cpuTimes(this.#child.pid);
        began = performance.now();
        for (const name of names) await rename(join(this.#folder, `${name}.new`), join(this.#folder, name));
        await all;
        const ms = Math.round(performance.now() - began);
        const first = Math.round(this.#firstAt - began);
        const cpu = Math.round(cpuSpent(spent, cpuTimes(this.#child.pid)) / 1e6);
        const responses = this.#received.responses - before.responses;
        const resources = this.#received.resources - before.resources;
        say(
          `push of ${what}: with the first after ${first} ms, with all after ${ms} ms; ${cpu} ms CPU, ${responses} responses, ${resources} resources; ${await this.#mib()} MiB`,
        );
        if (ms > TARGET_MS) isMet = false;
      }
    }
    await this.#settled(admin, clients);
    const peak = await this.#mib("VmHWM");
    if (peak > TARGET_MIB) isMet = false;
    say(`at most ${TARGET_MS} ms, and ${TARGET_MIB} MiB (peak ${peak}): ${isMet ? "met" : "MISSED"}`);
    return isMet;
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close();
    await stopAll();
  }

  #names(): string[] {
    return Array.from({ length: KINDS + 1 }, (_, kind) => (kind === KINDS ? "common.yaml" : `kind${kind}.yaml`));
  }

  async #write(perGroup: number, version: number, changed: number, suffix = ""): Promise<void> {
    for (const [kind, name] of this.#names().entries()) {
      const text = group(kind === KINDS ? undefined : kind, perGroup, version, changed);
      await writeFile(join(this.#folder, `${name}${suffix}`), text);
    }
  }

  #connect(index: number, port: number, perGroup: number): Promise<LightClient> {
    const kind = index % KINDS;
    const names = (label: string) => Array.from({ length: perGroup }, (_, each) => `${label}-${each}`);
    return LightClient.connect({
      port,
      // Each kind has both variants.
      variant: Math.floor(index / KINDS) % 2 === 0 ? "sotw" : "delta",
      node: { id: `sidecar-${index}`, cluster: `kind${kind}` },
      routes: [`kind${kind}`, "common"],
      endpoints: [...names(`kind${kind}`), ...names("common")],
      onResponse: (typeUrl, _version, resources) => this.#onResponse(index, typeUrl, resources),
    });
  }

  #onResponse(index: number, typeUrl: string, resources: number): void {
    if (this.#firstAt === 0) this.#firstAt = performance.now();
    this.#received.responses += 1;
    this.#received.resources += resources;
    const waiting = this.#waiting;
    if (waiting?.typeUrl !== typeUrl || !waiting.left.delete(index)) return;
    if (waiting.left.size === 0) waiting.done();
  }

  async #untilAll(typeUrl: string, clients: number): Promise<void> {
    const left = new Set(Array.from({ length: clients }, (_, index) => index));
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`${left.size} clients got nothing: ${this.#child?.output}`)),
        60_000,
      );
      this.#waiting = {
        typeUrl,
        left,
        done: () => {
          clearTimeout(timer);
          resolve();
        },
      };
    });
  }

  /** Until the control plane says that everybody has acknowledged everything. */
  async #settled(admin: string, clients: number): Promise<void> {
    for (;;) {
      const answer = await fetch(`http://${admin}/status?state=pending`);
      const { summary } = (await answer.json()) as { summary: { acknowledged: number } };
      if (summary.acknowledged === clients) return;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  async #ports(): Promise<{ port: number; admin: string }> {
    for (;;) {
      const [, port, admin] = /listening on 127\.0\.0\.1:(\d+).* status on (\S+)/.exec(this.#child?.output ?? "") ?? [];
      if (port !== undefined && admin !== undefined) return { port: Number(port), admin };
      if (this.#child?.isRunning !== true) throw new Error(`the control plane ended: ${this.#child?.output}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async #mib(field: "VmRSS" | "VmHWM" = "VmRSS"): Promise<number> {
    const status = await readFile(`/proc/${this.#child?.pid}/status`, "utf8");
    return Math.round(Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1024);
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function main(): Promise<void> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({ options: { clients: text, clusters: text, rounds: text } });
  const folder = await mkdtemp(join(tmpdir(), "control-plane-scale-"));
  const options = {
    clients: Number(values.clients ?? 1_000),
    clusters: Number(values.clusters ?? 100),
    rounds: Number(values.rounds ?? 3),
  };
  const bench = new Bench(options, folder);
  try {
    if (!(await bench.run())) process.exitCode = 1;
  } finally {
    await bench.close();
    await rm(folder, { recursive: true });
  }
}

await main();
