// What routes say of HTTP filters (`typed_per_filter_config`), all levels put together: the most specific level that names a
// filter counts alone. route-table.ts asks for each route and weighted cluster; http-filters.ts makes filters of the result.
// Equal levels give the same object, so that a thousand routes of one virtual host are one set of filters.

import type { BuiltinSettings } from "../../xds/model/builtin-filter.ts";
import type { FilterOverride, PerFilterConfig } from "../../xds/model/route.ts";

/** What the most specific level says, and what every level says to a filter of the proxy's own, the most specific first. */
export interface EffectiveOverride extends FilterOverride {
  readonly levels?: readonly BuiltinSettings[];
}

/** By the filter's name in the connection manager. Never empty. */
export type FilterOverrides = ReadonlyMap<string, EffectiveOverride>;

export class OverrideSets {
  readonly #numbers = new Map<PerFilterConfig, number>();
  readonly #sets = new Map<string, FilterOverrides>();

  /** `levels`: the most specific first. undefined when none of them says anything. */
  of(levels: readonly PerFilterConfig[]): FilterOverrides | undefined {
    const saying = levels.filter((level) => Object.keys(level).length > 0);
    if (saying.length === 0) {
      return undefined;
    }
    const key = saying.map((level) => this.#numberOf(level)).join(" ");
    let set = this.#sets.get(key);
    if (set === undefined) {
      set = effective(saying);
      this.#sets.set(key, set);
    }
    return set;
  }

  get all(): readonly FilterOverrides[] {
    return [...this.#sets.values()];
  }

  #numberOf(level: PerFilterConfig): number {
    const number = this.#numbers.get(level) ?? this.#numbers.size;
    this.#numbers.set(level, number);
    return number;
  }
}

function effective(mostSpecificFirst: readonly PerFilterConfig[]): FilterOverrides {
  const result = new Map<string, EffectiveOverride>();
  for (const [filter, override] of mostSpecificFirst.toReversed().flatMap((level) => Object.entries(level))) {
    const levels = result.get(filter)?.levels ?? [];
    const { builtin } = override;
    result.set(filter, builtin === undefined && levels.length === 0 ? override : withLevels(override, levels));
  }
  return result;
}

function withLevels(override: FilterOverride, lessSpecific: readonly BuiltinSettings[]): EffectiveOverride {
  const { builtin } = override;
  return { ...override, levels: builtin === undefined ? lessSpecific : [builtin, ...lessSpecific] };
}
