// Counts every callback of every plugin: calls, faults, fuel and time, under `outrigger_wasm_*` (contract §6).
// The plugin host's observer on each worker; passes each record on to the trace recorder.
// Hot path: one array look-up, three adds and a histogram sample for each callback.

import { CALLBACK_NAMES } from "../../plugins/abi/callbacks.ts";
import type { HookObserver, HookRecord } from "../../plugins/observer.ts";
import type { Counter, Histogram, StatsScope } from "../stats/scope.ts";
import { labelled } from "../stats/tags.ts";

interface Meter {
  readonly calls: Counter;
  readonly faults: Counter;
  readonly fuel: Counter;
  readonly durationMs: Histogram;
}

export class HookMeter implements HookObserver {
  readonly #scope: StatsScope;
  readonly #next: HookObserver;
  /** By plugin index, then callback id. */
  readonly #meters: (Meter | undefined)[][] = [];

  constructor(scope: StatsScope, next: HookObserver) {
    this.#scope = scope;
    this.#next = next;
  }

  hook(record: HookRecord): void {
    const meter = this.#meters[record.plugin.index]?.[record.callback] ?? this.#meterOf(record);
    meter.calls.inc();
    meter.durationMs.record(record.endedAt - record.startedAt);
    if (record.fuel > 0) {
      meter.fuel.add(record.fuel);
    }
    if (record.fault !== undefined) {
      meter.faults.inc();
    }
    this.#next.hook(record);
  }

  #meterOf(record: HookRecord): Meter {
    const { index, name } = record.plugin;
    const callback = CALLBACK_NAMES[record.callback] ?? "unknown";
    const meter = {
      calls: this.#scope.counter(callStat("calls_total", name, callback)),
      faults: this.#scope.counter(callStat("faults_total", name, callback)),
      fuel: this.#scope.counter(callStat("fuel_total", name, callback)),
      durationMs: this.#scope.histogram(callStat("duration_ms", name, callback)),
    };
    (this.#meters[index] ??= [])[record.callback] = meter;
    return meter;
  }
}

/** Labels stand in the raw name, as stats/tags.ts reads them. */
export function callStat(
  what: "calls_total" | "faults_total" | "fuel_total" | "duration_ms",
  plugin: string,
  callback: string,
): string {
  return labelled(`outrigger_wasm_${what}`, { plugin, callback });
}
