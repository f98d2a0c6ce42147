// Assembles accepted resources into one complete Snapshot, and says what is still missing. Pure: no clock, no I/O;
// client.ts calls it after each change and runs the timers for `waits`. Rules (Envoy's warming, in order):
//
//   cluster   is warm when its endpoints and secrets came         else its previous version stays
//   routes    are usable when no cluster they name is warming     else their previous version stays
//   scope     is usable when its routes are                       else its previous version stays
//   listener  is warm when its routes, plugins, secrets are there else its previous version stays
//
// What a kept previous version needs stays wanted. A wait that is over lets its owner go on without the resource.
// A cluster that was removed lingers for a moment while routes in use still name it.

import type { AssembleInput, Assembly, ClusterPart, Wait, Wanted, Warming } from "./assembly.ts";
import type { Cluster } from "./model/cluster.ts";
import type { ConfigSource } from "./model/config-source.ts";
import type { ClusterLoadAssignment } from "./model/endpoints.ts";
import type { DiscoveredFilter, Listener } from "./model/listener.ts";
import type { RouteConfiguration } from "./model/route.ts";
import type { ScopedRoute } from "./model/scoped-routes.ts";
import type { Snapshot } from "./model/snapshot.ts";
import { clusterSecrets, listenerReferences, routeClusters } from "./references.ts";
import type { ListenerReferences, Reference } from "./references.ts";
import { stable } from "./snapshot-changes.ts";
import {
  CLUSTER_TYPE,
  ENDPOINTS_TYPE,
  EXTENSION_CONFIG_TYPE,
  LISTENER_TYPE,
  ROUTE_TYPE,
  SCOPED_ROUTE_TYPE,
  SECRET_TYPE,
  VIRTUAL_HOST_TYPE,
} from "./type-urls.ts";
import { withVirtualHosts } from "./virtual-hosts.ts";

/**
 * How long a new version waits for clusters that are warming. Their own initial_fetch_timeout usually ends it first;
 * this bound is for a timeout of 0, so that one cluster without endpoints does not hold back every other change.
 */
const CLUSTER_WAIT_MS = 15_000;

/**
 * How long a removed cluster stays while routes in use name it. go-control-plane sends the new clusters, without the
 * old ones, before the routes that move to them; Envoy answers 503 in between. After this the server's word stands.
 */
const REMOVED_CLUSTER_GRACE_MS = 2_000;

const NOTHING: readonly string[] = [];

/** Clusters among which all of these names were found: they are not looked up again while both are the same. */
const inUse = new WeakMap<readonly string[], ReadonlyMap<string, Cluster>>();

export function assemble(input: AssembleInput): Assembly {
  return new Assembler(input).assemble();
}

class Assembler {
  readonly #input: AssembleInput;
  /** By type and name: thousands of them are looked up for each change. */
  readonly #wanted = new Map<string, Map<string, Wanted>>();
  readonly #waits = new Map<unknown, Wait>();
  readonly #warming: Warming[] = [];
  #clusters = new Map<string, Cluster>();
  /** Removed clusters that routes in use may name. */
  readonly #lingering: Cluster[] = [];
  /** Everything that was wanted so far is there. */
  #isComplete = true;
  readonly #listeners = new Map<string, Listener>();
  /** Undefined: no version is usable. */
  readonly #routes = new Map<string, RouteConfiguration | undefined>();
  readonly #scopes = new Map<string, ScopedRoute>();

  constructor(input: AssembleInput) {
    this.#input = input;
  }

  assemble(): Assembly {
    const { previous, runtime } = this.#input;
    const part = this.#sameClusters() ?? this.#chooseClusters();
    this.#wantDemandedClusters();
    this.#chooseListeners();
    this.#chooseScopes();
    const routes = this.#usedRoutes();
    this.#dropUnusedClusters(routes);
    const parts = {
      listeners: stable(previous.listeners, this.#listeners),
      routes: stable(previous.routes, routes),
      scopes: stable(previous.scopes, this.#scopes),
      clusters: part?.clusters ?? stable(previous.clusters, this.#clusters),
      endpoints: part?.endpoints ?? stable(previous.endpoints, this.#usedEndpoints()),
      plugins: stable(previous.plugins, this.#usedPlugins()),
      runtime,
      settled: this.#settled(previous.settled, routes),
    };
    const isSame =
      parts.listeners === previous.listeners &&
      parts.routes === previous.routes &&
      parts.scopes === previous.scopes &&
      parts.clusters === previous.clusters &&
      parts.endpoints === previous.endpoints &&
      parts.plugins === previous.plugins &&
      runtime === previous.runtime &&
      parts.settled === previous.settled;
    return {
      snapshot: isSame ? previous : Object.freeze({ version: previous.version + 1, ...parts }),
      wanted: part === undefined ? this.#allWanted() : part.wanted.concat(this.#allWanted()),
      waits: [...this.#waits.values()],
      warming: this.#warming,
      clusterPart: part,
    };
  }

  #allWanted(): Wanted[] {
    return [...this.#wanted.values()].flatMap((names) => [...names.values()]);
  }

  /** The clusters of the assembly before, when none has become another and none lacked anything. */
  #sameClusters(): ClusterPart | undefined {
    const { tables, clusterPart } = this.#input;
    if (clusterPart?.revision !== tables.clusterRevision()) return undefined;
    this.#clusters = clusterPart.clusters as Map<string, Cluster>;
    return clusterPart;
  }

  /** Those that can be used. They are a part that may stay when all of them are complete and none is on its way out. */
  #chooseClusters(): ClusterPart | undefined {
    const { tables, previous } = this.#input;
    for (const [name, latest] of tables.clusters) {
      const before = previous.clusters.get(name);
      const missing = this.#wantForCluster(latest, before !== undefined);
      if (missing.length === 0 || latest === before) {
        this.#clusters.set(name, latest);
        continue;
      }
      this.#warming.push({ typeUrl: CLUSTER_TYPE, name, waitsFor: missing, isFirst: before === undefined });
      if (before === undefined) continue;
      this.#wantForCluster(before, true);
      this.#clusters.set(name, before);
    }
    this.#keepRemovedClusters();
    if (!this.#isComplete || this.#lingering.length > 0) return undefined;
    const part = {
      revision: tables.clusterRevision(),
      clusters: stable(previous.clusters, this.#clusters),
      endpoints: stable(previous.endpoints, this.#usedEndpoints()),
      wanted: this.#allWanted(),
    };
    this.#wanted.clear();
    return part;
  }

  #keepRemovedClusters(): void {
    const { tables, previous, overdue } = this.#input;
    for (const [name, cluster] of previous.clusters) {
      if (tables.clusters.has(name) || overdue.has(cluster)) continue;
      this.#clusters.set(name, cluster);
      this.#lingering.push(cluster);
    }
  }

  #dropUnusedClusters(routes: ReadonlyMap<string, RouteConfiguration>): void {
    if (this.#lingering.length === 0) return;
    const used = new Set<string>();
    for (const listener of this.#listeners.values()) {
      const references = listenerReferences(listener);
      for (const name of references.clusters) used.add(name);
      for (const inline of references.inlineRoutes) for (const name of routeClusters(inline)) used.add(name);
    }
    for (const route of routes.values()) for (const name of routeClusters(route)) used.add(name);
    for (const cluster of this.#lingering) {
      if (!used.has(cluster.name)) {
        this.#clusters.delete(cluster.name);
        continue;
      }
      this.#wantForCluster(cluster, true);
      this.#waits.set(cluster, { key: cluster, timeoutMs: REMOVED_CLUSTER_GRACE_MS, resource: undefined });
    }
  }

  /** Subscribes to a cluster's endpoints and secrets. Returns what it waits for. */
  #wantForCluster(cluster: Cluster, hasPrevious: boolean): readonly string[] {
    const { discovery } = cluster;
    const secrets = clusterSecrets(cluster);
    if (discovery.kind !== "eds" && secrets.length === 0) return NOTHING;
    const missing = this.#wantSecrets(secrets, hasPrevious);
    if (discovery.kind === "eds") {
      pushDefined(missing, this.#want(ENDPOINTS_TYPE, endpointsName(cluster), discovery.source, hasPrevious));
    }
    return missing;
  }

  #wantSecrets(secrets: readonly Reference[], hasPrevious: boolean): string[] {
    const missing: string[] = [];
    for (const { name, source } of secrets) pushDefined(missing, this.#want(SECRET_TYPE, name, source, hasPrevious));
    return missing;
  }

  /** After the part that may stay: a demand is no cluster yet. */
  #wantDemandedClusters(): void {
    for (const demand of this.#input.demands ?? []) {
      if (demand.kind === "cluster") this.#want(CLUSTER_TYPE, demand.name, demand.source, true);
    }
  }

  #chooseListeners(): void {
    const { tables, previous } = this.#input;
    for (const [name, latest] of tables.listeners) {
      const before = previous.listeners.get(name);
      const missing = this.#wantForListener(latest, before !== undefined);
      if (missing.length === 0 || latest === before) {
        this.#listeners.set(name, latest);
        continue;
      }
      this.#warming.push({ typeUrl: LISTENER_TYPE, name, waitsFor: missing, isFirst: before === undefined });
      if (before === undefined) continue;
      this.#wantForListener(before, true);
      this.#listeners.set(name, before);
    }
  }

  /** Subscribes to what a listener names. Returns what it waits for. */
  #wantForListener(listener: Listener, hasPrevious: boolean): string[] {
    const references = listenerReferences(listener);
    const missing = this.#wantSecrets(references.secrets, hasPrevious);
    for (const route of references.routes) pushDefined(missing, this.#wantRoute(route, hasPrevious));
    for (const scoped of references.scoped) missing.push(...this.#wantScopes(scoped, hasPrevious));
    for (const plugin of references.plugins) {
      const waitsFor = this.#want(EXTENSION_CONFIG_TYPE, plugin.name, plugin.source, hasPrevious);
      if (!plugin.isOptional) pushDefined(missing, waitsFor);
    }
    for (const inline of references.inlineRoutes) {
      pushDefined(missing, this.#blockingCluster(routeClusters(inline), listener));
    }
    pushDefined(missing, this.#blockingCluster(references.clusters, listener));
    return missing;
  }

  /** Subscribes to all scopes, and to the routes of those that are there. Returns what is missing. */
  #wantScopes({ source, routes }: ListenerReferences["scoped"][number], hasPrevious: boolean): string[] {
    const missing: string[] = [];
    pushDefined(missing, this.#want(SCOPED_ROUTE_TYPE, "*", source, hasPrevious));
    for (const name of this.#input.tables.scopes.values().flatMap(eagerRoutes)) {
      pushDefined(missing, this.#wantRoute({ name, source: routes }, hasPrevious));
    }
    for (const { kind, name } of this.#input.demands ?? []) {
      const of = kind === "scope" ? this.#input.tables.scopes.get(name)?.routes : undefined;
      if (of?.kind === "named") this.#wantRoute({ name: of.name, source: routes }, true);
    }
    return missing;
  }

  /** A scope that is new or has moved to other routes comes into use when these are usable. */
  #chooseScopes(): void {
    const { tables, previous } = this.#input;
    const users = [...this.#listeners.values()].flatMap((listener) => listenerReferences(listener).scoped);
    if (users.length === 0) return;
    const kept: ScopedRoute[] = [];
    for (const [name, latest] of tables.scopes) {
      const before = previous.scopes.get(name);
      const [missing] = eagerRoutes(latest).filter((routes) => this.#isAwaited(routes));
      if (missing === undefined) {
        this.#scopes.set(name, latest);
        continue;
      }
      const waitsFor = [`RouteConfiguration ${JSON.stringify(missing)}`];
      this.#warming.push({ typeUrl: SCOPED_ROUTE_TYPE, name, waitsFor, isFirst: before === undefined });
      if (before !== undefined) kept.push(before);
    }
    const keys = new Set([...this.#scopes.values()].map(({ key }) => JSON.stringify(key)));
    for (const before of kept) {
      // Its key may have gone to another scope.
      if (keys.has(JSON.stringify(before.key))) continue;
      for (const name of eagerRoutes(before)) {
        for (const { routes } of users) this.#wantRoute({ name, source: routes }, true);
      }
      this.#scopes.set(before.name, before);
    }
  }

  /** These routes may still come. */
  #isAwaited(name: string): boolean {
    return this.#usableRoute(name) === undefined && this.#input.tables.standing(ROUTE_TYPE, name) === "waiting";
  }

  #wantRoute(route: Reference, hasPrevious: boolean): string | undefined {
    const waitsFor =
      this.#want(ROUTE_TYPE, route.name, route.source, hasPrevious) ?? this.#wantHosts(route.name, hasPrevious);
    if (waitsFor !== undefined) return waitsFor;
    const usable = this.#usableRoute(route.name);
    const isHeldBack = usable === undefined && this.#input.tables.routes.has(route.name);
    return isHeldBack ? `clusters of the routes ${JSON.stringify(route.name)}` : undefined;
  }

  /** Subscribes to the virtual hosts of routes that have some elsewhere: all that the server has to say, and those demanded. */
  #wantHosts(name: string, hasPrevious: boolean): string | undefined {
    const { tables, demands = [] } = this.#input;
    const source = tables.routes.get(name)?.virtualHostSource;
    if (source === undefined) return undefined;
    for (const demand of demands) {
      if (demand.kind === "host" && demand.routes === name) this.#want(VIRTUAL_HOST_TYPE, demand.name, source, true);
    }
    return this.#want(VIRTUAL_HOST_TYPE, "*", source, hasPrevious);
  }

  /** Demands that nothing more is waited for. */
  #settled(previous: Snapshot["settled"], routes: ReadonlyMap<string, RouteConfiguration>): Snapshot["settled"] {
    const { demands = [], tables } = this.#input;
    const settled = new Set<string>();
    for (const demand of demands) {
      const { kind, name, key } = demand;
      if (kind === "scope") {
        const scope = this.#scopes.get(name);
        const isAwaited = scope?.routes.kind === "named" && this.#isAwaited(scope.routes.name);
        if (!isAwaited) settled.add(key);
        continue;
      }
      if (kind === "cluster") {
        // In use, so that its endpoints are there; or neither there nor on its way.
        const isAwaited = tables.clusters.has(name) || tables.standing(CLUSTER_TYPE, name) === "waiting";
        if (this.#clusters.has(name) || !isAwaited) settled.add(key);
        continue;
      }
      const isAnswered = tables.virtualHosts.has(name) || tables.standing(VIRTUAL_HOST_TYPE, name) !== "waiting";
      const inUse = routes.get(demand.routes);
      if (inUse === undefined || (isAnswered && inUse === this.#latestRoutes(demand.routes))) settled.add(key);
    }
    return settled.symmetricDifference(previous).size === 0 ? previous : settled;
  }

  #latestRoutes(name: string): RouteConfiguration | undefined {
    const { routes, virtualHosts } = this.#input.tables;
    const latest = routes.get(name);
    return latest === undefined ? undefined : withVirtualHosts(latest, virtualHosts);
  }

  /** The version of a route configuration that can serve now. */
  #usableRoute(name: string): RouteConfiguration | undefined {
    if (this.#routes.has(name)) return this.#routes.get(name);
    const latest = this.#latestRoutes(name);
    const before = this.#input.previous.routes.get(name);
    let usable = latest ?? before;
    if (latest !== undefined && latest !== before) {
      const served = before === undefined ? undefined : routeClusters(before);
      const blocking = this.#blockingCluster(routeClusters(latest, before), latest, served);
      if (blocking !== undefined) {
        usable = before;
        const isFirst = before === undefined;
        this.#warming.push({ typeUrl: ROUTE_TYPE, name, waitsFor: [blocking], isFirst });
      }
    }
    this.#routes.set(name, usable);
    return usable;
  }

  /**
   * The first cluster that `owner`, a new version, has to wait for. `served` are the clusters of the version that serves
   * meanwhile, if there is one.
   */
  #blockingCluster(names: readonly string[], owner: object, served?: readonly string[]): string | undefined {
    const { tables, isClusterSetComplete, isClusterSetRefused, overdue } = this.#input;
    // Thousands of names, mostly the same as before, and the same clusters.
    if (inUse.get(names) === this.#clusters || overdue.has(owner)) return undefined;
    let areAllInUse = true;
    for (const name of names) {
      if (this.#clusters.has(name)) continue;
      areAllInUse = false;
      // A cluster that nobody announced is not waited for: requests to it are answered by the route's rules. It is while CDS
      // stands refused and a version serves that needs it not: routes of a repair come before its clusters then.
      const mayCome = isClusterSetRefused && served !== undefined && !served.includes(name);
      if (isClusterSetComplete && !mayCome && !tables.clusters.has(name)) continue;
      this.#waits.set(owner, { key: owner, timeoutMs: CLUSTER_WAIT_MS, resource: undefined });
      return `Cluster ${JSON.stringify(name)}`;
    }
    if (areAllInUse && this.#lingering.length === 0) inUse.set(names, this.#clusters);
    return undefined;
  }

  /** Subscribes to a resource. Returns its description when an owner has to wait for it. */
  #want(typeUrl: string, name: string, source: ConfigSource, hasPrevious: boolean): string | undefined {
    let names = this.#wanted.get(typeUrl);
    if (names === undefined) this.#wanted.set(typeUrl, (names = new Map()));
    const known = names.get(name);
    const wanted = known ?? { typeUrl, name, source };
    if (known === undefined) names.set(name, wanted);
    if (this.#tableOf(typeUrl).has(name)) return undefined;
    this.#isComplete = false;
    const key = `${typeUrl} ${name}`;
    const standing = this.#input.tables.standing(typeUrl, name);
    if (standing === "over") return undefined;
    const isFirst = !hasPrevious && this.#waits.get(key)?.isFirst !== false;
    this.#waits.set(key, { key, timeoutMs: source.initialFetchTimeoutMs, resource: wanted, isFirst });
    // Envoy goes on at once when the first version is refused; with a version that works, that one is better.
    if (standing === "refused" && !hasPrevious) return undefined;
    return `${typeUrl.slice(typeUrl.lastIndexOf(".") + 1)} ${JSON.stringify(name)}`;
  }

  #tableOf(typeUrl: string): ReadonlyMap<string, unknown> {
    const { tables } = this.#input;
    if (typeUrl === ENDPOINTS_TYPE) return tables.endpoints;
    if (typeUrl === CLUSTER_TYPE) return tables.clusters;
    if (typeUrl === SCOPED_ROUTE_TYPE) return tables.scopes;
    if (typeUrl === VIRTUAL_HOST_TYPE) return tables.virtualHosts;
    if (typeUrl === SECRET_TYPE) return tables.secrets;
    return typeUrl === ROUTE_TYPE ? tables.routes : tables.plugins;
  }

  #usedRoutes(): Map<string, RouteConfiguration> {
    const used = new Map<string, RouteConfiguration>();
    for (const listener of this.#listeners.values()) {
      for (const { name } of listenerReferences(listener).routes) {
        const routes = this.#usableRoute(name);
        if (routes !== undefined) used.set(name, routes);
      }
    }
    for (const { routes: of } of this.#scopes.values()) {
      const routes = of.kind === "named" ? this.#usableRoute(of.name) : undefined;
      if (routes !== undefined) used.set(routes.name, routes);
    }
    return used;
  }

  #usedEndpoints(): Map<string, ClusterLoadAssignment> {
    const used = new Map<string, ClusterLoadAssignment>();
    for (const cluster of this.#clusters.values()) {
      if (cluster.discovery.kind !== "eds") continue;
      const name = endpointsName(cluster);
      const endpoints = this.#input.tables.endpoints.get(name);
      if (endpoints !== undefined) used.set(name, endpoints);
    }
    return used;
  }

  #usedPlugins(): Map<string, DiscoveredFilter> {
    const used = new Map<string, DiscoveredFilter>();
    for (const listener of this.#listeners.values()) {
      for (const { name } of listenerReferences(listener).plugins) {
        const plugin = this.#input.tables.plugins.get(name);
        if (plugin !== undefined) used.set(name, plugin);
      }
    }
    return used;
  }
}

/** The routes that a scope needs from its start. */
function eagerRoutes({ onDemand, routes }: ScopedRoute): string[] {
  return routes.kind === "named" && !onDemand ? [routes.name] : [];
}

/** The EDS resource name of a cluster: its service name, else its own. */
export function endpointsName(cluster: Cluster): string {
  const { discovery } = cluster;
  return discovery.kind === "eds" && discovery.serviceName !== "" ? discovery.serviceName : cluster.name;
}

function pushDefined(list: string[], text: string | undefined): void {
  if (text !== undefined) list.push(text);
}
