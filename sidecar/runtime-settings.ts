// Runtime keys (layered_runtime, RTDS) as settings: Envoy's mechanism carries what Envoy has no field for.
// Keys under `outrigger.` are ours (contract §3); `outrigger.wasm.plugin.<name>.<key>` overrides one for one plugin.

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
