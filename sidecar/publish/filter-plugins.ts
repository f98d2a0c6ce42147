// The plugins of one HTTP filter, and the filter with others in their place. Used by listener-plugins.ts for filters of listeners, and
// by publisher.ts, plugin-gate.ts and `validate` for those that come by name (ECDS). Pure.

import type { FilterConfig } from "../../xds/model/listener.ts";
import type { MatchTree } from "../../xds/model/match-tree.ts";
import type { PluginConfig } from "../../xds/model/plugin-config.ts";

import { actionsOf, withActions } from "./tree-actions.ts";

interface Filter {
  readonly config: FilterConfig;
  readonly matcher?: MatchTree | undefined;
}

export type LoadedPlugins = ReadonlyMap<PluginConfig, PluginConfig>;

/** Also those that its tree has executed. */
export function pluginsOfFilter({ config, matcher }: Filter): readonly PluginConfig[] {
  const own = config.kind === "wasm" ? [config.plugin] : [];
  const executed = matcher === undefined ? [] : actionsOf(matcher).flatMap(pluginsOfFilter);
  return [...own, ...executed];
}

/** With `loaded`'s value in place of each of its keys. */
export function replaceFilterPlugins<T extends Filter>(filter: T, loaded: LoadedPlugins): T {
  const { config, matcher } = filter;
  const changed =
    matcher === undefined
      ? filter
      : { ...filter, matcher: withActions(matcher, (action) => replaceFilterPlugins(action, loaded)) };
  return config.kind === "wasm"
    ? { ...changed, config: { ...config, plugin: loaded.get(config.plugin) ?? config.plugin } }
    : changed;
}
