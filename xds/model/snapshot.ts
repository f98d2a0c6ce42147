// One complete configuration: what a worker compiles and serves. Assembled by xds/snapshot.ts.
// Parts that did not change keep their identity (===) from one snapshot to the next. Types only.

import type { Runtime } from "./bootstrap.ts";
import type { Cluster } from "./cluster.ts";
import type { ClusterLoadAssignment } from "./endpoints.ts";
import type { DiscoveredFilter, Listener } from "./listener.ts";
import type { RouteConfiguration } from "./route.ts";
import type { ScopedRoute } from "./scoped-routes.ts";

export interface Snapshot {
  /** Generation: grows by one with each snapshot. */
  readonly version: number;
  /** Warm listeners only; each RDS name and ECDS name that a listener uses is present or timed out. */
  readonly listeners: ReadonlyMap<string, Listener>;
  readonly routes: ReadonlyMap<string, RouteConfiguration>;
  /** Those that SRDS brought, by name; each with its routes above, unless they are not asked for yet or timed out. */
  readonly scopes: ReadonlyMap<string, ScopedRoute>;
  readonly clusters: ReadonlyMap<string, Cluster>;
  /** By EDS service name. */
  readonly endpoints: ReadonlyMap<string, ClusterLoadAssignment>;
  /** Of ECDS, by resource (filter) name. */
  readonly plugins: ReadonlyMap<string, DiscoveredFilter>;
  readonly runtime: Runtime;
  /** Keys of demands that have been answered, with something or with nothing, and are in use. */
  readonly settled: ReadonlySet<string>;
}
