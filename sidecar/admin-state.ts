// What the admin server shows and changes, read from the running program: implements admin/ports.ts over the supervisor.
// cli/run.ts hands `openAdmin` to the supervisor. What only workers know is asked for with a deadline (worker-handle.ts).

import { writeFile } from "node:fs/promises";
import type { PluginView as HostPluginView } from "../plugins/plugin.ts";
import { anyToJson } from "../xds/decode/resource-json.ts";
import type { PluginConfig } from "../xds/model/plugin-config.ts";
import type { ResourceView } from "../xds/resource-store.ts";
import {
  CLUSTER_TYPE,
  ENDPOINTS_TYPE,
  EXTENSION_CONFIG_TYPE,
  LISTENER_TYPE,
  ROUTE_TYPE,
  SECRET_TYPE,
} from "../xds/type-urls.ts";
import { AdminServer, DEFAULT_ADMIN_ADDRESS } from "./admin/admin.ts";
import type * as Ports from "./admin/ports.ts";
import type { Supervisor } from "./supervisor.ts";
import type { RunOptions } from "./cli/run-flags.ts";
import { parseLogLevel } from "./telemetry/log-level.ts";
import { addressText } from "./upstream/address-text.ts";
import { clusterViews, type WorkerHosts } from "./cluster-views.ts";
import { pluginViews } from "./plugin-views.ts";

const BOOTSTRAP_TYPE = "type.googleapis.com/envoy.config.bootstrap.v3.Bootstrap";
const NODE_TYPE = "type.googleapis.com/envoy.config.core.v3.Node";
const USE_KINDS: Readonly<Record<string, string>> = {
  [LISTENER_TYPE]: "listeners",
  [ROUTE_TYPE]: "routes",
  [CLUSTER_TYPE]: "clusters",
  [ENDPOINTS_TYPE]: "endpoints",
  [EXTENSION_CONFIG_TYPE]: "plugins",
};

/** Binds the admin port of the bootstrap, or ours; a text says why it cannot. */
export async function openAdmin(supervisor: Supervisor): Promise<AdminServer | string> {
  const { bootstrap, log, options } = supervisor.deps;
  const server = new AdminServer(new AdminState(supervisor), log.child("admin"), supervisor.stats);
  const problem = await server.listen(bootstrap.admin?.address ?? DEFAULT_ADMIN_ADDRESS);
  if (problem !== undefined) {
    return problem;
  }
  log.info({ address: server.address }, "admin listens");
  if (options.adminAddressPath !== undefined) {
    try {
      await writeFile(options.adminAddressPath, server.address);
    } catch (error) {
      await server.close();
      return `Cannot write the admin address to "${options.adminAddressPath}": ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  return server;
}

class AdminState implements Ports.AdminPorts {
  readonly #supervisor: Supervisor;

  constructor(supervisor: Supervisor) {
    this.#supervisor = supervisor;
  }

  get stats(): Ports.AdminPorts["stats"] {
    this.#supervisor.serverStats.refresh();
    return this.#supervisor.reader;
  }

  readiness(): Ports.Readiness {
    return { state: this.#supervisor.state, reasons: this.#supervisor.notReady };
  }

  serverInfo(): Ports.ServerInfoView {
    const { version, options, bootstrap } = this.#supervisor.deps;
    return {
      version: `0000000000000000000000000000000000000000/${version}/Clean/RELEASE/none`,
      uptimeSeconds: Math.floor((Date.now() - this.#supervisor.startedAt) / 1_000),
      hotRestartVersion: "disabled",
      commandLineOptions: commandLine(options),
      node: withoutType(anyToJson(NODE_TYPE, bootstrap.nodeBytes) as Ports.JsonObject),
    };
  }

  configDump(): Ports.ConfigDumpView {
    const startedAt = new Date(this.#supervisor.startedAt).toISOString();
    const dump = (typeUrl: string): readonly Ports.DumpedResource[] =>
      this.#resources(typeUrl).flatMap((each) => dumped(each));
    return {
      bootstrap: {
        value: anyToJson(BOOTSTRAP_TYPE, this.#supervisor.deps.bootstrap.bootstrapBytes) as Ports.JsonObject,
        lastUpdated: startedAt,
      },
      clusters: dump(CLUSTER_TYPE),
      listeners: dump(LISTENER_TYPE),
      routes: dump(ROUTE_TYPE),
      endpoints: dump(ENDPOINTS_TYPE),
      secrets: dump(SECRET_TYPE),
      extensions: dump(EXTENSION_CONFIG_TYPE),
    };
  }

  async clusters(): Promise<readonly Ports.ClusterView[]> {
    const answers = await Promise.all(
      this.#supervisor.workers.map((worker) => worker.ask<WorkerHosts[]>({ kind: "hosts" })),
    );
    const isStatic = new Set(this.#supervisor.deps.bootstrap.clusters.map(({ name }) => name));
    return clusterViews([...(this.#supervisor.snapshot?.clusters.values() ?? [])], isStatic, answers);
  }

  listeners(): readonly Ports.ListenerView[] {
    return this.#supervisor.publisher.listeners.map((listener) => ({
      name: listener.name,
      addresses: [listener.address, ...listener.additionalAddresses].map(addressText),
      trafficDirection: listener.trafficDirection,
      isDraining: this.#supervisor.state === "DRAINING",
    }));
  }

  async plugins(): Promise<readonly Ports.PluginView[]> {
    const { workers, publisher, reader, failures } = this.#supervisor;
    const answers = await Promise.all(workers.map((worker) => worker.ask<HostPluginView[]>({ kind: "plugins" })));
    const configs = new Map<string, PluginConfig>(publisher.plugins.map((plugin) => [plugin.name, plugin]));
    return pluginViews({ configs, failures, reader, answers: answers.flatMap((answer) => answer ?? []) });
  }

  async traces(limit: number): Promise<readonly Ports.TraceView[]> {
    const question = { kind: "traces", limit } as const;
    const answers = await Promise.all(
      this.#supervisor.workers.map((worker) => worker.ask<Ports.TraceView[]>(question)),
    );
    const traces = answers.flatMap((answer) => answer ?? []);
    return traces.toSorted((a, b) => b.startedAt - a.startedAt).slice(0, limit);
  }

  xds(): readonly Ports.XdsView[] {
    const status = this.#supervisor.client?.status();
    if (status === undefined) {
      return [];
    }
    const sources = [...new Set(status.resources.map(({ source }) => source))];
    return sources.map((source) => {
      const server = status.servers.find(({ name }) => name === source);
      const file = status.files.find(({ path }) => source.startsWith(`path:${path} `));
      const own = status.resources.filter((resource) => resource.source === source);
      const lastError = server?.lastError ?? file?.lastError ?? "";
      return {
        server: server === undefined ? source : `${server.name} ${server.target}`,
        connected: server?.isConnected ?? true,
        ...(server?.since === undefined ? {} : { since: new Date(server.since).toISOString() }),
        ...(lastError === "" ? {} : { lastError }),
        types: [...new Set(own.map(({ typeUrl }) => typeUrl))].map((typeUrl) => ({
          typeUrl,
          version: own.find((each) => each.typeUrl === typeUrl)?.version ?? "",
          nonce: "",
          resources: own.filter((each) => each.typeUrl === typeUrl).map((each) => this.#xdsResource(each)),
        })),
      };
    });
  }

  runtime(): Ports.RuntimeView {
    const { bootstrap } = this.#supervisor.deps;
    const layers = bootstrap.runtimeLayers;
    const values = this.#supervisor.snapshot?.runtime ?? {};
    return {
      layers: layers.map(({ name }) => name),
      entries: Object.entries(values).map(([key, value]) => ({
        key,
        layerValues: layers.map((layer) => (layer.kind === "static" ? text(layer.values[key]) : "")),
        finalValue: text(value),
      })),
    };
  }

  memory(): Ports.MemoryView {
    const { heapUsed, heapTotal, rss, external, arrayBuffers } = process.memoryUsage();
    return {
      allocated: heapUsed,
      heapSize: heapTotal,
      physicalBytes: rss,
      details: { external, array_buffers: arrayBuffers },
    };
  }

  initDump(): readonly string[] {
    return this.#supervisor.client?.status().waitsFor ?? [];
  }

  logLevels(): Ports.LogLevels {
    return { components: this.#supervisor.deps.log.levels() };
  }

  setLogLevel(component: string | undefined, level: string): boolean {
    const parsed = parseLogLevel(level);
    if (parsed === undefined) {
      return false;
    }
    const isKnown = this.#supervisor.deps.log.setLevel(component, parsed);
    for (const worker of this.#supervisor.workers) {
      worker.send({ kind: "log-level", component: component ?? "", level: parsed });
    }
    return isKnown || component === "wasm";
  }

  healthcheckFail(fail: boolean): void {
    this.#supervisor.healthcheckFailing = fail;
  }

  drain({ graceful, inboundOnly }: Ports.DrainOptions): void {
    const never = new AbortController().signal;
    void this.#supervisor.drain({ inboundOnly, stopAccepting: !graceful }, never);
  }

  quit(): void {
    this.#supervisor.quit();
  }

  #resources(typeUrl: string): readonly ResourceView[] {
    return (this.#supervisor.client?.status().resources ?? []).filter((resource) => resource.typeUrl === typeUrl);
  }

  #xdsResource({ typeUrl, name, version, receivedAt, ackedAt, error, state }: ResourceView): Ports.XdsResourceView {
    const use = this.#supervisor.usage.of(`${USE_KINDS[typeUrl] ?? typeUrl} ${name}`);
    const failure = this.#supervisor.failures.get(name);
    const refused =
      error !== undefined
        ? { version: error.version, at: time(error.at), reason: error.details }
        : failure !== undefined
          ? { version, at: time(Date.now()), reason: failure.problem }
          : undefined;
    return {
      name,
      version,
      state,
      ...(receivedAt === undefined ? {} : { receivedAt: time(receivedAt) }),
      ...(ackedAt === undefined ? {} : { acknowledgedAt: time(ackedAt) }),
      ...(use === undefined || use.inUseAt === 0 ? {} : { inUseAt: time(use.inUseAt) }),
      ...(refused === undefined ? {} : { refused }),
    };
  }
}

function dumped(resource: ResourceView): Ports.DumpedResource[] {
  if (resource.value === undefined && resource.error === undefined) {
    return [];
  }
  const value = resource.value ?? resource.error?.bytes;
  return [
    {
      name: resource.name,
      versionInfo: resource.isStatic ? "" : resource.version,
      lastUpdated: time(resource.receivedAt ?? 0),
      state: resource.isStatic ? "static" : "active",
      value: value === undefined ? {} : (anyToJson(resource.typeUrl, value) as Ports.JsonObject),
      ...(resource.error === undefined
        ? {}
        : {
            error: {
              details: resource.error.details,
              versionInfo: resource.error.version,
              lastAttempt: time(resource.error.at),
            },
          }),
    },
  ];
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}

function text(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}

function withoutType({ "@type": _type, ...rest }: Ports.JsonObject): Ports.JsonObject {
  return rest;
}

/** Envoy's CommandLineOptions, the fields that have a meaning here. */
function commandLine(options: RunOptions): Ports.JsonObject {
  return {
    config_path: options.configPath ?? "",
    config_yaml: options.configYaml ?? "",
    concurrency: options.concurrency,
    log_level: options.logLevel,
    component_log_level: options.componentLogLevel,
    mode: options.mode === "serve" ? "Serve" : "Validate",
    service_node: options.serviceNode ?? "",
    service_cluster: options.serviceCluster ?? "",
    service_zone: options.serviceZone ?? "",
    restart_epoch: options.restartEpoch,
    drain_time: `${options.drainTimeMs / 1_000}s`,
    drain_strategy: options.drainStrategy === "gradual" ? "Gradual" : "Immediate",
    parent_shutdown_time: `${options.parentShutdownTimeMs / 1_000}s`,
    file_flush_interval: `${options.fileFlushIntervalMs / 1_000}s`,
    local_address_ip_version: options.localAddressIpVersion,
    allow_unknown_static_fields: options.allowUnknownStaticFields,
    reject_unknown_dynamic_fields: options.rejectUnknownDynamicFields,
    ignore_unknown_dynamic_fields: options.ignoreUnknownDynamicFields,
  };
}
