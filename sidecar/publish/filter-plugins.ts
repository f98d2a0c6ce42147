// The plugins of one HTTP filter, and the filter with others in their place. Used by listener-plugins.ts for filters of listeners, and
// by publisher.ts, plugin-gate.ts and `validate` for those that come by name (ECDS). Pure.

import type { DiscoveredConfig, FilterConfig } from "../../xds/model/listener.ts";
import type { MatchTree } from "../../xds/model/match-tree.ts";
import type { PluginConfig } from "../../xds/model/plugin-config.ts";

import { actionsOf, withActions } from "./tree-actions.ts";

interface Filter {
  readonly config: FilterConfig | DiscoveredConfig;
  readonly matcher?: MatchTree | undefined;
}

export type LoadedPlugins = ReadonlyMap<PluginConfig, PluginConfig>;

/** Also those that its tree has executed, and those of what stands for a filter that comes by name. */
export function pluginsOfFilter({ config, matcher }: Filter): readonly PluginConfig[] {
  const executed = matcher === undefined ? [] : actionsOf(matcher).flatMap(pluginsOfFilter);
  switch (config.kind) {
    case "wasm":
      return [config.plugin, ...executed];
    case "discovered":
      return config.defaultFilter === undefined ? executed : [...pluginsOfFilter(config.defaultFilter), ...executed];
    case "builtin":
    case "inert":
      return executed;
  }
}

/** With `loaded`'s value in place of each of its keys. */
export function replaceFilterPlugins<T extends Filter>(filter: T, loaded: LoadedPlugins): T {
  const { config, matcher } = filter;
  const changed =
    matcher === undefined
      ? filter
      : { ...filter, matcher: withActions(matcher, (action) => replaceFilterPlugins(action, loaded)) };
  switch (config.kind) {
    case "wasm":
      return { ...changed, config: { ...config, plugin: loaded.get(config.plugin) ?? config.plugin } };
    case "discovered":
      return config.defaultFilter === undefined
        ? changed
        : { ...changed, config: { ...config, defaultFilter: replaceFilterPlugins(config.defaultFilter, loaded) } };
    case "builtin":
    case "inert":
      return changed;
  }
}
