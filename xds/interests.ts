// What is wanted, as names and as an interest of a source. Pure. Used by client.ts.

import type { Wanted } from "./assembly.ts";
import type { Interest } from "./subscriptions.ts";

/** Takes the names over: "*" is the wildcard. */
export function interestIn(names: Set<string>): Interest {
  return { isWildcard: names.delete("*"), names };
}

/** Most changes change nothing here; with thousands of clusters it pays to see that first. */
export function sameWanted(a: readonly Wanted[], b: readonly Wanted[]): boolean {
  if (a.length !== b.length) return false;
  return a.every((each, i) => {
    const other = b[i];
    if (each === other) return true;
    return each.name === other?.name && each.typeUrl === other.typeUrl && each.source === other.source;
  });
}
