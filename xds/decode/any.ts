// google.protobuf.Any → message, also through TypedStruct (JSON in an envelope), as Envoy unpacks extension configs.
// An unpacked message is kept beside its Any, so that inspection and decoding parse it once.
// Called by inspect.ts and by every decoder that meets an extension point.

import { fromBinary, fromJson, type DescMessage, type Message } from "@bufbuild/protobuf";
import { type Any } from "@bufbuild/protobuf/wkt";
import { messageTypes } from "./registry.ts";
import { TypedStructSchema } from "../gen/xds/type/v3/typed_struct_pb.ts";

const TYPED_STRUCTS = new Set(["xds.type.v3.TypedStruct", "udpa.type.v1.TypedStruct"]);

/** What an Any holds. `desc` and `message` are undefined when the type is not one of ours, or when `problem` says why it cannot be read. */
export interface Unpacked {
  /** Full message name without the URL's prefix; for a TypedStruct the name of the type inside. */
  readonly typeName: string;
  readonly desc: DescMessage | undefined;
  readonly message: Message | undefined;
  readonly problem: string | undefined;
  /** Added to the Any's path to reach the message's fields: "value" inside a TypedStruct, else empty. */
  readonly step: "" | "value";
}

const unpacked = new WeakMap<Any, Unpacked>();

/** The part of a type URL after its last slash. */
export function typeNameOf(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
}

/** Never throws: bytes that do not parse are a `problem`. */
export function unpackAny(any: Any): Unpacked {
  let result = unpacked.get(any);
  if (result === undefined) {
    result = unpackBytes(typeNameOf(any.typeUrl), any.value);
    unpacked.set(any, result);
  }
  return result;
}

function unpackBytes(typeName: string, bytes: Uint8Array): Unpacked {
  if (TYPED_STRUCTS.has(typeName)) return unpackTypedStruct(bytes);
  const desc = messageTypes.getMessage(typeName);
  if (desc === undefined) return { typeName, desc, message: undefined, problem: undefined, step: "" };
  try {
    return { typeName, desc, message: fromBinary(desc, bytes), problem: undefined, step: "" };
  } catch (error) {
    const problem = `does not parse as ${typeName}: ${reason(error)}`;
    return { typeName, desc, message: undefined, problem, step: "" };
  }
}

function unpackTypedStruct(bytes: Uint8Array): Unpacked {
  let typeName = "";
  let desc: DescMessage | undefined;
  try {
    const envelope = fromBinary(TypedStructSchema, bytes);
    typeName = typeNameOf(envelope.typeUrl);
    desc = messageTypes.getMessage(typeName);
    const json = envelope.value ?? {};
    if (desc === undefined) return { typeName, desc, message: undefined, problem: undefined, step: "value" };
    return {
      typeName,
      desc,
      message: fromJson(desc, json, { registry: messageTypes }),
      problem: undefined,
      step: "value",
    };
  } catch (error) {
    const problem = `TypedStruct does not parse as ${typeName}: ${reason(error)}`;
    return { typeName, desc, message: undefined, problem, step: "value" };
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
