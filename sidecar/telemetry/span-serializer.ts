// Finished spans as OTLP protobuf (opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest).
// The SDK's serializer walks every character twice; with a hook's twelve attributes that is 7 µs a span and most of what
// tracing costs. Here attributes that repeat (a plugin's name, digest, callback …) are encoded once and copied: 1 µs.
// Used by tracing.ts, which hands it to the SDK's OTLP exporters. test/bench/spans.ts measures both.
//
// Lengths of large messages are padded varints (three or four bytes whatever their value), which every protobuf
// decoder takes, so that nothing has to be moved once a message's length is known.

import type { FinishedSpan } from "./hook-spans.ts";

type Attributes = FinishedSpan["attributes"];
type AttributeValue = Attributes[string];

/** Encoded attributes kept for each key; a key with more values than that is not cached any more. */
const MAX_CACHED_VALUES = 64;
/** Keys that are cached; custom tags and resource attributes come from configuration. */
const MAX_CACHED_KEYS = 256;
/** The buffer is kept between batches up to this size. */
const MAX_KEPT_BYTES = 4 * 1024 * 1024;

interface KeyCache {
  /** `0x0a length key`, the key's part of a KeyValue. */
  readonly prefix: Uint8Array;
  /** Whole KeyValues with their tag, by text value; undefined once there were too many. */
  values: Map<string, Uint8Array> | undefined;
}

/** One for the process: caches and a buffer. Not re-entrant, which nothing here needs. */
export class SpanSerializer {
  #buffer = Buffer.allocUnsafeSlow(256 * 1024);
  #at = 0;
  readonly #keys = new Map<string, KeyCache>();

  /** The request's bytes, the caller's own. */
  serialize(spans: readonly FinishedSpan[]): Uint8Array {
    this.#at = 0;
    let from = 0;
    while (from < spans.length) {
      const { resource, instrumentationScope } = spans[from] as FinishedSpan;
      let to = from + 1;
      while (to < spans.length && spans[to]?.resource === resource) {
        to++;
      }
      this.#reserve(64);
      this.#byte(0x0a);
      const resourceSpans = this.#open(4);
      this.#resource(resource.attributes);
      this.#byte(0x12);
      const scopeSpans = this.#open(4);
      this.#scope(instrumentationScope.name, instrumentationScope.version ?? "");
      for (let i = from; i < to; i++) {
        this.#span(spans[i] as FinishedSpan);
      }
      this.#close(scopeSpans, 4);
      this.#close(resourceSpans, 4);
      from = to;
    }
    const bytes = Uint8Array.prototype.slice.call(this.#buffer, 0, this.#at);
    if (this.#buffer.length > MAX_KEPT_BYTES) {
      this.#buffer = Buffer.allocUnsafeSlow(256 * 1024);
    }
    return bytes;
  }

  #resource(attributes: Attributes): void {
    this.#byte(0x0a);
    const resource = this.#open(3);
    this.#attributes(0x0a, attributes);
    this.#close(resource, 3);
  }

  #scope(name: string, version: string): void {
    this.#reserve(32 + 3 * (name.length + version.length));
    this.#byte(0x0a);
    const scope = this.#open(3);
    this.#text(0x0a, name);
    this.#text(0x12, version);
    this.#close(scope, 3);
  }

  #span(span: FinishedSpan): void {
    const context = span.spanContext();
    const parent = span.parentSpanContext;
    const state = context.traceState?.serialize() ?? "";
    this.#reserve(256 + 3 * (span.name.length + state.length));
    this.#byte(0x12);
    const message = this.#open(3);
    this.#hex(0x0a, context.traceId);
    this.#hex(0x12, context.spanId);
    this.#text(0x1a, state);
    if (parent !== undefined) {
      this.#hex(0x22, parent.spanId);
    }
    this.#text(0x2a, span.name);
    this.#byte(0x30);
    this.#byte(span.kind + 1);
    this.#time(0x39, span.startTime);
    this.#time(0x41, span.endTime);
    this.#attributes(0x4a, span.attributes);
    for (const event of span.events) {
      this.#event(event.time, event.name, event.attributes ?? {});
    }
    for (const link of span.links) {
      this.#link(link.context.traceId, link.context.spanId, link.context.traceFlags);
    }
    this.#status(span.status.code, span.status.message ?? "");
    // flags: the W3C flags, "it is known whether the parent is remote", and whether it is.
    this.#reserve(8);
    this.#buffer[this.#at++] = 0x85;
    this.#buffer[this.#at++] = 0x01;
    this.#fixed32((context.traceFlags & 0xff) | 0x100 | (parent?.isRemote === true ? 0x200 : 0));
    this.#close(message, 3);
  }

  #event(time: readonly [number, number], name: string, attributes: Attributes): void {
    this.#reserve(32 + 3 * name.length);
    this.#byte(0x5a);
    const message = this.#open(3);
    this.#time(0x09, time);
    this.#text(0x12, name);
    this.#attributes(0x1a, attributes);
    this.#close(message, 3);
  }

  #link(traceId: string, spanId: string, traceFlags: number): void {
    this.#reserve(64);
    this.#byte(0x6a);
    const message = this.#open(3);
    this.#hex(0x0a, traceId);
    this.#hex(0x12, spanId);
    this.#byte(0x35);
    this.#fixed32((traceFlags & 0xff) | 0x100);
    this.#close(message, 3);
  }

  #status(code: number, text: string): void {
    if (code === 0) {
      return;
    }
    this.#reserve(16 + 3 * text.length);
    this.#byte(0x7a);
    const message = this.#open(3);
    this.#text(0x12, text);
    this.#byte(0x18);
    this.#byte(code);
    this.#close(message, 3);
  }

  #attributes(tag: number, attributes: Attributes): void {
    for (const key in attributes) {
      this.#attribute(tag, key, attributes[key]);
    }
  }

  /** A KeyValue under `tag`. Values of other types than text, number and boolean do not occur and are left out. */
  #attribute(tag: number, key: string, value: AttributeValue): void {
    const cache = this.#cacheOf(key);
    if (typeof value === "string") {
      this.#textAttribute(tag, cache, value);
    } else if (typeof value === "number") {
      this.#reserve(cache.prefix.length + 32);
      this.#numberAttribute(tag, cache.prefix, value);
    } else if (typeof value === "boolean") {
      this.#reserve(cache.prefix.length + 32);
      this.#keyValue(tag, cache.prefix, 2);
      this.#byte(0x10);
      this.#byte(value ? 1 : 0);
    }
  }

  #textAttribute(tag: number, cache: KeyCache, value: string): void {
    const known = cache.values?.get(value);
    if (known !== undefined) {
      this.#reserve(known.length + 1);
      this.#byte(tag);
      this.#copy(known);
      return;
    }
    this.#reserve(cache.prefix.length + 32 + 3 * value.length);
    const size = Buffer.byteLength(value);
    const start = this.#at + 1;
    // AnyValue: string_value = 1.
    this.#keyValue(tag, cache.prefix, 1 + varintSize(size) + size);
    this.#byte(0x0a);
    this.#varint(size);
    this.#at += this.#buffer.write(value, this.#at, "utf8");
    if (cache.values !== undefined) {
      if (cache.values.size < MAX_CACHED_VALUES && size <= 128) {
        cache.values.set(value, Uint8Array.prototype.slice.call(this.#buffer, start, this.#at));
      } else {
        cache.values = undefined;
      }
    }
  }

  #numberAttribute(tag: number, prefix: Uint8Array, value: number): void {
    if (Number.isSafeInteger(value) && value >= 0) {
      // int_value = 3.
      this.#keyValue(tag, prefix, 1 + varintSize(value));
      this.#byte(0x18);
      this.#varint(value);
      return;
    }
    if (Number.isInteger(value) && value >= -(2 ** 63) && value < 2 ** 63) {
      // Negative or beyond 2^53: rare, so the plain way.
      let rest = BigInt.asUintN(64, BigInt(value));
      const bytes: number[] = [];
      for (; rest >= 128n; rest >>= 7n) {
        bytes.push(Number(rest & 127n) | 128);
      }
      bytes.push(Number(rest));
      this.#keyValue(tag, prefix, 1 + bytes.length);
      this.#byte(0x18);
      bytes.forEach((byte) => this.#byte(byte));
      return;
    }
    // double_value = 4.
    this.#keyValue(tag, prefix, 9);
    this.#byte(0x21);
    this.#at = this.#buffer.writeDoubleLE(value, this.#at);
  }

  /** A KeyValue's head: everything before its AnyValue's `valueSize` bytes, which must be below 2^28. */
  #keyValue(tag: number, prefix: Uint8Array, valueSize: number): void {
    this.#byte(tag);
    this.#varint(prefix.length + 1 + varintSize(valueSize) + valueSize);
    this.#copy(prefix);
    this.#byte(0x12);
    this.#varint(valueSize);
  }

  #cacheOf(key: string): KeyCache {
    let cache = this.#keys.get(key);
    if (cache === undefined) {
      const text = Buffer.from(key);
      const prefix = Buffer.alloc(1 + varintSize(text.length) + text.length);
      prefix[0] = 0x0a;
      text.copy(prefix, writeVarint(prefix, 1, text.length));
      cache = { prefix, values: new Map() };
      if (this.#keys.size < MAX_CACHED_KEYS) {
        this.#keys.set(key, cache);
      }
    }
    return cache;
  }

  /** A text field; nothing when it is empty. The caller has reserved three bytes a character and some. */
  #text(tag: number, text: string): void {
    if (text === "") {
      return;
    }
    this.#byte(tag);
    const size = Buffer.byteLength(text);
    this.#varint(size);
    this.#at += this.#buffer.write(text, this.#at, "utf8");
  }

  #hex(tag: number, id: string): void {
    const buffer = this.#buffer;
    let at = this.#at;
    buffer[at++] = tag;
    buffer[at++] = id.length >>> 1;
    for (let i = 0; i + 1 < id.length; i += 2) {
      buffer[at++] = (nibble(id.charCodeAt(i)) << 4) | nibble(id.charCodeAt(i + 1));
    }
    this.#at = at;
  }

  /** Seconds and nanoseconds as one fixed64, without BigInt: seconds in two parts of 16 bits and more. */
  #time(tag: number, time: readonly [number, number]): void {
    this.#byte(tag);
    const [seconds, nanos] = time;
    const upper = Math.floor(seconds / 65_536) * 1e9;
    const lower = (seconds % 65_536) * 1e9 + nanos;
    const low = (upper % 65_536) * 65_536 + (lower % 2 ** 32);
    this.#fixed32(low >>> 0);
    this.#fixed32(Math.floor(upper / 65_536) + Math.floor(lower / 2 ** 32) + Math.floor(low / 2 ** 32));
  }

  #fixed32(value: number): void {
    const buffer = this.#buffer;
    buffer[this.#at++] = value & 255;
    buffer[this.#at++] = (value >>> 8) & 255;
    buffer[this.#at++] = (value >>> 16) & 255;
    buffer[this.#at++] = value >>> 24;
  }

  #byte(value: number): void {
    this.#buffer[this.#at++] = value;
  }

  #varint(value: number): void {
    this.#at = writeVarint(this.#buffer, this.#at, value);
  }

  #copy(bytes: Uint8Array): void {
    const buffer = this.#buffer;
    let at = this.#at;
    for (let i = 0; i < bytes.length; i++) {
      buffer[at++] = bytes[i] as number;
    }
    this.#at = at;
  }

  /** Leaves room for a length of `size` bytes; its place. */
  #open(size: number): number {
    const at = this.#at;
    this.#at += size;
    return at;
  }

  /** Writes the length of what followed `open` as a padded varint. */
  #close(at: number, size: number): void {
    let length = this.#at - at - size;
    for (let i = 0; i < size - 1; i++) {
      this.#buffer[at + i] = (length & 127) | 128;
      length >>>= 7;
    }
    this.#buffer[at + size - 1] = length;
  }

  #reserve(count: number): void {
    const needed = this.#at + count;
    if (needed > this.#buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, this.#at);
      this.#buffer = grown;
    }
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
