// Scopes of a response that cannot all be: two with one key. As in Envoy that refuses the response as a whole, because
// nobody could say which of the two is meant. Pure. Called by intake.ts.

import type { DiscoveryResponse } from "./discovery-messages.ts";
import type { ScopedRoute } from "./model/scoped-routes.ts";

/** `fresh` are the scopes of the response that decode, `known` those in use. */
export function scopeProblem(
  response: DiscoveryResponse,
  fresh: ReadonlyMap<string, ScopedRoute>,
  known: ReadonlyMap<string, ScopedRoute>,
): string | undefined {
  const removed = new Set(response.kind === "delta" ? response.removed : []);
  const kept = response.kind === "delta" ? [...known.values()] : [];
  const others = kept.filter(({ name }) => !fresh.has(name) && !removed.has(name));
  const byKey = new Map<string, string>();
  for (const { name, key } of [...others, ...fresh.values()]) {
    const id = JSON.stringify(key);
    const other = byKey.get(id);
    if (other !== undefined) return `the scopes ${JSON.stringify(other)} and ${JSON.stringify(name)} have the same key`;
    byKey.set(id, name);
  }
  return undefined;
}
