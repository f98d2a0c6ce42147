// The little of protobuf's wire format that arguments of host functions need: top-level fields, of which the last wins.
// Guests write it, so everything is checked; nested messages and groups are not read. protobuf.dev/programming-guides/encoding

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;
/** Bytes of the longest varint. */
const MAX_VARINT = 10;

export interface ProtoFields {
  /** Varints, by field number, as far as a double holds them. */
  readonly numbers: ReadonlyMap<number, number>;
  /** Strings, bytes and messages, by field number; views of the input. */
  readonly bytes: ReadonlyMap<number, Uint8Array>;
}

/** The fields of a message, or undefined when the bytes are none. */
export function readFields(message: Uint8Array): ProtoFields | undefined {
  const numbers = new Map<number, number>();
  const bytes = new Map<number, Uint8Array>();
  const isMessage = walkFields(message, numbers, (field, value) => bytes.set(field, value));
  return isMessage ? { numbers, bytes } : undefined;
}

/** Every value of one repeated string, bytes or message field, in order; undefined when the bytes are no message. */
export function repeatedBytes(message: Uint8Array, wanted: number): Uint8Array[] | undefined {
  const values: Uint8Array[] = [];
  const isMessage = walkFields(message, new Map(), (field, value) => {
    if (field === wanted) values.push(value);
  });
  return isMessage ? values : undefined;
}

/** False when the bytes are no message. */
function walkFields(
  message: Uint8Array,
  numbers: Map<number, number>,
  onBytes: (field: number, value: Uint8Array) => void,
): boolean {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let i = 0; i < MAX_VARINT; i++) {
      const byte = message[at++];
      if (byte === undefined) return -1;
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    return -1;
  };
  while (at < message.length) {
    const tag = varint();
    const field = Math.floor(tag / 8);
    if (tag < 0 || field === 0) return false;
    switch (tag % 8) {
      case VARINT: {
        const value = varint();
        if (value < 0) return false;
        numbers.set(field, value);
        break;
      }
      case LENGTH: {
        const length = varint();
        if (length < 0 || at + length > message.length) return false;
        onBytes(field, message.subarray(at, at + length));
        at += length;
        break;
      }
      case FIXED64:
        at += 8;
        break;
      case FIXED32:
        at += 4;
        break;
      default:
        return false;
    }
  }
  return at === message.length;
}

/** A message of one-varint and length-delimited fields; fields that are 0 or empty are left out, as in proto3. */
export function writeFields(fields: readonly (readonly [number, number | Uint8Array])[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [field, value] of fields) {
    if (typeof value === "number") {
      if (value !== 0) parts.push(varintBytes(field * 8 + VARINT), varintBytes(value));
    } else if (value.length > 0) parts.push(varintBytes(field * 8 + LENGTH), varintBytes(value.length), value);
  }
  return Buffer.concat(parts);
}

function varintBytes(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  bytes.push(rest);
  return Uint8Array.from(bytes);
}
