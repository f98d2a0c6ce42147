// The main thread's composition root: configuration client, plugin code, workers, statistics, span export, admin.
// cli/serving.ts makes one, starts it, waits for its end. Nothing here is on a request's way.
//
//   start: static plugins and ports are checked ─▶ admin ─▶ workers ─▶ xDS ─▶ snapshots ─▶ publisher ─▶ workers
//   stop:  drain workers ─▶ flush spans ─▶ close xDS, admin, workers

import { flushCompileCache } from "node:module";
import { createSharedMemory } from "../plugins/shared-store.ts";
import { createXdsClient, type XdsClient } from "../xds/client.ts";
import { mergeRuntime } from "../xds/runtime-layers.ts";
import { decodeResource } from "../xds/decode/resource.ts";
import { loadResourcesFile } from "../xds/decode/resources-file.ts";
import type { Bootstrap } from "../xds/model/bootstrap.ts";
import type { Snapshot } from "../xds/model/snapshot.ts";
import type { SnapshotChanges } from "../xds/snapshot-changes.ts";
import { CLUSTER_TYPE, LISTENER_TYPE } from "../xds/type-urls.ts";
import type { AdminServer } from "./admin/admin.ts";
import type { ServerState } from "./admin/ports.ts";
import { type RunOptions, unknownDynamicFields } from "./cli/run-flags.ts";
import { Draining } from "./draining.ts";
import { DnsResolver } from "./cluster/dns-resolver.ts";
import { endpointsOf } from "./cluster-endpoints.ts";
import { clusterCounts } from "./cluster-loads.ts";
import { PluginCodeLoader } from "./code/code-loader.ts";
import { CodeWarming } from "./code/code-warming.ts";
import { HeapTrim } from "./heap-trim.ts";
import { openSpanExports } from "./span-exports.ts";
import { PluginGate } from "./plugin/plugin-gate.ts";
import { PluginWorkshop } from "./plugin-workshop.ts";
import { PortCheck } from "./port-check.ts";
import { Publisher, type PublishFailure, type WarmingOutcome } from "./publish/publisher.ts";
import { type ServerFacts, ServerStats } from "./server-stats.ts";
import { isOfBootstrap, staticProblems } from "./static-check.ts";
import { StatsReader } from "./stats/reader.ts";
import { createSharedValues } from "./stats/shared-values.ts";
import { labelled } from "./stats/tags.ts";
import { StatsTable } from "./stats/table.ts";
import type { RootLog } from "./telemetry/log.ts";
import { formatProblem } from "./telemetry/format.ts";
import type { SpanExports } from "./telemetry/tracing.ts";
import { UsageClock } from "./usage-clock.ts";
import { xdsLog } from "./xds-log.ts";
import { Watchdog } from "./watchdog.ts";
import { WorkerHandle } from "./worker-handle.ts";
import type { ApplyFailure, FromWorker, ToWorker } from "./worker-link.ts";
import { workerSettings } from "./worker-settings.ts";
import type { WorkerThreads } from "./worker-threads.ts";

export interface SupervisorDeps {
  readonly options: RunOptions;
  readonly bootstrap: Bootstrap;
  readonly log: RootLog;
  readonly environment: Readonly<Record<string, string>>;
  readonly version: string;
  /** Makes and binds the admin server; a text says why it cannot. */
  readonly openAdmin: (supervisor: Supervisor) => Promise<AdminServer | string>;
  readonly threads: WorkerThreads;
}

const MAIN = "main";
const SPAN_FLUSH_DEADLINE_MS = 5_000;

export class Supervisor {
  readonly deps: SupervisorDeps;
  readonly startedAt = Date.now();
  readonly stats: StatsTable;
  readonly #sharedStats = createSharedValues();
  readonly reader = new StatsReader(this.#sharedStats);
  readonly serverStats: ServerStats;
  readonly workers: readonly WorkerHandle[];
  readonly usage: UsageClock;
  readonly publisher: Publisher;
  readonly draining: Draining;
  readonly code: PluginCodeLoader;
  readonly gate: PluginGate;
  /** What could not be brought into use, by resource name; a later version clears it. */
  readonly failures = new Map<string, ApplyFailure & { readonly at: number }>();
  snapshot: Snapshot | undefined = undefined;
  client: XdsClient | undefined = undefined;
  #isHealthcheckFailing = false;
  #state: ServerState = "PRE_INITIALIZING";
  #admin: AdminServer | undefined = undefined;
  /** Loaded when the first spans come: the exporters are a third of what the program would load otherwise. */
  #exports: Promise<SpanExports> | undefined = undefined;
  readonly #resolver: DnsResolver;
  readonly #workshop: PluginWorkshop;
  readonly #watchdog: Watchdog;
  readonly #ports = new PortCheck();
  readonly #heap = new HeapTrim();
  readonly #sharedData = createSharedMemory();
  readonly #fatal = Promise.withResolvers<readonly string[]>();
  readonly #quit = Promise.withResolvers<void>();
  /** Resources that have waited for a plugin's code. */
  readonly #held = new Set<string>();
  #wasLive = false;
  /** A static listener cannot be brought into use: the process ends, so it never says that it is ready. */
  #isFatal = false;

  constructor(deps: SupervisorDeps) {
    this.deps = deps;
    const { options, environment } = deps;
    const staticRuntime = mergeRuntime(deps.bootstrap.runtimeLayers, () => undefined, {});
    // Known to /logging before the first line of a plugin.
    deps.log.child("wasm");
    this.stats = new StatsTable({ onDefine: (update) => this.reader.apply(MAIN, update) });
    this.serverStats = new ServerStats({
      stats: this.stats,
      reader: this.reader,
      startedAt: this.startedAt,
      concurrency: options.concurrency,
      restartEpoch: options.restartEpoch,
      runtimeLayers: deps.bootstrap.runtimeLayers.length,
      facts: () => this.#facts(),
    });
    const propagation = this.stats.histogram("outrigger_config_in_use_ms");
    this.usage = new UsageClock(options.concurrency, ({ changedAt, inUseAt }) =>
      propagation.record(inUseAt - changedAt),
    );
    this.code = new PluginCodeLoader({
      environment,
      // Static plugins are loaded before there is a snapshot.
      settings: () => this.snapshot?.runtime ?? staticRuntime,
      stats: this.stats,
      log: deps.log.child("wasm"),
      endpointsOf: (cluster, isSecure) => endpointsOf(cluster, this.snapshot, isSecure),
      workshop: () => (this.#state === "PRE_INITIALIZING" ? undefined : this.#workshop),
    });
    this.#workshop = new PluginWorkshop({
      environment,
      settings: () => this.snapshot?.runtime ?? staticRuntime,
      log: deps.log.child("wasm"),
      sharedData: this.#sharedData,
      node: deps.bootstrap.node,
      nodeBytes: deps.bootstrap.nodeBytes,
    });
    this.gate = new PluginGate(this.code);
    this.publisher = new Publisher({
      services: deps.bootstrap.services,
      createWarming: (onChanged) => new CodeWarming({ code: this.code, onChanged }),
      send: (delta) => {
        this.serverStats.onPublished(delta);
        this.workers.forEach((worker) => worker.configure(delta));
      },
      onFailures: (failures) => this.#onFailures(failures),
      onPublished: () => (this.#watchdog.isNeeded = this.publisher.plugins.length > 0),
      onWarming: (key, outcome) => this.#onWarming(key, outcome),
      bindable: (listener) => this.#ports.bindable(listener),
    });
    this.#resolver = new DnsResolver({
      stats: this.stats,
      onResolved: (assignment) => this.publisher.publishResolved(assignment),
    });
    this.draining = new Draining({
      options,
      order: (order, id) => this.#tell({ kind: "drain", order, id }),
      onListenersStopped: (scope) => this.serverStats.onListenersStopped(scope),
      openConnections: () => this.serverStats.openConnections,
    });
    this.workers = Array.from({ length: options.concurrency }, (_, index) => this.#makeWorker(index));
    this.#watchdog = new Watchdog({
      workers: this.workers,
      onEnded: (plugin) => this.stats.counter(labelled("outrigger_wasm_watchdog_total", { plugin })).inc(),
    });
  }

  /** Every problem of the start, or none when it serves (or waits for a control plane). */
  async start(): Promise<readonly string[]> {
    const { bootstrap, log } = this.deps;
    const problems = await staticProblems(bootstrap, this.code, this.#ports);
    if (problems.length > 0) {
      return problems;
    }
    const admin = await this.deps.openAdmin(this);
    if (typeof admin === "string") {
      return [admin];
    }
    this.#admin = admin;
    for (const worker of this.workers) {
      worker.start();
    }
    this.#state = "INITIALIZING";
    const unknownFields = unknownDynamicFields(this.deps.options);
    this.client = createXdsClient({
      bootstrap,
      version: this.deps.version,
      environment: this.deps.environment,
      decode: (typeUrl, bytes, previous) => decodeResource(typeUrl, bytes, { unknownFields, formatProblem, previous }),
      prepare: (resource) => this.gate.issuesOf(resource),
      loadFile: (path) => loadResourcesFile(path, formatProblem),
      log: xdsLog(log.child("xds")),
      onSnapshot: (snapshot, changes) => this.#onSnapshot(snapshot, changes),
      onStatus: () => this.#checkLive(),
      loads: (clusters) => clusterCounts(this.reader, this.snapshot, clusters),
    });
    this.client.start();
    return [];
  }

  /** Resolves with problems when a static listener cannot be brought into use on a worker. */
  get fatal(): Promise<readonly string[]> {
    return this.#fatal.promise;
  }

  /** Resolves when somebody asks over the admin port that the process ends. */
  get quitAsked(): Promise<void> {
    return this.#quit.promise;
  }

  quit(): void {
    this.#quit.resolve();
  }

  get state(): ServerState {
    return this.#isHealthcheckFailing && this.#state === "LIVE" ? "DRAINING" : this.#state;
  }

  /** Why it is not LIVE, one line each. */
  get notReady(): readonly string[] {
    if (this.#state === "LIVE") {
      return this.#isHealthcheckFailing ? ["health checks were told to fail: POST /healthcheck/ok ends that"] : [];
    }
    if (this.#state === "DRAINING") {
      return ["draining"];
    }
    const status = this.client?.status();
    const reasons = (status?.waitsFor ?? []).map((what) => `waiting for ${what}`);
    for (const server of status?.servers ?? []) {
      if (!server.isConnected) {
        reasons.push(`control plane ${server.name} is away${server.lastError === "" ? "" : `: ${server.lastError}`}`);
      }
    }
    for (const key of this.publisher.warming) {
      reasons.push(`${key}: waiting for a plugin's code`);
    }
    for (const failure of this.failures.values()) {
      reasons.push(failure.problem);
    }
    return reasons.length === 0 ? ["waiting for workers to start"] : reasons;
  }

  /** POST /healthcheck/fail and /healthcheck/ok. */
  set healthcheckFailing(isFailing: boolean) {
    this.#isHealthcheckFailing = isFailing;
    this.#tell({ kind: "health", isFailing });
  }

  /** POST /reopen_logs, and SIGUSR1: access logs were moved away and go on in new files of their names. */
  reopenLogs(): void {
    this.#tell({ kind: "reopen-logs" });
    if (!this.deps.log.reopen()) {
      this.deps.log.error({ path: this.deps.options.logPath }, "the log file cannot be opened again");
    }
  }

  /**
   * Ends serving: resolves when no connection is left or time is up, with the number of requests that were still in flight
   * on the workers that did not finish.
   */
  async drain(kill: AbortSignal): Promise<number> {
    this.#state = "DRAINING";
    return (await this.draining.finish(kill)) ? 0 : this.serverStats.requestsInFlight;
  }

  /** Flushes and closes everything. Never rejects. */
  async stop(): Promise<void> {
    this.serverStats.close();
    this.#watchdog.isNeeded = false;
    this.client?.close();
    this.publisher.close();
    this.code.close();
    this.#workshop.close();
    this.#resolver.close();
    this.#ports.release();
    await Promise.all(this.workers.map((worker) => worker.close()));
    await (await this.#exports)?.shutdown(SPAN_FLUSH_DEADLINE_MS);
    await this.#admin?.close();
  }

  #tell(message: ToWorker): void {
    for (const worker of this.workers) {
      worker.send(message);
    }
  }

  #makeWorker(index: number): WorkerHandle {
    const { log } = this.deps;
    return new WorkerHandle(
      index,
      this.deps.threads,
      {
        onMessage: (worker, message) => this.#onMessage(worker, message),
        onStarted: (worker) => {
          if (this.#isHealthcheckFailing) {
            worker.send({ kind: "health", isFailing: true });
          }
          if (this.publisher.version > 0) {
            worker.configure(this.publisher.everything());
          }
        },
        onJoined: () => this.stats.counter("outrigger_config_updates_joined_total").inc(),
        onDied: (worker, reason) => {
          log.error({ worker: worker.index, reason }, "a worker ended unexpectedly and is started again");
          this.stats.counter("server.worker_restarts").inc();
          this.usage.lost(worker.index);
          this.reader.retire(worker.owner);
          void this.#exports?.then((exports) => exports.retire(worker.owner));
        },
      },
      (incarnation) =>
        workerSettings(
          this.deps,
          { sharedData: this.#sharedData, sharedStats: this.#sharedStats },
          { index, incarnation, suspects: this.#watchdog.suspectsOf(index) },
        ),
    );
  }

  #onMessage(worker: WorkerHandle, message: FromWorker): void {
    switch (message.kind) {
      case "stats":
        this.reader.apply(worker.owner, message.update);
        return;
      case "log": {
        const { component, level, fields, message: text } = message.line;
        const log = component === "" ? this.deps.log : this.deps.log.child(component);
        log[level]({ worker: worker.index, ...fields }, text);
        return;
      }
      case "spans":
        void this.#spanExports().then((exports) => exports.accept(worker.owner, message.batch));
        return;
      case "in-use":
        this.usage.inUse(worker.index, message.version, Date.now());
        this.serverStats.onInUse(worker.index, message.version, message.failures);
        this.#onFailures(message.failures);
        this.publisher.onRejected(message.failures);
        this.publisher.onInUse(this.usage.reached);
        if (this.usage.reached >= this.publisher.version) {
          this.#ports.release();
        }
        this.#checkLive();
        this.#heap.trimSoon();
        return;
      case "demand":
        this.client?.demand(message.demand);
        return;
      case "drained":
        this.draining.onDrained(worker.index, message.id);
        return;
      case "answer":
        return;
    }
  }

  /** What waits for code is in use later than the rest of its snapshot. */
  #onWarming(key: string, outcome: WarmingOutcome): void {
    if (outcome === "warming") {
      this.#held.add(key);
      this.usage.changed(key, Number.POSITIVE_INFINITY, Date.now());
    } else if (this.usage.of(key) !== undefined) {
      this.usage.changed(key, this.publisher.version, Date.now());
    }
    if (outcome === "sent") {
      this.failures.delete(key.slice(key.indexOf(" ") + 1));
    }
  }

  #onSnapshot(snapshot: Snapshot, changes: SnapshotChanges): void {
    this.serverStats.onSnapshot(this.snapshot, snapshot, changes);
    if (snapshot.clusters !== this.snapshot?.clusters) {
      this.#resolver.update([...snapshot.clusters.values()]);
    }
    this.snapshot = snapshot;
    const now = Date.now();
    for (const kind of ["listeners", "routes", "scopes", "clusters", "endpoints", "plugins"] as const) {
      for (const name of changes[kind].changed) {
        this.usage.changed(`${kind} ${name}`, snapshot.version, now);
        this.failures.delete(name);
      }
      for (const name of changes[kind].removed) {
        this.usage.removed(`${kind} ${name}`);
        this.failures.delete(name);
        this.gate.forget(name);
      }
    }
    this.publisher.publish(snapshot);
  }

  #onFailures(failures: readonly PublishFailure[]): void {
    for (const failure of failures) {
      const isNew = this.failures.get(failure.name)?.problem !== failure.problem;
      this.failures.set(failure.name, { ...failure, at: Date.now() });
      if (isNew) {
        this.stats.counter(`listener_manager.${failure.resource}_apply_failure`).inc();
        const outcome = failure.isPolicyApplied === true ? "its failure policy applies" : "the previous one serves on";
        this.deps.log.error({ ...failure }, `configuration cannot be brought into use; ${outcome}`);
      }
      const isStatic = isOfBootstrap(this.deps.bootstrap, failure);
      if (isStatic && !this.#wasLive && failure.isPolicyApplied !== true) {
        this.#isFatal = true;
        this.#fatal.resolve([failure.problem]);
      }
    }
  }

  #checkLive(): void {
    if (this.#state !== "INITIALIZING" || this.#isFatal || this.client?.isInitialized !== true) {
      return;
    }
    if ([...this.#held].some((key) => this.usage.of(key)?.inUseAt === 0)) {
      return;
    }
    if (this.usage.reached >= (this.snapshot?.version ?? 1) && this.usage.reached > 0) {
      this.#state = "LIVE";
      this.#wasLive = true;
      // Now, because a process that is killed writes nothing at its end.
      flushCompileCache();
      this.serverStats.onLive();
      const listeners = this.publisher.listeners.map(({ name, address }) => ({ name, ...address }));
      this.deps.log.info({ listeners, afterMs: Date.now() - this.startedAt }, "ready");
    }
  }

  #facts(): ServerFacts {
    const warming = this.client?.status().warming ?? [];
    const count = (typeUrl: string): number => warming.filter((each) => each.typeUrl === typeUrl).length;
    return {
      state: this.state,
      warmingListeners: count(LISTENER_TYPE),
      warmingClusters: count(CLUSTER_TYPE),
      activeListeners: this.publisher.listeners.length,
      snapshot: this.snapshot,
      xds: this.client?.stats() ?? {},
    };
  }

  #spanExports(): Promise<SpanExports> {
    this.#exports ??= openSpanExports(this.deps, this.stats, (name) => endpointsOf(name, this.snapshot)?.[0]);
    return this.#exports;
  }
}
