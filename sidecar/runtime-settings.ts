// Runtime keys (layered_runtime, RTDS) as settings: Envoy's mechanism carries what Envoy has no field for.
// Keys under `outrigger.` are ours (contract §3); `outrigger.wasm.plugin.<name>.<key>` overrides one for one plugin.

import { DEFAULT_FUEL_PER_CALLBACK, DEFAULT_START_FUEL, type FuelLimits } from "../plugins/metering/fuel-gauge.ts";
import type { Runtime } from "../xds/model/bootstrap.ts";

export type RuntimeSettings = Runtime;

const WASM_PREFIX = "outrigger.wasm.";

/** A number of at least 0 from `key`, or the plugin's own override of it; `fallback` when there is none. */
export function numberSetting(runtime: RuntimeSettings, key: string, plugin: string, fallback: number): number {
  const own = `${WASM_PREFIX}plugin.${plugin}.${key.slice(WASM_PREFIX.length)}`;
  for (const name of [own, key]) {
    const value = Number(runtime[name] ?? Number.NaN);
    if (Number.isFinite(value) && value >= 0) {
      return value;
    }
  }
  return fallback;
}

const DEFAULT_DEADLINE_MS = 200;
const FUEL_PER_CALLBACK = "fuel_per_callback";
const START_FUEL = "start_fuel";

/** How much fuel a plugin's callbacks have. */
export function fuelLimits(runtime: RuntimeSettings, plugin: string): FuelLimits {
  const own = `runtime key ${WASM_PREFIX}plugin.${plugin}.`;
  return {
    perCallback: numberSetting(runtime, WASM_PREFIX + FUEL_PER_CALLBACK, plugin, DEFAULT_FUEL_PER_CALLBACK),
    start: numberSetting(runtime, WASM_PREFIX + START_FUEL, plugin, DEFAULT_START_FUEL),
    perCallbackName: own + FUEL_PER_CALLBACK,
    startName: own + START_FUEL,
  };
}

/** How long one callback may run before the watchdog ends its worker, in milliseconds; 0: as long as it likes. */
export function deadlineMs(runtime: RuntimeSettings, plugin: string): number {
  return numberSetting(runtime, `${WASM_PREFIX}deadline_ms`, plugin, DEFAULT_DEADLINE_MS);
}

/** Whether anything limits the plugin's fuel: otherwise its code stays as it is. */
export function isMetered(runtime: RuntimeSettings, plugin: string): boolean {
  const { perCallback, start } = fuelLimits(runtime, plugin);
  return perCallback > 0 || start > 0;
}
