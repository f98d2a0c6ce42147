// A worker's live configuration: deltas of plain model objects → running clusters, route tables, plugins and listeners.
// worker.ts applies each delta in one turn, so no request sees half of it; what a delta does not name stays the same object.
// A listener or plugin that cannot be brought up leaves the previous one serving and is reported (ApplyFailure).

import type { Cluster } from "../xds/model/cluster.ts";
import type { ClusterLoadAssignment } from "../xds/model/endpoints.ts";
import type {
  DiscoveredFilter,
  FilterChain,
  HttpConnectionManager,
  Listener,
  TcpProxy,
} from "../xds/model/listener.ts";
import type { LocalReplyConfig } from "../xds/model/local-reply.ts";
import type { DataSource } from "../xds/model/plugin-config.ts";
import type { AccessLogs } from "./access-logs.ts";
import { IstioTcpStats } from "./builtin/istio/istio-tcp-stats.ts";
import { compileCluster, type ClusterDeps, type LiveCluster } from "./cluster/cluster.ts";
import type { PluginSource } from "./filter/wasm-filter.ts";
import { compileHttpFilters, releaseAll } from "./http-filters.ts";
import { type HttpServing, resolveHttpStats, routerSettings, type StreamEnvironment } from "./http-serving.ts";
import type { LiveDemands } from "./live-demands.ts";
import type { LocalReplies } from "./local-replies.ts";
import { failed, LiveRoutes, overridesOf, useAll } from "./live-routes.ts";
import { NamedFilter } from "./named-filter.ts";
import { nodeNames } from "./node-names.ts";
import { ProxyStatus } from "./proxy-status.ts";
import { pluginsOfFilter } from "./publish/filter-plugins.ts";
import { compileNetworkFilters, type NetworkFilters } from "./network-filters.ts";
import type { PluginLease, PluginPool } from "./plugin/plugin-pool.ts";
import type { ProcessScope } from "./stats/scope.ts";
import type { StreamOrigin } from "./stream-record.ts";
import type { NetworkFilterFactory } from "./tcp/network-filter.ts";
import { TcpServing } from "./tcp/tcp-serving.ts";
import type { TcpEnvironment } from "./tcp/upstream-leg.ts";
import type { FormatContext } from "./telemetry/format-operator.ts";
import type { RequestTracing } from "./telemetry/request-tracing.ts";
import type { ApplyFailure, ConfigDelta } from "./worker-link.ts";

export interface LiveConfigDeps {
  readonly cluster: ClusterDeps;
  readonly environment: StreamEnvironment;
  readonly scope: ProcessScope;
  readonly plugins: PluginPool;
  readonly demands: LiveDemands;
  readonly format: FormatContext;
  readonly property: PluginSource["property"];
  readonly tracingOf: (hcm: HttpConnectionManager, direction: Listener["trafficDirection"]) => RequestTracing;
  /** A text: the plugin of one does not start. */
  readonly logsOf: (of: Pick<Listener, "accessLogs">, listener: Listener) => AccessLogs | string;
  /** undefined: it cannot be read. */
  readonly readData: (source: DataSource) => Uint8Array | undefined;
  /** A text: what cannot be compiled. */
  readonly localRepliesOf: (config: LocalReplyConfig) => LocalReplies | string;
  readonly tcp: TcpEnvironment;
}

/** One filter chain of a listener, compiled. */
export interface LiveChain {
  readonly model: FilterChain;
  readonly serving: HttpServing | undefined;
  readonly tcp: TcpServing | undefined;
  readonly network: NetworkFilters;
}

interface ChainParts {
  readonly origin: StreamOrigin;
  readonly accessLogs: AccessLogs;
}

/** One listener's compiled filter chains, in the model's order; the default chain is last when there is one. */
export interface LiveListener {
  readonly model: Listener;
  readonly chains: readonly LiveChain[];
  /** Of its connections. */
  readonly accessLogs: AccessLogs;
}

const NO_NAMES: ReadonlySet<string> = new Set();

export class LiveConfig {
  readonly #deps: LiveConfigDeps;
  readonly #clusters = new Map<string, LiveCluster>();
  readonly #clusterModels = new Map<string, Cluster>();
  readonly #endpoints = new Map<string, ClusterLoadAssignment>();
  readonly #routes: LiveRoutes;
  readonly #named = new Map<string, NamedFilter>();
  readonly #listeners = new Map<string, LiveListener>();

  constructor(deps: LiveConfigDeps) {
    this.#deps = deps;
    this.#routes = new LiveRoutes(deps.format, deps.readData);
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
    if (delta.runtime !== undefined) {
      this.#deps.plugins.settings = delta.runtime;
    }
    for (const module of delta.modules) {
      this.#deps.plugins.addModule(module);
    }
    this.#applyClusters(delta);
    // Before routes, which may have configurations for the new ones.
    this.#applyPlugins(delta, failures);
    // Listeners that are about to be replaced have no say: routes may have configurations for their successors' plugins.
    const replaced = new Set(delta.listeners.set.map(([name]) => name));
    failures.push(
      ...this.#routes.apply(
        delta,
        this.#servings().filter(([listener]) => !replaced.has(listener)),
      ),
    );
    const changed: LiveListener[] = [];
    for (const [name, model] of delta.listeners.set) {
      const live = this.#compileListener(model, failures);
      const previous = this.#listeners.get(name);
      if (live === undefined) {
        this.#keepUpWithRoutes(previous);
        continue;
      }
      this.#listeners.set(name, live);
      changed.push(live);
      release(previous);
    }
    const removed = delta.listeners.removed.filter((name) => this.#listeners.has(name));
    for (const name of removed) {
      release(this.#listeners.get(name));
      this.#listeners.delete(name);
    }
    if (changed.length > 0 || removed.length > 0) {
      onListeners(changed, removed);
    }
    if (delta.plugins.removed.length > 0 || removed.length > 0) {
      this.#forgetNames();
    }
    this.#removeClusters(delta);
    for (const digest of delta.retiredModules) {
      this.#deps.plugins.removeModule(digest);
    }
    // Last: streams that waited go on with all that came.
    this.#deps.demands.apply(delta.settled);
    return failures;
  }

  /** Ends every upstream connection and plugin. */
  dispose(): void {
    for (const listener of this.#listeners.values()) {
      release(listener);
    }
    for (const named of this.#named.values()) {
      releaseAll(named.swap(undefined)?.leases ?? []);
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

  /** A listener that was to be replaced goes on, with routes that may have changed. */
  #keepUpWithRoutes(listener: LiveListener | undefined): void {
    for (const { serving } of listener?.chains ?? []) {
      serving?.filters.use(serving.filters.prepare(overridesOf(serving)));
    }
  }

  /** Every connection manager, with its listener's name. */
  #servings(): readonly (readonly [listener: string, HttpServing])[] {
    return [...this.#listeners].flatMap(([name, { chains }]) =>
      chains.flatMap(({ serving }) => (serving === undefined ? [] : [[name, serving] as const])),
    );
  }

  #applyPlugins(delta: ConfigDelta, failures: ApplyFailure[]): void {
    for (const [name, filter] of delta.plugins.set) {
      failures.push(...failed("plugin", name, this.#replaceNamed(this.#namedFilter(name), filter)));
    }
    // Streams that a listener that goes, too, still has keep what they have.
    const leaving = new Set(delta.listeners.removed);
    for (const name of delta.plugins.removed) {
      const named = this.#namedFilter(name);
      const old = named.swap(undefined);
      for (const serving of this.#usersOf(named, leaving)) {
        serving.filters.use(serving.filters.prepare(overridesOf(serving)));
      }
      releaseAll(old?.leases ?? []);
    }
  }

  /** The previous version, if there is one, stays when a plugin of the new one does not start, by itself or for a route. */
  #replaceNamed(named: NamedFilter, filter: DiscoveredFilter): readonly string[] {
    const leases: PluginLease[] = [];
    const problems: string[] = [];
    for (const plugin of pluginsOfFilter(filter).filter(({ code }) => code.kind !== "missing")) {
      const taken = this.#deps.plugins.take(plugin);
      if (taken.ok) {
        leases.push(taken.lease);
      } else {
        problems.push(taken.problem);
      }
    }
    if (problems.length > 0) {
      releaseAll(leases);
      return problems;
    }
    const users = this.#usersOf(named);
    const old = named.swap({ filter, leases });
    const prepared = users.map((serving) => serving.filters.prepare(overridesOf(serving)));
    const routeProblems = prepared.flatMap((each) => each.problems);
    if (routeProblems.length > 0 && old !== undefined) {
      prepared.forEach((each) => releaseAll(each.leases));
      named.swap(old);
      releaseAll(leases);
      return routeProblems;
    }
    useAll(users, prepared);
    releaseAll(old?.leases ?? []);
    return routeProblems;
  }

  /** Connection managers with this filter, but for those of some listeners. */
  #usersOf(named: NamedFilter, except: ReadonlySet<string> = NO_NAMES): readonly HttpServing[] {
    return this.#servings().flatMap(([listener, serving]) =>
      !except.has(listener) && serving.filters.names(named) ? [serving] : [],
    );
  }

  #namedFilter(name: string): NamedFilter {
    let filter = this.#named.get(name);
    if (filter === undefined) {
      filter = new NamedFilter(name);
      this.#named.set(name, filter);
    }
    return filter;
  }

  /** Names that nobody has any more: names come from a control plane, and are without end. */
  #forgetNames(): void {
    for (const [name, named] of this.#named) {
      if (named.filter === undefined && this.#usersOf(named).length === 0) {
        this.#named.delete(name);
      }
    }
  }

  /** undefined when a plugin does not start: then the previous listener stays. */
  #compileListener(model: Listener, failures: ApplyFailure[]): LiveListener | undefined {
    const chains: LiveChain[] = [];
    const accessLogs = this.#deps.logsOf(model, model);
    if (typeof accessLogs === "string") {
      failures.push({ resource: "listener", name: model.name, problem: accessLogs });
      return undefined;
    }
    const models =
      model.defaultFilterChain === undefined ? model.filterChains : [...model.filterChains, model.defaultFilterChain];
    for (const chain of models) {
      const live = this.#compileChain(chain, model);
      if (typeof live === "string") {
        failures.push({ resource: "listener", name: model.name, problem: live });
        release({ model, chains, accessLogs });
        return undefined;
      }
      chains.push(live);
    }
    return { model, chains, accessLogs };
  }

  #compileChain(model: FilterChain, listener: Listener): LiveChain | string {
    const { filter } = model;
    const accessLogs = this.#deps.logsOf(filter, listener);
    if (typeof accessLogs === "string") {
      return accessLogs;
    }
    const network = compileNetworkFilters(model.networkFilters, this.#deps.plugins, this.#deps.property);
    if (typeof network === "string") {
      accessLogs.release();
      return network;
    }
    const parts = { origin: originOf(listener, model), accessLogs };
    if (filter.kind === "tcp") {
      return { model, serving: undefined, tcp: this.#compileTcp(filter, listener, parts, network.factories), network };
    }
    const serving = this.#compileHttp(filter, listener, parts);
    if (typeof serving === "string") {
      accessLogs.release();
      network.release();
      return serving;
    }
    return { model, serving, tcp: undefined, network };
  }

  #compileTcp(
    proxy: TcpProxy,
    listener: Listener,
    { origin, accessLogs }: ChainParts,
    filters: readonly NetworkFilterFactory[],
  ): TcpServing {
    const { environment, scope } = this.#deps;
    const { istioStats } = proxy;
    const parts = {
      proxy,
      meter: istioStats && new IstioTcpStats(istioStats, { ...environment, scope }),
      origin,
      environment: this.#deps.tcp,
      clusters: this.#clusters,
      accessLogs,
      bufferLimitBytes: listener.perConnectionBufferLimitBytes,
      filters,
    };
    return new TcpServing(parts, scope);
  }

  /** The compiled connection manager, or why there is none. */
  #compileHttp(
    hcm: HttpConnectionManager,
    listener: Listener,
    { origin, accessLogs }: ChainParts,
  ): HttpServing | string {
    const { environment, format, plugins, property, scope } = this.#deps;
    const statPrefix = `http.${hcm.statPrefix}.`;
    const filters = compileHttpFilters(hcm.httpFilters, {
      plugins,
      property,
      named: (name) => this.#namedFilter(name),
      builtin: {
        ...environment,
        demands: this.#deps.demands,
        format,
        scope,
        runtime: () => this.#routes.runtime,
        statPrefix,
      },
    });
    if (typeof filters === "string") {
      return filters;
    }
    const localReplies = hcm.localReplies && this.#deps.localRepliesOf(hcm.localReplies);
    if (typeof localReplies === "string") {
      filters.release();
      return localReplies;
    }
    const routes = this.#routes.of(hcm);
    const serving = {
      hcm,
      origin,
      environment: this.#deps.environment,
      filters,
      ...routes,
      clusters: this.#clusters,
      stats: resolveHttpStats(this.#deps.scope, hcm.statPrefix),
      tracing: this.#deps.tracingOf(hcm, listener.trafficDirection),
      accessLogs,
      localReplies,
      proxyStatus:
        hcm.proxyStatus && new ProxyStatus(hcm.proxyStatus, hcm.serverName, nodeNames(environment.nodeBytes).id),
      ...routerSettings(hcm),
      bufferLimitBytes: listener.perConnectionBufferLimitBytes,
    };
    const prepared = filters.prepare(overridesOf(serving));
    filters.use(prepared);
    if (prepared.problems.length > 0) {
      filters.release();
      return [...new Set(prepared.problems)].join("; ");
    }
    return serving;
  }
}

function originOf(listener: Listener, chain: FilterChain): StreamOrigin {
  return {
    listenerName: listener.name,
    trafficDirection: listener.trafficDirection,
    filterChainName: chain.name,
    listenerMetadata: listener.metadata,
    filterChainMetadata: chain.metadata,
  };
}

/** Under which name the endpoints of a cluster come: EDS service name, or the cluster's own for resolved names. */
export function endpointsName(cluster: Cluster): string {
  return cluster.discovery.kind === "eds" ? cluster.discovery.serviceName : cluster.name;
}

function release(listener: LiveListener | undefined): void {
  listener?.accessLogs.release();
  for (const { serving, tcp, network } of listener?.chains ?? []) {
    serving?.filters.release();
    network.release();
    (serving ?? tcp)?.accessLogs.release();
  }
}
