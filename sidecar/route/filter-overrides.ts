// What routes say of HTTP filters (`typed_per_filter_config`), all levels put together: the most specific level that names a
// filter counts alone. route-table.ts asks for each route and weighted cluster; http-filters.ts makes filters of the result.
// Equal levels give the same object, so that a thousand routes of one virtual host are one set of filters.

import type { FilterOverride, PerFilterConfig } from "../../xds/model/route.ts";

/** By the filter's name in the connection manager. Never empty. */
export type FilterOverrides = ReadonlyMap<string, FilterOverride>;

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
      set = new Map(saying.toReversed().flatMap((level) => Object.entries(level)));
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
