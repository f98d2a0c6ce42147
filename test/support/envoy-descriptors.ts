// The protobuf descriptors that are compiled into the Envoy binary: found by their file names, read field by field until
// the `syntax` at their end. Used to prove that xds/proto is wire-compatible with the Envoy that tests compare with.

import { readFileSync } from "node:fs";
import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, type DescriptorProto, type FileDescriptorProto } from "@bufbuild/protobuf/wkt";

const FILE_NAME = /^(envoy|xds|udpa|google)\/[a-z0-9_/]+\.proto$/;
const SUFFIX = ".proto";

/** Every message of the binary by full name. */
export function readEnvoyMessages(path: string): ReadonlyMap<string, DescriptorProto> {
  const binary = readFileSync(path);
  const messages = new Map<string, DescriptorProto>();
  for (let at = binary.indexOf(SUFFIX); at >= 0; at = binary.indexOf(SUFFIX, at + 1)) {
    const file = descriptorAt(binary, at + SUFFIX.length);
    if (file !== undefined) addMessages(messages, file.package, file.messageType);
  }
  return messages;
}

function addMessages(into: Map<string, DescriptorProto>, scope: string, messages: readonly DescriptorProto[]): void {
  for (const message of messages) {
    const name = `${scope}.${message.name}`;
    into.set(name, message);
    addMessages(into, name, message.nestedType);
  }
}

/** The descriptor whose name ends at `nameEnd`: field 1, one length byte, the name, then fields in order up to number 12. */
function descriptorAt(binary: Buffer, nameEnd: number): FileDescriptorProto | undefined {
  for (let length = 8; length < 128; length += 1) {
    const start = nameEnd - length;
    if (binary[start - 2] !== 0x0a || binary[start - 1] !== length) continue;
    if (!FILE_NAME.test(binary.toString("latin1", start, nameEnd))) continue;
    const end = descriptorEnd(binary, nameEnd);
    return end === undefined ? undefined : fromBinary(FileDescriptorProtoSchema, binary.subarray(start - 2, end));
  }
  return undefined;
}

function descriptorEnd(binary: Buffer, from: number): number | undefined {
  let at = from;
  for (;;) {
    const tag = varint(binary, at);
    const number = tag.value >>> 3;
    const wireType = tag.value & 7;
    if (number < 2 || number > 12 || (wireType !== 0 && wireType !== 2)) return undefined;
    const value = varint(binary, tag.next);
    at = wireType === 2 ? value.next + value.value : value.next;
    if (at > binary.length) return undefined;
    if (number === 12) return at;
  }
}

function varint(binary: Buffer, from: number): { readonly value: number; readonly next: number } {
  let value = 0;
  for (let index = 0; index < 5; index += 1) {
    const byte = binary[from + index] ?? 0;
    value += (byte & 127) * 128 ** index;
    if (byte < 128) return { value, next: from + index + 1 };
  }
  return { value: 0, next: from + 5 };
}
