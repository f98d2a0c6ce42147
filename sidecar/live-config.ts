// A worker's live configuration: deltas of plain model objects → running clusters, route tables, plugins and listeners.
// worker.ts applies each delta in one turn, so no request sees half of it; what a delta does not name stays the same object.
// A listener or plugin that cannot be brought up leaves the previous one serving and is reported (ApplyFailure).

import type { Runtime } from "../xds/model/bootstrap.ts";
import type { Cluster } from "../xds/model/cluster.ts";
import type { ClusterLoadAssignment } from "../xds/model/endpoints.ts";
import type { FilterChain, HttpConnectionManager, Listener } from "../xds/model/listener.ts";
import type { PluginConfig } from "../xds/model/plugin-config.ts";
import type { RouteConfiguration } from "../xds/model/route.ts";
import { compileCluster, type ClusterDeps, type LiveCluster } from "./cluster/cluster.ts";
import { FailingFilterFactory } from "./filter/failing-filter.ts";
import type { FilterCallbacks, FilterFactory, StreamFilter } from "./filter/filter.ts";
import { type PluginSource, WasmFilterFactory, type WasmStream } from "./filter/wasm-filter.ts";
import { type HttpServing, resolveHttpStats, type RouteSource, type StreamEnvironment } from "./http-serving.ts";
import type { PluginLease, PluginPool } from "./plugin-pool.ts";
import { compileRoutes, type RouteTable } from "./route/route-table.ts";
import type { StatsScope } from "./stats/scope.ts";
import type { StreamLog } from "./http-serving.ts";
import type { FormatContext } from "./telemetry/format-operators.ts";
import type { RequestTracing } from "./telemetry/request-tracing.ts";
import type { ApplyFailure, ConfigDelta } from "./worker-link.ts";

export interface LiveConfigDeps {
  readonly cluster: ClusterDeps;
  readonly environment: StreamEnvironment;
  readonly scope: StatsScope;
  readonly plugins: PluginPool;
  readonly format: FormatContext;
  readonly property: PluginSource["property"];
  readonly tracingOf: (hcm: HttpConnectionManager) => RequestTracing;
  readonly logsOf: (hcm: HttpConnectionManager, listener: Listener) => readonly StreamLog[];
}

/** A plugin that arrives by name (ECDS): replaced under the filters that use it, which are this factory. */
class NamedPlugin implements PluginSource, FilterFactory<WasmStream> {
  readonly name: string;
  readonly property: PluginSource["property"];
  readonly #running: WasmFilterFactory;
  readonly #failing: FailingFilterFactory;
  lease: PluginLease | undefined = undefined;
  /** Configured, and its code cannot be had: what its policy says then. */
  standIn: "open" | "closed" | undefined = undefined;

  constructor(name: string, property: PluginSource["property"]) {
    this.name = name;
    this.property = property;
    this.#running = new WasmFilterFactory(this);
    this.#failing = new FailingFilterFactory(name);
  }

  get plugin(): PluginSource["plugin"] {
    return this.lease?.plugin;
  }

  get hasConfig(): boolean {
    return this.lease !== undefined || this.standIn !== undefined;
  }

  replace(lease: PluginLease): void {
    const old = this.lease;
    this.lease = lease;
    this.standIn = undefined;
    old?.release();
  }

  create(stream: WasmStream, callbacks: FilterCallbacks): StreamFilter | undefined {
    return this.lease === undefined && this.standIn === "closed"
      ? this.#failing.create(stream, callbacks)
      : this.#running.create(stream, callbacks);
  }
}

/** One filter chain of a listener, compiled, with what must be given back when it goes. */
export interface LiveChain {
  readonly model: FilterChain;
  readonly serving: HttpServing | undefined;
  readonly leases: readonly PluginLease[];
}

/** One listener's compiled filter chains, in the model's order; the default chain is last when there is one. */
export interface LiveListener {
  readonly model: Listener;
  readonly chains: readonly LiveChain[];
}

export class LiveConfig {
  readonly #deps: LiveConfigDeps;
  readonly #clusters = new Map<string, LiveCluster>();
  readonly #clusterModels = new Map<string, Cluster>();
  readonly #endpoints = new Map<string, ClusterLoadAssignment>();
  readonly #routeConfigs = new Map<string, RouteConfiguration>();
  readonly #routes = new Map<string, RouteSource>();
  readonly #named = new Map<string, NamedPlugin>();
  readonly #listeners = new Map<string, LiveListener>();
  #runtime: Runtime = {};

  constructor(deps: LiveConfigDeps) {
    this.#deps = deps;
  }

  get clusters(): ReadonlyMap<string, LiveCluster> {
    return this.#clusters;
  }

  get listeners(): ReadonlyMap<string, LiveListener> {
    return this.#listeners;
  }

  /** Applies everything of a delta but the listeners' sockets; `onListeners` gets what changed there. */
  apply(
    delta: ConfigDelta,
    onListeners: (changed: readonly LiveListener[], removed: readonly string[]) => void,
  ): ApplyFailure[] {
    const failures: ApplyFailure[] = [];
    const runtimeChanged = delta.runtime !== undefined;
    if (delta.runtime !== undefined) {
      this.#runtime = delta.runtime;
      this.#deps.plugins.settings = delta.runtime;
    }
    for (const module of delta.modules) {
      this.#deps.plugins.addModule(module);
    }
    this.#applyClusters(delta);
    this.#applyRoutes(delta, runtimeChanged);
    this.#applyPlugins(delta, failures);
    const changed: LiveListener[] = [];
    for (const [name, model] of delta.listeners.set) {
      const live = this.#compileListener(model, failures);
      if (live !== undefined) {
        const previous = this.#listeners.get(name);
        this.#listeners.set(name, live);
        changed.push(live);
        releaseAll(previous);
      }
    }
    const removed = delta.listeners.removed.filter((name) => this.#listeners.has(name));
    for (const name of removed) {
      releaseAll(this.#listeners.get(name));
      this.#listeners.delete(name);
    }
    if (changed.length > 0 || removed.length > 0) {
      onListeners(changed, removed);
    }
    this.#removeClusters(delta);
    for (const digest of delta.retiredModules) {
      this.#deps.plugins.removeModule(digest);
    }
    return failures;
  }

  /** Ends every upstream connection and plugin. */
  dispose(): void {
    for (const listener of this.#listeners.values()) {
      releaseAll(listener);
    }
    for (const plugin of this.#named.values()) {
      plugin.lease?.release();
    }
    for (const cluster of this.#clusters.values()) {
      cluster.dispose();
    }
  }

  #applyClusters(delta: ConfigDelta): void {
    for (const [name, assignment] of delta.endpoints.set) {
      this.#endpoints.set(name, assignment);
    }
    for (const [name, model] of delta.clusters.set) {
      const old = this.#clusters.get(name);
      const cluster = compileCluster(model, this.#deps.cluster);
      this.#clusterModels.set(name, model);
      const assignment = this.#endpoints.get(endpointsName(model));
      if (assignment !== undefined) {
        cluster.updateEndpoints(assignment);
      }
      this.#clusters.set(name, cluster);
      old?.drain();
    }
    const moved = new Set(delta.endpoints.set.map(([name]) => name));
    const rebuilt = new Set(delta.clusters.set.map(([name]) => name));
    if (moved.size > 0) {
      for (const [name, model] of this.#clusterModels) {
        const assignment = this.#endpoints.get(endpointsName(model));
        if (assignment !== undefined && moved.has(endpointsName(model)) && !rebuilt.has(name)) {
          this.#clusters.get(name)?.updateEndpoints(assignment);
        }
      }
    }
    for (const name of delta.endpoints.removed) {
      this.#endpoints.delete(name);
    }
  }

  /** Last, so that nothing in use names them any more. Requests that have chosen a host finish. */
  #removeClusters(delta: ConfigDelta): void {
    for (const name of delta.clusters.removed) {
      this.#clusters.get(name)?.drain();
      this.#clusters.delete(name);
      this.#clusterModels.delete(name);
    }
  }

  #applyRoutes(delta: ConfigDelta, runtimeChanged: boolean): void {
    for (const [name, config] of delta.routes.set) {
      this.#routeConfigs.set(name, config);
      this.#routeSource(name).table = this.#compileRoutes(config);
    }
    if (runtimeChanged) {
      const changed = new Set(delta.routes.set.map(([name]) => name));
      for (const [name, config] of this.#routeConfigs) {
        if (!changed.has(name)) {
          this.#routeSource(name).table = this.#compileRoutes(config);
        }
      }
      for (const { serving } of [...this.#listeners.values()].flatMap((listener) => listener.chains)) {
        if (serving?.hcm.routes.kind === "inline") {
          serving.routes.table = this.#compileRoutes(serving.hcm.routes.routeConfig);
        }
      }
    }
    for (const name of delta.routes.removed) {
      this.#routeConfigs.delete(name);
      this.#routeSource(name).table = undefined;
      this.#routes.delete(name);
    }
  }

  #routeSource(name: string): RouteSource {
    let source = this.#routes.get(name);
    if (source === undefined) {
      source = { table: undefined };
      this.#routes.set(name, source);
    }
    return source;
  }

  #compileRoutes(config: RouteConfiguration): RouteTable {
    return compileRoutes(config, { runtime: this.#runtime, format: this.#deps.format });
  }

  #applyPlugins(delta: ConfigDelta, failures: ApplyFailure[]): void {
    for (const [name, config] of delta.plugins.set) {
      if (config.code.kind === "missing") {
        this.#namedPlugin(name).standIn = policyWithoutCode(config);
        continue;
      }
      const taken = this.#deps.plugins.take(config);
      if (taken.ok) {
        this.#namedPlugin(name).replace(taken.lease);
      } else {
        failures.push({ resource: "plugin", name, problem: taken.problem });
      }
    }
    for (const name of delta.plugins.removed) {
      this.#named.get(name)?.lease?.release();
      this.#named.delete(name);
    }
  }

  #namedPlugin(name: string): NamedPlugin {
    let plugin = this.#named.get(name);
    if (plugin === undefined) {
      plugin = new NamedPlugin(name, this.#deps.property);
      this.#named.set(name, plugin);
    }
    return plugin;
  }

  /** undefined when a plugin does not start: then the previous listener stays. */
  #compileListener(model: Listener, failures: ApplyFailure[]): LiveListener | undefined {
    const leases: PluginLease[] = [];
    const chains: LiveChain[] = [];
    const models =
      model.defaultFilterChain === undefined ? model.filterChains : [...model.filterChains, model.defaultFilterChain];
    for (const chain of models) {
      const own: PluginLease[] = [];
      const serving =
        chain.filter.kind === "http" ? this.#compileHttp(chain.filter, model, chain.name, own) : undefined;
      leases.push(...own);
      if (typeof serving === "string") {
        failures.push({ resource: "listener", name: model.name, problem: serving });
        for (const lease of leases) {
          lease.release();
        }
        return undefined;
      }
      chains.push({ model: chain, serving, leases: own });
    }
    return { model, chains };
  }

  /** The compiled connection manager, or why there is none. */
  #compileHttp(
    hcm: HttpConnectionManager,
    listener: Listener,
    filterChainName: string,
    leases: PluginLease[],
  ): HttpServing | string {
    const factories: FilterFactory<WasmStream>[] = [];
    let suppressEnvoyHeaders = false;
    const discovered: NamedPlugin[] = [];
    for (const filter of hcm.httpFilters) {
      const { config } = filter;
      if (filter.disabled) {
        continue;
      }
      if (config.kind === "router") {
        suppressEnvoyHeaders = config.suppressEnvoyHeaders;
      } else if (config.kind === "wasm") {
        const factory = this.#fixedPlugin(filter.name, config.plugin, leases);
        if (typeof factory === "string") {
          return factory;
        }
        if (factory !== undefined) {
          factories.push(factory);
        }
      } else if (config.kind === "discovered") {
        const named = this.#namedPlugin(filter.name);
        if (!named.hasConfig && config.defaultPlugin?.code.kind === "missing") {
          named.standIn = policyWithoutCode(config.defaultPlugin);
        } else if (!named.hasConfig && config.defaultPlugin !== undefined) {
          const taken = this.#deps.plugins.take(config.defaultPlugin);
          if (!taken.ok) {
            return taken.problem;
          }
          named.replace(taken.lease);
        }
        discovered.push(named);
        factories.push(named);
      }
    }
    return {
      hcm,
      origin: { listenerName: listener.name, trafficDirection: listener.trafficDirection, filterChainName },
      environment: this.#deps.environment,
      factories,
      routes:
        hcm.routes.kind === "rds"
          ? this.#routeSource(hcm.routes.name)
          : { table: this.#compileRoutes(hcm.routes.routeConfig) },
      clusters: this.#clusters,
      stats: resolveHttpStats(this.#deps.scope, hcm.statPrefix),
      tracing: this.#deps.tracingOf(hcm),
      accessLogs: this.#deps.logsOf(hcm, listener),
      suppressEnvoyHeaders,
      bufferLimitBytes: listener.perConnectionBufferLimitBytes,
      discovered,
    };
  }

  /** undefined: the plugin has no code, and its policy lets streams pass. A text says why it does not start. */
  #fixedPlugin(
    filterName: string,
    config: PluginConfig,
    leases: PluginLease[],
  ): FilterFactory<WasmStream> | string | undefined {
    if (config.code.kind === "missing") {
      return policyWithoutCode(config) === "closed" ? new FailingFilterFactory(filterName) : undefined;
    }
    const taken = this.#deps.plugins.take(config);
    if (!taken.ok) {
      return taken.problem;
    }
    leases.push(taken.lease);
    return new WasmFilterFactory({
      name: filterName,
      plugin: taken.lease.plugin,
      property: this.#deps.property,
    });
  }
}

function policyWithoutCode(config: PluginConfig): "open" | "closed" {
  return config.failurePolicy === "open" || config.failOpenDeprecated ? "open" : "closed";
}

/** Under which name the endpoints of a cluster come: EDS service name, or the cluster's own for resolved names. */
export function endpointsName(cluster: Cluster): string {
  return cluster.discovery.kind === "eds" ? cluster.discovery.serviceName : cluster.name;
}

function releaseAll(listener: LiveListener | undefined): void {
  for (const chain of listener?.chains ?? []) {
    for (const lease of chain.leases) {
      lease.release();
    }
  }
}
