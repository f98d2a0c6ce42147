// The values of expressions: property values, and the comparisons that CEL defines on them.
// Numbers of different kinds compare by their mathematical value; values of different types are unequal, never an error.

import type { PropertyItem, PropertyList, PropertyMap, PropertyObject } from "../property-value.ts";

/** Evaluation went wrong: the expression has no value. */
export class CelError extends Error {}

export type CelType =
  | "null_type"
  | "bool"
  | "int"
  | "uint"
  | "double"
  | "string"
  | "bytes"
  | "list"
  | "map"
  | "google.protobuf.Duration"
  | "google.protobuf.Timestamp"
  | "message";

export function typeOf(value: PropertyItem): CelType {
  if (value === null) return "null_type";
  if (typeof value === "string") return "string";
  if (typeof value === "boolean") return "bool";
  if (value instanceof Uint8Array) return "bytes";
  switch (value.kind) {
    case "int":
    case "uint":
    case "double":
    case "list":
    case "map":
      return value.kind;
    case "duration":
      return "google.protobuf.Duration";
    case "timestamp":
      return "google.protobuf.Timestamp";
    case "object":
      return "message";
  }
}

type NumberValue = Extract<PropertyItem, { readonly kind: "int" | "uint" | "double" }>;

export function isNumber(value: PropertyItem): value is NumberValue {
  return hasKind(value) && (value.kind === "int" || value.kind === "uint" || value.kind === "double");
}

export function isList(value: PropertyItem): value is PropertyList {
  return hasKind(value) && value.kind === "list";
}

export function isMap(value: PropertyItem): value is PropertyMap {
  return hasKind(value) && value.kind === "map";
}

export function isObject(value: PropertyItem): value is PropertyObject {
  return hasKind(value) && value.kind === "object";
}

function hasKind(value: PropertyItem): value is Exclude<PropertyItem, null | string | boolean | Uint8Array> {
  return typeof value === "object" && value !== null && !(value instanceof Uint8Array);
}

/** Milliseconds of a time or a time span. */
export function timeOf(value: PropertyItem): number | undefined {
  return hasKind(value) && (value.kind === "duration" || value.kind === "timestamp") ? value.ms : undefined;
}

export function bytesOf(value: Uint8Array): Buffer {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

/** `step` is called for each comparison: lists of lists take long. */
export function equals(a: PropertyItem, b: PropertyItem, step: () => void): boolean {
  step();
  if (isNumber(a) && isNumber(b)) return compareNumbers(a, b) === 0;
  const type = typeOf(a);
  if (type !== typeOf(b)) return false;
  if (a instanceof Uint8Array && b instanceof Uint8Array) return bytesOf(a).equals(bytesOf(b));
  if (isList(a) && isList(b)) {
    const others = b.items;
    return (
      a.items.length === others.length && a.items.every((item, i) => equals(item, others[i] as PropertyItem, step))
    );
  }
  if (isMap(a) && isMap(b)) return equalMaps(a, b, step);
  if (isObject(a) && isObject(b)) {
    return a === b || (a.bytes !== undefined && b.bytes !== undefined && bytesOf(a.bytes).equals(bytesOf(b.bytes)));
  }
  const time = timeOf(a);
  return time === undefined ? a === b : time === timeOf(b);
}

function equalMaps(a: PropertyMap, b: PropertyMap, step: () => void): boolean {
  const others = new Map(b.entries);
  const { entries } = a;
  return (
    entries.length === others.size &&
    entries.every(([name, item]) => {
      const other = others.get(name);
      return other !== undefined && equals(item, other, step);
    })
  );
}

/** Negative, 0 or positive; undefined: one is not a number. */
function compareNumbers(a: NumberValue, b: NumberValue): number | undefined {
  // JavaScript compares bigint and number by their mathematical values.
  const [left, right] = [a.value, b.value];
  return left < right ? -1 : left > right ? 1 : left === right || Number(left) === Number(right) ? 0 : undefined;
}

/** Throws CelError when the two have no order. undefined: one is not a number. */
export function compare(a: PropertyItem, b: PropertyItem): number | undefined {
  if (isNumber(a) && isNumber(b)) return compareNumbers(a, b);
  if (typeof a === "string" && typeof b === "string") return a < b ? -1 : a > b ? 1 : 0;
  if (typeof a === "boolean" && typeof b === "boolean") return Number(a) - Number(b);
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  const [left, right] = [timeOf(a), timeOf(b)];
  if (left !== undefined && right !== undefined && typeOf(a) === typeOf(b)) return left - right;
  throw new CelError(`${typeOf(a)} and ${typeOf(b)} have no order`);
}
