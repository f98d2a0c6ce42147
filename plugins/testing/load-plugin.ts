// loadPlugin(): a module's file or bytes and its configuration in, a started TestPlugin out. The entrance of the test API.

import { readFileSync } from "node:fs";
import { DEFAULT_FUEL } from "../metering/fuel-gauge.ts";
import { loadPluginModule } from "../plugin-module.ts";
import { PluginRuntime } from "../plugin-runtime.ts";
import type { FailurePolicy } from "../plugin-spec.ts";
import { TestCalls } from "./test-calls.ts";
import { TestClock } from "./test-clock.ts";
import { TestGrpcCalls } from "./test-grpc-calls.ts";
import { TestPlugin } from "./test-plugin.ts";
import { type PropertiesInput, propertyTable } from "./test-properties.ts";
import { type LogLevelName, type LogLine, TestLog, TestMetrics } from "./test-sinks.ts";
import { Transcript } from "./transcript.ts";

/** Text, bytes, or anything else, which becomes JSON: what the plugin gets as its configuration. */
export type ConfigurationInput = string | Uint8Array | object;

export interface LoadOptions {
  /** For proxy_on_configure. Default: empty. */
  readonly configuration?: ConfigurationInput;
  /** For proxy_on_vm_start. Default: empty. */
  readonly vmConfiguration?: ConfigurationInput;
  /** Default "". */
  readonly rootId?: string;
  /** Default "". */
  readonly vmId?: string;
  /** Default "plugin". */
  readonly name?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Default "closed". */
  readonly failurePolicy?: FailurePolicy;
  /** Envoy's allow_on_headers_stop_iteration. Default false. */
  readonly allowOnHeadersStopIteration?: boolean;
  /** Imports and callbacks that it may use; absent or empty: all. */
  readonly capabilities?: readonly string[];
  /** Largest memory, in MiB. Default 128. */
  readonly memoryMib?: number;
  /** Most fuel of one callback; 0: no limit. Default 100 million. */
  readonly fuel?: number;
  /** Names of the clusters that calls know. Default: any name is one. */
  readonly clusters?: readonly string[];
  /** For all streams and for callbacks without one: `{ "xds.node.id": "test" }`. */
  readonly properties?: PropertiesInput;
  /** Lines below it are not written, and proxy_get_log_level says so. Default "trace". */
  readonly logLevel?: LogLevelName;
  /** Time of day at the start, in milliseconds since the Unix epoch. Default 2026-01-01T00:00:00Z. */
  readonly wallMs?: number;
  /** Shared data and queues of several plugins: made once by createSharedMemory() and given to each. */
  readonly sharedMemory?: SharedArrayBuffer;
}

/** Why a plugin could not be loaded or started. */
export class PluginLoadError extends Error {
  /** What the plugin logged before it failed. */
  readonly logs: readonly LogLine[];

  constructor(problem: string, logs: readonly LogLine[]) {
    const said = logs.map(({ level, message }) => `\n  ${level}: ${message}`).join("");
    super(`${problem}${said}`);
    this.name = "PluginLoadError";
    this.logs = logs;
  }
}

/** Loads and starts a plugin: proxy_on_vm_start and proxy_on_configure have run. Throws PluginLoadError when that fails. */
export function loadPlugin(module: string | URL | Uint8Array, options: LoadOptions = {}): TestPlugin {
  const bytes = module instanceof Uint8Array ? module : readFileSync(module);
  const log = new TestLog();
  log.minimum = options.logLevel ?? "trace";
  const compiled = loadPluginModule(bytes, options.memoryMib === undefined ? {} : { memoryMib: options.memoryMib });
  if (!compiled.ok) throw new PluginLoadError(compiled.problem, []);
  const clock = new TestClock(options.wallMs === undefined ? {} : { wallMs: options.wallMs });
  const isCluster = (name: string): boolean => options.clusters?.includes(name) ?? true;
  const calls = new TestCalls(clock, isCluster);
  const grpcCalls = new TestGrpcCalls(clock, isCluster);
  const metrics = new TestMetrics();
  const transcript = new Transcript(clock);
  const properties = options.properties ?? {};
  const rootProperties = propertyTable(properties);
  const runtime = new PluginRuntime({
    ports: {
      clock,
      log,
      http: calls,
      grpc: grpcCalls,
      metrics,
      properties: { property: (_plugin, path) => rootProperties.get(path) },
    },
    observer: transcript,
    onHostCall: transcript.onHostCall,
    ...(options.sharedMemory === undefined ? {} : { sharedMemory: options.sharedMemory }),
  });
  const loaded = runtime.load({
    name: options.name ?? "plugin",
    rootId: options.rootId ?? "",
    vmId: options.vmId ?? "",
    module: compiled.module,
    vmConfiguration: configurationBytes(options.vmConfiguration),
    pluginConfiguration: configurationBytes(options.configuration),
    environment: options.environment ?? {},
    failurePolicy: options.failurePolicy ?? "closed",
    ...(options.capabilities === undefined ? {} : { capabilities: options.capabilities }),
    allowOnHeadersStopIteration: options.allowOnHeadersStopIteration ?? false,
    fuel: { ...DEFAULT_FUEL, perCallback: options.fuel ?? DEFAULT_FUEL.perCallback, perCallbackName: "fuel" },
  });
  if (!loaded.ok) throw new PluginLoadError(loaded.problem, log.lines);
  return new TestPlugin({
    runtime,
    plugin: loaded.plugin,
    clock,
    calls,
    grpcCalls,
    log,
    metrics,
    transcript,
    properties,
  });
}

function configurationBytes(init: ConfigurationInput = ""): Uint8Array {
  if (init instanceof Uint8Array) return init;
  return Buffer.from(typeof init === "string" ? init : JSON.stringify(init));
}
