// Writes the parts of an OTLP Span (opentelemetry.proto.trace.v1) as protobuf, straight into a buffer: no span object, no
// second pass for sizes. Lengths of messages are padded varints of three bytes whatever their value, which every protobuf
// decoder takes, so that nothing has to be moved once a length is known. Attributes whose text repeats (a route, a cluster,
// an address …) are encoded once and copied.
// Used by span-encoder.ts and request-attributes.ts on workers. Hot for sampled requests.

/** Encoded values kept for each key; a key with more of them than that is not cached any more. */
const MAX_CACHED_VALUES = 64;
/** Longest value that is cached, in characters. */
const MAX_CACHED_LENGTH = 128;
/** Shorter texts are copied character by character, which is quicker than a call into the runtime. */
const SHORT_TEXT = 64;
/** Shorter bytes are copied one by one, for the same reason. */
const SHORT_BYTES = 48;

/** Field 9 of Span, and field 3 of Span.Event: `attributes`. */
export const SPAN_ATTRIBUTES = 0x4a;
export const EVENT_ATTRIBUTES = 0x1a;

export type AttributeValue = string | number | boolean;

/** A key of attributes, encoded once. Keys come from code and configuration, so they may live as long as they like. */
export class AttributeKey {
  /** `0x0a length key`, the key's part of a KeyValue. */
  readonly prefix: Uint8Array;
  /** Whole KeyValues without their tag, by text value; undefined once there were too many. */
  values: Map<string, Uint8Array> | undefined = new Map();

  constructor(name: string) {
    const text = Buffer.from(name);
    this.prefix = new Uint8Array(1 + varintSize(text.length) + text.length);
    this.prefix[0] = 0x0a;
    this.prefix.set(text, writeVarint(this.prefix, 1, text.length));
  }
}

export class OtlpWriter {
  /** Where is written, and how far it is filled. Whoever owns the buffer takes both back when a record is complete. */
  buffer: Uint8Array<ArrayBuffer>;
  at = 0;

  constructor(buffer: Uint8Array<ArrayBuffer>) {
    this.buffer = buffer;
  }

  /** Makes room for `count` more bytes: a larger buffer takes the present one's place. */
  reserve(count: number): void {
    const needed = this.at + count;
    if (needed > this.buffer.length) {
      const grown = new Uint8Array(Math.max(needed, this.buffer.length * 2));
      grown.set(this.buffer.subarray(0, this.at));
      this.buffer = grown;
    }
  }

  byte(value: number): void {
    this.buffer[this.at++] = value;
  }

  fixed32(value: number): void {
    const buffer = this.buffer;
    buffer[this.at++] = value & 255;
    buffer[this.at++] = (value >>> 8) & 255;
    buffer[this.at++] = (value >>> 16) & 255;
    buffer[this.at++] = value >>> 24;
  }

  /** A 32-bit number, the highest byte first: half of a span id. */
  bigEndian32(value: number): void {
    const buffer = this.buffer;
    buffer[this.at++] = value >>> 24;
    buffer[this.at++] = (value >>> 16) & 255;
    buffer[this.at++] = (value >>> 8) & 255;
    buffer[this.at++] = value & 255;
  }

  /** Bytes as they are; the caller has reserved their room. */
  copy(bytes: Uint8Array): void {
    const { buffer } = this;
    if (bytes.length > SHORT_BYTES) {
      buffer.set(bytes, this.at);
      this.at += bytes.length;
      return;
    }
    let at = this.at;
    for (let i = 0; i < bytes.length; i++) {
      buffer[at++] = bytes[i] as number;
    }
    this.at = at;
  }

  /** A text field; nothing when the text is empty. */
  text(tag: number, text: string): void {
    if (text !== "") {
      this.reserve(12 + 3 * text.length);
      this.byte(tag);
      this.#sizedText(text);
    }
  }

  /** Lower-case hexadecimal digits as a bytes field. The caller has reserved the room. */
  hex(tag: number, id: string): void {
    const buffer = this.buffer;
    let at = this.at;
    buffer[at++] = tag;
    buffer[at++] = id.length >>> 1;
    for (let i = 0; i + 1 < id.length; i += 2) {
      buffer[at++] = (nibble(id.charCodeAt(i)) << 4) | nibble(id.charCodeAt(i + 1));
    }
    this.at = at;
  }

  /** Milliseconds since the epoch as nanoseconds, a fixed64 field, without BigInt. The caller has reserved the room. */
  time(tag: number, milliseconds: number): void {
    const whole = Math.floor(milliseconds / 1000);
    const part = Math.round((milliseconds - whole * 1000) * 1e6);
    const seconds = part < 1e9 ? whole : whole + 1;
    const nanos = part < 1e9 ? part : 0;
    this.byte(tag);
    const upper = Math.floor(seconds / 65_536) * 1e9;
    const lower = (seconds % 65_536) * 1e9 + nanos;
    const low = (upper % 65_536) * 65_536 + (lower % 2 ** 32);
    this.fixed32(low >>> 0);
    this.fixed32(Math.floor(upper / 65_536) + Math.floor(lower / 2 ** 32) + Math.floor(low / 2 ** 32));
  }

  /** Begins a message under `tag`; give what it returns to `close`. */
  open(tag: number): number {
    this.reserve(8);
    this.byte(tag);
    const at = this.at;
    this.at += 3;
    return at;
  }

  /** Ends the message: its length, at most 2 MiB, as a padded varint. */
  close(at: number): void {
    const length = this.at - at - 3;
    this.buffer[at] = (length & 127) | 128;
    this.buffer[at + 1] = ((length >>> 7) & 127) | 128;
    this.buffer[at + 2] = (length >>> 14) & 127;
  }

  /** A KeyValue under `tag`. */
  attribute(tag: number, key: AttributeKey, value: AttributeValue): void {
    if (typeof value === "string") {
      this.textAttribute(tag, key, value);
    } else if (typeof value === "number") {
      this.numberAttribute(tag, key, value);
    } else {
      this.reserve(key.prefix.length + 32);
      this.#keyValue(tag, key, 2);
      this.byte(0x10);
      this.byte(value ? 1 : 0);
    }
  }

  textAttribute(tag: number, key: AttributeKey, value: string): void {
    const known = key.values?.get(value);
    if (known !== undefined) {
      this.reserve(known.length + 1);
      this.byte(tag);
      this.copy(known);
      return;
    }
    this.reserve(key.prefix.length + 32 + 3 * value.length);
    const size = Buffer.byteLength(value);
    const start = this.at + 1;
    // AnyValue: string_value = 1.
    this.#keyValue(tag, key, 1 + varintSize(size) + size);
    this.byte(0x0a);
    this.#sizedText(value);
    if (key.values !== undefined) {
      if (key.values.size < MAX_CACHED_VALUES && size <= MAX_CACHED_LENGTH) {
        key.values.set(value, this.buffer.slice(start, this.at));
      } else {
        key.values = undefined;
      }
    }
  }

  numberAttribute(tag: number, key: AttributeKey, value: number): void {
    this.reserve(key.prefix.length + 32);
    if (Number.isSafeInteger(value) && value >= 0) {
      // int_value = 3.
      this.#keyValue(tag, key, 1 + varintSize(value));
      this.byte(0x18);
      this.#varint(value);
    } else if (Number.isInteger(value) && value >= -(2 ** 63) && value < 2 ** 63) {
      // Negative or beyond 2^53: rare, so the plain way.
      const bytes: number[] = [];
      let rest = BigInt.asUintN(64, BigInt(value));
      for (; rest >= 128n; rest >>= 7n) {
        bytes.push(Number(rest & 127n) | 128);
      }
      bytes.push(Number(rest));
      this.#keyValue(tag, key, 1 + bytes.length);
      this.byte(0x18);
      bytes.forEach((byte) => this.byte(byte));
    } else {
      // double_value = 4.
      this.#keyValue(tag, key, 9);
      this.byte(0x21);
      new DataView(this.buffer.buffer, this.buffer.byteOffset).setFloat64(this.at, value, true);
      this.at += 8;
    }
  }

  /** A KeyValue's head: everything before its AnyValue's `valueSize` bytes, which must be below 2^28. */
  #keyValue(tag: number, key: AttributeKey, valueSize: number): void {
    this.byte(tag);
    this.#varint(key.prefix.length + 1 + varintSize(valueSize) + valueSize);
    this.copy(key.prefix);
    this.byte(0x12);
    this.#varint(valueSize);
  }

  /** A text after its length in bytes. The caller has reserved three bytes a character, and some. */
  #sizedText(text: string): void {
    if (text.length < SHORT_TEXT && this.#shortAscii(text)) {
      return;
    }
    const size = Buffer.byteLength(text);
    this.#varint(size);
    const { buffer } = this;
    this.at += Buffer.from(buffer.buffer, buffer.byteOffset, buffer.length).write(text, this.at, "utf8");
  }

  #shortAscii(text: string): boolean {
    const buffer = this.buffer;
    const start = this.at;
    let at = start;
    buffer[at++] = text.length;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > 127) {
        return false;
      }
      buffer[at++] = code;
    }
    this.at = at;
    return true;
  }

  #varint(value: number): void {
    this.at = writeVarint(this.buffer, this.at, value);
  }
}

function nibble(code: number): number {
  return code <= 57 ? code - 48 : code - 87;
}

/** Bytes of a varint; `value` is a whole number from 0 to 2^53. */
function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) {
    size++;
  }
  return size;
}

function writeVarint(buffer: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  while (rest >= 128) {
    buffer[at++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  buffer[at++] = rest;
  return at;
}
