// Runtime layers → model: a JSON object becomes flat keys joined by dots, as Envoy reads them. Called by bootstrap.ts for
// layered_runtime and by resource.ts for RTDS.

import type { JsonObject } from "@bufbuild/protobuf";
import type { LayeredRuntime, RuntimeLayer as LayerMessage } from "../gen/envoy/config/bootstrap/v3/bootstrap_pb.ts";
import type { JsonValue, Runtime, RuntimeLayer } from "../model/bootstrap.ts";
import { decodeConfigSource } from "./config-source.ts";
import { quoted } from "./constraint.ts";
import { child, item, type Findings } from "./issues.ts";
import { decodeEach } from "./matcher.ts";

/** Deeper objects are kept as values: hostile input must not overflow the stack. */
const MAX_DEPTH = 32;

/** `{a: {b: 1}}` → `{"a.b": 1}`. A fraction (`{numerator, denominator}`) stays one value. Null values are left out. */
export function flattenRuntime(layer: JsonObject): Runtime {
  const flat: Record<string, JsonValue> = {};
  flattenInto(flat, layer, "", 0);
  return flat;
}

function flattenInto(flat: Record<string, JsonValue>, layer: JsonObject, prefix: string, depth: number): void {
  for (const [name, value] of Object.entries(layer)) {
    const key = prefix === "" ? name : `${prefix}.${name}`;
    if (value === null) continue;
    if (typeof value === "object" && !Array.isArray(value) && !isFraction(value) && depth < MAX_DEPTH) {
      flattenInto(flat, value, key, depth + 1);
    } else {
      flat[key] = value;
    }
  }
}

function isFraction(value: JsonObject): boolean {
  return "numerator" in value || "denominator" in value;
}

/** The layers in order: later ones win. Names are unique, and there is at most one admin layer. */
export function decodeRuntimeLayers(
  message: LayeredRuntime | undefined,
  path: string,
  findings: Findings,
): readonly RuntimeLayer[] {
  const layers = message?.layers ?? [];
  const layersPath = child(path, "layers");
  const names = new Set<string>();
  let hasAdminLayer = false;
  for (const [index, { name, layerSpecifier }] of layers.entries()) {
    if (names.has(name)) findings.issue(child(item(layersPath, index), "name"), `${quoted(name)} is used twice`);
    names.add(name);
    if (layerSpecifier.case !== "adminLayer") continue;
    if (hasAdminLayer) findings.issue(item(layersPath, index), "is a second admin_layer");
    hasAdminLayer = true;
  }
  return decodeEach(layers, layersPath, findings, decodeLayer);
}

function decodeLayer(message: LayerMessage, path: string, findings: Findings): RuntimeLayer | undefined {
  const { name, layerSpecifier: layer } = message;
  switch (layer.case) {
    case "staticLayer":
      return { kind: "static", name, values: flattenRuntime(layer.value) };
    case "adminLayer":
      return { kind: "admin", name };
    case "diskLayer":
      return { kind: "disk", name, root: layer.value.symlinkRoot, subdirectory: layer.value.subdirectory };
    case "rtdsLayer": {
      const source = decodeConfigSource(layer.value.rtdsConfig, child(path, "rtds_layer.rtds_config"), findings);
      if (layer.value.rtdsConfig === undefined) findings.issue(child(path, "rtds_layer.rtds_config"), "is required");
      return source === undefined ? undefined : { kind: "rtds", name, resource: layer.value.name, source };
    }
    case undefined:
      return undefined;
  }
}
