// A resource's bytes → proto3 JSON with proto field names, as Envoy's /config_dump shows it. Called by the admin's views.
// An Any of an unknown type, inside or outside, is shown with its bytes in base64 instead of failing the whole dump.

import { create, fromBinary, toJson, type DescMessage, type JsonValue, type Message } from "@bufbuild/protobuf";
import { AnySchema, anyPack, type Any } from "@bufbuild/protobuf/wkt";
import { TypedStructSchema } from "../gen/xds/type/v3/typed_struct_pb.ts";
import { typeNameOf } from "./any.ts";
import { messageTypes } from "./registry.ts";

/** The JSON of an Any, `"@type"` first. A value that has no JSON form (a duration out of range) is shown by its bytes. */
export function anyToJson(typeUrl: string, value: Uint8Array): JsonValue {
  const any = create(AnySchema, { typeUrl, value });
  try {
    return print(AnySchema, printable(any));
  } catch {
    return print(AnySchema, opaque(any));
  }
}

/** The JSON of a message that we made, such as a ConfigDump. Anys in it whose type is unknown are replaced in place. */
export function messageToJson(desc: DescMessage, message: Message): JsonValue {
  replaceUnknownAnys(message);
  return print(desc, message);
}

function print(desc: DescMessage, message: Message): JsonValue {
  return typeFirst(toJson(desc, message, { registry: messageTypes, useProtoFieldName: true }));
}

/** People read the type before the fields. */
function typeFirst(json: JsonValue): JsonValue {
  if (Array.isArray(json)) return json.map(typeFirst);
  if (typeof json !== "object" || json === null) return json;
  const { "@type": type, ...rest } = json;
  const fields = Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, typeFirst(value)]));
  return type === undefined ? fields : { "@type": type, ...fields };
}

/** The same Any when its type is known, all the way down; else one that can be printed. */
function printable(any: Any): Any {
  const desc = messageTypes.getMessage(typeNameOf(any.typeUrl));
  if (desc === undefined) return opaque(any);
  let message: Message;
  try {
    message = fromBinary(desc, any.value);
  } catch {
    return opaque(any);
  }
  if (isAny(message)) message = printable(message);
  else if (!replaceUnknownAnys(message)) return any;
  const packed = anyPack(desc, message);
  packed.typeUrl = any.typeUrl;
  return packed;
}

function opaque(any: Any): Any {
  const value = { bytes: Buffer.from(any.value).toString("base64") };
  return anyPack(TypedStructSchema, create(TypedStructSchema, { typeUrl: any.typeUrl, value }));
}

/** Replaces Anys in the message, in place; true when there was one to replace. */
function replaceUnknownAnys(value: unknown): boolean {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return false;
  let replaced = false;
  const holder = value as Record<string, unknown>;
  for (const key of Object.keys(holder)) {
    const entry = holder[key];
    if (isAny(entry)) {
      if (entry.typeUrl === "") continue;
      const better = printable(entry);
      replaced = replaced || better !== entry;
      holder[key] = better;
    } else if (replaceUnknownAnys(entry)) {
      replaced = true;
    }
  }
  return replaced;
}

function isAny(value: unknown): value is Any {
  return typeof value === "object" && value !== null && "$typeName" in value && value.$typeName === AnySchema.typeName;
}
