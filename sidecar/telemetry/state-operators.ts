// The operators that show what plugins and configuration keep for others: FILTER_STATE and the METADATA family.
// Source: Envoy's "Access logging" page; what they write was compared with Envoy (test/integration/state-operators.test.ts).
// Strings stand as they are, everything else is JSON with its names sorted. Called by format-operators.ts.

import { partOf, type PropertyItem } from "../../plugins/property-value.ts";
import { type StateObject, stateMessage, stateText } from "../filter/filter-state.ts";
import { messageOf, unpacked } from "../messages/message-value.ts";
import { METADATA } from "../messages/shapes.ts";
import type { StreamInfo } from "../filter/stream-info.ts";
import type { FieldRead, FieldValue, Operator } from "./format-operator.ts";
import { jsonText, wireText } from "./wire-text.ts";

type MetadataRead = (facts: StreamInfo) => Uint8Array | undefined;

/** Nothing here sets dynamic metadata: plugins cannot in Envoy either. */
const NONE: MetadataRead = () => undefined;

const SOURCES: ReadonlyMap<string, MetadataRead> = new Map<string, MetadataRead>([
  ["DYNAMIC", NONE],
  ["CLUSTER", (facts) => facts.clusterMetadata],
  ["ROUTE", (facts) => facts.routeMetadata],
  ["UPSTREAM_HOST", (facts) => facts.hostMetadata],
  ["LISTENER", (facts) => facts.listenerMetadata],
  ["LISTENER_FILTER_CHAIN", (facts) => facts.filterChainMetadata],
  ["VIRTUAL_HOST", (facts) => facts.virtualHostMetadata],
]);

/** Of one of the sources above: the namespace, then keys. */
export function metadataField(
  source: "DYNAMIC" | "ROUTE" | "CLUSTER" | "UPSTREAM_HOST",
  path: readonly string[],
): (info: StreamInfo) => FieldValue | undefined {
  return metadataRead(SOURCES.get(source) ?? NONE, path);
}

function metadataRead(source: MetadataRead, path: readonly string[]): (info: StreamInfo) => FieldValue | undefined {
  const segments = ["filter_metadata", ...path.map(wireText)];
  return (facts) => {
    const bytes = source(facts);
    if (bytes === undefined) {
      return undefined;
    }
    let value: PropertyItem | undefined = messageOf(METADATA, bytes);
    for (let i = 0; i < segments.length && value !== undefined; i++) {
      // Lists have no names.
      value = isList(value) ? undefined : partOf(value, segments[i] as string);
    }
    return value === undefined ? undefined : fieldOf(value);
  };
}

function isList(value: PropertyItem): boolean {
  return value !== null && typeof value === "object" && "kind" in value && value.kind === "list";
}

function metadata(source: MetadataRead): Operator {
  return { args: "required", length: true, compile: (args) => metadataRead(source, args.split(":")) };
}

/** Also `["namespace", "key"]`, the older form of header values. Envoy's access logs take it for a namespace that nobody has. */
function metadataWithLists(source: MetadataRead): Operator {
  return {
    args: "required",
    length: true,
    compile: (args) => metadataRead(source, listOf(args) ?? args.split(":")),
  };
}

function listOf(args: string): readonly string[] | undefined {
  if (!args.trimStart().startsWith("[")) {
    return undefined;
  }
  try {
    const list: unknown = JSON.parse(args);
    return Array.isArray(list) ? list.map(String) : undefined;
  } catch {
    return undefined;
  }
}

/** TYPE, then the namespace and keys. */
function compileMetadata(args: string): FieldRead | string {
  const [type = "", ...path] = args.split(":");
  const source = SOURCES.get(type);
  if (source === undefined) {
    return `takes one of ${[...SOURCES.keys()].join(", ")} first`;
  }
  return path.length === 0 ? "needs a namespace after the type" : metadataRead(source, path);
}

function fieldOf(value: PropertyItem): FieldValue {
  return typeof value === "string" ? value : { json: jsonOf(value) };
}

/** As protobuf's JSON has it; wire text in and out. */
function jsonOf(value: PropertyItem): string {
  if (value === null) {
    return "null";
  }
  if (typeof value === "string") {
    return jsonText(value);
  }
  if (typeof value === "boolean") {
    return String(value);
  }
  if (value instanceof Uint8Array) {
    return JSON.stringify(base64(value));
  }
  switch (value.kind) {
    case "int":
    case "uint":
      return String(value.value);
    case "double":
      return Number.isFinite(value.value) ? String(value.value) : JSON.stringify(String(value.value));
    case "duration":
      return JSON.stringify(`${value.ms / 1_000}s`);
    case "timestamp":
      return JSON.stringify(new Date(value.ms).toISOString());
    case "list":
      return `[${value.items.map(jsonOf).join(",")}]`;
    case "map": {
      const entries = value.entries.toSorted(([a], [b]) => (a < b ? -1 : 1));
      return `{${entries.map(([name, item]) => `${jsonText(name)}:${jsonOf(item)}`).join(",")}}`;
    }
    case "object":
      return value.bytes === undefined ? "{}" : JSON.stringify(base64(value.bytes));
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

/** KEY, then perhaps PLAIN or TYPED (the default), or FIELD and a field's name. */
function compileFilterState(args: string): FieldRead | string {
  const [key = "", form = "TYPED", field, ...more] = args.split(":");
  const name = wireText(key);
  if (name === "" || more.length > 0 || (form === "FIELD") !== (field !== undefined && field !== "")) {
    return "takes a key, then perhaps :PLAIN, :TYPED or :FIELD:name";
  }
  switch (form) {
    case "PLAIN":
      return (facts) => plainState(facts.filterState.get(name));
    case "TYPED":
      return (facts) => typedState(facts.filterState.get(name));
    case "FIELD":
      return (facts) => stateField(facts.filterState.get(name), field as string);
    default:
      return "takes a key, then perhaps :PLAIN, :TYPED or :FIELD:name";
  }
}

function plainState(object: StateObject | undefined): string | undefined {
  return object === undefined || object.form === "hidden" ? undefined : stateText(object);
}

function stateField(object: StateObject | undefined, field: string): FieldValue | undefined {
  const message = object?.form === "address" ? stateMessage(object) : undefined;
  const value = message === undefined ? undefined : partOf(message, field);
  return value === undefined ? undefined : fieldOf(value);
}

/** The object as a message of protobuf in an Any: its declared type, or BytesValue. */
function typedState(object: StateObject | undefined): FieldValue | undefined {
  if (object === undefined) {
    return undefined;
  }
  if (object.form !== "cel") {
    return builtInState(object);
  }
  const { type, schema } = object.declared;
  const isMessage = type === "protobuf";
  const url = isMessage ? schema : "type.googleapis.com/google.protobuf.BytesValue";
  const value = isMessage ? unpacked(schema, object.bytes) : object.bytes;
  // Messages other than protobuf's own would need their descriptors.
  if (value !== null && typeof value === "object" && "kind" in value && value.kind === "object") {
    return undefined;
  }
  return { json: `{"@type":${jsonText(url)},"value":${jsonOf(value)}}` };
}

function builtInState(object: StateObject): FieldValue | undefined {
  switch (object.form) {
    case "text":
      return { json: jsonText(stateText(object)) };
    case "json":
      return { json: stateText(object) };
    case "cel":
    case "plain":
    case "address":
    case "hidden":
      return undefined;
  }
}

export const STATE_OPERATORS: Readonly<Record<string, Operator>> = {
  DYNAMIC_METADATA: metadataWithLists(NONE),
  CLUSTER_METADATA: metadata((facts) => facts.clusterMetadata),
  UPSTREAM_METADATA: metadataWithLists((facts) => facts.hostMetadata),
  METADATA: { args: "required", length: true, compile: compileMetadata },
  FILTER_STATE: { args: "required", length: true, compile: compileFilterState },
  /** The older name of FILTER_STATE(…:PLAIN) in header values. */
  PER_REQUEST_STATE: { args: "required", length: true, compile: (args) => compileFilterState(`${args}:PLAIN`) },
};
