// One HTTP filter of a connection manager, compiled: the factory that streams get, and what it was made from, so that a route
// can have it made otherwise. Made and changed by http-filters.ts.

import type { BuiltinFilter, BuiltinSettings } from "../xds/model/builtin-filter.ts";
import type { DiscoveredFilter, FilterConfig } from "../xds/model/listener.ts";
import type { ExecuteFilter, MatchTree } from "../xds/model/match-tree.ts";
import type { PluginConfig } from "../xds/model/plugin-config.ts";
import { compileBuiltin } from "./builtin/builtin-filters.ts";
import type { BuiltinDeps } from "./builtin/builtin-stream.ts";
import { CompositeFilterFactory } from "./builtin/composite-filter.ts";
import { compileMatchTree, type Environment } from "./builtin/match-tree.ts";
import { MatchedFilterFactory } from "./builtin/matched-filter.ts";
import { CONFIG_MISSING, FailingFilterFactory, PLUGIN_FAILED } from "./filter/failing-filter.ts";
import type { FilterFactory } from "./filter/filter.ts";
import { type PluginSource, WasmFilterFactory } from "./filter/wasm-filter.ts";
import type { PluginLease, PluginPool } from "./plugin/plugin-pool.ts";
import type { NamedFilter } from "./named-filter.ts";
import { policyWithoutCode } from "./plugin/plugin-settings.ts";
import type { ProxyStream } from "./proxy.ts";
import { actionsOf } from "./publish/tree-actions.ts";
import type { EffectiveOverride, FilterOverrides } from "./route/filter-overrides.ts";

export interface SlotDeps {
  readonly plugins: PluginPool;
  readonly property: PluginSource["property"];
  readonly named: (name: string) => NamedFilter;
  readonly builtin: BuiltinDeps;
}

/** What the making of slots leaves behind. */
export interface SlotYield {
  readonly leases: PluginLease[];
  /** Plugins that do not start: their failure policy stands in for them. */
  readonly problems: string[];
}

export interface Slot {
  readonly name: string;
  readonly isDisabled: boolean;
  /** undefined: it does nothing; so does a plugin without code whose policy lets streams pass. */
  readonly factory: FilterFactory<ProxyStream> | undefined;
  /** Of a plugin. */
  readonly config: PluginConfig | undefined;
  /** A filter of the proxy's own. */
  readonly builtin: BuiltinFilter | undefined;
  /** Which streams pass it by. */
  readonly matcher: MatchTree | undefined;
}

/** A filter with its tree, wherever they come from. */
export interface Placed {
  readonly name: string;
  readonly disabled: boolean;
  readonly config: FilterConfig;
  readonly matcher: MatchTree | undefined;
}

/** A disabled filter is started too, as in Envoy: a route may switch it on. */
export function compileSlot({ config, disabled, matcher, name }: Placed, deps: SlotDeps, into: SlotYield): Slot {
  const slot = { name, isDisabled: disabled, matcher };
  switch (config.kind) {
    case "wasm": {
      const { plugin } = config;
      return { ...slot, factory: startPlugin(name, plugin, deps, into), config: plugin, builtin: undefined };
    }
    case "builtin": {
      const { filter } = config;
      const factory =
        filter.kind === "composite"
          ? compileComposite(name, matcher, [], deps, into)
          : compileBuiltin(name, filter, [], deps.builtin);
      return { ...slot, factory, config: undefined, builtin: filter };
    }
    case "inert":
      return { ...slot, factory: undefined, config: undefined, builtin: undefined };
  }
}

/** In the place of a filter by name (ECDS) whose configuration has not come: 500 for every request that reaches it. */
export function absentSlot(name: string, isDisabled: boolean): Slot {
  const factory = new FailingFilterFactory(name, CONFIG_MISSING);
  return { name, isDisabled, factory, config: undefined, builtin: undefined, matcher: undefined };
}

/** The slot with the configuration that the route has for its filter, under the route's tree, or with the route's own plugin. */
export function configuredSlot(slot: Slot, overrides: FilterOverrides, deps: SlotDeps, into: SlotYield): Slot {
  const override = overrides.get(slot.name);
  const placed =
    override?.matcher === undefined || slot.matcher === undefined ? slot : { ...slot, matcher: override.matcher };
  const { builtin, name } = placed;
  if (builtin?.kind === "composite") {
    return override === undefined
      ? placed
      : { ...placed, factory: compileComposite(name, placed.matcher, override.levels ?? [], deps, into) };
  }
  if (builtin !== undefined) {
    const levels = override?.levels ?? [];
    return levels.length === 0 ? placed : { ...placed, factory: compileBuiltin(name, builtin, levels, deps.builtin) };
  }
  const config = configOf(placed, override);
  return config === undefined ? placed : { ...placed, factory: startPlugin(name, config, deps, into) };
}

/** undefined: the slot's own plugin as it is. */
function configOf({ config: base }: Slot, override: EffectiveOverride | undefined): PluginConfig | undefined {
  if (override?.plugin !== undefined) {
    return override.plugin;
  }
  const configuration = override?.configuration;
  return configuration === undefined || base === undefined || base.code.kind === "missing"
    ? undefined
    : { ...base, configuration };
}

/** The plugin, or what its policy says when it has no code or does not start. */
function startPlugin(
  name: string,
  config: PluginConfig,
  { plugins, property }: SlotDeps,
  { leases, problems }: SlotYield,
): FilterFactory<ProxyStream> | undefined {
  if (config.code.kind === "missing") {
    return withoutPlugin(name, config);
  }
  const taken = plugins.take(config);
  if (!taken.ok) {
    problems.push(taken.problem);
    return withoutPlugin(name, config);
  }
  leases.push(taken.lease);
  return new WasmFilterFactory({ name, plugin: taken.lease.plugin, property });
}

function withoutPlugin(name: string, config: PluginConfig): FilterFactory<ProxyStream> | undefined {
  return policyWithoutCode(config) === "closed" ? new FailingFilterFactory(name, PLUGIN_FAILED) : undefined;
}

/** undefined: without a tree it does nothing. The levels of a route are those of the filter that runs in its place. */
function compileComposite(
  name: string,
  tree: MatchTree | undefined,
  levels: readonly BuiltinSettings[],
  deps: SlotDeps,
  into: SlotYield,
): FilterFactory<ProxyStream> | undefined {
  if (tree === undefined) {
    return undefined;
  }
  const factories = new Map<ExecuteFilter, FilterFactory<ProxyStream>>();
  for (const action of actionsOf(tree)) {
    const factory = compileExecuted(name, action, levels, deps, into);
    if (factory !== undefined) {
      factories.set(action, factory);
    }
  }
  const test = compileMatchTree(tree, deps.builtin.format.environment);
  return new CompositeFilterFactory(name, { test, factories, deps: deps.builtin });
}

function compileExecuted(
  name: string,
  action: ExecuteFilter,
  levels: readonly BuiltinSettings[],
  deps: SlotDeps,
  into: SlotYield,
): FilterFactory<ProxyStream> | undefined {
  const { config } = action;
  switch (config.kind) {
    case "wasm":
      return startPlugin(name, config.plugin, deps, into);
    case "builtin":
      return compileBuiltin(name, config.filter, levels, deps.builtin);
    case "inert":
      return undefined;
    case "discovered": {
      const slot = namedSlot(deps.named(action.name), config.defaultFilter, false, deps, into);
      return factoryOf(slot, deps.builtin.format.environment);
    }
  }
}

/** A filter by name as it is now: what has come, else its default. */
export function namedSlot(
  named: NamedFilter,
  defaultFilter: DiscoveredFilter | undefined,
  isDisabled: boolean,
  deps: SlotDeps,
  into: SlotYield,
): Slot {
  const filter = named.filter ?? defaultFilter;
  return filter === undefined
    ? absentSlot(named.name, isDisabled)
    : compileSlot({ ...filter, name: named.name, disabled: isDisabled }, deps, into);
}

/** What streams get of a slot; undefined: nothing. */
export function factoryOf(
  { builtin, factory, matcher }: Slot,
  environment: Environment,
): FilterFactory<ProxyStream> | undefined {
  // The composite filter asks its tree itself.
  return factory === undefined || matcher === undefined || builtin?.kind === "composite"
    ? factory
    : new MatchedFilterFactory(factory, matcher, environment);
}
