// The HTTP filters of one connection manager: the set that requests pass through, and the sets of routes that switch a filter
// off or on or give it another configuration (typed_per_filter_config). Made by live-config.ts; proxy.ts asks once for
// each request, with what the route says that the request matched when it came in: as in Envoy the filters of a stream are
// chosen then and never again, also when a filter has the route chosen anew.
// A plugin with another configuration is a plugin of its own, with a root context of its own; equal VM keys share the VM.
// Filters that come by name (ECDS) are compiled for each connection manager, and again when another version comes.

import type { HttpFilter } from "../xds/model/listener.ts";
import type { Environment } from "./builtin/match-tree.ts";
import type { FilterFactory } from "./filter/filter.ts";
import {
  compileSlot,
  configuredSlot,
  factoryOf,
  namedSlot,
  type Slot,
  type SlotDeps,
  type SlotYield,
} from "./filter-slot.ts";
import type { NamedFilter } from "./named-filter.ts";
import type { PluginLease } from "./plugin/plugin-pool.ts";
import type { ProxyStream } from "./proxy.ts";
import type { FilterOverrides } from "./route/filter-overrides.ts";

export type HttpFilterDeps = SlotDeps;

/** The filters of a stream. */
export class FilterSet {
  /** In request order. */
  readonly factories: readonly FilterFactory<ProxyStream>[];

  constructor(slots: readonly Slot[], environment: Environment) {
    this.factories = slots.flatMap((slot) => factoryOf(slot, environment) ?? []);
  }
}

/** Filter sets for what a table of routes says, with all plugins started: `HttpFilters.use` them, or give them back. */
export interface PreparedSets {
  /** undefined: as it is. */
  readonly standard: FilterSet | undefined;
  readonly sets: ReadonlyMap<FilterOverrides, FilterSet>;
  readonly leases: readonly PluginLease[];
  /** Plugins that do not start with a route's configuration: their failure policy stands in for them. */
  readonly problems: readonly string[];
}

/** What depends on filters that come by name: compiled whenever one of them has changed. */
interface NamedSlot {
  readonly named: readonly NamedFilter[];
  readonly compile: (into: SlotYield) => Slot;
}

const NOTHING: PreparedSets = { standard: undefined, sets: new Map(), leases: [], problems: [] };

export class HttpFilters {
  readonly #slots: readonly (Slot | NamedSlot)[];
  readonly #leases: readonly PluginLease[];
  readonly #deps: HttpFilterDeps;
  readonly #hasNamed: boolean;
  #standard: FilterSet;
  #inUse: PreparedSets;

  constructor(slots: readonly (Slot | NamedSlot)[], { leases, problems }: SlotYield, deps: HttpFilterDeps) {
    this.#slots = slots;
    this.#leases = leases;
    this.#deps = deps;
    this.#hasNamed = slots.some((slot) => "named" in slot);
    const first: SlotYield = { leases: [], problems };
    this.#standard = standardSet(this.#resolved(first), this.#environment);
    this.#inUse = { ...NOTHING, leases: first.leases };
  }

  get standard(): FilterSet {
    return this.#standard;
  }

  /** Some route has filters of its own: the route must be known before a stream's filters are made. */
  get dependsOnRoute(): boolean {
    return this.#inUse.sets.size > 0;
  }

  /** For a stream whose route says this of filters. */
  of(overrides: FilterOverrides | undefined): FilterSet {
    return overrides === undefined ? this.#standard : (this.#inUse.sets.get(overrides) ?? this.#standard);
  }

  names(filter: NamedFilter): boolean {
    return this.#slots.some((slot) => "named" in slot && slot.named.includes(filter));
  }

  /** Starts what routes need, and what has come by name. Nothing is in use before `use`. */
  prepare(wanted: readonly FilterOverrides[]): PreparedSets {
    if (wanted.length === 0 && !this.#hasNamed) {
      return NOTHING;
    }
    const into: SlotYield = { leases: [], problems: [] };
    const slots = this.#resolved(into);
    const sets = new Map<FilterOverrides, FilterSet>();
    for (const overrides of wanted) {
      const enabled = slots.filter(({ name, isDisabled }) => !(overrides.get(name)?.disabled ?? isDisabled));
      sets.set(
        overrides,
        new FilterSet(
          enabled.map((slot) => configuredSlot(slot, overrides, this.#deps, into)),
          this.#environment,
        ),
      );
    }
    return { standard: this.#hasNamed ? standardSet(slots, this.#environment) : undefined, sets, ...into };
  }

  use(prepared: PreparedSets): void {
    const old = this.#inUse;
    this.#inUse = prepared;
    this.#standard = prepared.standard ?? this.#standard;
    releaseAll(old.leases);
  }

  release(): void {
    releaseAll(this.#leases);
    releaseAll(this.#inUse.leases);
    this.#inUse = NOTHING;
  }

  get #environment(): Environment {
    return this.#deps.builtin.format.environment;
  }

  /** All slots, those that come by name as they are now. */
  #resolved(into: SlotYield): readonly Slot[] {
    return this.#slots.map((slot) => ("named" in slot ? slot.compile(into) : slot));
  }
}

/** Starts the plugins of the filters; a text says which does not start. */
export function compileHttpFilters(filters: readonly HttpFilter[], deps: HttpFilterDeps): HttpFilters | string {
  const into: SlotYield = { leases: [], problems: [] };
  const slots = filters.flatMap(({ config, disabled, dynamic, matcher, name }): (Slot | NamedSlot)[] => {
    switch (config.kind) {
      case "router":
        return [];
      case "discovered": {
        const named = deps.named(name);
        const compile = (later: SlotYield): Slot => namedSlot(named, config.defaultFilter, disabled, deps, later);
        return [{ named: [named], compile }];
      }
      case "wasm":
      case "builtin":
      case "inert": {
        const compile = (later: SlotYield): Slot => compileSlot({ name, disabled, config, matcher }, deps, later);
        return [
          dynamic === undefined ? compile(into) : { named: dynamic.map((each) => deps.named(each.name)), compile },
        ];
      }
    }
  });
  const compiled = new HttpFilters(slots, into, deps);
  if (into.problems.length === 0) {
    return compiled;
  }
  compiled.release();
  return [...new Set(into.problems)].join("; ");
}

function standardSet(slots: readonly Slot[], environment: Environment): FilterSet {
  return new FilterSet(
    slots.filter(({ isDisabled }) => !isDisabled),
    environment,
  );
}

export function releaseAll(leases: readonly PluginLease[]): void {
  for (const lease of leases) {
    lease.release();
  }
}
