// What is wanted, as names and as an interest of a source. Pure. Used by client.ts.

import type { Wanted } from "./assembly.ts";
import type { Interest } from "./subscriptions.ts";

/** Takes the names over: "*" is the wildcard. */
export function interestIn(names: Set<string>): Interest {
  return { isWildcard: names.delete("*"), names };
}

/** Most changes change nothing here; with thousands of clusters it pays to see that first. The first `known` are the same in both. */
export function sameWanted(a: readonly Wanted[], b: readonly Wanted[], known: number): boolean {
  if (a.length !== b.length) return false;
  for (let i = known; i < a.length; i++) {
    const [each, other] = [a[i] as Wanted, b[i] as Wanted];
    if (each === other) continue;
    if (each.name !== other.name || each.typeUrl !== other.typeUrl || each.source !== other.source) return false;
  }
  return true;
}
