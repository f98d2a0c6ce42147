// What differs between two snapshots, by name. client.ts hands it out with each snapshot, so that a receiver touches only
// what changed. Pure.

import type { Snapshot } from "./model/snapshot.ts";

/** Names whose value is new or different, and names that are gone. */
export type PartChanges = Readonly<{ changed: readonly string[]; removed: readonly string[] }>;

export type SnapshotChanges = Readonly<{
  listeners: PartChanges;
  routes: PartChanges;
  scopes: PartChanges;
  clusters: PartChanges;
  endpoints: PartChanges;
  plugins: PartChanges;
  isRuntimeChanged: boolean;
}>;

export function snapshotChanges(previous: Snapshot, next: Snapshot): SnapshotChanges {
  return {
    listeners: partChanges(previous.listeners, next.listeners),
    routes: partChanges(previous.routes, next.routes),
    scopes: partChanges(previous.scopes, next.scopes),
    clusters: partChanges(previous.clusters, next.clusters),
    endpoints: partChanges(previous.endpoints, next.endpoints),
    plugins: partChanges(previous.plugins, next.plugins),
    isRuntimeChanged: previous.runtime !== next.runtime,
  };
}

function partChanges(previous: ReadonlyMap<string, unknown>, next: ReadonlyMap<string, unknown>): PartChanges {
  if (previous === next) return { changed: [], removed: [] };
  return {
    changed: [...next.keys()].filter((name) => next.get(name) !== previous.get(name)),
    removed: [...previous.keys()].filter((name) => !next.has(name)),
  };
}

/** The previous map itself when the next one holds the same objects under the same names. */
export function stable<T>(previous: ReadonlyMap<string, T>, next: ReadonlyMap<string, T>): ReadonlyMap<string, T> {
  if (previous === next) return previous;
  if (previous.size !== next.size) return next;
  for (const [name, value] of next) if (previous.get(name) !== value) return next;
  return previous;
}
