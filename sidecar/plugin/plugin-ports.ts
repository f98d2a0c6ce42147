// What the plugin host needs of a worker (plugins/ports.ts), apart from HTTP calls: clock, log, metrics, properties.
// worker.ts builds the PluginRuntime from these.

import type { Clock, MetricSink, PluginIdentity, PluginLog, Timer } from "../../plugins/ports.ts";
import { partOf, type PropertyItem } from "../../plugins/property-value.ts";
import { messageOf } from "../messages/message-value.ts";
import { NODE } from "../messages/shapes.ts";
import type { Counter, Gauge, Histogram, ProcessScope, StatsScope } from "../stats/scope.ts";
import { numberSetting, type RuntimeSettings } from "../runtime-settings.ts";
import { labelled } from "../stats/tags.ts";
import { type Log, LogLimit } from "../telemetry/log-level.ts";

export const PLUGIN_CLOCK: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => wallTime(performance.timeOrigin + performance.now(), Date.now()),
  startTimer(delayMs: number, run: () => void): Timer {
    const timer = setTimeout(run, delayMs);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Most that the precise clock may be away from the system's. */
const CLOCK_TOLERANCE_MS = 2;

/**
 * Time of day with fractions of a millisecond, as long as the clock that has them agrees with the system's: it knows
 * nothing of a machine that slept or of a clock that was set, and plugins check when tokens expire.
 */
export function wallTime(preciseMs: number, systemMs: number): number {
  return Math.abs(preciseMs - systemMs) <= CLOCK_TOLERANCE_MS ? preciseMs : systemMs;
}

/** Lines a second that one plugin may log on one worker by default; the rest is dropped and counted. */
const LOG_LINES_PER_S = 100;
/** The same for what the host says about it, which a plugin can cause too. */
const HOST_LINES_PER_S = 20;
/** Longest name of a metric that a plugin may define. */
const MAX_METRIC_NAME = 512;
// Names end up in lines of text; braces would be taken for labels (stats/tags.ts).
// oxlint-disable-next-line no-control-regex
const NOT_IN_METRIC_NAMES = /[\x00-\x1f\x7f{}]/g;
/** By the ABI's type of a metric. */
const KINDS = ["counter", "gauge"] as const;
const LEVELS = ["debug", "debug", "info", "warn", "error", "error"] as const;
/** Plugin lines below this level are not even decoded, by the log's level. */
const FIRST_LEVEL: Readonly<Record<string, number>> = {
  trace: 0,
  debug: 1,
  info: 2,
  warning: 3,
  warn: 3,
  error: 4,
  critical: 5,
  off: 6,
};

interface LineBudget {
  readonly limit: LogLimit;
  readonly dropped: Counter;
}

/**
 * proxy_log and the guests' standard output, as lines of the component `wasm`: of each plugin at most
 * `outrigger.wasm.log_lines_per_s`. The next line after a gap says how many were dropped.
 * What the host says about a plugin has an allowance of its own.
 */
export class PluginLines implements PluginLog {
  readonly #log: Log;
  readonly #scope: StatsScope;
  readonly #budgets = new Map<string, LineBudget>();
  readonly #hostBudgets = new Map<string, LineBudget>();
  #settings: RuntimeSettings = {};
  #level: number;

  constructor(log: Log, level: string, scope: StatsScope) {
    this.#log = log;
    this.#level = FIRST_LEVEL[level] ?? 2;
    this.#scope = scope;
  }

  set settings(settings: RuntimeSettings) {
    this.#settings = settings;
    this.#budgets.clear();
  }

  set levelName(level: string) {
    this.#level = FIRST_LEVEL[level] ?? this.#level;
  }

  level(): number {
    return this.#level;
  }

  write(plugin: PluginIdentity, level: number, message: string, isHosts = false): void {
    if (level < this.#level) {
      return;
    }
    const budgets = isHosts ? this.#hostBudgets : this.#budgets;
    const budget = budgets.get(plugin.name) ?? this.#budgetOf(plugin.name, isHosts);
    const held = budget.limit.take();
    if (held < 0) {
      budget.dropped.inc();
      return;
    }
    const fields = {
      plugin: plugin.name,
      root_id: plugin.rootId,
      vm_id: plugin.vmId,
      ...(held > 0 ? { dropped: held } : {}),
    };
    this.#log[LEVELS[level] ?? "info"](fields, message);
  }

  #budgetOf(plugin: string, isHosts: boolean): LineBudget {
    const burst = isHosts
      ? HOST_LINES_PER_S
      : numberSetting(this.#settings, "outrigger.wasm.log_lines_per_s", plugin, LOG_LINES_PER_S);
    const budget = {
      limit: new LogLimit({ intervalMs: 1_000, burst }),
      dropped: this.#scope.counter(labelled("outrigger_wasm_log_lines_dropped_total", { plugin })),
    };
    (isHosts ? this.#hostBudgets : this.#budgets).set(plugin, budget);
    return budget;
  }
}

/**
 * Metrics that plugins define, as Envoy names them: `wasmcustom.<name>`, and without that prefix for Prometheus. As in Envoy
 * a counter or gauge is the process's: what one worker adds or sets, the plugin reads on every other.
 */
export class PluginMetrics implements MetricSink {
  readonly #scope: ProcessScope;
  readonly #ids = new Map<string, number>();
  readonly #metrics: (Counter | Gauge | Histogram)[] = [];
  readonly #types: (0 | 1 | 2)[] = [];
  /** Most metrics of one worker's plugins. */
  readonly #limit = 10_000;

  constructor(scope: ProcessScope) {
    this.#scope = scope;
  }

  define(_plugin: PluginIdentity, type: 0 | 1 | 2, name: string): number | undefined {
    const known = this.#ids.get(name);
    if (known !== undefined) {
      return this.#types[known - 1] === type ? known : undefined;
    }
    if (this.#metrics.length >= this.#limit || name.length > MAX_METRIC_NAME) {
      return undefined;
    }
    const full = `wasmcustom.${name.replace(NOT_IN_METRIC_NAMES, "_")}`;
    const metric = type === 2 ? this.#scope.histogram(full) : this.#scope.processWide(KINDS[type], full);
    if (metric === undefined) {
      return undefined;
    }
    this.#metrics.push(metric);
    this.#types.push(type);
    const id = this.#metrics.length;
    this.#ids.set(name, id);
    return id;
  }

  typeOf(id: number): 0 | 1 | 2 | undefined {
    return this.#types[id - 1];
  }

  add(id: number, value: number): void {
    (this.#metrics[id - 1] as Counter | undefined)?.add(value);
  }

  set(id: number, value: number): void {
    (this.#metrics[id - 1] as Gauge | undefined)?.set(value);
  }

  record(id: number, value: number): void {
    (this.#metrics[id - 1] as Histogram | undefined)?.record(value);
  }

  get(id: number): number {
    return (this.#metrics[id - 1] as Counter | undefined)?.value ?? 0;
  }
}

/**
 * Properties that belong to no stream: the node, whole and by field, as `xds.node` and under its old name. `nodeBytes`:
 * serialised envoy.config.core.v3.Node.
 */
export function nodeProperty(nodeBytes: Uint8Array, segments: readonly string[]): PropertyItem | undefined {
  const isNode = segments[0] === "node";
  if (!isNode && segments[0] !== "xds") {
    return undefined;
  }
  const node = messageOf(NODE, nodeBytes);
  let value: PropertyItem | undefined = isNode
    ? node
    : { kind: "object", bytes: undefined, get: (name) => (name === "node" ? node : undefined) };
  for (let i = 1; i < segments.length && value !== undefined; i++) {
    value = partOf(value, segments[i] as string);
  }
  return value;
}
