// The well-known messages whose JSON form is not a map of their fields: durations, wrappers, structs and so on.
// Called by config-json.ts. Source: the proto3 JSON mapping.

import { ScalarType, type DescMessage, type JsonValue } from "@bufbuild/protobuf";
import { scalarTypeJson, type Report } from "./json-scalar.ts";
import { describe, plainJson, type YamlValue } from "./yaml-document.ts";

const PREFIX = "google.protobuf.";

const WRAPPERS: ReadonlyMap<string, ScalarType> = new Map([
  [`${PREFIX}BoolValue`, ScalarType.BOOL],
  [`${PREFIX}BytesValue`, ScalarType.BYTES],
  [`${PREFIX}DoubleValue`, ScalarType.DOUBLE],
  [`${PREFIX}FloatValue`, ScalarType.FLOAT],
  [`${PREFIX}Int32Value`, ScalarType.INT32],
  [`${PREFIX}Int64Value`, ScalarType.INT64],
  [`${PREFIX}StringValue`, ScalarType.STRING],
  [`${PREFIX}UInt32Value`, ScalarType.UINT32],
  [`${PREFIX}UInt64Value`, ScalarType.UINT64],
]);

const OTHERS: ReadonlySet<string> = new Set(
  ["Duration", "Timestamp", "Struct", "Value", "ListValue", "FieldMask"].map((name) => PREFIX + name),
);

/** The longest duration that protobuf allows, in seconds: 10,000 years. */
const MAX_DURATION_S = 315_576_000_000;

export function isSpecialMessage(desc: DescMessage): boolean {
  return WRAPPERS.has(desc.typeName) || OTHERS.has(desc.typeName);
}

/** The JSON of a special message; a problem is reported and gives undefined. */
export function specialJson(value: YamlValue, desc: DescMessage, report: Report): JsonValue | undefined {
  const wrapped = WRAPPERS.get(desc.typeName);
  if (wrapped !== undefined) return scalarTypeJson(value, wrapped, report);
  const problem = (allowed: string) => report(value.offset, `must be ${allowed}, not ${describe(value)}`);
  switch (desc.typeName.slice(PREFIX.length)) {
    case "Duration":
      return durationJson(value) ?? problem('a duration in seconds, such as "0.25s"');
    case "Timestamp":
      if (value.kind === "scalar" && typeof value.value === "string" && !Number.isNaN(Date.parse(value.value))) {
        return value.value;
      }
      return problem('a time, such as "2026-01-31T12:00:00Z"');
    case "Struct":
      return value.kind === "map" ? plainJson(value) : problem("a map");
    case "ListValue":
      return value.kind === "list" ? plainJson(value) : problem("a list");
    case "FieldMask":
      return value.kind === "scalar" && typeof value.value === "string" ? value.value : problem("a field mask");
    default:
      return plainJson(value);
  }
}

function durationJson(value: YamlValue): string | undefined {
  if (value.kind !== "scalar" || typeof value.value !== "string") return undefined;
  const match = /^(-?\d+)(\.\d{1,9})?s$/.exec(value.value);
  return match !== null && Math.abs(Number(match[1])) <= MAX_DURATION_S ? value.value : undefined;
}
