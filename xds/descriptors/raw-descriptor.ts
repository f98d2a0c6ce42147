// The parts of google/protobuf/descriptor.proto that generated code needs, read from their bytes one level deep: what is nested stays bytes
// until somebody asks for it. Bytes are a slice of their file's. Read by hand: the runtime's reader is made for messages that are
// read often, and takes five times as long in a start.

export interface RawFile {
  /** With ".proto". */
  name: string;
  packageName: string;
  readonly messages: Buffer[];
  readonly enums: Buffer[];
}

export interface RawMessage {
  name: string;
  readonly fields: Buffer[];
  /** Those that are messages of their own, as generated code counts them. */
  readonly nested: Buffer[];
  /** What a map field's entries are. */
  readonly entries: Buffer[];
  readonly enums: Buffer[];
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

/** Throws on a syntax other than proto3; `bytes` are otherwise taken for what protoc-gen-es has written. */
export function readFile(bytes: Buffer): RawFile {
  const raw: RawFile = { name: "", packageName: "", messages: [], enums: [] };
  let syntax = "";
  const fields = new Fields(bytes);
  while (fields.next()) {
    if (fields.no === 1) raw.name = fields.text();
    else if (fields.no === 2) raw.packageName = fields.text();
    else if (fields.no === 4) raw.messages.push(fields.bytes());
    else if (fields.no === 5) raw.enums.push(fields.bytes());
    else if (fields.no === 12) syntax = fields.text();
  }
  if (syntax !== "proto3") throw new Error(`${raw.name} is not of syntax proto3`);
  return raw;
}

export function readMessage(bytes: Buffer): RawMessage {
  const raw: RawMessage = { name: "", fields: [], nested: [], entries: [], enums: [], oneofs: [] };
  const fields = new Fields(bytes);
  while (fields.next()) {
    if (fields.no === 1) raw.name = fields.text();
    else if (fields.no === 2) raw.fields.push(fields.bytes());
    else if (fields.no === 3) {
      const nested = fields.bytes();
      (isMapEntry(nested) ? raw.entries : raw.nested).push(nested);
    } else if (fields.no === 4) raw.enums.push(fields.bytes());
    else if (fields.no === 8) raw.oneofs.push(nameOf(fields.bytes()));
  }
  return raw;
}

export function readField(bytes: Buffer): RawField {
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
  const fields = new Fields(bytes);
  while (fields.next()) {
    if (fields.no === 1) raw.name = fields.text();
    else if (fields.no === 3) raw.number = fields.number;
    else if (fields.no === 4) raw.label = fields.number;
    else if (fields.no === 5) raw.type = fields.number;
    else if (fields.no === 6) raw.typeName = fields.text().replace(/^\./, "");
    else if (fields.no === 9) raw.oneof = fields.number;
    else if (fields.no === 10) raw.jsonName = fields.text();
    else if (fields.no === 17) raw.isOptional = fields.number !== 0;
  }
  return raw;
}

export function readEnum(bytes: Buffer): RawEnum {
  const raw: RawEnum = { name: "", values: [] };
  const fields = new Fields(bytes);
  while (fields.next()) {
    if (fields.no === 1) raw.name = fields.text();
    else if (fields.no === 2) raw.values.push(readValue(fields.bytes()));
  }
  return raw;
}

/** The name of a message, enum or oneof. */
export function nameOf(bytes: Buffer): string {
  const fields = new Fields(bytes);
  while (fields.next()) {
    if (fields.no === 1) return fields.text();
  }
  return "";
}

function readValue(bytes: Buffer): RawEnum["values"][number] {
  const raw = { name: "", number: 0 };
  const fields = new Fields(bytes);
  while (fields.next()) {
    if (fields.no === 1) raw.name = fields.text();
    else if (fields.no === 2) raw.number = fields.number;
  }
  return raw;
}

/** MessageOptions.map_entry. */
function isMapEntry(bytes: Buffer): boolean {
  const fields = new Fields(bytes);
  while (fields.next()) {
    if (fields.no !== 7) continue;
    const options = new Fields(fields.bytes());
    while (options.next()) {
      if (options.no === 7) return options.number !== 0;
    }
  }
  return false;
}

/** The fields of a serialised message, one after the other. Descriptors have varints and what has a length, and nothing else. */
class Fields {
  no = 0;
  /** Its value when it is a varint, which is right for 32 bits. */
  number = 0;
  readonly #bytes: Buffer;
  #pos = 0;
  #start = 0;
  #end = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Goes to the next field; false at the end. */
  next(): boolean {
    if (this.#pos >= this.#bytes.length) return false;
    const tag = this.#varint();
    this.no = tag >>> 3;
    const value = this.#varint();
    if ((tag & 7) === 0) {
      this.number = value;
    } else if ((tag & 7) === 2) {
      this.#start = this.#pos;
      this.#end = this.#pos += value;
    } else {
      throw new Error(`wire type ${tag & 7} in a descriptor`);
    }
    return true;
  }

  bytes(): Buffer {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  /** Names are ASCII. */
  text(): string {
    return this.#bytes.toString("latin1", this.#start, this.#end);
  }

  #varint(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.#bytes[this.#pos++] ?? 0;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }
}
