// Names that threads have declared and not asked for yet (scope.ts, `retain`): shown at zero beside those that count. reader.ts
// keeps one of these. A cluster is a prefix here, not fifty entries.

import type { FamilyNews, StatFamily, StatKind } from "./pages.ts";
import type { Counter, Gauge, Histogram, StatsScope } from "./scope.ts";

export interface DeclaredName {
  readonly name: string;
  readonly kind: StatKind;
}

/** Names have dots of their own: `circuit_breakers.default.cx_open`. */
const MAX_DOTS = 4;

export class Families {
  readonly #byOwner = new Map<string, Map<string, StatFamily>>();

  apply(owner: string, released: readonly string[], news: readonly FamilyNews[]): void {
    let declared = this.#byOwner.get(owner);
    if (declared === undefined) {
      declared = new Map();
      this.#byOwner.set(owner, declared);
    }
    released.forEach((prefix) => declared.delete(prefix));
    for (const { family, declared: prefixes } of news) {
      prefixes.forEach((prefix) => declared.set(prefix, family));
    }
  }

  retire(owner: string): void {
    this.#byOwner.delete(owner);
  }

  /** Every declared name that `isKnown` does not know. */
  *names(isKnown: (name: string) => boolean): Generator<DeclaredName> {
    // Workers declare the same of a cluster, the main thread other names.
    const all = new Map<string, StatFamily[]>();
    for (const declared of this.#byOwner.values()) {
      for (const [prefix, family] of declared) {
        const others = all.get(prefix);
        if (others === undefined) {
          all.set(prefix, [family]);
        } else if (!others.some((other) => isSameFamily(other, family))) {
          others.push(family);
        }
      }
    }
    for (const [prefix, families] of all) {
      for (const [kind, suffixes] of families.flatMap(kindsOf)) {
        for (const suffix of suffixes) {
          const name = prefix + suffix;
          if (!isKnown(name)) {
            yield { name, kind };
          }
        }
      }
    }
  }

  /** What kind a declared name is. */
  kindOf(name: string): StatKind | undefined {
    let end = name.length;
    for (let dots = 0; dots < MAX_DOTS; dots++) {
      end = name.lastIndexOf(".", end - 1);
      if (end < 0) {
        return undefined;
      }
      const [prefix, suffix] = [name.slice(0, end + 1), name.slice(end + 1)];
      for (const declared of this.#byOwner.values()) {
        const family = declared.get(prefix);
        const found = family && kindsOf(family).find(([, suffixes]) => suffixes.includes(suffix));
        if (found !== undefined) {
          return found[0];
        }
      }
    }
    return undefined;
  }
}

/** Whether a name begins with one of the prefixes, each of which ends with a dot. */
export function hasPrefix(name: string, prefixes: ReadonlySet<string>): boolean {
  for (let dot = name.indexOf("."); dot >= 0; dot = name.indexOf(".", dot + 1)) {
    if (prefixes.has(name.slice(0, dot + 1))) {
      return true;
    }
  }
  return false;
}

/** Whether a name is gone with `released`: the longest beginning of it that either knows is not one that is `kept`. */
export function isReleased(name: string, released: ReadonlySet<string>, kept: ReadonlySet<string>): boolean {
  let isGone = false;
  for (let dot = name.indexOf("."); dot >= 0; dot = name.indexOf(".", dot + 1)) {
    const prefix = name.slice(0, dot + 1);
    isGone = released.has(prefix) || (isGone && !kept.has(prefix));
  }
  return isGone;
}

function isSameFamily(a: StatFamily, b: StatFamily): boolean {
  return a === b || kindsOf(a).every(([, names], at) => names.join() === kindsOf(b)[at]?.[1].join());
}

function kindsOf({ counters, gauges, histograms }: StatFamily): [StatKind, readonly string[]][] {
  return [
    ["counter", counters],
    ["gauge", gauges],
    ["histogram", histograms],
  ];
}

/** The family of all names that `resolve` asks a scope for. */
export function familyOf(resolve: (scope: StatsScope) => unknown): StatFamily {
  const family = { counters: [] as string[], gauges: [] as string[], histograms: [] as string[] };
  const ignore = (): void => {};
  const nothing: Counter & Gauge & Histogram = {
    inc: ignore,
    dec: ignore,
    add: ignore,
    set: ignore,
    record: ignore,
    value: 0,
  };
  const note = (names: string[]) => (name: string) => {
    names.push(name);
    return nothing;
  };
  resolve({ counter: note(family.counters), gauge: note(family.gauges), histogram: note(family.histograms) });
  return family;
}
