// Filter state: what plugins keep on a stream, or on its connection, under names. Envoy's FilterState, with its CelState
// objects for proxy_set_property (`wasm.<name>`) and plain ones for the foreign function set_envoy_filter_state.
// stream-record.ts makes one for a stream when somebody first asks; properties and access logs read it.

import type { DeclaredProperty } from "../../plugins/ports.ts";
import type { PropertyItem } from "../../plugins/property-value.ts";
import { partOf } from "../../plugins/property-value.ts";
import type { ConnectionInfo } from "../http/stream.ts";
import { unpacked } from "../messages/message-value.ts";

export interface StateObject {
  readonly bytes: Uint8Array;
  readonly declared: DeclaredProperty;
  readonly form: StateForm;
}

/**
 * What an object is to readers: `cel` is a property that a plugin set. The others are Envoy's own objects: `text` and `json` (a
 * number or a boolean) have a message, `plain` only its text, an `address` has `ip` and `port`, and nobody reads a `hidden` one.
 */
export type StateForm = "cel" | "text" | "json" | "plain" | "address" | "hidden";

/** What nothing was said of. */
export const UNDECLARED: DeclaredProperty = { isReadOnly: false, type: "bytes", schema: "", span: "filter_chain" };

/** Limits of one stream, and again of one connection. */
export const MAX_OBJECTS = 256;
export const MAX_OBJECT_BYTES = 64 * 1024;
const MAX_BYTES = 1024 * 1024;

class StateTable {
  readonly objects = new Map<string, StateObject>();
  #bytes = 0;

  put(key: string, object: StateObject): boolean {
    const old = this.objects.get(key);
    const bytes = this.#bytes + object.bytes.length - (old?.bytes.length ?? 0);
    const isFull = old === undefined && this.objects.size >= MAX_OBJECTS;
    if (isFull || object.bytes.length > MAX_OBJECT_BYTES || bytes > MAX_BYTES) {
      return false;
    }
    this.#bytes = bytes;
    this.objects.set(key, object);
    return true;
  }
}

/** Few connections have any, so they do not carry a field for it. */
const ofConnections = new WeakMap<ConnectionInfo, StateTable>();

export class FilterState {
  readonly #connection: ConnectionInfo;
  #own: StateTable | undefined = undefined;

  constructor(connection: ConnectionInfo) {
    this.#connection = connection;
  }

  get(key: string): StateObject | undefined {
    return this.#own?.objects.get(key) ?? ofConnections.get(this.#connection)?.objects.get(key);
  }

  /** What is there keeps what was declared of it. False: it is read-only, or there is no room. */
  setProperty(path: string, bytes: Uint8Array, declared: DeclaredProperty): boolean {
    const key = `wasm.${path}`;
    const old = this.get(key);
    if (old?.declared.isReadOnly === true) {
      return false;
    }
    return this.#put(key, { bytes, declared: old?.declared ?? declared, form: "cel" });
  }

  /** An object that is not a property: what the foreign function set_envoy_filter_state makes. False: there is no room. */
  setObject(key: string, bytes: Uint8Array, span: DeclaredProperty["span"], form: StateForm): boolean {
    return this.#put(key, { bytes, declared: { ...UNDECLARED, span }, form });
  }

  /** An object that is a message of this type: readers see its parts. False: there is no room. */
  setMessage(key: string, schema: string, bytes: Uint8Array): boolean {
    return this.#put(key, { bytes, declared: { ...UNDECLARED, type: "protobuf", schema }, form: "cel" });
  }

  #put(key: string, object: StateObject): boolean {
    return this.#tableFor(object).put(key, object);
  }

  #tableFor({ declared }: StateObject): StateTable {
    if (declared.span !== "connection") {
      return (this.#own ??= new StateTable());
    }
    let table = ofConnections.get(this.#connection);
    if (table === undefined) {
      table = new StateTable();
      ofConnections.set(this.#connection, table);
    }
    return table;
  }
}

/** As a property: protobuf state is its bytes as a whole, and has the parts of its message. */
export function stateValue({ bytes, declared }: StateObject): PropertyItem {
  switch (declared.type) {
    case "bytes":
    case "flatbuffers":
      return bytes;
    case "string":
      return latin1(bytes);
    case "protobuf":
      return { kind: "object", bytes, get: (name) => partOf(messageOf(declared.schema, bytes), name) };
  }
}

/** As `filter_state.<key>`: protobuf state is its message, an address its parts. */
export function stateMessage(object: StateObject): PropertyItem | undefined {
  if (object.form === "hidden") {
    return undefined;
  }
  if (object.form === "address") {
    return { kind: "map", entries: [], get: (name) => addressPart(stateText(object), name) };
  }
  return object.declared.type === "protobuf" ? messageOf(object.declared.schema, object.bytes) : stateValue(object);
}

const messages = new WeakMap<Uint8Array, PropertyItem>();

/** Taken apart once, however often it is looked into. */
function messageOf(schema: string, bytes: Uint8Array): PropertyItem {
  let message = messages.get(bytes);
  if (message === undefined) {
    message = unpacked(schema, bytes);
    messages.set(bytes, message);
  }
  return message;
}

/** Where an ORIGINAL_DST cluster is told to connect, as `1.2.3.4:80`. */
export function originalAddressOf(state: FilterState): string | undefined {
  const object = state.get("envoy.network.transport_socket.original_dst_address");
  return object?.form === "address" ? stateText(object) : undefined;
}

export function stateText({ bytes }: StateObject): string {
  return latin1(bytes);
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

/** Of `1.2.3.4:80` or `[::1]:80`. */
function addressPart(address: string, name: string): PropertyItem | undefined {
  const colon = address.lastIndexOf(":");
  switch (name) {
    case "ip":
      return address.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
    case "port":
      return { kind: "int", value: Number(address.slice(colon + 1)) };
    default:
      return undefined;
  }
}
