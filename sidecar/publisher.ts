// Hands configuration to the workers: snapshots in, deltas out, and what each worker has in use.
// supervisor.ts calls `publish` for each snapshot; only the newest matters, one at a time is prepared (plugin code is read and
// compiled before a worker hears of a plugin). A worker that starts anew gets everything in one delta.

import type { PluginModule } from "../plugins/plugin-module.ts";
import type { Runtime } from "../xds/model/bootstrap.ts";
import type { Cluster } from "../xds/model/cluster.ts";
import type { ClusterLoadAssignment } from "../xds/model/endpoints.ts";
import type { FilterChain, HttpFilter, Listener } from "../xds/model/listener.ts";
import type { PluginConfig } from "../xds/model/plugin-config.ts";
import type { RouteConfiguration } from "../xds/model/route.ts";
import type { Snapshot } from "../xds/model/snapshot.ts";
import type { PluginCodeLoader } from "./plugin-code.ts";
import type { Changes, ConfigDelta } from "./worker-link.ts";

/** Why a resource of a snapshot is not handed out: its previous version stays. */
export interface PublishFailure {
  readonly resource: "listener" | "plugin";
  readonly name: string;
  readonly problem: string;
}

export interface PublisherDeps {
  readonly code: PluginCodeLoader;
  /** Sends to every running worker. */
  readonly send: (delta: ConfigDelta) => void;
  readonly onFailures: (failures: readonly PublishFailure[]) => void;
  /** Everything of a snapshot has been sent. */
  readonly onPublished: (version: number) => void;
  /** Listeners about to be handed out; resolves when their addresses are known to be free (port 0 replaced). */
  readonly bindable: (listener: Listener) => Promise<Listener | string>;
}

/** A resource as it came, and as workers have it. */
interface Sent<T> {
  readonly source: T;
  readonly sent: T;
}

export class Publisher {
  readonly #deps: PublisherDeps;
  readonly #listeners = new Map<string, Sent<Listener>>();
  readonly #plugins = new Map<string, Sent<PluginConfig>>();
  readonly #modules = new Map<string, PluginModule>();
  #routes: ReadonlyMap<string, RouteConfiguration> = new Map();
  #clusters: ReadonlyMap<string, Cluster> = new Map();
  #endpoints: ReadonlyMap<string, ClusterLoadAssignment> = new Map();
  readonly #resolved = new Map<string, ClusterLoadAssignment>();
  #runtime: Runtime = {};
  #version = 0;
  #pending: Snapshot | undefined = undefined;
  #isBusy = false;

  constructor(deps: PublisherDeps) {
    this.#deps = deps;
  }

  /** Generation that workers were told last. */
  get version(): number {
    return this.#version;
  }

  /** Listeners as workers have them. */
  get listeners(): readonly Listener[] {
    return [...this.#listeners.values()].map(({ sent }) => sent);
  }

  get plugins(): readonly PluginConfig[] {
    const inline = [...this.#listeners.values()].flatMap(({ source }) => pluginsOf(source));
    return [...inline, ...[...this.#plugins.values()].map(({ source }) => source)];
  }

  publish(snapshot: Snapshot): void {
    this.#pending = snapshot;
    if (!this.#isBusy) {
      this.#isBusy = true;
      void this.#drain();
    }
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
      listeners: { set: [...this.#listeners].map(([name, { sent }]) => [name, sent]), removed: [] },
      routes: { set: [...this.#routes], removed: [] },
      clusters: { set: [...this.#clusters], removed: [] },
      endpoints: { set: [...this.#endpoints, ...this.#resolved], removed: [] },
      plugins: { set: [...this.#plugins].map(([name, { sent }]) => [name, sent]), removed: [] },
      runtime: this.#runtime,
      modules: [...this.#modules.values()],
      retiredModules: [],
    };
  }

  async #drain(): Promise<void> {
    for (let next = this.#pending; next !== undefined; next = this.#pending) {
      this.#pending = undefined;
      await this.#publish(next);
    }
    this.#isBusy = false;
  }

  async #publish(snapshot: Snapshot): Promise<void> {
    const failures: PublishFailure[] = [];
    const modules = new Map<string, PluginModule>();
    const listeners = await this.#listenerChanges(snapshot, modules, failures);
    const plugins = await this.#pluginChanges(snapshot, modules, failures);
    const fresh = [...modules.values()].filter(({ digest }) => this.#modules.get(digest) === undefined);
    for (const module of fresh) {
      this.#modules.set(module.digest, module);
    }
    const retired = this.#retireModules();
    const delta: ConfigDelta = {
      version: snapshot.version,
      listeners,
      routes: changes(this.#routes, snapshot.routes),
      clusters: changes(this.#clusters, snapshot.clusters),
      endpoints: changes(this.#endpoints, snapshot.endpoints),
      plugins,
      runtime: snapshot.runtime === this.#runtime && this.#version > 0 ? undefined : snapshot.runtime,
      modules: fresh,
      retiredModules: retired,
    };
    this.#routes = snapshot.routes;
    this.#clusters = snapshot.clusters;
    this.#endpoints = snapshot.endpoints;
    this.#runtime = snapshot.runtime;
    this.#version = snapshot.version;
    this.#deps.send(delta);
    if (failures.length > 0) {
      this.#deps.onFailures(failures);
    }
    this.#deps.onPublished(snapshot.version);
  }

  async #listenerChanges(
    snapshot: Snapshot,
    modules: Map<string, PluginModule>,
    failures: PublishFailure[],
  ): Promise<Changes<Listener>> {
    const set: [string, Listener][] = [];
    for (const [name, source] of snapshot.listeners) {
      if (this.#listeners.get(name)?.source === source) {
        continue;
      }
      const loaded = await this.#withModules(source, modules);
      const sent = typeof loaded === "string" ? loaded : await this.#deps.bindable(loaded);
      if (typeof sent === "string") {
        failures.push({ resource: "listener", name, problem: sent });
        continue;
      }
      this.#listeners.set(name, { source, sent });
      set.push([name, sent]);
    }
    const removed = [...this.#listeners.keys()].filter((name) => !snapshot.listeners.has(name));
    for (const name of removed) {
      this.#listeners.delete(name);
    }
    return { set, removed };
  }

  async #pluginChanges(
    snapshot: Snapshot,
    modules: Map<string, PluginModule>,
    failures: PublishFailure[],
  ): Promise<Changes<PluginConfig>> {
    const set: [string, PluginConfig][] = [];
    for (const [name, source] of snapshot.plugins) {
      if (this.#plugins.get(name)?.source === source) {
        continue;
      }
      const sent = await this.#withModule(source, modules);
      if (typeof sent === "string") {
        failures.push({ resource: "plugin", name, problem: sent });
        continue;
      }
      this.#plugins.set(name, { source, sent });
      set.push([name, sent]);
    }
    const removed = [...this.#plugins.keys()].filter((name) => !snapshot.plugins.has(name));
    for (const name of removed) {
      this.#plugins.delete(name);
    }
    return { set, removed };
  }

  /** The plugin with its code replaced by the loaded module's digest, or why it cannot be. */
  async #withModule(plugin: PluginConfig, modules: Map<string, PluginModule>): Promise<PluginConfig | string> {
    const loaded = await this.#deps.code.load(plugin);
    if (!loaded.ok) {
      return loaded.problem;
    }
    modules.set(loaded.module.digest, loaded.module);
    return { ...plugin, code: { kind: "module", digest: loaded.module.digest } };
  }

  async #withModules(listener: Listener, modules: Map<string, PluginModule>): Promise<Listener | string> {
    if (pluginsOf(listener).length === 0) {
      return listener;
    }
    const loaded = new Map<PluginConfig, PluginConfig>();
    for (const plugin of pluginsOf(listener)) {
      const sent = await this.#withModule(plugin, modules);
      if (typeof sent === "string") {
        return sent;
      }
      loaded.set(plugin, sent);
    }
    const chain = (model: FilterChain): FilterChain =>
      model.filter.kind === "tcp"
        ? model
        : {
            ...model,
            filter: {
              ...model.filter,
              httpFilters: model.filter.httpFilters.map((filter) => withPlugins(filter, loaded)),
            },
          };
    return {
      ...listener,
      filterChains: listener.filterChains.map(chain),
      defaultFilterChain: listener.defaultFilterChain === undefined ? undefined : chain(listener.defaultFilterChain),
    };
  }

  /** Modules that nothing names any more. */
  #retireModules(): string[] {
    const used = new Set<string>();
    const note = (plugin: PluginConfig): void => {
      if (plugin.code.kind === "module") {
        used.add(plugin.code.digest);
      }
    };
    for (const { sent } of this.#listeners.values()) {
      pluginsOf(sent).forEach(note);
    }
    for (const { sent } of this.#plugins.values()) {
      note(sent);
    }
    const retired = [...this.#modules.keys()].filter((digest) => !used.has(digest));
    for (const digest of retired) {
      this.#modules.delete(digest);
    }
    return retired;
  }
}

const NO_CHANGES = { set: [], removed: [] };
const EMPTY_DELTA: ConfigDelta = {
  version: 0,
  listeners: NO_CHANGES,
  routes: NO_CHANGES,
  clusters: NO_CHANGES,
  endpoints: NO_CHANGES,
  plugins: NO_CHANGES,
  runtime: undefined,
  modules: [],
  retiredModules: [],
};

function changes<T>(previous: ReadonlyMap<string, T>, next: ReadonlyMap<string, T>): Changes<T> {
  if (previous === next) {
    return NO_CHANGES;
  }
  return {
    set: [...next].filter(([name, value]) => previous.get(name) !== value),
    removed: [...previous.keys()].filter((name) => !next.has(name)),
  };
}

/** Every plugin that a listener names by itself, defaults of discovered ones included. */
export function pluginsOf(listener: Listener): PluginConfig[] {
  const chains =
    listener.defaultFilterChain === undefined
      ? listener.filterChains
      : [...listener.filterChains, listener.defaultFilterChain];
  return chains.flatMap(({ filter }) => (filter.kind === "http" ? filter.httpFilters.flatMap(pluginOf) : []));
}

function pluginOf({ config }: HttpFilter): PluginConfig[] {
  if (config.kind === "wasm") {
    return [config.plugin];
  }
  return config.kind === "discovered" && config.defaultPlugin !== undefined ? [config.defaultPlugin] : [];
}

function withPlugins(filter: HttpFilter, loaded: ReadonlyMap<PluginConfig, PluginConfig>): HttpFilter {
  const { config } = filter;
  if (config.kind === "wasm") {
    return { ...filter, config: { ...config, plugin: loaded.get(config.plugin) ?? config.plugin } };
  }
  if (config.kind === "discovered" && config.defaultPlugin !== undefined) {
    return {
      ...filter,
      config: { ...config, defaultPlugin: loaded.get(config.defaultPlugin) ?? config.defaultPlugin },
    };
  }
  return filter;
}
