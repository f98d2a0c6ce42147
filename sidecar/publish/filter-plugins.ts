// The plugins of one HTTP filter, and the filter with others in their place. Used by listener-plugins.ts for filters of listeners, and
// by publisher.ts, plugin-gate.ts and `validate` for those that come by name (ECDS). Pure.

import type { DiscoveredFilter, FilterConfig } from "../../xds/model/listener.ts";
import type { PluginConfig } from "../../xds/model/plugin-config.ts";

export type LoadedPlugins = ReadonlyMap<PluginConfig, PluginConfig>;

export function pluginsOfFilter({ config }: Pick<DiscoveredFilter, "config">): readonly PluginConfig[] {
  return config.kind === "wasm" ? [config.plugin] : [];
}

/** With `loaded`'s value in place of each of its keys. */
export function replaceFilterPlugins<T extends { readonly config: FilterConfig }>(filter: T, loaded: LoadedPlugins): T {
  const { config } = filter;
  return config.kind === "wasm"
    ? { ...filter, config: { ...config, plugin: loaded.get(config.plugin) ?? config.plugin } }
    : filter;
}
