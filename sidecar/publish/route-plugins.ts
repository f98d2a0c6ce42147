// Plugins that a route configuration brings with it (typed_per_filter_config with a VM of its own), and the configuration with
// others in their place. listener-plugins.ts and publisher.ts ask. Pure; each configuration is walked once.

import type { PluginConfig } from "../../xds/model/plugin-config.ts";
import type { FilterOverride, PerFilterConfig, Route, RouteConfiguration, VirtualHost } from "../../xds/model/route.ts";

type Loaded = ReadonlyMap<PluginConfig, PluginConfig>;

const known = new WeakMap<RouteConfiguration, readonly PluginConfig[]>();

export function pluginsOfRoutes(config: RouteConfiguration): readonly PluginConfig[] {
  let plugins = known.get(config);
  if (plugins === undefined) {
    const found: PluginConfig[] = [];
    addPlugins(config.perFilterConfig, found);
    for (const host of config.virtualHosts) {
      if (host.hasFilterConfig) {
        addHostPlugins(host, found);
      }
    }
    plugins = found;
    known.set(config, plugins);
  }
  return plugins;
}

function hasPlugins(host: VirtualHost): boolean {
  const found: PluginConfig[] = [];
  addHostPlugins(host, found);
  return found.length > 0;
}

function addHostPlugins(host: VirtualHost, found: PluginConfig[]): void {
  addPlugins(host.perFilterConfig, found);
  for (const { perFilterConfig, action } of host.routes) {
    addPlugins(perFilterConfig, found);
    if (action.kind === "forward" && action.cluster.kind === "weighted") {
      action.cluster.clusters.forEach((entry) => addPlugins(entry.perFilterConfig, found));
    }
  }
}

function addPlugins(level: PerFilterConfig, found: PluginConfig[]): void {
  for (const filter in level) {
    const plugin = level[filter]?.plugin;
    if (plugin !== undefined) {
      found.push(plugin);
    }
  }
}

/** The same object when it has no plugins. */
export function replaceRoutePlugins(config: RouteConfiguration, loaded: Loaded): RouteConfiguration {
  if (pluginsOfRoutes(config).length === 0) {
    return config;
  }
  const virtualHosts = config.virtualHosts.map((host) =>
    !hasPlugins(host)
      ? host
      : {
          ...host,
          perFilterConfig: replaced(host.perFilterConfig, loaded),
          routes: host.routes.map((route) => replacedRoute(route, loaded)),
        },
  );
  return { ...config, perFilterConfig: replaced(config.perFilterConfig, loaded), virtualHosts };
}

function replacedRoute(route: Route, loaded: Loaded): Route {
  const perFilterConfig = replaced(route.perFilterConfig, loaded);
  const { action } = route;
  if (action.kind !== "forward" || action.cluster.kind !== "weighted") {
    return { ...route, perFilterConfig };
  }
  const clusters = action.cluster.clusters.map((entry) => ({
    ...entry,
    perFilterConfig: replaced(entry.perFilterConfig, loaded),
  }));
  return { ...route, perFilterConfig, action: { ...action, cluster: { ...action.cluster, clusters } } };
}

function replaced(level: PerFilterConfig, loaded: Loaded): PerFilterConfig {
  return Object.fromEntries(
    Object.entries(level).map(([filter, override]): [string, FilterOverride] => {
      const plugin = override.plugin && loaded.get(override.plugin);
      return [filter, plugin === undefined ? override : { ...override, plugin }];
    }),
  );
}
