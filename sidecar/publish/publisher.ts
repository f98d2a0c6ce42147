// Hands configuration to the workers: snapshots in, deltas out, and what each worker has in use.
// supervisor.ts calls `publish` for each snapshot; only the newest matters, one at a time is prepared (plugin code is read and
// compiled before a worker hears of a plugin). What waits for remote code is left out, its previous version serves on, and
// it follows when the code is there (code/code-warming.ts). A worker that starts anew gets everything in one delta.

import type { PluginModule } from "../../plugins/plugin-module.ts";
import type { Runtime } from "../../xds/model/bootstrap.ts";
import type { Cluster } from "../../xds/model/cluster.ts";
import type { ClusterLoadAssignment } from "../../xds/model/endpoints.ts";
import type { DiscoveredFilter, Listener } from "../../xds/model/listener.ts";
import type { PluginConfig, PluginService } from "../../xds/model/plugin-config.ts";
import type { RouteConfiguration } from "../../xds/model/route.ts";
import type { Snapshot } from "../../xds/model/snapshot.ts";
import type { CodeWarming, CodeWarmingDeps } from "../code/code-warming.ts";
import { type LoadedPlugins, pluginsOfFilter, replaceFilterPlugins } from "./filter-plugins.ts";
import { discoveredBy, pluginsOf, replacePlugins, routesOf } from "./listener-plugins.ts";
import { type Gathered, type Prepared, type PublishFailure, valueOf } from "./publication.ts";
import { pluginsOfRoutes, replaceRoutePlugins } from "./route-plugins.ts";
import { SentResources } from "./sent-resources.ts";
import type { Changes, ConfigDelta } from "../worker-link.ts";

export type { PublishFailure } from "./publication.ts";

/** "sent": workers have been told of it, in the generation `Publisher.version`; "failed": as `onFailures` has said. */
export type WarmingOutcome = "warming" | "sent" | "failed";

export interface PublisherDeps {
  /** Plugins of the bootstrap that run by themselves. */
  readonly services: readonly PluginService[];
  readonly createWarming: (onChanged: CodeWarmingDeps["onChanged"]) => CodeWarming;
  /** Sends to every running worker. */
  readonly send: (delta: ConfigDelta) => void;
  readonly onFailures: (failures: readonly PublishFailure[]) => void;
  /** Everything of a snapshot has been sent, but what is `warming`. */
  readonly onPublished: (version: number) => void;
  /** A resource (`listeners NAME`, `plugins NAME`, `services NAME`) begins to wait for remote code, or no longer does. */
  readonly onWarming: (key: string, outcome: WarmingOutcome) => void;
  /** Listeners about to be handed out; resolves when their addresses are known to be free (port 0 replaced). */
  readonly bindable: (listener: Listener) => Promise<Listener | string>;
}

export class Publisher {
  readonly #deps: PublisherDeps;
  readonly #listeners = new SentResources<Listener>();
  readonly #plugins = new SentResources<DiscoveredFilter>();
  readonly #routes = new SentResources<RouteConfiguration>();
  /** As they came, and as workers have them. */
  readonly #services = new Map<PluginService, PluginService>();
  readonly #modules = new Map<string, PluginModule>();
  #scopes: Snapshot["scopes"] = new Map();
  #settled: Snapshot["settled"] = new Set();
  #clusters: ReadonlyMap<string, Cluster> = new Map();
  #endpoints: ReadonlyMap<string, ClusterLoadAssignment> = new Map();
  readonly #resolved = new Map<string, ClusterLoadAssignment>();
  #runtime: Runtime = {};
  #version = 0;
  readonly #codeWarming: CodeWarming;
  #warming: ReadonlySet<string> = new Set();
  #latest: Snapshot | undefined = undefined;
  #pending: Snapshot | undefined = undefined;
  #isBusy = false;

  constructor(deps: PublisherDeps) {
    this.#deps = deps;
    this.#codeWarming = deps.createWarming(() => {
      if (this.#latest !== undefined) {
        this.#next(this.#pending ?? this.#latest);
      }
    });
  }

  /** Generation that workers were told last. */
  get version(): number {
    return this.#version;
  }

  /** Listeners as workers have them. */
  get listeners(): readonly Listener[] {
    return this.#listeners.values().map(({ sent }) => sent);
  }

  /** Those that workers have, then those of the latest snapshot, which may still wait for their code. */
  get plugins(): readonly PluginConfig[] {
    const listeners = this.#listeners.values().map(({ source }) => source);
    const inline = [...listeners, ...(this.#latest?.listeners.values() ?? [])].flatMap(pluginsOf);
    const named = [...this.#plugins.values().map(({ source }) => source), ...(this.#latest?.plugins.values() ?? [])];
    const services = this.#deps.services.map(({ plugin }) => plugin);
    const routes = [...(this.#latest?.routes.values() ?? [])].flatMap(pluginsOfRoutes);
    return [...inline, ...named.flatMap(pluginsOfFilter), ...services, ...routes];
  }

  /** The filter that arrives by this name (ECDS). */
  discoveredFilter(name: string): DiscoveredFilter | undefined {
    return this.#plugins.get(name)?.source;
  }

  /** Resources that wait for remote code: `listeners NAME`, `plugins NAME`. */
  get warming(): ReadonlySet<string> {
    return this.#warming;
  }

  publish(snapshot: Snapshot): void {
    this.#latest = snapshot;
    this.#next(snapshot);
  }

  close(): void {
    this.#codeWarming.close();
  }

  /** Addresses that the main thread resolved for a DNS cluster. */
  publishResolved(assignment: ClusterLoadAssignment): void {
    this.#resolved.set(assignment.clusterName, assignment);
    this.#deps.send({
      ...EMPTY_DELTA,
      version: this.#version,
      endpoints: { set: [[assignment.clusterName, assignment]], removed: [] },
    });
  }

  forgetResolved(cluster: string): void {
    this.#resolved.delete(cluster);
  }

  /** Everything, for a worker that starts. */
  everything(): ConfigDelta {
    return {
      version: this.#version,
      listeners: { set: this.#listeners.current(), removed: [] },
      routes: { set: this.#routes.current(), removed: [] },
      scopes: { set: [...this.#scopes], removed: [] },
      settled: settledChanges(new Set(), this.#settled),
      clusters: { set: [...this.#clusters], removed: [] },
      endpoints: { set: [...this.#endpoints, ...this.#resolved], removed: [] },
      plugins: { set: this.#plugins.current(), removed: [] },
      runtime: this.#runtime,
      services: [...this.#services.values()],
      modules: [...this.#modules.values()],
      retiredModules: [],
    };
  }

  /** A worker could not bring this into use; what was there before serves on, also on a worker that starts anew. */
  onRejected(failures: readonly Pick<PublishFailure, "resource" | "name">[]): void {
    const sent = { listener: this.#listeners, plugin: this.#plugins, route: this.#routes, service: undefined };
    for (const { resource, name } of failures) {
      sent[resource]?.onRejected(name);
    }
  }

  /** Every worker has that generation; what it could not bring into use has been told before. */
  onInUse(version: number): void {
    this.#listeners.onInUse(version);
    this.#plugins.onInUse(version);
    this.#routes.onInUse(version);
  }

  #next(snapshot: Snapshot): void {
    this.#pending = snapshot;
    if (!this.#isBusy) {
      this.#isBusy = true;
      void this.#drain();
    }
  }

  async #drain(): Promise<void> {
    for (let next = this.#pending; next !== undefined; next = this.#pending) {
      this.#pending = undefined;
      await this.#publish(next);
    }
    this.#isBusy = false;
  }

  async #publish(snapshot: Snapshot): Promise<void> {
    const version = this.#nextVersion(snapshot);
    const gathered: Gathered = { version, modules: new Map(), failures: [], warming: new Set() };
    const { modules, failures } = gathered;
    // Plugins and routes first: a listener waits for those that it names.
    const plugins = await this.#pluginChanges(snapshot, gathered);
    const routes = await this.#routeChanges(snapshot, gathered);
    const listeners = await this.#listenerChanges(snapshot, gathered);
    const services = await this.#newServices(gathered);
    const fresh = [...modules.values()].filter(({ key }) => this.#modules.get(key) === undefined);
    for (const module of fresh) {
      this.#modules.set(module.key, module);
    }
    const retired = this.#retireModules();
    const delta: ConfigDelta = {
      version,
      listeners,
      routes,
      scopes: changes(this.#scopes, snapshot.scopes),
      settled: settledChanges(this.#settled, snapshot.settled),
      clusters: changes(this.#clusters, snapshot.clusters),
      endpoints: changes(this.#endpoints, snapshot.endpoints),
      plugins,
      runtime: snapshot.runtime === this.#runtime && this.#version > 0 ? undefined : snapshot.runtime,
      services,
      modules: fresh,
      retiredModules: retired,
    };
    this.#scopes = snapshot.scopes;
    this.#settled = snapshot.settled;
    this.#clusters = snapshot.clusters;
    this.#endpoints = snapshot.endpoints;
    this.#runtime = snapshot.runtime;
    this.#version = delta.version;
    this.#deps.send(delta);
    if (failures.length > 0) {
      this.#deps.onFailures(failures);
    }
    this.#noteWarming(gathered);
    this.#deps.onPublished(snapshot.version);
  }

  async #listenerChanges(snapshot: Snapshot, gathered: Gathered): Promise<Changes<Listener>> {
    const set: [string, Listener][] = [];
    for (const [name, source] of snapshot.listeners) {
      const previous = this.#listeners.get(name);
      if (previous?.source === source && !previous.isStandIn) {
        continue;
      }
      const prepared = this.#waitsForOthers(source, gathered.warming)
        ? ({ kind: "warming" } as const)
        : await this.#withModules(source, pluginsOf(source), replacePlugins, gathered);
      const value = valueOf(prepared, previous, { resource: "listener", name, key: `listeners ${name}` }, gathered);
      if (value === undefined || (previous?.source === source && prepared.kind === "failed")) {
        continue;
      }
      const sent = await this.#deps.bindable(value);
      if (typeof sent === "string") {
        gathered.failures.push({ resource: "listener", name, problem: sent });
        continue;
      }
      this.#listeners.put(name, { source, sent, isStandIn: prepared.kind === "failed" }, gathered.version);
      set.push([name, sent]);
    }
    const removed = this.#listeners.names().filter((name) => !snapshot.listeners.has(name));
    for (const name of removed) {
      this.#listeners.delete(name);
    }
    return { set, removed };
  }

  async #pluginChanges(snapshot: Snapshot, gathered: Gathered): Promise<Changes<DiscoveredFilter>> {
    const set: [string, DiscoveredFilter][] = [];
    for (const [name, source] of snapshot.plugins) {
      const previous = this.#plugins.get(name);
      if (previous?.source === source && !previous.isStandIn) {
        continue;
      }
      const prepared = await this.#withModules(source, pluginsOfFilter(source), replaceFilterPlugins, gathered);
      const sent = valueOf(prepared, previous, { resource: "plugin", name, key: `plugins ${name}` }, gathered);
      if (sent === undefined || (previous?.source === source && prepared.kind === "failed")) {
        continue;
      }
      this.#plugins.put(name, { source, sent, isStandIn: prepared.kind === "failed" }, gathered.version);
      set.push([name, sent]);
    }
    const removed = this.#plugins.names().filter((name) => !snapshot.plugins.has(name));
    for (const name of removed) {
      this.#plugins.delete(name);
    }
    return { set, removed };
  }

  async #routeChanges({ routes }: Snapshot, gathered: Gathered): Promise<Changes<RouteConfiguration>> {
    const set: [string, RouteConfiguration][] = [];
    for (const [name, source] of routes) {
      const previous = this.#routes.get(name);
      if (previous?.source === source && !previous.isStandIn) {
        continue;
      }
      const prepared = await this.#withModules(source, pluginsOfRoutes(source), replaceRoutePlugins, gathered);
      const sent = valueOf(prepared, previous, { resource: "route", name, key: `routes ${name}` }, gathered);
      if (sent === undefined || (previous?.source === source && prepared.kind === "failed")) {
        continue;
      }
      this.#routes.put(name, { source, sent, isStandIn: prepared.kind === "failed" }, gathered.version);
      set.push([name, sent]);
    }
    const removed = this.#routes.names().filter((name) => !routes.has(name));
    for (const name of removed) {
      this.#routes.delete(name);
    }
    return { set, removed };
  }

  /** They never change: each is sent once, when its code is there. */
  async #newServices(gathered: Gathered): Promise<readonly PluginService[]> {
    const ready: PluginService[] = [];
    for (const service of this.#deps.services.filter((each) => !this.#services.has(each))) {
      const { name } = service.plugin;
      const prepared = await this.#withModule(service.plugin, gathered.modules);
      const plugin = valueOf(prepared, undefined, { resource: "service", name, key: `services ${name}` }, gathered);
      if (prepared.kind === "ready" && plugin !== undefined) {
        this.#services.set(service, { ...service, plugin });
        ready.push({ ...service, plugin });
      }
    }
    return ready;
  }

  /** A plugin (ECDS) or routes (RDS) that the listener names are on their way, and workers have no older version. */
  #waitsForOthers(listener: Listener, warming: ReadonlySet<string>): boolean {
    return (
      warming.size > 0 &&
      (discoveredBy(listener).some((name) => warming.has(`plugins ${name}`) && !this.#plugins.has(name)) ||
        routesOf(listener).some((name) => warming.has(`routes ${name}`) && !this.#routes.has(name)))
    );
  }

  /** A snapshot that is published again gets a generation between its own and the next one's. */
  #nextVersion(snapshot: Snapshot): number {
    return Math.floor(this.#version) === snapshot.version ? this.#version + REPUBLICATION : snapshot.version;
  }

  /** Tells what begins and what ends to wait, and has what failed tried again. */
  #noteWarming({ warming, failures }: Gathered): void {
    const previous = this.#warming;
    this.#warming = warming;
    const failed = new Set(failures.map(({ resource, name }) => `${resource}s ${name}`));
    warming.difference(previous).forEach((key) => this.#deps.onWarming(key, "warming"));
    previous.difference(warming).forEach((key) => this.#deps.onWarming(key, failed.has(key) ? "failed" : "sent"));
    this.#codeWarming.settled();
  }

  /** The plugin with its code replaced by the loaded module's digest, or why it cannot be. */
  async #withModule(plugin: PluginConfig, modules: Map<string, PluginModule>): Promise<Prepared<PluginConfig>> {
    const prepared = await this.#codeWarming.prepare(plugin);
    if (prepared.kind !== "ready") {
      return prepared;
    }
    modules.set(prepared.module.key, prepared.module);
    return { kind: "ready", value: prepared.plugin };
  }

  /** A resource with the plugins that it names by itself. */
  async #withModules<T>(
    resource: T,
    plugins: readonly PluginConfig[],
    replace: (resource: T, loaded: LoadedPlugins) => T,
    { modules }: Gathered,
  ): Promise<Prepared<T>> {
    if (plugins.length === 0) {
      return { kind: "ready", value: resource };
    }
    // All at once, so that all fetches begin.
    const prepared = await Promise.all(plugins.map((plugin) => this.#withModule(plugin, modules)));
    if (prepared.some(({ kind }) => kind === "warming")) {
      return { kind: "warming" };
    }
    const loaded = new Map<PluginConfig, PluginConfig>();
    const problems: string[] = [];
    for (const [index, each] of prepared.entries()) {
      if (each.kind === "failed") {
        problems.push(each.problem);
      }
      const sent = each.kind === "ready" ? each.value : each.kind === "failed" ? each.standIn : undefined;
      if (sent === undefined) {
        return { kind: "failed", problem: problems.join("; "), standIn: undefined };
      }
      loaded.set(plugins[index] as PluginConfig, sent);
    }
    const value = replace(resource, loaded);
    return problems.length === 0
      ? { kind: "ready", value }
      : { kind: "failed", problem: problems.join("; "), standIn: value };
  }

  /** Modules that nothing names any more. */
  #retireModules(): string[] {
    const used = new Set<string>();
    const note = (plugin: PluginConfig): void => {
      if (plugin.code.kind === "module") {
        used.add(plugin.code.digest);
      }
    };
    this.#listeners.all().flatMap(pluginsOf).forEach(note);
    this.#plugins.all().flatMap(pluginsOfFilter).forEach(note);
    this.#routes.all().flatMap(pluginsOfRoutes).forEach(note);
    this.#services.forEach(({ plugin }) => note(plugin));
    const retired = [...this.#modules.keys()].filter((digest) => !used.has(digest));
    for (const digest of retired) {
      this.#modules.delete(digest);
    }
    return retired;
  }
}

/** A million of them fit between two snapshots. */
const REPUBLICATION = 2 ** -20;
const NO_CHANGES = { set: [], removed: [] };
const EMPTY_DELTA: ConfigDelta = {
  version: 0,
  listeners: NO_CHANGES,
  routes: NO_CHANGES,
  scopes: NO_CHANGES,
  settled: NO_CHANGES,
  clusters: NO_CHANGES,
  endpoints: NO_CHANGES,
  plugins: NO_CHANGES,
  runtime: undefined,
  services: [],
  modules: [],
  retiredModules: [],
};

function settledChanges(previous: Snapshot["settled"], next: Snapshot["settled"]): Changes<true> {
  if (previous === next) {
    return NO_CHANGES;
  }
  const set = [...next.difference(previous)].map((key) => [key, true] as const);
  return { set, removed: [...previous.difference(next)] };
}

function changes<T>(previous: ReadonlyMap<string, T>, next: ReadonlyMap<string, T>): Changes<T> {
  if (previous === next) {
    return NO_CHANGES;
  }
  return {
    set: [...next].filter(([name, value]) => previous.get(name) !== value),
    removed: [...previous.keys()].filter((name) => !next.has(name)),
  };
}
