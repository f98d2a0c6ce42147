// Protobuf's wire format, read without generated code: the fields of one message by number.
// message-value.ts reads messages with it, when somebody asks for them.

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;
const MAX_VARINT_BYTES = 10;

/** A varint as unsigned 64 bits; fixed numbers as their bytes, like strings, bytes and messages (views of the input). */
export type WireValue = bigint | Uint8Array;

/** Field number → its values in order. undefined: the bytes are no message. */
export function readWire(message: Uint8Array): ReadonlyMap<number, readonly WireValue[]> | undefined {
  const fields = new Map<number, WireValue[]>();
  const cursor = { at: 0 };
  while (cursor.at < message.length) {
    const tag = readVarint(message, cursor);
    const number = tag === undefined ? 0 : Number(tag >> 3n);
    const value = tag === undefined || number === 0 ? undefined : readValue(message, cursor, Number(tag & 7n));
    if (value === undefined) {
      return undefined;
    }
    const values = fields.get(number);
    if (values === undefined) {
      fields.set(number, [value]);
    } else {
      values.push(value);
    }
  }
  return fields;
}

function readValue(message: Uint8Array, cursor: { at: number }, type: number): WireValue | undefined {
  switch (type) {
    case VARINT:
      return readVarint(message, cursor);
    case FIXED64:
      return take(message, cursor, 8);
    case FIXED32:
      return take(message, cursor, 4);
    case LENGTH: {
      const length = readVarint(message, cursor);
      return length === undefined ? undefined : take(message, cursor, Number(length));
    }
    default:
      return undefined;
  }
}

function take(message: Uint8Array, cursor: { at: number }, length: number): Uint8Array | undefined {
  const end = cursor.at + length;
  if (end > message.length) {
    return undefined;
  }
  const bytes = message.subarray(cursor.at, end);
  cursor.at = end;
  return bytes;
}

function readVarint(message: Uint8Array, cursor: { at: number }): bigint | undefined {
  let value = 0n;
  for (let i = 0; i < MAX_VARINT_BYTES; i++) {
    const byte = message[cursor.at++];
    if (byte === undefined) {
      return undefined;
    }
    value |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte < 0x80) {
      return BigInt.asUintN(64, value);
    }
  }
  return undefined;
}

/** A message of string fields, by number; empty ones are left out. */
export function writeStrings(fields: readonly (readonly [number, string])[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [number, text] of fields) {
    if (text !== "") {
      const bytes = Buffer.from(text);
      parts.push(varint(number * 8 + LENGTH), varint(bytes.length), bytes);
    }
  }
  return Buffer.concat(parts);
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) {
    bytes.push((rest % 128) | 0x80);
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}
