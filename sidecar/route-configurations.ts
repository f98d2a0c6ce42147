// For /plugins: which configurations routes have for which plugin, the filter's or one of their own, and where. From the
// models, on the main thread. Pure.

import type { DiscoveredFilter, HttpConnectionManager, Listener } from "../xds/model/listener.ts";
import { inlineRoutesOf } from "./publish/listener-plugins.ts";
import type { PerFilterConfig, Route, RouteConfiguration } from "../xds/model/route.ts";
import type { RouteConfigurationView } from "./admin/ports.ts";

/** As workers have them. */
export interface PublishedPlugins {
  readonly listeners: readonly Listener[];
  /** The filter that arrives by this name (ECDS). */
  discoveredFilter(name: string): DiscoveredFilter | undefined;
}

const MOST_CHARACTERS = 1_024;
const MOST_PLACES = 20;

interface Found {
  readonly bytes: Uint8Array;
  readonly places: Set<string>;
}

/** By plugin name, each configuration once. */
export function routeConfigurations(
  published: PublishedPlugins,
  routes: ReadonlyMap<string, RouteConfiguration>,
): ReadonlyMap<string, readonly RouteConfigurationView[]> {
  const found = new Map<string, Map<string, Found>>();
  for (const hcm of published.listeners.flatMap(managersOf)) {
    const plugins = pluginNames(hcm, published);
    const configs = plugins.size === 0 ? [] : configsOf(hcm, routes);
    for (const [place, overrides] of configs.flatMap((config) => [...levelsOf(config)])) {
      for (const [filter, { configuration, plugin }] of Object.entries(overrides)) {
        const name = plugins.get(filter);
        if (name !== undefined && plugin !== undefined) {
          note(found, plugin.name, plugin.configuration, place);
        } else if (name !== undefined && configuration !== undefined) {
          note(found, name, configuration, place);
        }
      }
    }
  }
  return new Map([...found].map(([plugin, configurations]) => [plugin, [...configurations.values()].map(view)]));
}

/** Of the scopes of SRDS it may have any. */
function configsOf(
  { routes }: HttpConnectionManager,
  named: ReadonlyMap<string, RouteConfiguration>,
): RouteConfiguration[] {
  if (routes.kind === "rds") {
    return [named.get(routes.name)].flatMap((config) => config ?? []);
  }
  return routes.kind === "scoped" && routes.scopes.kind === "srds" ? [...named.values()] : inlineRoutesOf(routes);
}

function managersOf({ filterChains, defaultFilterChain }: Listener): HttpConnectionManager[] {
  const chains = defaultFilterChain === undefined ? filterChains : [...filterChains, defaultFilterChain];
  return chains.flatMap(({ filter }) => (filter.kind === "http" ? filter : []));
}

/** By filter name. */
function pluginNames(hcm: HttpConnectionManager, published: PublishedPlugins): Map<string, string> {
  return new Map(
    hcm.httpFilters.flatMap(({ name, config }): [string, string][] => {
      if (config.kind === "wasm") {
        return [[name, config.plugin.name]];
      }
      return config.kind === "discovered" ? [[name, published.discoveredFilter(name)?.name ?? name]] : [];
    }),
  );
}

function* levelsOf(config: RouteConfiguration): Generator<readonly [place: string, PerFilterConfig]> {
  const routes = `routes ${config.name}`;
  yield [routes, config.perFilterConfig];
  for (const host of config.virtualHosts) {
    const at = `${routes}, virtual host ${host.name}`;
    yield [at, host.perFilterConfig];
    for (const [index, route] of host.routes.entries()) {
      yield* routeLevels(`${at}, route ${route.name === "" ? index : route.name}`, route);
    }
  }
}

function* routeLevels(at: string, { perFilterConfig, action }: Route): Generator<readonly [string, PerFilterConfig]> {
  yield [at, perFilterConfig];
  if (action.kind === "forward" && action.cluster.kind === "weighted") {
    for (const entry of action.cluster.clusters) {
      yield [`${at}, cluster ${entry.name === "" ? entry.clusterHeader : entry.name}`, entry.perFilterConfig];
    }
  }
}

function note(found: Map<string, Map<string, Found>>, plugin: string, bytes: Uint8Array, place: string): void {
  const configurations = found.get(plugin) ?? new Map<string, Found>();
  found.set(plugin, configurations);
  const key = Buffer.from(bytes).toString("latin1");
  const entry = configurations.get(key) ?? { bytes, places: new Set<string>() };
  configurations.set(key, entry);
  entry.places.add(place);
}

function view({ bytes, places }: Found): RouteConfigurationView {
  const text = Buffer.from(bytes).toString();
  return {
    configuration: text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text,
    bytes: bytes.length,
    usedBy: [...places].slice(0, MOST_PLACES),
  };
}
