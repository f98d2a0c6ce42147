// The main thread's own statistics under Envoy's names: `server.*`, `runtime.*`, `cluster_manager.*`, `listener_manager.*`
// and what the xDS client counts. supervisor.ts tells it what happens; `refresh` reads the rest when somebody asks.
// Sources: Envoy's "Statistics" pages of the server, the runtime, the cluster manager and the listener manager.

import type { Snapshot } from "../xds/model/snapshot.ts";
import { familyOf } from "./stats/families.ts";
import type { Histogram, StatsScope } from "./stats/scope.ts";
import type { StatsReader } from "./stats/reader.ts";
import type { StatsTable } from "./stats/table.ts";
import type { ServerState } from "./admin/ports.ts";
import type { ApplyFailure, ConfigDelta, DrainOrder } from "./worker-link.ts";

/** What the program says of itself when the statistics are read. */
export interface ServerFacts {
  readonly state: ServerState;
  /** Listeners and clusters that are not in use yet. */
  readonly warmingListeners: number;
  readonly warmingClusters: number;
  readonly activeListeners: number;
  readonly snapshot: Snapshot | undefined;
  /** The xDS client's, names → numbers and texts. */
  readonly xds: Readonly<Record<string, number | string>>;
}

export interface ServerStatsDeps {
  readonly stats: StatsTable;
  readonly reader: StatsReader;
  readonly startedAt: number;
  readonly concurrency: number;
  readonly restartEpoch: number;
  readonly runtimeLayers: number;
  readonly facts: () => ServerFacts;
}

/** Names of a snapshot part that came, changed and went: snapshot-changes.ts. */
interface PartChanges {
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

/** Envoy's order of ServerInfo.State. */
const STATES: readonly ServerState[] = ["LIVE", "DRAINING", "PRE_INITIALIZING", "INITIALIZING"];
/** What Envoy shows without certificates: the largest of its 32-bit numbers. */
const NO_CERTIFICATE = 2 ** 32 - 1;
/** Numbers of the xDS client that go up and down. */
const XDS_GAUGE = /\.(?:connected_state|update_time|version)$/;
/** How often the first of each pair in a histogram of /stats starts again: Envoy's stats_flush_interval. */
export const INTERVAL_MS = 5_000;

const UPDATE_NAMES = ["update_attempt", "update_success", "update_failure", "update_empty", "update_no_rebuild"];
/** Declared, not made: thousands of clusters have nothing to count here. Static clusters have no subscription, and yet Envoy's names for one. */
const CLUSTER_FAMILY = familyOf((scope) => UPDATE_NAMES.forEach((name) => scope.counter(name)));
const EDS_FAMILY = familyOf((scope) =>
  [...UPDATE_NAMES, "update_rejected", "init_fetch_timeout"].forEach((name) => scope.counter(name)),
);

export class ServerStats {
  readonly #deps: ServerStatsDeps;
  readonly #stats: StatsScope;
  readonly #initializationMs: Histogram;
  /** Listeners of each generation that some worker has not reported yet. */
  readonly #sentListeners = new Map<number, number>();
  readonly #reported: number[];
  readonly #timer: NodeJS.Timeout;

  constructor(deps: ServerStatsDeps) {
    this.#deps = deps;
    this.#stats = deps.stats;
    this.#reported = Array.from({ length: deps.concurrency }, () => 0);
    this.#initializationMs = deps.stats.histogram("server.initialization_time_ms");
    this.#defineAll();
    this.#timer = setInterval(() => deps.reader.rollInterval(), INTERVAL_MS);
    this.#timer.unref();
  }

  /** A snapshot goes to the workers. `previous` is the one before it. */
  onSnapshot(
    previous: Snapshot | undefined,
    next: Snapshot,
    changes: { readonly clusters: PartChanges; readonly listeners: PartChanges; readonly isRuntimeChanged: boolean },
  ): void {
    this.#countPart("cluster_manager.cluster", previous?.clusters, changes.clusters);
    this.#countPart("listener_manager.listener", previous?.listeners, changes.listeners);
    if (changes.isRuntimeChanged || previous === undefined) {
      this.#stats.counter("runtime.load_success").inc();
    }
    for (const name of changes.clusters.changed) {
      const [before, cluster] = [previous?.clusters.get(name), next.clusters.get(name)];
      if (cluster !== undefined) {
        const family = cluster.discovery.kind === "eds" ? EDS_FAMILY : CLUSTER_FAMILY;
        this.#stats.retain?.(`cluster.${cluster.statName}.`, family);
        if (before !== undefined && before.discovery.kind !== cluster.discovery.kind) {
          this.#stats.declare?.(`cluster.${cluster.statName}.`, family);
        }
      }
      if (before !== undefined) {
        this.#stats.release?.(`cluster.${before.statName}.`);
      }
    }
    for (const name of changes.clusters.removed) {
      this.#stats.release?.(`cluster.${previous?.clusters.get(name)?.statName ?? name}.`);
    }
  }

  /** A delta has gone to the workers. */
  onPublished({ version, listeners }: ConfigDelta): void {
    if (listeners.set.length > 0) {
      this.#sentListeners.set(version, listeners.set.length);
    }
  }

  /** A worker serves by generation `version`, but for what failed. */
  onInUse(worker: number, version: number, failures: readonly ApplyFailure[]): void {
    const failed = failures.filter(({ resource }) => resource === "listener").length;
    this.#stats.counter("listener_manager.listener_create_failure").add(failed);
    const before = this.#reported[worker] ?? 0;
    let created = -failed;
    for (const [sent, count] of this.#sentListeners) {
      if (sent > before && sent <= version) {
        created += count;
      }
    }
    this.#stats.counter("listener_manager.listener_create_success").add(Math.max(0, created));
    this.#reported[worker] = version;
    const everywhere = Math.min(...this.#reported);
    for (const sent of this.#sentListeners.keys()) {
      if (sent <= everywhere) {
        this.#sentListeners.delete(sent);
      }
    }
  }

  /** POST /drain_listeners has closed the listening sockets. */
  onListenersStopped(scope: DrainOrder["scope"]): void {
    const listeners = [...(this.#deps.facts().snapshot?.listeners.values() ?? [])];
    const stopped = listeners.filter(({ trafficDirection }) => scope === "all" || trafficDirection === "inbound");
    this.#stats.counter("listener_manager.listener_stopped").add(stopped.length);
  }

  /** The process has become LIVE. */
  onLive(): void {
    this.#initializationMs.record(Date.now() - this.#deps.startedAt);
    this.#stats.gauge("listener_manager.workers_started").set(1);
  }

  /** Brings everything that is only looked at now and then up to date; called before the statistics are read. */
  refresh(): void {
    const { reader, startedAt, stats } = this.#deps;
    const facts = this.#deps.facts();
    this.#setXds(facts.xds);
    const gauge = (name: string, value: number): void => this.#stats.gauge(name).set(value);
    gauge("server.state", STATES.indexOf(facts.state));
    gauge("server.live", facts.state === "LIVE" ? 1 : 0);
    gauge("server.uptime", Math.floor((Date.now() - startedAt) / 1_000));
    const memory = process.memoryUsage();
    gauge("server.memory_allocated", memory.heapUsed);
    gauge("server.memory_heap_size", memory.heapTotal);
    gauge("server.memory_physical_size", memory.rss);
    gauge("server.total_connections", sumOf(reader, /^listener\.(?!admin\.).*\.downstream_cx_active$/));
    gauge("runtime.num_keys", Object.keys(facts.snapshot?.runtime ?? {}).length);
    gauge("cluster_manager.active_clusters", facts.snapshot?.clusters.size ?? 0);
    gauge("cluster_manager.warming_clusters", facts.warmingClusters);
    gauge("listener_manager.total_listeners_active", facts.activeListeners);
    gauge("listener_manager.total_listeners_warming", facts.warmingListeners);
    gauge("listener_manager.total_listeners_draining", facts.state === "DRAINING" ? facts.activeListeners : 0);
    // What is new must be known to the reader before it is asked.
    stats.flush();
  }

  /** On all workers and connection managers. */
  get requestsInFlight(): number {
    return sumOf(this.#deps.reader, /^http\.(?!admin\.).*\.downstream_rq_active$/);
  }

  /** On all workers and listeners. */
  get openConnections(): number {
    return sumOf(this.#deps.reader, /^listener\.(?!admin\.).*\.downstream_cx_active$/);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Every name is there from the start, as in Envoy, so that a dashboard finds it at 0. */
  #defineAll(): void {
    const { concurrency, restartEpoch, runtimeLayers } = this.#deps;
    const gauge = (name: string, value: number): void => this.#stats.gauge(name).set(value);
    gauge("server.concurrency", concurrency);
    gauge("server.hot_restart_epoch", restartEpoch);
    gauge("server.days_until_first_cert_expiring", NO_CERTIFICATE);
    gauge("runtime.num_layers", runtimeLayers);
    gauge("listener_manager.workers_started", 0);
    for (const name of ["server.parent_connections", "runtime.admin_overrides_active"]) {
      this.#stats.gauge(name);
    }
    for (const part of ["cluster_manager.cluster", "listener_manager.listener"]) {
      for (const what of ["added", "modified", "removed"]) {
        this.#stats.counter(`${part}_${what}`);
      }
    }
    for (const name of ["listener_create_success", "listener_create_failure", "listener_stopped"]) {
      this.#stats.counter(`listener_manager.${name}`);
    }
    for (const name of ["runtime.load_success", "runtime.load_error", "server.worker_restarts"]) {
      this.#stats.counter(name);
    }
  }

  #countPart(prefix: string, previous: ReadonlyMap<string, unknown> | undefined, changes: PartChanges): void {
    const modified = changes.changed.filter((name) => previous?.has(name) === true).length;
    this.#stats.counter(`${prefix}_added`).add(changes.changed.length - modified);
    this.#stats.counter(`${prefix}_modified`).add(modified);
    this.#stats.counter(`${prefix}_removed`).add(changes.removed.length);
  }

  #setXds(values: ServerFacts["xds"]): void {
    const { reader } = this.#deps;
    for (const [name, value] of Object.entries(values)) {
      if (typeof value === "string") {
        reader.setText(name, value);
      } else if (XDS_GAUGE.test(name)) {
        this.#stats.gauge(name).set(value);
      } else {
        const counter = this.#stats.counter(name);
        counter.add(value - counter.value);
      }
    }
  }
}

function sumOf(reader: StatsReader, names: RegExp): number {
  return reader.numbers(true).reduce((sum, { name, value }) => (names.test(name) ? sum + value : sum), 0);
}
