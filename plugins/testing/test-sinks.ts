// Where a plugin's log lines and metrics go in a test: lists and tables to look into.

import type { MetricSink, PluginIdentity, PluginLog } from "../ports.ts";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "critical"] as const;
export type LogLevelName = (typeof LOG_LEVELS)[number];

export interface LogLine {
  readonly level: LogLevelName;
  readonly message: string;
}

/** A plugin can log without end. */
const MAX_LINES = 100_000;
const MAX_METRICS = 10_000;
const MAX_SAMPLES = 100_000;

/** Lines of proxy_log, of standard output and error, and of the host about the plugin. */
export class TestLog implements PluginLog {
  readonly lines: LogLine[] = [];
  /** What proxy_get_log_level answers; lines below it are not written. */
  minimum: LogLevelName = "trace";

  level(): number {
    return LOG_LEVELS.indexOf(this.minimum);
  }

  write(_plugin: PluginIdentity, level: number, message: string): void {
    const name = LOG_LEVELS[level] ?? "critical";
    if (level >= this.level() && this.lines.length < MAX_LINES) this.lines.push({ level: name, message });
  }
}

export interface Metric {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  /** Of a histogram: the sample that came last. */
  value: number;
  /** Of a histogram: all samples. */
  readonly samples: number[];
}

const TYPES = ["counter", "gauge", "histogram"] as const;

export class TestMetrics implements MetricSink {
  readonly all: Metric[] = [];

  define(_plugin: PluginIdentity, type: 0 | 1 | 2, name: string): number | undefined {
    const known = this.all.findIndex((metric) => metric.name === name);
    if (known >= 0) return this.all[known]?.type === TYPES[type] ? known + 1 : undefined;
    if (this.all.length >= MAX_METRICS) return undefined;
    return this.all.push({ name, type: TYPES[type], value: 0, samples: [] });
  }

  typeOf(id: number): 0 | 1 | 2 | undefined {
    const metric = this.all[id - 1];
    return metric === undefined ? undefined : (TYPES.indexOf(metric.type) as 0 | 1 | 2);
  }

  add(id: number, value: number): void {
    const metric = this.all[id - 1];
    if (metric !== undefined) metric.value += value;
  }

  set(id: number, value: number): void {
    const metric = this.all[id - 1];
    if (metric !== undefined) metric.value = value;
  }

  record(id: number, value: number): void {
    this.set(id, value);
    const samples = this.all[id - 1]?.samples ?? [];
    if (samples.length < MAX_SAMPLES) samples.push(value);
  }

  get(id: number): number {
    return this.all[id - 1]?.value ?? 0;
  }
}
