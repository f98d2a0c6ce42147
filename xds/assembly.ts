// What snapshot.ts works from and what it makes: the tables of accepted resources in, a snapshot and what is missing out.

import type { Runtime } from "./model/bootstrap.ts";
import type { Cluster } from "./model/cluster.ts";
import type { ConfigSource } from "./model/config-source.ts";
import type { Demand } from "./model/demand.ts";
import type { ClusterLoadAssignment } from "./model/endpoints.ts";
import type { DiscoveredFilter, Listener } from "./model/listener.ts";
import type { RouteConfiguration, VirtualHost } from "./model/route.ts";
import type { ScopedRoute } from "./model/scoped-routes.ts";
import type { Snapshot } from "./model/snapshot.ts";
import type { Secret } from "./model/tls.ts";

/** The latest good version of every resource, static ones included. */
export interface ResourceTables {
  readonly listeners: ReadonlyMap<string, Listener>;
  readonly routes: ReadonlyMap<string, RouteConfiguration>;
  /** By the names of their resources. */
  readonly virtualHosts: ReadonlyMap<string, VirtualHost>;
  readonly scopes: ReadonlyMap<string, ScopedRoute>;
  readonly clusters: ReadonlyMap<string, Cluster>;
  /** By EDS service name. */
  readonly endpoints: ReadonlyMap<string, ClusterLoadAssignment>;
  readonly plugins: ReadonlyMap<string, DiscoveredFilter>;
  readonly secrets: ReadonlyMap<string, Secret>;
  /** Another number whenever a cluster, an assignment or a secret is another. */
  clusterRevision(): number;
  /** How a resource without a good version stands. "over": its owner goes on without it. */
  standing(typeUrl: string, name: string): "waiting" | "refused" | "over";
}

/** A resource that must be subscribed to; the name "*" is every resource of the type. */
export type Wanted = Readonly<{ typeUrl: string; name: string; source: ConfigSource }>;

/** Something waited for, at most `timeoutMs` (0: for ever) from when it first appears in an assembly. */
export type Wait = Readonly<{
  /** Equal keys are one wait. Without a resource the key is an object, which goes into `overdue` when its time is up. */
  key: string | object;
  timeoutMs: number;
  /** The resource that is missing; undefined when a new version waits for clusters that are warming. */
  resource: Wanted | undefined;
  /** Nothing serves meanwhile: the wait may end although its server is away. */
  isFirst?: boolean;
}>;

/** A new version that is not in the snapshot yet, and why; `isFirst` when no previous version serves meanwhile. */
export type Warming = Readonly<{ typeUrl: string; name: string; waitsFor: readonly string[]; isFirst: boolean }>;

export type Assembly = Readonly<{
  /** The previous object itself when nothing changed. */
  snapshot: Snapshot;
  wanted: readonly Wanted[];
  waits: readonly Wait[];
  warming: readonly Warming[];
  /** undefined while any cluster lacks something. */
  clusterPart: ClusterPart | undefined;
}>;

/** Complete clusters and what they use: the same for the next assembly unless one of them changes. There may be thousands. */
export type ClusterPart = Readonly<{
  revision: number;
  clusters: ReadonlyMap<string, Cluster>;
  endpoints: ReadonlyMap<string, ClusterLoadAssignment>;
  wanted: readonly Wanted[];
}>;

export type AssembleInput = Readonly<{
  tables: ResourceTables;
  /** False until the first CDS answer (or its timeout): an unknown cluster may still come. */
  isClusterSetComplete: boolean;
  /** CDS stands refused, in part or whole, or has just been repaired: a cluster that is not known may still come. */
  isClusterSetRefused: boolean;
  runtime: Runtime;
  previous: Snapshot;
  /** Of the assembly that `previous` is from. */
  clusterPart?: ClusterPart | undefined;
  /** Keys of waits without a resource whose time is up. */
  overdue: Readonly<{ has(key: object): boolean }>;
  /** What requests have asked for. */
  demands?: readonly Demand[];
}>;

export const EMPTY_SNAPSHOT: Snapshot = Object.freeze({
  version: 0,
  listeners: new Map(),
  routes: new Map(),
  scopes: new Map(),
  clusters: new Map(),
  endpoints: new Map(),
  plugins: new Map(),
  runtime: Object.freeze({}),
  settled: new Set<string>(),
});

export const EMPTY_ASSEMBLY: Assembly = Object.freeze({
  snapshot: EMPTY_SNAPSHOT,
  wanted: [],
  waits: [],
  warming: [],
  clusterPart: undefined,
});
