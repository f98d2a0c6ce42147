// Serialised messages as property values: parts by field name, read when somebody asks and kept for the next one.
// What belongs to configuration (a route's metadata, the node) is read once, however many requests ask for it.
// Values are Envoy's: a Struct is a map, a Value what it holds, a wrapper in an Any its value, any other message an object.

import type { PropertyItem, PropertyMap, PropertyObject, PropertyValue } from "../../plugins/property-value.ts";
import { type Field, type FieldKind, type Shape, WELL_KNOWN, WRAPPERS } from "./shapes.ts";
import { readWire, type WireValue } from "./wire.ts";

const NOTHING = new Uint8Array(0);
/** Values nest, and plugins make them: deeper ones are taken for null. */
const MAX_DEPTH = 64;

class MessageValue implements PropertyObject {
  readonly kind = "object";
  readonly bytes: Uint8Array;
  readonly #shape: Shape;
  readonly #depth: number;
  #fields: ReadonlyMap<number, readonly WireValue[]> | undefined = undefined;
  readonly #parts = new Map<string, PropertyItem | undefined>();

  constructor(shape: Shape, bytes: Uint8Array, depth: number) {
    this.#shape = shape;
    this.bytes = bytes;
    this.#depth = depth;
  }

  get(name: string): PropertyItem | undefined {
    const field = this.#shape.get(name);
    if (field === undefined) {
      return undefined;
    }
    let part = this.#parts.get(name);
    if (part === undefined && !this.#parts.has(name)) {
      // A message that is none has no parts.
      this.#fields ??= readWire(this.bytes) ?? new Map<number, readonly WireValue[]>();
      part = fieldValue(field, this.#fields.get(field.number) ?? [], this.#depth + 1);
      this.#parts.set(name, part);
    }
    return part;
  }
}

const messages = new WeakMap<Uint8Array, MessageValue>();

/** A message of the configuration; the same object for the same bytes. */
export function messageOf(shape: Shape, bytes: Uint8Array): PropertyObject {
  let message = messages.get(bytes);
  if (message === undefined) {
    message = new MessageValue(shape, bytes, 0);
    messages.set(bytes, message);
  }
  return message;
}

/** What an Any holds. A type that is not known here is an object without parts. */
export function unpacked(typeUrl: string, bytes: Uint8Array, depth = 0): PropertyItem {
  const name = typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
  const wrapped = WRAPPERS.get(name);
  if (wrapped !== undefined) {
    return singleValue(wrapped, readWire(bytes)?.get(1)?.at(-1), depth + 1);
  }
  return singleValue(WELL_KNOWN.get(name) ?? new Map<string, Field>(), bytes, depth + 1);
}

function fieldValue(field: Field, values: readonly WireValue[], depth: number): PropertyItem {
  if (field.repeated === "map") {
    return mapOf(values, field.kind, depth);
  }
  return field.repeated === "list"
    ? { kind: "list", items: values.map((value) => singleValue(field.kind, value, depth)) }
    : singleValue(field.kind, values.at(-1), depth);
}

/** A protobuf map field: entries are messages of key (1) and value (2); the last entry of a key counts. */
function mapOf(entries: readonly WireValue[], kind: FieldKind | Shape, depth: number): PropertyMap {
  const items = new Map<string, PropertyItem>();
  for (const entry of entries) {
    const pair = typeof entry === "bigint" ? undefined : readWire(entry);
    if (pair !== undefined) {
      items.set(textOf(pair.get(1)?.at(-1)), singleValue(kind, pair.get(2)?.at(-1), depth));
    }
  }
  return namedValues(items);
}

function namedValues(items: ReadonlyMap<string, PropertyItem>): PropertyMap {
  return { kind: "map", entries: [...items], get: (name) => items.get(name) };
}

/** `value` undefined: the field is not set and has its default. */
function singleValue(kind: FieldKind | Shape, value: WireValue | undefined, depth: number): PropertyItem {
  if (depth > MAX_DEPTH) {
    return null;
  }
  if (typeof kind !== "string") {
    return new MessageValue(kind, bytesOf(value), depth);
  }
  switch (kind) {
    case "string":
      return textOf(value);
    case "bytes":
      return bytesOf(value);
    case "bool":
      return numberOf(value) !== 0n;
    case "int":
      return { kind: "int", value: BigInt.asIntN(64, numberOf(value)) };
    case "uint":
      return { kind: "uint", value: numberOf(value) };
    case "double":
      return doubleOf(value);
    case "struct":
      return mapOf(readWire(bytesOf(value))?.get(1) ?? [], "value", depth + 1);
    case "list_value": {
      const values = readWire(bytesOf(value))?.get(1) ?? [];
      return { kind: "list", items: values.map((item) => singleValue("value", item, depth + 1)) };
    }
    case "value":
      return heldValue(bytesOf(value), depth + 1);
    case "any": {
      const fields = readWire(bytesOf(value));
      return unpacked(textOf(fields?.get(1)?.at(-1)), bytesOf(fields?.get(2)?.at(-1)), depth);
    }
    case "duration":
    case "timestamp":
      return { kind, ms: millisecondsOf(bytesOf(value)) };
  }
}

const HELD: readonly (readonly [number, FieldKind])[] = [
  [2, "double"],
  [3, "string"],
  [4, "bool"],
  [5, "struct"],
  [6, "list_value"],
];

/** google.protobuf.Value. */
function heldValue(bytes: Uint8Array, depth: number): PropertyItem {
  const fields = readWire(bytes);
  for (const [number, kind] of HELD) {
    const value = fields?.get(number)?.at(-1);
    if (value !== undefined) {
      return singleValue(kind, value, depth);
    }
  }
  return null;
}

function millisecondsOf(bytes: Uint8Array): number {
  const fields = readWire(bytes);
  const seconds = BigInt.asIntN(64, numberOf(fields?.get(1)?.at(-1)));
  const nanos = BigInt.asIntN(64, numberOf(fields?.get(2)?.at(-1)));
  return Number(seconds) * 1_000 + Number(nanos) / 1e6;
}

function bytesOf(value: WireValue | undefined): Uint8Array {
  return value === undefined || typeof value === "bigint" ? NOTHING : value;
}

/** UTF-8 as it is, a character a byte. */
function textOf(value: WireValue | undefined): string {
  const { buffer, byteOffset, byteLength } = bytesOf(value);
  return Buffer.from(buffer, byteOffset, byteLength).toString("latin1");
}

function numberOf(value: WireValue | undefined): bigint {
  return typeof value === "bigint" ? value : 0n;
}

function doubleOf(value: WireValue | undefined): PropertyValue {
  const bytes = bytesOf(value);
  const number = bytes.length === 8 ? new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0, true) : 0;
  return { kind: "double", value: number };
}
