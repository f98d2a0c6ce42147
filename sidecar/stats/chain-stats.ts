// The statistics of a listener's filter chains, by what their names begin with: `http.<stat_prefix>.`, `tcp.<stat_prefix>.`. The names are
// there as long as a listener has such a chain, and no longer: a control plane that makes listeners anew would fill the bound on names.

import type { StatsScope } from "./scope.ts";

/** A filter chain, as far as it is asked here. */
interface Chain {
  readonly model: { readonly filter: { readonly kind: "tcp" | "http"; readonly statPrefix: string } };
}

/** What one listener holds. */
export class ChainStats {
  readonly #scope: StatsScope;
  #prefixes: ReadonlySet<string> = new Set();

  constructor(scope: StatsScope) {
    this.#scope = scope;
  }

  /** The listener has these chains now. What both versions have goes on counting. */
  use(chains: readonly Chain[]): void {
    const before = this.#prefixes;
    this.#prefixes = new Set(chains.map(({ model: { filter } }) => `${filter.kind}.${filter.statPrefix}.`));
    this.#prefixes.forEach((prefix) => this.#scope.retain?.(prefix));
    before.forEach((prefix) => this.#scope.release?.(prefix));
  }

  /** It is gone, and its last connection too. */
  release(): void {
    this.#prefixes.forEach((prefix) => this.#scope.release?.(prefix));
    this.#prefixes = new Set();
  }
}
