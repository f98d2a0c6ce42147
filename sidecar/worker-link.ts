// The messages between the main thread and a data worker, and nothing else.
// supervisor.ts and worker.ts are the two ends. Everything here survives structured cloning; what is shared is a
// SharedArrayBuffer or a compiled WebAssembly.Module.

import type { PluginModule } from "../plugins/plugin-module.ts";
import type { Runtime, Node } from "../xds/model/bootstrap.ts";
import type { Cluster } from "../xds/model/cluster.ts";
import type { ClusterLoadAssignment } from "../xds/model/endpoints.ts";
import type { Demand } from "../xds/model/demand.ts";
import type { DiscoveredFilter, Listener } from "../xds/model/listener.ts";
import type { PluginService } from "../xds/model/plugin-config.ts";
import type { RouteConfiguration } from "../xds/model/route.ts";
import type { ScopedRoute } from "../xds/model/scoped-routes.ts";
import type { SentRoutes } from "./publish/route-patch.ts";
import type { SentEndpoints } from "./publish/sent-endpoints.ts";
import type { StatUpdate } from "./stats/pages.ts";
import type { SamplingPolicy } from "./telemetry/sampling.ts";
import type { LogLine } from "./telemetry/worker-log.ts";
import type { SpanBatch } from "./telemetry/span-batch.ts";

/** What changed under one kind of resource since the last delta. */
export interface Changes<T> {
  readonly set: readonly (readonly [name: string, value: T])[];
  readonly removed: readonly string[];
}

/** From one generation to a later one. Plugins' code is `kind: "module"` here; `modules` holds those not sent before. */
export interface ConfigDelta {
  readonly version: number;
  readonly listeners: Changes<Listener>;
  readonly routes: Changes<RouteConfiguration>;
  readonly scopes: Changes<ScopedRoute>;
  readonly clusters: Changes<Cluster>;
  /** By EDS service name, and by cluster name for DNS clusters: addresses are IP literals. */
  readonly endpoints: Changes<ClusterLoadAssignment>;
  readonly plugins: Changes<DiscoveredFilter>;
  readonly runtime: Runtime | undefined;
  /** Keys of demands that nothing more is waited for (xds/model/demand.ts). */
  readonly settled: Changes<true>;
  /** Those of the bootstrap whose code has come since the last delta. */
  readonly services: readonly PluginService[];
  readonly modules: readonly PluginModule[];
  readonly retiredModules: readonly string[];
}

/** As it travels: route configurations that the worker has in an older version come as what changed, most endpoints as bytes. */
export type SentDelta = Omit<ConfigDelta, "routes" | "endpoints"> & {
  readonly routes: Changes<SentRoutes>;
  readonly endpoints: Changes<SentEndpoints>;
};

/** What a worker is told once, at its start. */
export interface WorkerSettings {
  /** 0, 1, 2 … and the number of times this place was filled again. */
  readonly index: number;
  readonly incarnation: number;
  readonly node: Node;
  readonly nodeBytes: Uint8Array;
  readonly environment: Readonly<Record<string, string>>;
  readonly logLevel: string;
  readonly componentLogLevel: string;
  readonly accessLogFlushMs: number;
  /** Where it says that guest code runs (worker-pulse.ts); another one for each life. */
  readonly pulse: SharedArrayBuffer;
  /** Names of plugins that have ended this worker's life before, a short while ago: they begin in quarantine. */
  readonly suspects: readonly string[];
  /** How long connections of a listener that is gone may live on. */
  readonly drainTimeMs: number;
  /** Process-wide store of proxy_set_shared_data and the shared queues. */
  readonly sharedData: SharedArrayBuffer;
  /** Counters and gauges that plugins define (stats/shared-values.ts). */
  readonly sharedStats: SharedArrayBuffer;
  /** Whether the OTEL_* environment names a collector, and what it says of sampling. */
  readonly environmentTracing: { readonly exports: boolean; readonly policy: SamplingPolicy };
  readonly hostname: string;
}

export interface DrainOrder {
  /** By traffic_direction; `not-outbound` has the listeners without one too. */
  readonly scope: "all" | "inbound" | "not-outbound";
  /** Stop accepting now; otherwise keep accepting and discourage keep-alive. */
  readonly stopAccepting: boolean;
  /**
   * 0: idle connections close now, the others with their next response. Otherwise each response closes its connection
   * with a chance that grows to certainty in this many milliseconds.
   */
  readonly gradualMs: number;
}

export type Question =
  | { readonly kind: "traces"; readonly limit: number }
  | { readonly kind: "plugins" }
  | { readonly kind: "hosts" };

export type ToWorker =
  /** The first, and once. */
  | { readonly kind: "start"; readonly settings: WorkerSettings }
  | { readonly kind: "config"; readonly delta: SentDelta }
  | { readonly kind: "drain"; readonly id: number; readonly order: DrainOrder }
  /** POST /healthcheck/fail or /healthcheck/ok: while it fails, every response closes its connection. */
  | { readonly kind: "health"; readonly isFailing: boolean }
  | { readonly kind: "ask"; readonly id: number; readonly question: Question }
  | { readonly kind: "log-level"; readonly component: string; readonly level: string }
  | { readonly kind: "reopen-logs" }
  | { readonly kind: "close" };

/** Why part of a generation is not in use: the previous part serves on. */
export interface ApplyFailure {
  readonly resource: "listener" | "plugin" | "route" | "service";
  readonly name: string;
  readonly problem: string;
}

export type FromWorker =
  | { readonly kind: "in-use"; readonly version: number; readonly failures: readonly ApplyFailure[] }
  | { readonly kind: "demand"; readonly demand: Demand }
  | { readonly kind: "stats"; readonly update: StatUpdate }
  | { readonly kind: "log"; readonly line: LogLine }
  | { readonly kind: "spans"; readonly batch: SpanBatch }
  | { readonly kind: "answer"; readonly id: number; readonly value: unknown }
  /** No connection has a request in flight any more. */
  | { readonly kind: "drained"; readonly id: number };
