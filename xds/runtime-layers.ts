// The runtime of a snapshot: the bootstrap's layers, static ones and those that RTDS delivers, later ones over earlier
// ones. Pure. Called by client.ts.

import type { Runtime, RuntimeLayer } from "./model/bootstrap.ts";
import type { Wanted } from "./assembly.ts";
import { RUNTIME_TYPE } from "./type-urls.ts";

/** The runtime resources to subscribe to. Nothing waits for them. */
export function wantedRuntime(layers: readonly RuntimeLayer[]): Wanted[] {
  return layers.flatMap((layer) =>
    layer.kind === "rtds" ? [{ typeUrl: RUNTIME_TYPE, name: layer.resource, source: layer.source }] : [],
  );
}

/** `resource` gives the last good RTDS model of a name. The result is `previous` itself while nothing changed. */
export function mergeRuntime(
  layers: readonly RuntimeLayer[],
  resource: (name: string) => unknown,
  previous: Runtime,
): Runtime {
  const merged: Record<string, Runtime[string]> = {};
  for (const layer of layers) {
    if (layer.kind === "static") Object.assign(merged, layer.values);
    if (layer.kind === "rtds") Object.assign(merged, resource(layer.resource));
  }
  return JSON.stringify(merged) === JSON.stringify(previous) ? previous : Object.freeze(merged);
}
