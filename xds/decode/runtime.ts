// Runtime layers: a JSON object → flat keys joined by dots, as Envoy reads them. Called for static layers and RTDS.

import type { JsonObject } from "@bufbuild/protobuf";
import type { JsonValue, Runtime } from "../model/bootstrap.ts";

/** Deeper objects are kept as values: hostile input must not overflow the stack. */
const MAX_DEPTH = 32;

/** `{a: {b: 1}}` → `{"a.b": 1}`. A fraction (`{numerator, denominator}`) stays one value. Null values are left out. */
export function flattenRuntime(layer: JsonObject): Runtime {
  const flat: Record<string, string | number | boolean | JsonValue> = {};
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
