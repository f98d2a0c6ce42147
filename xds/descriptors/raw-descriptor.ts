// The parts of google/protobuf/descriptor.proto that generated code needs, read from their bytes one level deep: what is nested stays bytes
// until somebody asks for it. Bytes are a slice of their file's.

import { BinaryReader } from "@bufbuild/protobuf/wire";

export interface RawFile {
  /** With ".proto". */
  name: string;
  packageName: string;
  readonly messages: Uint8Array[];
  readonly enums: Uint8Array[];
}

export interface RawMessage {
  name: string;
  readonly fields: Uint8Array[];
  /** Those that are messages of their own, as generated code counts them. */
  readonly nested: Uint8Array[];
  /** What a map field's entries are. */
  readonly entries: Uint8Array[];
  readonly enums: Uint8Array[];
  readonly oneofs: string[];
}

export interface RawField {
  name: string;
  number: number;
  /** FieldDescriptorProto.Label. */
  label: number;
  /** FieldDescriptorProto.Type. */
  type: number;
  /** Without the leading dot. */
  typeName: string;
  oneof: number | undefined;
  jsonName: string | undefined;
  /** proto3's `optional`, whose oneof does not count. */
  isOptional: boolean;
}

export interface RawEnum {
  name: string;
  readonly values: { name: string; number: number }[];
}

/** Throws what the reader throws, and on a syntax other than proto3. */
export function readFile(bytes: Uint8Array): RawFile {
  const raw: RawFile = { name: "", packageName: "", messages: [], enums: [] };
  let syntax = "";
  for (const [no, reader, wireType] of fieldsOf(bytes)) {
    if (no === 1) raw.name = reader.string();
    else if (no === 2) raw.packageName = reader.string();
    else if (no === 4) raw.messages.push(reader.bytes());
    else if (no === 5) raw.enums.push(reader.bytes());
    else if (no === 12) syntax = reader.string();
    else reader.skip(wireType, no);
  }
  if (syntax !== "proto3") throw new Error(`${raw.name} is not of syntax proto3`);
  return raw;
}

export function readMessage(bytes: Uint8Array): RawMessage {
  const raw: RawMessage = { name: "", fields: [], nested: [], entries: [], enums: [], oneofs: [] };
  for (const [no, reader, wireType] of fieldsOf(bytes)) {
    if (no === 1) raw.name = reader.string();
    else if (no === 2) raw.fields.push(reader.bytes());
    else if (no === 3) {
      const nested = reader.bytes();
      (isMapEntry(nested) ? raw.entries : raw.nested).push(nested);
    } else if (no === 4) raw.enums.push(reader.bytes());
    else if (no === 8) raw.oneofs.push(nameOf(reader.bytes()));
    else reader.skip(wireType, no);
  }
  return raw;
}

export function readField(bytes: Uint8Array): RawField {
  const raw: RawField = {
    name: "",
    number: 0,
    label: 0,
    type: 0,
    typeName: "",
    oneof: undefined,
    jsonName: undefined,
    isOptional: false,
  };
  for (const [no, reader, wireType] of fieldsOf(bytes)) {
    if (no === 1) raw.name = reader.string();
    else if (no === 3) raw.number = reader.int32();
    else if (no === 4) raw.label = reader.int32();
    else if (no === 5) raw.type = reader.int32();
    else if (no === 6) raw.typeName = reader.string().replace(/^\./, "");
    else if (no === 9) raw.oneof = reader.int32();
    else if (no === 10) raw.jsonName = reader.string();
    else if (no === 17) raw.isOptional = reader.bool();
    else reader.skip(wireType, no);
  }
  return raw;
}

export function readEnum(bytes: Uint8Array): RawEnum {
  const raw: RawEnum = { name: "", values: [] };
  for (const [no, reader, wireType] of fieldsOf(bytes)) {
    if (no === 1) raw.name = reader.string();
    else if (no === 2) raw.values.push(readValue(reader.bytes()));
    else reader.skip(wireType, no);
  }
  return raw;
}

function readValue(bytes: Uint8Array): RawEnum["values"][number] {
  const raw = { name: "", number: 0 };
  for (const [no, reader, wireType] of fieldsOf(bytes)) {
    if (no === 1) raw.name = reader.string();
    else if (no === 2) raw.number = reader.int32();
    else reader.skip(wireType, no);
  }
  return raw;
}

function nameOf(bytes: Uint8Array): string {
  for (const [no, reader, wireType] of fieldsOf(bytes)) {
    if (no === 1) return reader.string();
    reader.skip(wireType, no);
  }
  return "";
}

/** MessageOptions.map_entry. */
function isMapEntry(bytes: Uint8Array): boolean {
  for (const [no, reader, wireType] of fieldsOf(bytes)) {
    if (no === 7) {
      for (const [option, options, optionType] of fieldsOf(reader.bytes())) {
        if (option === 7) return options.bool();
        options.skip(optionType, option);
      }
    } else reader.skip(wireType, no);
  }
  return false;
}

function* fieldsOf(bytes: Uint8Array): Generator<readonly [no: number, reader: BinaryReader, wireType: number]> {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [no, wireType] = reader.tag();
    yield [no, reader, wireType];
  }
}
