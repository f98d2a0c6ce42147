// proxy_get_property and proxy_set_property, and the bytes of typed values. ABI section "Properties".
//
//   path: segments joined by NUL        value: raw bytes | i64 LE | f64 LE | one byte bool | pairs (abi/pairs.ts)
//
// The plugin's own three properties are answered here, because the C++ and AssemblyScript SDKs read plugin_root_id
// inside proxy_on_context_create and abort without it.

import { Status } from "../abi/constants.ts";
import { encodeBytePairs } from "../abi/pairs.ts";
import type { PropertyPath } from "../property-path.ts";
import type { PropertyItem } from "../property-value.ts";
import type { Vm } from "../vm.ts";
import type { HostFunctions } from "./host-function.ts";
import { Work } from "./work.ts";

/** Maps and lists deeper than this are not serialised. */
const MAX_DEPTH = 16;

export function propertyFunctions(vm: Vm): HostFunctions {
  const memory = vm.memory;
  return {
    /** Ok, also for an empty value; NotFound: unknown, or not known in this phase; SerializationFailure: has no value, or the path is empty. */
    proxy_get_property(path: number, pathLength: number, pointerOut: number, sizeOut: number): number {
      const raw = memory.latin1(path >>> 0, pathLength >>> 0);
      if (raw === undefined) return Status.InvalidMemoryAccess;
      memory.work += Work.GetProperty;
      if (raw.length === 0) return Status.SerializationFailure;
      const value = propertyOf(vm, vm.host.propertyPath(raw));
      if (value === undefined) return Status.NotFound;
      if (value === null) return Status.SerializationFailure;
      if (typeof value === "string") return vm.returnLatin1(value, pointerOut >>> 0, sizeOut >>> 0);
      if (typeof value === "object" && "kind" in value) memory.work += entriesOf(value) * Work.PropertyEntry;
      const bytes = encodePropertyValue(value);
      if (bytes === undefined) return Status.SerializationFailure;
      return vm.returnBytes(bytes, pointerOut >>> 0, sizeOut >>> 0);
    },

    /** Stores a value on the stream. NotFound without a stream, BadArgument when it was declared read-only and is set, or the stream is full. */
    proxy_set_property(path: number, pathLength: number, value: number, valueLength: number): number {
      const raw = memory.latin1(path >>> 0, pathLength >>> 0);
      const bytes = memory.copy(value >>> 0, valueLength >>> 0);
      if (raw === undefined || bytes === undefined) return Status.InvalidMemoryAccess;
      const { properties } = vm.effective;
      if (properties === undefined) return Status.NotFound;
      memory.work += Work.SetProperty;
      const { path: wanted } = vm.host.propertyPath(raw);
      const declared = vm.effective.root.declaredProperty(wanted);
      if (declared?.type === "protobuf") memory.work += bytes.length * Work.MessageByte;
      if (properties.setProperty(wanted, bytes, declared)) return Status.Ok;
      vm.hit("properties");
      return Status.BadArgument;
    },
  };
}

/** The property as the effective context sees it. */
export function propertyOf(vm: Vm, wanted: PropertyPath): PropertyItem | undefined {
  const context = vm.effective;
  const plugin = context.root.plugin.identity;
  if (wanted.own !== undefined) return plugin[wanted.own];
  const properties = context.properties ?? context.root.logged;
  if (properties !== undefined) return properties.property(wanted.path, wanted.segments);
  return vm.host.ports.properties.property(plugin, wanted.path, wanted.segments);
}

function entriesOf(value: Exclude<PropertyItem, string | boolean | Uint8Array | null>): number {
  return value.kind === "map" ? value.entries.length : value.kind === "list" ? value.items.length : 0;
}

/** The bytes of a value as a guest reads it. Undefined: it has none as a whole, or nests too deep. Reused scratch is never handed out. */
export function encodePropertyValue(value: PropertyItem, depth = 0): Uint8Array | undefined {
  if (value === null) return undefined;
  if (typeof value === "string") return Buffer.from(value, "latin1");
  if (typeof value === "boolean") return Uint8Array.of(value ? 1 : 0);
  if (value instanceof Uint8Array) return value;
  switch (value.kind) {
    case "int":
    case "uint":
      return eightBytes(value.value);
    case "duration":
    case "timestamp":
      return eightBytes(BigInt(Math.round(value.ms * 1000)) * 1000n);
    case "double": {
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setFloat64(0, value.value, true);
      return bytes;
    }
    case "map":
      return encodeEntries(value.entries, depth);
    case "list":
      return encodeList(value.items, depth);
    case "object":
      return value.bytes;
  }
}

/** Two's complement, little endian. Numbers must be whole and within 2^53. */
function eightBytes(value: number | bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  if (typeof value === "bigint") {
    view.setBigInt64(0, BigInt.asIntN(64, value), true);
    return bytes;
  }
  const high = Math.floor(value / 2 ** 32);
  view.setUint32(0, value - high * 2 ** 32, true);
  view.setInt32(4, high, true);
  return bytes;
}

function encodeEntries(entries: readonly (readonly [string, PropertyItem])[], depth: number): Uint8Array | undefined {
  if (depth >= MAX_DEPTH) return undefined;
  const pairs: [string, Uint8Array][] = [];
  for (const [name, value] of entries) {
    const bytes = encodePropertyValue(value, depth + 1);
    if (bytes === undefined) return undefined;
    pairs.push([name, bytes]);
  }
  return encodeBytePairs(pairs);
}

/** Each element as a name, with an empty value. */
function encodeList(items: readonly PropertyItem[], depth: number): Uint8Array | undefined {
  if (depth >= MAX_DEPTH) return undefined;
  const pairs: [string, Uint8Array][] = [];
  for (const item of items) {
    const bytes = encodePropertyValue(item, depth + 1);
    if (bytes === undefined) return undefined;
    pairs.push([Buffer.from(bytes).toString("latin1"), new Uint8Array(0)]);
  }
  return encodeBytePairs(pairs);
}
