/**
 * A large mesh over ADS: 5,000 virtual hosts with routes, 5,000 clusters, 50,000 endpoints, for the sidecar and, where it is
 * found, for Envoy with the same bootstrap, in turn. From the start of the process until the last virtual host is answered by
 * its cluster; resident memory then; and how long one changed route takes until a request goes by it.
 * The control plane runs in this process on the other core.
 * Run: node test/bench/xds-scale.ts [--hosts 5000] [--endpoints 10] [--rounds 3] [--pushes 50] [--variant GRPC] [--sources]
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { ClusterSchema, Cluster_DiscoveryType } from "../../xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { ClusterLoadAssignmentSchema } from "../../xds/gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { RouteConfigurationSchema } from "../../xds/gen/envoy/config/route/v3/route_pb.ts";
import { createControlPlane } from "../../xds/server/control-plane.ts";
import type { ServedResource } from "../../xds/server/resource-set.ts";
import { CLUSTER_TYPE, ENDPOINTS_TYPE, ROUTE_TYPE } from "../../xds/type-urls.ts";
import { parseResources } from "../../xds/decode/resources-file.ts";
import { builtProgram } from "../support/built-program.ts";
import { findEnvoy } from "../support/envoy-binary.ts";
import { adsBootstrapText } from "../support/sidecar-story.ts";
import type { AdsVariant } from "../support/xds-resources.ts";
import { type Child, start, stopAll } from "./child.ts";
import { percentile } from "./load.ts";
import { cpuSpent, cpuTimes, residentMib } from "./machine.ts";
import { freePorts, PROXY_CORE } from "./variants.ts";

const text = { type: "string" } as const;
const { values } = parseArgs({
  options: { hosts: text, endpoints: text, rounds: text, pushes: text, variant: text, sources: { type: "boolean" } },
});
const HOSTS = Number(values.hosts ?? 5000);
const ENDPOINTS = Number(values.endpoints ?? 10);
const ROUNDS = Number(values.rounds ?? 3);
const PUSHES = Number(values.pushes ?? 50);
const VARIANT: AdsVariant = values.variant === "DELTA_GRPC" ? "DELTA_GRPC" : "GRPC";
const SOURCES = join(import.meta.dirname, "../../outrigger");
const START_DEADLINE_MS = 120_000;

interface Proxy {
  readonly env: Readonly<Record<string, string>>;
  readonly commandOf: (file: string) => string[];
}

interface Result {
  readonly startMs: number;
  /** Seconds of processors that it used until then. */
  readonly startCpu: number;
  readonly residentMib: number;
  readonly pushMs: readonly number[];
}

/** Virtual hosts `first` to `last`, encoded; every host has three routes, and answers with the version, if one is given, as a header. */
function hosts(first: number, last: number, version?: number): Uint8Array {
  const virtualHosts = Array.from({ length: last - first + 1 }, (_, i) => ({
    name: `host-${first + i}`,
    domains: [`host-${first + i}.example.com`, `host-${first + i}.example.com:*`],
    routes: ["/api/", "/static/", "/"].map((prefix) => ({
      match: { pathSpecifier: { case: "prefix" as const, value: prefix } },
      action: {
        case: "route" as const,
        value: { clusterSpecifier: { case: "cluster" as const, value: `cluster-${first + i}` } },
      },
      ...(version === undefined
        ? {}
        : { responseHeadersToAdd: [{ header: { key: "x-version", value: String(version) } }] }),
    })),
  }));
  return toBinary(RouteConfigurationSchema, create(RouteConfigurationSchema, { virtualHosts }));
}

const buffers: Buffer[] = [];

/** All virtual hosts; the last one knows the version. What does not change is encoded once, so that no garbage of it is in the times. */
function routes(unchanged: Uint8Array, version: number): ServedResource {
  const name = toBinary(RouteConfigurationSchema, create(RouteConfigurationSchema, { name: "routes" }));
  const parts = [name, unchanged, hosts(HOSTS - 1, HOSTS - 1, version)];
  const size = parts.reduce((sum, { length }) => sum + length, 0);
  // In turn into two buffers, for the version before is still served: what becomes garbage is in no time then.
  let buffer = buffers[version % 2];
  if (buffer === undefined || buffer.length < size) buffers[version % 2] = buffer = Buffer.alloc(size + 1024);
  let end = 0;
  for (const part of parts) {
    buffer.set(part, end);
    end += part.length;
  }
  const value = buffer.subarray(0, end);
  return { typeUrl: ROUTE_TYPE, name: "routes", value };
}

function clusters(): ServedResource[] {
  return Array.from({ length: HOSTS }, (_, i) => {
    const name = `cluster-${i}`;
    const message = create(ClusterSchema, {
      name,
      connectTimeout: { seconds: 1n },
      clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.EDS },
      edsClusterConfig: {
        edsConfig: { configSourceSpecifier: { case: "ads", value: {} }, resourceApiVersion: 2 },
      },
    });
    return { typeUrl: CLUSTER_TYPE, name, value: toBinary(ClusterSchema, message) };
  });
}

/** The last cluster's endpoints are all the origin. */
function assignments(origin: number): ServedResource[] {
  return Array.from({ length: HOSTS }, (_, i) => {
    const clusterName = `cluster-${i}`;
    const lbEndpoints = Array.from({ length: i === HOSTS - 1 ? 1 : ENDPOINTS }, (_each, j) => {
      const [address, port] = i === HOSTS - 1 ? ["127.0.0.1", origin] : [`10.${i >> 8}.${i & 255}.${j + 1}`, 8080];
      const socketAddress = { address, portSpecifier: { case: "portValue" as const, value: port } };
      const value = { address: { address: { case: "socketAddress" as const, value: socketAddress } } };
      return { hostIdentifier: { case: "endpoint" as const, value } };
    });
    const message = create(ClusterLoadAssignmentSchema, { clusterName, endpoints: [{ lbEndpoints }] });
    const value = toBinary(ClusterLoadAssignmentSchema, message);
    return { typeUrl: ENDPOINTS_TYPE, name: clusterName, value };
  });
}

function listener(port: number): ServedResource {
  const loaded = parseResources(
    `- "@type": type.googleapis.com/envoy.config.listener.v3.Listener
  name: main
  address: { socket_address: { address: 127.0.0.1, port_value: ${port} } }
  filter_chains:
    - filters:
        - name: envoy.filters.network.http_connection_manager
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
            stat_prefix: main
            rds: { route_config_name: routes, config_source: { ads: {}, resource_api_version: V3 } }
            http_filters:
              - name: envoy.filters.http.router
                typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
`,
    "listener.yaml",
  );
  const [first] = loaded.ok ? loaded.resources : [];
  if (first === undefined) throw new Error("the listener of the bench is not valid");
  return first;
}

/** One request to the last virtual host: the version by which it was answered; undefined when it was not. */
function ask(port: number, agent: Agent): Promise<string | undefined> {
  return new Promise((resolve) => {
    const headers = { host: `host-${HOSTS - 1}.example.com` };
    const sent = request({ host: "127.0.0.1", port, path: "/", headers, agent }, (response) => {
      response.resume();
      response.once("close", () => {
        const version = response.headers["x-version"];
        resolve(response.statusCode === 200 && typeof version === "string" ? version : undefined);
      });
    });
    sent.once("error", () => resolve(undefined));
    sent.end();
  });
}

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

async function untilVersion(port: number, agent: Agent, version: number, everyMs: number): Promise<void> {
  const deadline = performance.now() + START_DEADLINE_MS;
  while ((await ask(port, agent)) !== String(version)) {
    if (performance.now() > deadline) throw new Error(`version ${version} was not in use in time`);
    await pause(everyMs);
  }
}

async function measure(fixed: readonly ServedResource[], { env, commandOf }: Proxy): Promise<Result> {
  const [port = 0] = await freePorts(1);
  const folder = mkdtempSync(join(tmpdir(), "outrigger-scale-"));
  const unchanged = hosts(0, HOSTS - 2);
  const listening = listener(port);
  const set = (version: number): ServedResource[] => [...fixed, listening, routes(unchanged, version)];
  const plane = createControlPlane({ resources: set(0) });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let child: Child | undefined;
  try {
    const file = join(folder, "bootstrap.yaml");
    writeFileSync(file, adsBootstrapText(await plane.listen("127.0.0.1", 0), VARIANT));
    const startedAt = performance.now();
    child = await start("proxy", PROXY_CORE, commandOf(file), env);
    await untilVersion(port, agent, 0, 20);
    const startMs = performance.now() - startedAt;
    const startCpu = cpuSpent(new Map(), cpuTimes(child.pid)) / 1e9;
    await pause(2000);
    const resident = residentMib(child.pid);
    const pushMs: number[] = [];
    for (let version = 1; version <= PUSHES; version++) {
      const next = set(version);
      const pushedAt = performance.now();
      plane.setResources(next);
      await untilVersion(port, agent, version, 1);
      pushMs.push(performance.now() - pushedAt);
      await pause(50);
    }
    return { startMs, startCpu, residentMib: resident, pushMs };
  } catch (cause) {
    throw new Error(`It failed; the proxy said:\n${child?.output.slice(-3000) ?? ""}`, { cause });
  } finally {
    agent.destroy();
    await child?.stop();
    plane.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function percentiles(times: readonly number[]): string {
  const sorted = Float64Array.from(times).sort();
  return `p50 ${percentile(sorted, 0.5).toFixed(0)} ms, p99 ${percentile(sorted, 0.99).toFixed(0)} ms`;
}

async function main(): Promise<void> {
  const origin = createServer((_request, response) => response.end("hello\n"));
  await new Promise<void>((resolve) => {
    origin.listen(0, "127.0.0.1", resolve);
  });
  const fixed = [...clusters(), ...assignments((origin.address() as AddressInfo).port)];
  // The program as it is installed; `--sources` starts the sources themselves.
  const { launcher, env } = values.sources === true ? { launcher: SOURCES, env: {} } : await builtProgram();
  const envoy = findEnvoy();
  const flags = ["--concurrency", "1", "-l"];
  const proxies: [string, Proxy][] = [
    ["outrigger", { env, commandOf: (file) => [launcher, "run", "-c", file, ...flags, "warning"] }],
  ];
  if (envoy !== undefined) {
    const commandOf = (file: string): string[] => [envoy, "-c", file, ...flags, "error", "--use-dynamic-base-id"];
    proxies.push(["envoy", { env: {}, commandOf }]);
  }
  process.stdout.write(`${HOSTS} virtual hosts, ${HOSTS} clusters, ${HOSTS * ENDPOINTS} endpoints, ${VARIANT}\n`);
  const all = new Map(proxies.map(([name]): [string, number[]] => [name, []]));
  try {
    for (let round = 1; round <= ROUNDS; round++) {
      for (const [name, proxy] of proxies) {
        const { startMs, startCpu, residentMib: mib, pushMs } = await measure(fixed, proxy);
        all.get(name)?.push(...pushMs);
        const start_ = `start to in use ${(startMs / 1000).toFixed(2)} s (${startCpu.toFixed(2)} s of CPU)`;
        process.stdout.write(
          `${name.padEnd(10)} ${start_}, RSS ${mib.toFixed(0)} MiB, a route ${percentiles(pushMs)}\n`,
        );
      }
    }
    for (const [name, pushMs] of all) {
      process.stdout.write(`${name.padEnd(10)} all ${pushMs.length} pushes: a route ${percentiles(pushMs)}\n`);
    }
  } finally {
    await stopAll();
    origin.close();
  }
}

if (import.meta.main) await main();
