// A data worker's composition root: listening sockets, live configuration, plugin host, statistics, trace ring.
// Its thread is started by worker-threads.ts, and waits for WorkerSettings; everything it is told and says is in worker-link.ts.
// A request lives and dies on one worker; nothing here waits for the main thread while it serves.

import { flushCompileCache } from "node:module";
import { parentPort } from "node:worker_threads";
import type { ConnectionAccess, LoggedStream } from "../plugins/ports.ts";
import { PluginRuntime } from "../plugins/plugin-runtime.ts";
import type { HttpConnectionManager, Listener } from "../xds/model/listener.ts";
import type { LocalReplyConfig } from "../xds/model/local-reply.ts";
import type { DataSource } from "../xds/model/plugin-config.ts";
import { answerData } from "./answer-data.ts";
import { type AccessLogs, compileAccessLogs } from "./access-logs.ts";
import { type PluginSource, WasmFilter } from "./filter/wasm-filter.ts";
import { WasmLogStream } from "./filter/wasm-log-stream.ts";
import { TimerWheel } from "./http/timer-wheel.ts";
import { FOREIGN_FUNCTIONS, partialMatch } from "./plugin/foreign-functions.ts";
import { ListenerSet } from "./listener-set.ts";
import { LiveDemands } from "./live-demands.ts";
import { LiveConfig } from "./live-config.ts";
import { compileLocalReplies, type LocalReplies } from "./local-replies.ts";
import { PluginCalls } from "./plugin/plugin-calls.ts";
import { PluginGrpcCalls } from "./plugin/plugin-grpc.ts";
import { PluginLimits } from "./plugin/plugin-limits.ts";
import { PluginPool } from "./plugin/plugin-pool.ts";
import { PluginServices } from "./plugin/plugin-services.ts";
import { nodeProperty, PLUGIN_CLOCK, PluginLines, PluginMetrics } from "./plugin/plugin-ports.ts";
import { numberSetting } from "./runtime-settings.ts";
import { StreamRecord } from "./stream-record.ts";
import { StatsTable } from "./stats/table.ts";
import { ChunkWriter } from "./tcp/chunk-writer.ts";
import { WasmNetworkFilter } from "./tcp/wasm-network-filter.ts";
import { ConnectionTracing } from "./tcp/connection-tracing.ts";
import { HeapTrim } from "./heap-trim.ts";
import { HookMeter } from "./telemetry/hook-meter.ts";
import { LogFiles } from "./telemetry/log-file.ts";
import { parseComponentLevels, parseLogLevel } from "./telemetry/log-level.ts";
import { WorkerLog } from "./telemetry/worker-log.ts";
import { PLUGIN_GAUGES_INTERVAL_MS, PluginGauges } from "./telemetry/plugin-gauges.ts";
import { RandomSource } from "./random-id.ts";
import { RequestTracing, tracingStats } from "./telemetry/request-tracing.ts";
import { buffersOf } from "./telemetry/span-batch.ts";
import { TRACE_RING_SIZE, TraceRecorder } from "./telemetry/trace-recorder.ts";
import type { StreamTrace } from "./telemetry/stream-trace.ts";
import { viewTrace } from "./telemetry/trace-view.ts";
import { PulseWriter } from "./worker-pulse.ts";
import { RouteJoiner } from "./publish/route-patch.ts";
import { joinEndpoints } from "./publish/sent-endpoints.ts";
import type {
  ApplyFailure,
  ConfigDelta,
  FromWorker,
  Question,
  SentDelta,
  ToWorker,
  WorkerSettings,
} from "./worker-link.ts";

/** Every socket of the worker reads into one buffer: what is read is handled before the next read. */
const READ_BUFFER_BYTES = 64 * 1024;

class DataWorker {
  readonly #settings: WorkerSettings;
  readonly #post: (message: FromWorker, transfer?: ArrayBuffer[]) => void;
  readonly #log: WorkerLog;
  readonly #stats: StatsTable;
  readonly #wheel = new TimerWheel();
  readonly #files: LogFiles;
  readonly #random = new RandomSource();
  readonly #heap = new HeapTrim();
  readonly #recorder: TraceRecorder;
  readonly #calls: PluginCalls;
  readonly #grpcCalls: PluginGrpcCalls;
  readonly #lines: PluginLines;
  readonly #gauges: PluginGauges;
  readonly #runtime: PluginRuntime;
  readonly #plugins: PluginPool;
  readonly #services: PluginServices;
  readonly #property: PluginSource["property"];
  readonly #live: LiveConfig;
  readonly #listeners: ListenerSet;
  #failures: ApplyFailure[] = [];
  /** The files that this thread compiled are in the compile cache. */
  #isFlushed = false;
  readonly #received = new RouteJoiner();
  #runtimeKeys: ConfigDelta["runtime"] = {};
  /** Deltas are brought into use one after the other: binding an address takes a turn. */
  #busy: Promise<void> = Promise.resolve();

  constructor(settings: WorkerSettings, post: (message: FromWorker, transfer?: ArrayBuffer[]) => void) {
    this.#settings = settings;
    this.#post = post;
    const levels = parseComponentLevels(settings.componentLogLevel).levels;
    this.#log = new WorkerLog(parseLogLevel(settings.logLevel) ?? "info", levels, (line) =>
      post({ kind: "log", line }),
    );
    this.#stats = new StatsTable({
      onDefine: (update) => post({ kind: "stats", update }),
      shared: settings.sharedStats,
    });
    this.#files = new LogFiles(this.#stats, { flushIntervalMs: settings.accessLogFlushMs });
    this.#recorder = new TraceRecorder({
      random: this.#random,
      nodeId: settings.node.id,
      post: (batch) => post({ kind: "spans", batch }, buffersOf(batch)),
      dropped: this.#stats.counter("tracing.opentelemetry.records_dropped"),
      traceOf,
    });
    const clusters = () => this.#live.clusters;
    this.#calls = new PluginCalls({ clusters, recorder: this.#recorder });
    this.#grpcCalls = new PluginGrpcCalls({ clusters, recorder: this.#recorder, scope: this.#stats });
    this.#lines = new PluginLines(this.#log.child("wasm"), levels.get("wasm") ?? settings.logLevel, this.#stats);
    this.#property = (_path, segments) => nodeProperty(settings.nodeBytes, segments);
    this.#runtime = new PluginRuntime({
      ports: {
        clock: PLUGIN_CLOCK,
        log: this.#lines,
        http: this.#calls,
        grpc: this.#grpcCalls,
        metrics: new PluginMetrics(this.#stats),
        foreign: FOREIGN_FUNCTIONS,
        matches: partialMatch,
        limits: new PluginLimits(this.#stats),
        watch: new PulseWriter(settings.pulse),
        memory: this.#heap,
        properties: { property: (_plugin, path, segments) => this.#property(path, segments) },
      },
      observer: new HookMeter(this.#stats, this.#recorder),
      sharedMemory: settings.sharedData,
    });
    this.#plugins = new PluginPool(this.#runtime, settings.environment, {}, settings.suspects);
    this.#services = new PluginServices(this.#plugins, settings.index === 0);
    this.#gauges = new PluginGauges(this.#stats);
    setInterval(() => this.#publishGauges(), PLUGIN_GAUGES_INTERVAL_MS).unref();
    const connectionTracing = new ConnectionTracing(this.#recorder, this.#connectionTracing());
    const context = { wheel: this.#wheel, readBuffer: Buffer.allocUnsafeSlow(READ_BUFFER_BYTES) };
    this.#live = new LiveConfig({
      cluster: { scope: this.#stats, wheel: this.#wheel, readBuffer: context.readBuffer, random: Math.random },
      environment: {
        wheel: this.#wheel,
        random: Math.random,
        recorder: this.#recorder,
        nodeBytes: settings.nodeBytes,
      },
      scope: this.#stats,
      plugins: this.#plugins,
      demands: new LiveDemands((demand) => this.#post({ kind: "demand", demand })),
      format: { hostname: settings.hostname, environment: settings.environment },
      property: this.#property,
      tracingOf: (hcm, direction) => this.#tracingOf(hcm, direction === "outbound"),
      logsOf: (of, listener) => this.#logsOf(of, listener),
      readData: (source) => this.#readData(source),
      localRepliesOf: (config) => this.#localRepliesOf(config),
      tcp: { ...context, writer: new ChunkWriter(), random: Math.random, tracing: connectionTracing },
    });
    this.#listeners = new ListenerSet({
      context,
      scope: this.#stats,
      onFailure: (failure) => this.#failures.push(failure),
      drainTimeMs: settings.drainTimeMs,
      tracing: connectionTracing,
    });
  }

  onMessage(message: Exclude<ToWorker, { kind: "start" }>): void {
    switch (message.kind) {
      case "config":
        this.#busy = this.#busy.then(() => this.#apply(this.#joined(message.delta)));
        return;
      case "drain":
        void this.#listeners.drain(message.order).then(() => this.#post({ kind: "drained", id: message.id }));
        return;
      case "health":
        this.#listeners.isFailing = message.isFailing;
        return;
      case "ask":
        this.#post({ kind: "answer", id: message.id, value: this.#answer(message.question) });
        return;
      case "log-level": {
        const level = parseLogLevel(message.level);
        if (level !== undefined) {
          this.#log.setLevel(message.component, level);
          if (message.component === "" || message.component === "wasm") {
            this.#lines.levelName = level;
          }
        }
        return;
      }
      case "reopen-logs":
        this.#files.reopen();
        return;
      case "close":
        void this.#close();
    }
  }

  #joined(delta: SentDelta): ConfigDelta {
    return { ...delta, routes: this.#received.join(delta.routes), endpoints: joinEndpoints(delta.endpoints) };
  }

  async #apply(delta: ConfigDelta): Promise<void> {
    if (delta.runtime !== undefined) {
      this.#runtimeKeys = delta.runtime;
      this.#lines.settings = delta.runtime;
      this.#recorder.ringSize = numberSetting(delta.runtime, "outrigger.trace.ring_size", "", TRACE_RING_SIZE);
    }
    let binding: Promise<void> = Promise.resolve();
    const failures = this.#live.apply(delta, (changed, removed) => {
      binding = this.#listeners.apply(changed, removed);
    });
    this.#grpcCalls.onConfigured();
    await binding;
    failures.push(...this.#services.start(delta.services));
    failures.push(...this.#failures);
    this.#failures = [];
    this.#publishGauges();
    this.#post({ kind: "in-use", version: delta.version, failures });
    if (!this.#isFlushed) {
      this.#isFlushed = true;
      flushCompileCache();
    }
  }

  #publishGauges(): void {
    const views = [...this.#runtime.plugins].map((plugin) => plugin.view());
    this.#gauges.publish(views, this.#runtime.vmsCreated);
  }

  #answer(question: Question): unknown {
    switch (question.kind) {
      case "traces":
        return this.#recorder
          .latest(question.limit)
          .map((trace) => viewTrace(trace, this.#settings.index, performance.timeOrigin));
      case "plugins":
        this.#publishGauges();
        return [...this.#runtime.plugins].map((plugin) => plugin.view());
      case "hosts":
        return [...this.#live.clusters].map(([name, cluster]) => ({ name, hosts: cluster.view() }));
    }
  }

  #connectionTracing(): RequestTracing {
    const environment = { ...this.#settings.environmentTracing, variables: this.#settings.environment };
    return new RequestTracing(this.#recorder, this.#random, undefined, environment);
  }

  #tracingOf(hcm: HttpConnectionManager, isOutbound: boolean): RequestTracing {
    const environment = { ...this.#settings.environmentTracing, variables: this.#settings.environment };
    const stats = tracingStats(this.#stats, hcm.statPrefix);
    return new RequestTracing(this.#recorder, this.#random, hcm.tracing, environment, { stats, isOutbound });
  }

  #logsOf({ accessLogs }: Pick<Listener, "accessLogs">, listener: Listener): AccessLogs | string {
    const deps = {
      files: this.#files,
      format: { hostname: this.#settings.hostname, environment: this.#settings.environment },
      runtime: this.#runtimeKeys ?? {},
      random: Math.random,
      plugins: this.#plugins,
      property: this.#property,
    };
    const compiled = compileAccessLogs(accessLogs, deps);
    if (typeof compiled === "string") {
      return compiled;
    }
    for (const problem of compiled.problems) {
      this.#failures.push({ resource: "listener", name: listener.name, problem });
    }
    return compiled.logs;
  }

  #readData(source: DataSource): Uint8Array | undefined {
    return answerData(source, this.#settings.environment);
  }

  #localRepliesOf(config: LocalReplyConfig): LocalReplies | string {
    const { hostname, environment } = this.#settings;
    return compileLocalReplies(config, {
      format: { hostname, environment },
      runtime: this.#runtimeKeys ?? {},
      random: Math.random,
      readData: (source) => this.#readData(source),
      tooLarge: this.#stats.counter("outrigger_local_replies_too_large_total"),
    });
  }

  async #close(): Promise<void> {
    this.#listeners.destroy();
    this.#live.dispose();
    this.#services.stop();
    this.#runtime.dispose();
    this.#grpcCalls.close();
    this.#recorder.flush();
    this.#wheel.close();
    await Promise.allSettled([this.#files.flush(), this.#calls.close()]);
    parentPort?.close();
  }
}

/** The trace of the stream that a plugin sees, in its filter or in its access logger. */
function traceOf(stream: LoggedStream | ConnectionAccess): StreamTrace | undefined {
  if (stream instanceof WasmNetworkFilter) {
    return stream.facts.trace;
  }
  const facts =
    stream instanceof WasmFilter ? stream.stream.facts : stream instanceof WasmLogStream ? stream.facts : undefined;
  return facts instanceof StreamRecord ? facts.trace : undefined;
}

if (parentPort !== null) {
  const port = parentPort;
  let worker: DataWorker | undefined = undefined;
  port.on("message", (message: ToWorker) => {
    if (message.kind === "start") {
      worker = new DataWorker(message.settings, (answer, transfer = []) => port.postMessage(answer, transfer));
    } else {
      worker?.onMessage(message);
    }
  });
}
