// What the admin server shows and changes, read from the running program: implements admin/ports.ts over the supervisor.
// cli/serving.ts hands `openAdmin` to the supervisor. What only workers know is asked for with a deadline (worker-handle.ts).

import { writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import type { Socket } from "node:net";
import type { PluginView as HostPluginView } from "../plugins/plugin.ts";
import { anyToJson } from "../xds/decode/resource-json.ts";
import type { PluginConfig } from "../xds/model/plugin-config.ts";
import type { ResourceView } from "../xds/resource-store.ts";
import type { ClientStatus } from "../xds/client-status-wire.ts";
import type { ClientStatusService } from "../xds/server/client-status.ts";
import {
  CLUSTER_TYPE,
  ENDPOINTS_TYPE,
  EXTENSION_CONFIG_TYPE,
  LISTENER_TYPE,
  ROUTE_TYPE,
  SCOPED_ROUTE_TYPE,
  SECRET_TYPE,
} from "../xds/type-urls.ts";
import { answerData } from "./answer-data.ts";
import type { Explanation, Question } from "./explain/explanation.ts";
import { AdminServer, DEFAULT_ADMIN_ADDRESS } from "./admin/admin.ts";
import { inlineEndpoints, inlineRoutes, scopedRoutes } from "./admin/inline-config.ts";
import type * as Ports from "./admin/ports.ts";
import type { Supervisor } from "./supervisor.ts";
import { parseLogLevel } from "./telemetry/log-level.ts";
import { addressText } from "./upstream/address-text.ts";
import { clusterViews, type WorkerHosts } from "./cluster-views.ts";
import { routeConfigurations } from "./route-configurations.ts";
import { pluginViews } from "./plugin/plugin-views.ts";
import { serverInfo } from "./server-info.ts";
import { xdsViews } from "./xds-views.ts";

const BOOTSTRAP_TYPE = "type.googleapis.com/envoy.config.bootstrap.v3.Bootstrap";
const NODE_TYPE = "type.googleapis.com/envoy.config.core.v3.Node";

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
  /** Loaded with the first connection that speaks gRPC: few ever do. */
  #clientStatus: Promise<ClientStatusService> | undefined;

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
    return serverInfo({
      version,
      uptimeMs: Date.now() - this.#supervisor.startedAt,
      options,
      node: withoutType(anyToJson(NODE_TYPE, bootstrap.nodeBytes) as Ports.JsonObject),
    });
  }

  configDump(): Ports.ConfigDumpView {
    const startedAt = new Date(this.#supervisor.startedAt).toISOString();
    const status = this.#supervisor.client?.status();
    const cold = (status?.warming ?? []).filter(({ isFirst }) => isFirst);
    const warming = new Set(cold.map(({ typeUrl, name }) => `${typeUrl} ${name}`));
    const dump = (typeUrl: string): readonly Ports.DumpedResource[] =>
      (status?.resources ?? [])
        .filter((resource) => resource.typeUrl === typeUrl)
        .flatMap((each) => dumped(each, warming.has(`${typeUrl} ${each.name}`)));
    const clusters = dump(CLUSTER_TYPE);
    const listeners = dump(LISTENER_TYPE);
    return {
      bootstrap: {
        value: withoutType(
          anyToJson(BOOTSTRAP_TYPE, this.#supervisor.deps.bootstrap.bootstrapBytes) as Ports.JsonObject,
        ),
        lastUpdated: startedAt,
      },
      clusters,
      listeners,
      routes: [...dump(ROUTE_TYPE), ...inlineRoutes(listeners)],
      scopedRoutes: scopedRoutes(listeners, dump(SCOPED_ROUTE_TYPE)),
      endpoints: [...dump(ENDPOINTS_TYPE), ...inlineEndpoints(clusters)],
      secrets: [...dump(SECRET_TYPE), ...missingSecrets(status?.resources ?? [], startedAt)],
      extensions: dump(EXTENSION_CONFIG_TYPE),
    };
  }

  certificates(): ReturnType<Ports.AdminPorts["certificates"]> {
    return this.#supervisor.client?.certificates() ?? [];
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
    const { workers, publisher, reader, gate, deps } = this.#supervisor;
    const failures = new Map([...this.#supervisor.failures, ...gate.refusals]);
    const answers = await Promise.all(workers.map((worker) => worker.ask<HostPluginView[]>({ kind: "plugins" })));
    const configs = new Map<string, PluginConfig>(publisher.plugins.map((plugin) => [plugin.name, plugin]));
    const ofRoutes = routeConfigurations(publisher, this.#supervisor.snapshot?.routes ?? new Map());
    return pluginViews({
      configs,
      ofRoutes,
      services: deps.bootstrap.services,
      failures,
      reader,
      answers: answers.map((answer) => answer ?? []),
    });
  }

  async traces(limit: number): Promise<readonly Ports.TraceView[]> {
    const question = { kind: "traces", limit } as const;
    const answers = await Promise.all(
      this.#supervisor.workers.map((worker) => worker.ask<Ports.TraceView[]>(question)),
    );
    const traces = answers.flatMap((answer) => answer ?? []);
    return traces.toSorted((a, b) => b.startedAt - a.startedAt).slice(0, limit);
  }

  async explain(question: Question): Promise<Explanation | string> {
    // Route tables are the workers' otherwise: a sidecar that nobody asks loads none of it here.
    const { explainRequest } = await import("./explain/explain-request.ts");
    const { publisher, deps } = this.#supervisor;
    const { environment } = deps;
    return explainRequest(question, {
      config: publisher.everything(),
      format: { hostname: hostname(), environment },
      readData: (source) => answerData(source, environment),
    });
  }

  xds(): readonly Ports.XdsView[] {
    const { client, usage, failures } = this.#supervisor;
    const status = client?.status();
    return status === undefined
      ? []
      : xdsViews({
          status,
          useOf: (key) => usage.of(key),
          secretUsedSince: (name) => client?.secretUsedSince(name),
          failureOf: (name) => failures.get(name),
        });
  }

  runtime(): Ports.RuntimeView {
    const { bootstrap } = this.#supervisor.deps;
    const layers = bootstrap.runtimeLayers;
    const values = this.#supervisor.snapshot?.runtime ?? {};
    return {
      layers: layers.map(({ name }) => name),
      entries: Object.entries(values)
        .toSorted(([x], [y]) => (x < y ? -1 : 1))
        .map(([key, value]) => ({
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
    return isKnown;
  }

  healthcheckFail(fail: boolean): void {
    this.#supervisor.healthcheckFailing = fail;
  }

  drain(options: Ports.DrainOptions): void {
    this.#supervisor.draining.listeners(options);
  }

  reopenLogs(): void {
    this.#supervisor.reopenLogs();
  }

  acceptGrpc(socket: Socket): void {
    this.#clientStatus ??= import("../xds/server/client-status.ts").then(
      (module) => new module.ClientStatusService(() => this.#statusOfClient()),
    );
    this.#clientStatus
      .then((service) => service.accept(socket))
      .catch((error: unknown) => {
        this.#supervisor.deps.log.error({ error }, "Client status cannot be served");
        socket.destroy();
      });
  }

  quit(): void {
    this.#supervisor.quit();
  }

  #statusOfClient(): ClientStatus {
    const { deps, client } = this.#supervisor;
    return { nodeBytes: deps.bootstrap.nodeBytes, resources: client?.status().resources ?? [] };
  }
}

/** Secrets that are subscribed to and have not come: Envoy shows them as these. */
function missingSecrets(resources: readonly ResourceView[], since: string): Ports.DumpedResource[] {
  return resources
    .filter(({ typeUrl, value, error }) => typeUrl === SECRET_TYPE && value === undefined && error === undefined)
    .map(({ name }) => ({
      name,
      versionInfo: "uninitialized",
      lastUpdated: since,
      state: "warming",
      value: { "@type": SECRET_TYPE, name },
    }));
}

function dumped(resource: ResourceView, isWarming: boolean): Ports.DumpedResource[] {
  const { error, isStatic, typeUrl, value } = resource;
  if (value === undefined && error === undefined) {
    return [];
  }
  const json = (bytes: Uint8Array): Ports.JsonObject => anyToJson(typeUrl, bytes) as Ports.JsonObject;
  return [
    {
      name: resource.name,
      versionInfo: isStatic ? "" : resource.version,
      lastUpdated: time(resource.receivedAt ?? 0),
      state: isStatic ? "static" : isWarming ? "warming" : "active",
      value: value === undefined ? undefined : json(value),
      ...(error === undefined
        ? {}
        : {
            error: {
              details: error.details,
              versionInfo: error.version,
              lastAttempt: time(error.at),
              ...(error.bytes === undefined ? {} : { value: json(error.bytes) }),
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
