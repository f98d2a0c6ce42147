// YAML scalars → the JSON form of a scalar or enum field, or what is wrong with them. Called by config-json.ts.
// As Envoy's loader: a number or boolean where a string belongs is an error, yes/no/on/off are booleans, and the names of
// enums have no case.

import { ScalarType, type DescEnum, type DescField, type JsonValue } from "@bufbuild/protobuf";
import { nearestName } from "./nearest-name.ts";
import { describe, type YamlScalar, type YamlValue } from "./yaml-document.ts";

/** Reports a problem at an offset. */
export type Report = (offset: number, problem: string) => undefined;

export function scalarJson(value: YamlValue, field: DescField, report: Report): JsonValue | undefined {
  if (field.enum !== undefined) return enumJson(value, field.enum, report);
  if (field.scalar === undefined) return undefined;
  return scalarTypeJson(value, field.scalar, PORT_FIELDS.has(field.name) ? portReport(report) : report);
}

/** Fields whose range the type does not know; a number in the type's range is checked with the other constraints. */
const PORT_FIELDS: ReadonlySet<string> = new Set(["port_value", "port_redirect"]);

function portReport(report: Report): Report {
  return (offset, problem) =>
    report(offset, problem.replace("an integer from 0 to 4294967295", "a port from 0 to 65535"));
}

/** For a scalar field, or for the value of a wrapper message. */
export function scalarTypeJson(value: YamlValue, type: ScalarType, report: Report): JsonValue | undefined {
  const problem = (allowed: string) => report(value.offset, `must be ${allowed}, not ${describe(value)}`);
  if (value.kind !== "scalar") return problem(SCALAR_NAMES[type] ?? "a scalar");
  switch (type) {
    case ScalarType.STRING:
      if (typeof value.value === "string") return value.value;
      return problem("a string (in quotes)");
    case ScalarType.BOOL:
      return booleanJson(value) ?? problem("true or false");
    case ScalarType.BYTES:
      if (typeof value.value === "string" && /^[A-Za-z0-9+/_-]*={0,2}$/.test(value.value)) return value.value;
      return problem("base64");
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return floatJson(value) ?? problem("a number");
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return integerJson(value, -(2n ** 31n), 2n ** 31n - 1n, problem);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return integerJson(value, 0n, 2n ** 32n - 1n, problem);
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return integerJson(value, -(2n ** 63n), 2n ** 63n - 1n, problem);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return integerJson(value, 0n, 2n ** 64n - 1n, problem);
  }
}

const SCALAR_NAMES: Readonly<Partial<Record<ScalarType, string>>> = {
  [ScalarType.STRING]: "a string",
  [ScalarType.BOOL]: "true or false",
  [ScalarType.BYTES]: "base64",
};

function booleanJson(scalar: YamlScalar): boolean | undefined {
  if (typeof scalar.value === "boolean") return scalar.value;
  if (typeof scalar.value !== "string" || !scalar.isPlain) return undefined;
  if (/^(y|yes|on)$/i.test(scalar.value)) return true;
  return /^(n|no|off)$/i.test(scalar.value) ? false : undefined;
}

function floatJson(scalar: YamlScalar): number | string | undefined {
  if (typeof scalar.value === "number") return Number.isFinite(scalar.value) ? scalar.value : String(scalar.value);
  if (typeof scalar.value !== "string" || scalar.value.trim() === "") return undefined;
  if (["NaN", "Infinity", "-Infinity"].includes(scalar.value)) return scalar.value;
  const number = Number(scalar.value);
  return Number.isFinite(number) ? number : undefined;
}

function integerJson(
  scalar: YamlScalar,
  min: bigint,
  max: bigint,
  problem: (allowed: string) => undefined,
): JsonValue | undefined {
  const integer = integerOf(scalar);
  if (integer === undefined || integer < min || integer > max) return problem(`an integer from ${min} to ${max}`);
  return max > 2n ** 32n ? integer.toString() : Number(integer);
}

function integerOf(scalar: YamlScalar): bigint | undefined {
  const text = typeof scalar.value === "string" ? scalar.value : scalar.source;
  if (typeof scalar.value !== "boolean" && /^-?\d+$/.test(text)) return BigInt(text);
  if (typeof scalar.value === "number" && Number.isSafeInteger(scalar.value)) return BigInt(scalar.value);
  return undefined;
}

function enumJson(value: YamlValue, desc: DescEnum, report: Report): JsonValue | undefined {
  const names = desc.values.map((entry) => entry.name);
  const text = value.kind === "scalar" && typeof value.value === "string" ? value.value : undefined;
  const name = names.find((each) => each.toUpperCase() === text?.toUpperCase().replaceAll("-", "_"));
  if (name !== undefined) return name;
  if (value.kind === "scalar" && typeof value.value === "number" && Number.isInteger(value.value)) return value.value;
  const given = text === undefined ? undefined : nearestName(text, names);
  const hint = given === undefined ? "" : `; did you mean ${given}?`;
  return report(value.offset, `must be one of ${names.join(", ")}, not ${describe(value)}${hint}`);
}
