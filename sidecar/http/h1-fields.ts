// Byte classes of HTTP/1.1 and the recognition of the fields that a codec must know, without making strings.
// Called by h1-parser.ts for each field name. Hot path. RFC 9110 §5.1, §5.5, §5.6.2; RFC 9112 §2–§5.

/** May stand in a token: method and field names. */
export const TOKEN = 1;
/** May stand in a field value: visible characters, space, tab and obs-text. */
export const VALUE = 2;
/** May stand in a start line: visible ASCII and space. */
export const LINE = 4;
/** Reason phrases allow what values allow. */

/** What each byte may be: a set of `TOKEN`, `VALUE` and `LINE`. */
export const BYTE_CLASS: Uint8Array = buildByteClasses();

function buildByteClasses(): Uint8Array {
  const classes = new Uint8Array(256);
  for (let byte = 0; byte < 256; byte++) {
    const visible = byte > 0x20 && byte < 0x7f;
    if (visible && /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(String.fromCharCode(byte))) {
      classes[byte] = TOKEN;
    }
    if (visible || byte === 0x20 || byte === 0x09 || byte >= 0x80) {
      classes[byte] = (classes[byte] as number) | VALUE;
    }
    if (visible || byte === 0x20) {
      classes[byte] = (classes[byte] as number) | LINE;
    }
  }
  return classes;
}

/** Bits of `H1Parser.fields`: which fields the head has, so that whoever handles one can skip the search for it. */
export const FIELD = {
  host: 1,
  contentLength: 2,
  transferEncoding: 4,
  connection: 8,
  keepAlive: 16,
  proxyConnection: 32,
  te: 64,
  upgrade: 128,
  expect: 256,
  trailer: 512,
  /** Some name begins with `x-envoy-`. */
  xEnvoy: 2048,
  /** Some name begins with `x-forwarded-`. */
  xForwarded: 4096,
  xRequestId: 8192,
  date: 16384,
  server: 32768,
} as const;

/** Fields that make work for hop-by-hop.ts. */
export const HOP_BY_HOP =
  FIELD.transferEncoding |
  FIELD.connection |
  FIELD.keepAlive |
  FIELD.proxyConnection |
  FIELD.te |
  FIELD.upgrade |
  FIELD.trailer;

/** The bit of `FIELD` for the name in `bytes[start, end)`, 0 for any other name. The prefix bits are included. */
export function fieldBit(bytes: Uint8Array, start: number, end: number): number {
  switch (end - start) {
    case 2:
      return equals(bytes, start, "te") ? FIELD.te : 0;
    case 4:
      return equals(bytes, start, "host") ? FIELD.host : equals(bytes, start, "date") ? FIELD.date : 0;
    case 6:
      return equals(bytes, start, "expect") ? FIELD.expect : equals(bytes, start, "server") ? FIELD.server : 0;
    case 7:
      return equals(bytes, start, "upgrade") ? FIELD.upgrade : equals(bytes, start, "trailer") ? FIELD.trailer : 0;
    case 10:
      return equals(bytes, start, "connection")
        ? FIELD.connection
        : equals(bytes, start, "keep-alive")
          ? FIELD.keepAlive
          : 0;
    case 12:
      return equals(bytes, start, "x-request-id") ? FIELD.xRequestId : prefixBit(bytes, start, 12);
    case 14:
      return equals(bytes, start, "content-length") ? FIELD.contentLength : prefixBit(bytes, start, 14);
    case 16:
      return equals(bytes, start, "proxy-connection") ? FIELD.proxyConnection : prefixBit(bytes, start, 16);
    case 17:
      return equals(bytes, start, "transfer-encoding") ? FIELD.transferEncoding : prefixBit(bytes, start, 17);
    default:
      return prefixBit(bytes, start, end - start);
  }
}

function prefixBit(bytes: Uint8Array, start: number, length: number): number {
  if (((bytes[start] as number) | 0x20) !== 0x78 || bytes[start + 1] !== 0x2d || length < 8) {
    return 0;
  }
  if (equals(bytes, start, "x-envoy-")) {
    return FIELD.xEnvoy;
  }
  return length > 12 && equals(bytes, start, "x-forwarded-") ? FIELD.xForwarded : 0;
}

/** Compares token bytes with `name` (lower case letters and `-`), ignoring case; `name`'s length must be available. */
function equals(bytes: Uint8Array, start: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    // In a token only A–Z gain bit 0x20 into a–z, so setting it cannot make a wrong byte match.
    if (((bytes[start + i] as number) | 0x20) !== name.charCodeAt(i)) {
      return false;
    }
  }
  return true;
}

/** Digits only, as RFC 9110 §8.6 has it: the number, or -1 for anything else or more than 2^53-1. */
export function parseContentLength(bytes: Uint8Array, start: number, end: number): number {
  if (end === start || end - start > 16) {
    return -1;
  }
  let length = 0;
  for (let at = start; at < end; at++) {
    const digit = (bytes[at] as number) - 0x30;
    if (digit < 0 || digit > 9) {
      return -1;
    }
    length = length * 10 + digit;
  }
  return length <= Number.MAX_SAFE_INTEGER ? length : -1;
}

/** True when the value in `bytes[start, end)` is `word` (lower-case letters and `-`) and nothing else, ignoring case. */
export function isWord(bytes: Uint8Array, start: number, end: number, word: string): boolean {
  if (end - start !== word.length) {
    return false;
  }
  for (let i = 0; i < word.length; i++) {
    const byte = bytes[start + i] as number;
    if ((byte >= 65 && byte <= 90 ? byte | 0x20 : byte) !== word.charCodeAt(i)) {
      return false;
    }
  }
  return true;
}

/** The number of a hexadecimal digit, or -1. */
export function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) {
    return byte - 0x30;
  }
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** True when the comma-separated list `value` has `token` (lower case), ignoring case and white space. */
export function listHasToken(value: string, token: string): boolean {
  if (value.length === token.length) {
    return value.toLowerCase() === token;
  }
  if (value.length < token.length) {
    return false;
  }
  for (const part of value.split(",")) {
    if (part.trim().toLowerCase() === token) {
      return true;
    }
  }
  return false;
}
