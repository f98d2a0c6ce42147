// Plugins that a route configuration brings with it (typed_per_filter_config with a VM of its own), and the configuration with
// others in their place. listener-plugins.ts and publisher.ts ask. Pure; each configuration is walked once.

import type { PluginConfig } from "../xds/model/plugin-config.ts";
import type { FilterOverride, PerFilterConfig, Route, RouteConfiguration, VirtualHost } from "../xds/model/route.ts";

type Loaded = ReadonlyMap<PluginConfig, PluginConfig>;

const NONE: readonly PluginConfig[] = [];
/** Virtual hosts too: they outlive the configuration around them, when others change. */
const known = new WeakMap<RouteConfiguration | VirtualHost, readonly PluginConfig[]>();

export function pluginsOfRoutes(config: RouteConfiguration): readonly PluginConfig[] {
  let plugins = known.get(config);
  if (plugins === undefined) {
    plugins = pluginsOf([config.perFilterConfig]);
    for (const host of config.virtualHosts) {
      const more = pluginsOfHost(host);
      plugins = more.length === 0 ? plugins : [...plugins, ...more];
    }
    known.set(config, plugins);
  }
  return plugins;
}

function pluginsOfHost(host: VirtualHost): readonly PluginConfig[] {
  let plugins = known.get(host);
  if (plugins === undefined) {
    plugins = pluginsOf(levelsOf(host));
    known.set(host, plugins);
  }
  return plugins;
}

function pluginsOf(levels: Iterable<PerFilterConfig>): readonly PluginConfig[] {
  const plugins = [...levels].flatMap((level) => Object.values(level).flatMap(({ plugin }) => plugin ?? []));
  return plugins.length === 0 ? NONE : plugins;
}

/** The same object when it has no plugins. */
export function replaceRoutePlugins(config: RouteConfiguration, loaded: Loaded): RouteConfiguration {
  if (pluginsOfRoutes(config).length === 0) {
    return config;
  }
  const virtualHosts = config.virtualHosts.map((host) =>
    pluginsOfHost(host).length === 0
      ? host
      : {
          ...host,
          perFilterConfig: replaced(host.perFilterConfig, loaded),
          routes: host.routes.map((route) => replacedRoute(route, loaded)),
        },
  );
  return { ...config, perFilterConfig: replaced(config.perFilterConfig, loaded), virtualHosts };
}

function* levelsOf(host: VirtualHost): Generator<PerFilterConfig> {
  yield host.perFilterConfig;
  for (const { perFilterConfig, action } of host.routes) {
    yield perFilterConfig;
    if (action.kind === "forward" && action.cluster.kind === "weighted") {
      yield* action.cluster.clusters.map((entry) => entry.perFilterConfig);
    }
  }
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
