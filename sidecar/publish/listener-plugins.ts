// The plugins of a listener: which it names by itself, which come by name (ECDS), and the listener with others in their place.
// Used by publisher.ts, which loads plugins' code before workers hear of a listener. Pure.

import type { AccessLog } from "../../xds/model/access-log.ts";
import type { FilterChain, HttpConnectionManager, HttpFilter, Listener } from "../../xds/model/listener.ts";
import type { PluginConfig } from "../../xds/model/plugin-config.ts";
import type { RouteConfiguration } from "../../xds/model/route.ts";
import type { ScopedRoute } from "../../xds/model/scoped-routes.ts";
import { type LoadedPlugins, pluginsOfFilter, replaceFilterPlugins } from "./filter-plugins.ts";
import { pluginsOfRoutes, replaceRoutePlugins } from "./route-plugins.ts";

/** Every plugin that a listener names by itself, defaults of discovered ones included. */
export function pluginsOf(listener: Listener): PluginConfig[] {
  const network = chainsOf(listener).flatMap(({ networkFilters }) => networkFilters.map(({ plugin }) => plugin));
  const logs = [...chainsOf(listener).flatMap(({ filter }) => filter.accessLogs), ...listener.accessLogs];
  const routes = chainsOf(listener).flatMap(({ filter }) =>
    filter.kind === "http" ? inlineRoutesOf(filter.routes).flatMap(pluginsOfRoutes) : [],
  );
  return [...network, ...httpFiltersOf(listener).flatMap(pluginsOfHttpFilter), ...logs.flatMap(loggerOf), ...routes];
}

/** Names of the filters whose configuration comes by ECDS and has no default. */
export function discoveredBy(listener: Listener): string[] {
  return httpFiltersOf(listener).flatMap(({ config, dynamic = [], name }) =>
    [{ name, config }, ...dynamic].flatMap((each) =>
      each.config.kind === "discovered" && each.config.defaultFilter === undefined ? each.name : [],
    ),
  );
}

/** Names of the route configurations that it takes over RDS. */
export function routesOf(listener: Listener): string[] {
  return chainsOf(listener).flatMap(({ filter }) =>
    filter.kind === "http" && filter.routes.kind === "rds" ? [filter.routes.name] : [],
  );
}

/** The listener with `loaded`'s value in place of each of its keys. */
export function replacePlugins(listener: Listener, loaded: LoadedPlugins): Listener {
  const withLogs = (logs: readonly AccessLog[]): readonly AccessLog[] => logs.map((log) => withLogger(log, loaded));
  const chain = (model: FilterChain): FilterChain => ({
    ...model,
    networkFilters: model.networkFilters.map(({ name, plugin }) => ({ name, plugin: loaded.get(plugin) ?? plugin })),
    filter:
      model.filter.kind === "tcp"
        ? { ...model.filter, accessLogs: withLogs(model.filter.accessLogs) }
        : {
            ...model.filter,
            accessLogs: withLogs(model.filter.accessLogs),
            routes: withRoutes(model.filter.routes, loaded),
            httpFilters: model.filter.httpFilters.map((filter) => withPlugins(filter, loaded)),
          },
  });
  return {
    ...listener,
    accessLogs: withLogs(listener.accessLogs),
    filterChains: listener.filterChains.map(chain),
    defaultFilterChain: listener.defaultFilterChain === undefined ? undefined : chain(listener.defaultFilterChain),
  };
}

function chainsOf({ filterChains, defaultFilterChain }: Listener): readonly FilterChain[] {
  return defaultFilterChain === undefined ? filterChains : [...filterChains, defaultFilterChain];
}

function httpFiltersOf(listener: Listener): HttpFilter[] {
  return chainsOf(listener).flatMap(({ filter }) => (filter.kind === "http" ? filter.httpFilters : []));
}

function pluginsOfHttpFilter({ config, matcher }: HttpFilter): readonly PluginConfig[] {
  return config.kind === "router" ? [] : pluginsOfFilter({ config, matcher });
}

type Routes = HttpConnectionManager["routes"];

/** Those that stand in the listener. */
export function inlineRoutesOf(routes: Routes): RouteConfiguration[] {
  if (routes.kind === "inline") {
    return [routes.routeConfig];
  }
  const list = routes.kind === "scoped" && routes.scopes.kind === "inline" ? routes.scopes.list : [];
  return list.flatMap((scope) => (scope.routes.kind === "inline" ? scope.routes.routeConfig : []));
}

function withRoutes(routes: Routes, loaded: LoadedPlugins): Routes {
  if (routes.kind === "inline") {
    return { kind: "inline", routeConfig: replaceRoutePlugins(routes.routeConfig, loaded) };
  }
  if (routes.kind !== "scoped" || routes.scopes.kind !== "inline") {
    return routes;
  }
  const list = routes.scopes.list.map((scope): ScopedRoute => {
    return scope.routes.kind === "inline"
      ? { ...scope, routes: { kind: "inline", routeConfig: replaceRoutePlugins(scope.routes.routeConfig, loaded) } }
      : scope;
  });
  return { ...routes, scopes: { kind: "inline", list } };
}

function loggerOf({ sink }: AccessLog): PluginConfig[] {
  return sink.kind === "wasm" ? [sink.plugin] : [];
}

function withPlugins(filter: HttpFilter, loaded: LoadedPlugins): HttpFilter {
  const { config } = filter;
  return config.kind === "router" ? filter : replaceFilterPlugins({ ...filter, config }, loaded);
}

function withLogger(log: AccessLog, loaded: LoadedPlugins): AccessLog {
  const { sink } = log;
  return sink.kind === "wasm"
    ? { ...log, sink: { kind: "wasm", plugin: loaded.get(sink.plugin) ?? sink.plugin } }
    : log;
}
