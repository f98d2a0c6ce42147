// What a resource needs from others before it can serve: routes and plugins of a listener, clusters of a route
// configuration. Each model is walked once; models never change. Used by snapshot.ts. Pure.

import type { Cluster } from "./model/cluster.ts";
import type { ConfigSource } from "./model/config-source.ts";
import type { DiscoveredFilter, FilterChain, HttpFilter, Listener } from "./model/listener.ts";
import type { ClusterChoice, RouteConfiguration, VirtualHost } from "./model/route.ts";
import type { ScopedRoute } from "./model/scoped-routes.ts";
import type { DownstreamTls, SecretReference, TlsContext } from "./model/tls.ts";

export type Reference = Readonly<{ name: string; source: ConfigSource }>;

export type ListenerReferences = Readonly<{
  routes: readonly Reference[];
  /** Discovered filters. `isOptional`: the default serves until the resource comes, so nothing waits for it. */
  plugins: readonly (Reference & Readonly<{ isOptional: boolean }>)[];
  /** Where scopes come from, and their route configurations. */
  scoped: readonly Readonly<{ source: ConfigSource; routes: ConfigSource }>[];
  /** Route configurations inside the listener. */
  inlineRoutes: readonly RouteConfiguration[];
  /** Clusters that TCP proxies name. */
  clusters: readonly string[];
  /** Discovered secrets of its TLS contexts. */
  secrets: readonly Reference[];
}>;

const ofListeners = new WeakMap<Listener, ListenerReferences>();
const ofClusters = new WeakMap<Cluster, readonly Reference[]>();
const ofRoutes = new WeakMap<RouteConfiguration, readonly string[]>();

export function listenerReferences(listener: Listener): ListenerReferences {
  let references = ofListeners.get(listener);
  if (references === undefined) {
    references = collectListener(listener);
    ofListeners.set(listener, references);
  }
  return references;
}

/** Discovered secrets of a cluster's TLS contexts, each once. */
export function clusterSecrets(cluster: Cluster): readonly Reference[] {
  // Most clusters have none, and there may be thousands.
  if (cluster.tls === undefined && cluster.socketMatches.length === 0) return NO_SECRETS;
  let secrets = ofClusters.get(cluster);
  if (secrets === undefined) {
    secrets = discoveredSecrets([cluster.tls, ...cluster.socketMatches.map(({ tls }) => tls)]);
    ofClusters.set(cluster, secrets);
  }
  return secrets;
}

const NO_SECRETS: readonly Reference[] = [];

function discoveredSecrets(contexts: readonly (TlsContext | undefined)[]): readonly Reference[] {
  const secrets = new Map<string, Reference>();
  for (const tls of contexts) {
    if (tls === undefined) continue;
    for (const { name, source } of secretReferences(tls)) {
      if (source !== undefined) secrets.set(name, { name, source });
    }
  }
  return [...secrets.values()];
}

/** The secrets that a TLS context names. */
export function secretReferences(tls: TlsContext | DownstreamTls): readonly SecretReference[] {
  const ticketKeys = "ticketKeysSecret" in tls ? tls.ticketKeysSecret : undefined;
  return [...tls.certificateSecrets, tls.validationSecret, ticketKeys].flatMap((each) => each ?? []);
}

/**
 * Names of the clusters that a route configuration can choose, each once; not those that a request header names. With the version
 * `before`, which mostly has the same hosts, its list is the answer where no host names other clusters than its predecessor.
 */
export function routeClusters(routes: RouteConfiguration, before?: RouteConfiguration): readonly string[] {
  let names = ofRoutes.get(routes);
  if (names === undefined) {
    names = before !== undefined && nameTheSame(routes, before) ? routeClusters(before) : collectRoutes(routes);
    ofRoutes.set(routes, names);
  }
  return names;
}

function collectListener(listener: Listener): ListenerReferences {
  const routes = new Map<string, Reference>();
  const plugins = new Map<string, Reference & { isOptional: boolean }>();
  const inlineRoutes: RouteConfiguration[] = [];
  const scoped: { source: ConfigSource; routes: ConfigSource }[] = [];
  const clusters = new Set<string>();
  for (const { filter } of chainsOf(listener)) {
    if (filter.kind === "tcp") {
      for (const { name } of filter.clusters) clusters.add(name);
      continue;
    }
    if (filter.routes.kind === "rds") routes.set(filter.routes.name, filter.routes);
    else if (filter.routes.kind === "inline") inlineRoutes.push(filter.routes.routeConfig);
    else if (filter.routes.scopes.kind === "srds") scoped.push(filter.routes.scopes);
    else inlineRoutes.push(...filter.routes.scopes.list.flatMap(inlineRoutesOf));
    for (const { name, config } of filter.httpFilters.flatMap(discoveredIn)) {
      const isOptional = config.applyDefaultWithoutWarming && config.defaultFilter !== undefined;
      const known = plugins.get(name);
      plugins.set(name, { name, source: config.source, isOptional: isOptional && (known?.isOptional ?? true) });
    }
  }
  return {
    routes: [...routes.values()],
    plugins: [...plugins.values()],
    scoped,
    inlineRoutes,
    clusters: [...clusters],
    secrets: discoveredSecrets(chainsOf(listener).map(({ tls }) => tls)),
  };
}

function inlineRoutesOf({ routes }: ScopedRoute): RouteConfiguration[] {
  return routes.kind === "inline" ? [routes.routeConfig] : [];
}

function chainsOf(listener: Listener): readonly FilterChain[] {
  const { filterChains, defaultFilterChain } = listener;
  return defaultFilterChain === undefined ? filterChains : [...filterChains, defaultFilterChain];
}

function collectRoutes(routes: RouteConfiguration): readonly string[] {
  const names = new Set<string>();
  for (const host of routes.virtualHosts) addHostClusters(host, names);
  return [...names];
}

function nameTheSame(routes: RouteConfiguration, before: RouteConfiguration): boolean {
  if (routes.virtualHosts.length !== before.virtualHosts.length) return false;
  for (let index = 0; index < routes.virtualHosts.length; index++) {
    const host = routes.virtualHosts[index] as VirtualHost;
    const other = before.virtualHosts[index] as VirtualHost;
    if (host === other) continue;
    const [names, otherNames] = [new Set<string>(), new Set<string>()];
    addHostClusters(host, names);
    addHostClusters(other, otherNames);
    if (names.symmetricDifference(otherNames).size > 0) return false;
  }
  return true;
}

function addHostClusters({ routes }: VirtualHost, names: Set<string>): void {
  for (const { action } of routes) if (action.kind === "forward") addChoice(action.cluster, names);
}

function addChoice(choice: ClusterChoice, names: Set<string>): void {
  switch (choice.kind) {
    case "cluster":
      names.add(choice.name);
      return;
    case "weighted":
      for (const cluster of choice.clusters) if (cluster.name !== "") names.add(cluster.name);
      return;
    case "header":
      return;
  }
}

/** What a filter takes by name: itself, or those that its tree names. */
export function discoveredIn({ config, dynamic = [], name }: HttpFilter): NonNullable<HttpFilter["dynamic"]> {
  return config.kind === "discovered" ? [{ name, config }, ...dynamic] : dynamic;
}

/** Why a filter that has come cannot be the one that listeners take by this name, by their `type_urls`. */
export function typeProblem(
  name: string,
  { typeName }: DiscoveredFilter,
  listeners: Iterable<Listener>,
): string | undefined {
  if (typeName === "") return undefined;
  for (const listener of listeners) {
    for (const { filter } of chainsOf(listener)) {
      const wanted = filter.kind === "http" ? filter.httpFilters.flatMap(discoveredIn) : [];
      for (const { name: other, config } of wanted) {
        if (other !== name || config.typeUrls.length === 0) continue;
        const types = config.typeUrls.map((url) => url.slice(url.lastIndexOf("/") + 1));
        if (!types.includes(typeName)) {
          return `is of type ${typeName}, but listener "${listener.name}" takes ${types.join(", ")}`;
        }
      }
    }
  }
  return undefined;
}
