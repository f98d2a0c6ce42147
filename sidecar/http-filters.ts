// The HTTP filters of one connection manager: the set that requests pass through, and the sets of routes that switch a filter
// off or on or give it another configuration (typed_per_filter_config). Made by live-config.ts; proxy.ts asks once for
// each request, with what the route says that the request matched when it came in: as in Envoy the filters of a stream are
// chosen then and never again, also when a filter has the route chosen anew.
// A plugin with another configuration is a plugin of its own, with a root context of its own; equal VM keys share the VM.

import type { BuiltinFilter } from "../xds/model/builtin-filter.ts";
import type { MatchTree } from "../xds/model/match-tree.ts";
import type { HttpFilter } from "../xds/model/listener.ts";
import type { PluginConfig } from "../xds/model/plugin-config.ts";
import { compileBuiltin } from "./builtin/builtin-filters.ts";
import type { BuiltinDeps } from "./builtin/builtin-stream.ts";
import { MatchedFilterFactory } from "./builtin/matched-filter.ts";
import { FailingFilterFactory } from "./filter/failing-filter.ts";
import type { FilterFactory } from "./filter/filter.ts";
import { type PluginSource, WasmFilterFactory } from "./filter/wasm-filter.ts";
import { type NamedPlugin, policyWithoutCode } from "./plugin/named-plugin.ts";
import type { PluginLease, PluginPool } from "./plugin/plugin-pool.ts";
import type { ProxyStream } from "./proxy.ts";
import type { EffectiveOverride, FilterOverrides } from "./route/filter-overrides.ts";

export interface HttpFilterDeps {
  readonly plugins: PluginPool;
  readonly property: PluginSource["property"];
  readonly named: (name: string) => NamedPlugin;
  readonly builtin: BuiltinDeps;
}

/** The filters of a stream. */
export class FilterSet {
  /** In request order. */
  readonly factories: readonly FilterFactory<ProxyStream>[];
  /** Those that arrive by name (ECDS). */
  readonly #discovered: readonly NamedPlugin[];

  constructor(slots: readonly Slot[]) {
    this.factories = slots.flatMap(({ factory, matcher }) =>
      factory === undefined ? [] : matcher === undefined ? factory : new MatchedFilterFactory(factory, matcher),
    );
    this.#discovered = slots.flatMap(({ named }) => named ?? []);
  }

  /** The configuration of one has not come in time: 500 for every request, flag NFCF. */
  get lacksConfig(): boolean {
    for (let i = 0; i < this.#discovered.length; i++) {
      if (this.#discovered[i]?.hasConfig !== true) {
        return true;
      }
    }
    return false;
  }
}

/** Filter sets for what a table of routes says, with all plugins started: `HttpFilters.use` them, or give them back. */
export interface PreparedSets {
  readonly sets: ReadonlyMap<FilterOverrides, FilterSet>;
  readonly leases: readonly PluginLease[];
  /** Plugins that do not start with a route's configuration: their failure policy stands in for them. */
  readonly problems: readonly string[];
}

interface Slot {
  readonly name: string;
  readonly isDisabled: boolean;
  /** undefined: it does nothing; so does a plugin without code whose policy lets streams pass. */
  readonly factory: FilterFactory<ProxyStream> | undefined;
  readonly named: NamedPlugin | undefined;
  readonly config: PluginConfig | undefined;
  /** A filter of the proxy's own. */
  readonly builtin?: BuiltinFilter;
  /** Which streams pass it by. */
  readonly matcher?: MatchTree | undefined;
}

const NOTHING: PreparedSets = { sets: new Map(), leases: [], problems: [] };

export class HttpFilters {
  readonly standard: FilterSet;
  readonly #slots: readonly Slot[];
  readonly #leases: readonly PluginLease[];
  readonly #deps: HttpFilterDeps;
  #ofRoutes = NOTHING;

  constructor(slots: readonly Slot[], leases: readonly PluginLease[], deps: HttpFilterDeps) {
    this.#slots = slots;
    this.#leases = leases;
    this.#deps = deps;
    this.standard = new FilterSet(slots.filter(({ isDisabled }) => !isDisabled));
  }

  /** Some route has filters of its own: the route must be known before a stream's filters are made. */
  get dependsOnRoute(): boolean {
    return this.#ofRoutes.sets.size > 0;
  }

  /** For a stream whose route says this of filters. */
  of(overrides: FilterOverrides | undefined): FilterSet {
    return overrides === undefined ? this.standard : (this.#ofRoutes.sets.get(overrides) ?? this.standard);
  }

  names(plugin: NamedPlugin): boolean {
    return this.#slots.some(({ named }) => named === plugin);
  }

  /** Starts what routes need. Nothing is in use before `use`. */
  prepare(wanted: readonly FilterOverrides[]): PreparedSets {
    if (wanted.length === 0) {
      return NOTHING;
    }
    const leases: PluginLease[] = [];
    const problems: string[] = [];
    const sets = new Map<FilterOverrides, FilterSet>();
    for (const overrides of wanted) {
      const slots = this.#slots.filter(({ name, isDisabled }) => !(overrides.get(name)?.disabled ?? isDisabled));
      const configured = slots.map((slot) => this.#configured(underTree(slot, overrides), overrides, leases, problems));
      sets.set(overrides, new FilterSet(configured));
    }
    return { sets, leases, problems };
  }

  use(prepared: PreparedSets): void {
    const old = this.#ofRoutes;
    this.#ofRoutes = prepared;
    releaseAll(old.leases);
  }

  release(): void {
    releaseAll(this.#leases);
    this.use(NOTHING);
  }

  /** The slot with the configuration that the route has for its plugin, or with the route's own plugin. */
  #configured(slot: Slot, overrides: FilterOverrides, leases: PluginLease[], problems: string[]): Slot {
    const override = overrides.get(slot.name);
    if (slot.builtin !== undefined) {
      const levels = override?.levels ?? [];
      const { builtin, name } = slot;
      return levels.length === 0
        ? slot
        : { ...slot, factory: compileBuiltin(name, builtin, levels, this.#deps.builtin) };
    }
    const config = configOf(slot, override);
    if (config === undefined) {
      return slot;
    }
    if (config.code.kind === "missing") {
      return { ...slot, factory: withoutPlugin(slot.name, config), named: undefined };
    }
    const taken = this.#deps.plugins.take(config);
    if (!taken.ok) {
      problems.push(taken.problem);
      return { ...slot, factory: withoutPlugin(slot.name, config), named: undefined };
    }
    leases.push(taken.lease);
    return { ...slot, factory: factoryOf(slot.name, taken.lease, this.#deps), named: undefined };
  }
}

/** Starts the plugins of the filters; a text says which does not start. */
export function compileHttpFilters(filters: readonly HttpFilter[], deps: HttpFilterDeps): HttpFilters | string {
  const slots: Slot[] = [];
  const leases: PluginLease[] = [];
  for (const filter of filters) {
    const slot = compileSlot(filter, deps, leases);
    if (typeof slot === "string") {
      releaseAll(leases);
      return slot;
    }
    if (slot !== undefined) {
      slots.push({ ...slot, matcher: filter.matcher });
    }
  }
  return new HttpFilters(slots, leases, deps);
}

/** A disabled filter is started too, as in Envoy: a route may switch it on. undefined: it does nothing. */
function compileSlot(filter: HttpFilter, deps: HttpFilterDeps, leases: PluginLease[]): Slot | string | undefined {
  const { name, config, disabled: isDisabled } = filter;
  switch (config.kind) {
    case "wasm": {
      const { plugin } = config;
      if (plugin.code.kind === "missing") {
        return { name, isDisabled, factory: withoutPlugin(name, plugin), named: undefined, config: plugin };
      }
      const taken = deps.plugins.take(plugin);
      if (!taken.ok) {
        return taken.problem;
      }
      leases.push(taken.lease);
      return { name, isDisabled, factory: factoryOf(name, taken.lease, deps), named: undefined, config: plugin };
    }
    case "discovered": {
      const named = deps.named(name);
      const problem = config.defaultPlugin === undefined ? undefined : useDefault(named, config.defaultPlugin, deps);
      return problem ?? { name, isDisabled, factory: named, named, config: undefined };
    }
    case "builtin": {
      const factory = compileBuiltin(name, config.filter, [], deps.builtin);
      return { name, isDisabled, factory, named: undefined, config: undefined, builtin: config.filter };
    }
    case "router":
    case "inert":
      return undefined;
  }
}

/** Until the plugin itself has come. */
function useDefault(named: NamedPlugin, plugin: PluginConfig, { plugins }: HttpFilterDeps): string | undefined {
  if (named.hasConfig) {
    return undefined;
  }
  if (plugin.code.kind === "missing") {
    named.standIn = policyWithoutCode(plugin);
    return undefined;
  }
  const taken = plugins.take(plugin);
  if (!taken.ok) {
    return taken.problem;
  }
  named.swap(taken.lease);
  return undefined;
}

/** The slot under the tree that the route has for it. */
function underTree(slot: Slot, overrides: FilterOverrides): Slot {
  const matcher = slot.matcher === undefined ? undefined : overrides.get(slot.name)?.matcher;
  return matcher === undefined ? slot : { ...slot, matcher };
}

/** undefined: the slot's own plugin as it is. */
function configOf(slot: Slot, override: EffectiveOverride | undefined): PluginConfig | undefined {
  const base = slot.named === undefined ? slot.config : slot.named.config;
  if (override?.plugin !== undefined) {
    return override.plugin;
  }
  const configuration = override?.configuration;
  return configuration === undefined || base === undefined || base.code.kind === "missing"
    ? undefined
    : { ...base, configuration };
}

function factoryOf(name: string, { plugin }: PluginLease, { property }: HttpFilterDeps): FilterFactory<ProxyStream> {
  return new WasmFilterFactory({ name, plugin, property });
}

function withoutPlugin(name: string, config: PluginConfig): FilterFactory<ProxyStream> | undefined {
  return policyWithoutCode(config) === "closed" ? new FailingFilterFactory(name) : undefined;
}

export function releaseAll(leases: readonly PluginLease[]): void {
  for (const lease of leases) {
    lease.release();
  }
}
