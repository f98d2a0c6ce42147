// Starts a plugin once and ends it again, to learn whether it would start: before its configuration is acknowledged and before
// a worker, which serves meanwhile, would spend its time on it. plugin-workshop-thread.ts calls it, on a thread of its own.
//
// What the guest does meanwhile goes nowhere: calls are never answered, metrics are its own, its log lines are kept for whoever
// is told why it did not start. Shared data is the process's, as for Envoy's canary; queues keep their registrants.

import { PluginRuntime } from "../../plugins/plugin-runtime.ts";
import type { PluginSpec } from "../../plugins/plugin-spec.ts";
import type { MetricSink, PluginLog, PropertySource } from "../../plugins/ports.ts";
import { FOREIGN_FUNCTIONS, partialMatch } from "./foreign-functions.ts";
import { PLUGIN_CLOCK } from "./plugin-ports.ts";

export interface TrialLine {
  readonly level: number;
  readonly message: string;
}

export interface TrialResult {
  /** Why it did not start, one line. */
  readonly problem: string | undefined;
  /** The last that it logged, at most MAX_LINES. */
  readonly lines: readonly TrialLine[];
}

export interface TrialDeps {
  readonly sharedMemory: SharedArrayBuffer;
  readonly properties: PropertySource;
}

const MAX_LINES = 20;
const MAX_LINE_LENGTH = 500;
const INFO = 2;
const WARN = 3;

/** Blocks while the plugin starts, as long as its start fuel lasts. */
export function tryPlugin(spec: PluginSpec, { sharedMemory, properties }: TrialDeps): TrialResult {
  const lines: TrialLine[] = [];
  const log: PluginLog = {
    level: () => INFO,
    write: (_plugin, level, message) => {
      lines.push({ level, message: message.slice(0, MAX_LINE_LENGTH) });
      if (lines.length > MAX_LINES) {
        lines.shift();
      }
    },
  };
  const runtime = new PluginRuntime({
    ports: {
      clock: PLUGIN_CLOCK,
      log,
      http: { call: () => ({ cancel: () => undefined }) },
      metrics: new TrialMetrics(),
      properties,
      foreign: FOREIGN_FUNCTIONS,
      matches: partialMatch,
    },
    sharedMemory,
    isTrial: true,
  });
  try {
    const loaded = runtime.load(spec);
    return { problem: loaded.ok ? undefined : withReason(loaded.problem, lines), lines };
  } finally {
    runtime.dispose();
  }
}

/** The problem with the last thing that the plugin complained of. */
function withReason(problem: string, lines: readonly TrialLine[]): string {
  const said = lines.findLast(({ level, message }) => level >= WARN && message !== problem);
  return said === undefined ? problem : `${problem}; it logged: ${said.message.split("\n", 1)[0]}`;
}

/** Metrics that nobody sees. */
class TrialMetrics implements MetricSink {
  readonly #types: (0 | 1 | 2)[] = [];
  readonly #values: number[] = [];

  define(_plugin: unknown, type: 0 | 1 | 2): number {
    this.#values.push(0);
    return this.#types.push(type);
  }

  typeOf(id: number): 0 | 1 | 2 | undefined {
    return this.#types[id - 1];
  }

  add(id: number, value: number): void {
    this.#values[id - 1] = this.get(id) + value;
  }

  set(id: number, value: number): void {
    this.#values[id - 1] = value;
  }

  record(): void {
    // A histogram has no value to read.
  }

  get(id: number): number {
    return this.#values[id - 1] ?? 0;
  }
}
