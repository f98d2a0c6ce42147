// One header section of an HTTP/1.1 message: the head with its start line, or the trailers. Bytes → offsets.
// Owned by h1-parser.ts. Hot path: a section that lies in one chunk is scanned in place, in one pass, and decoded once as
// latin1; one that is split is collected first, up to the limit, and the scan goes on from where it stopped, so the work is
// linear however small the pieces are. RFC 9112 §3–§5: only CR LF ends a line, no folding, no space before a colon.

import { H1_FAILURE, type H1Failure } from "./h1-failure.ts";
import { BYTE_CLASS, fieldBit, FIELD, isWord, LINE, parseContentLength, TOKEN, VALUE } from "./h1-fields.ts";
import { HeaderMap, SPARE_OFFSETS } from "./headers.ts";

export interface H1Limits {
  /** Bytes of a head, or of a trailer section, with its line ends. Envoy: `max_request_headers_kb`, 60 KiB. */
  readonly maxHeadBytes: number;
  /** Fields in a head, or in a trailer section. Envoy: `max_headers_count`, 100. */
  readonly maxFields: number;
  /** Bytes of chunk extensions in one message. Nobody uses them; Node allows 16 KiB. */
  readonly maxChunkExtensionBytes: number;
}

/** Undocumented but stable method of Buffer: no option parsing, so faster than `toString("latin1")` on short heads. */
export interface Latin1Buffer extends Buffer {
  latin1Slice(start: number, end: number): string;
}

/** What a section begins with. */
export const REQUEST_LINE = 0;
export const STATUS_LINE = 1;
export const NO_LINE = 2;

const IN_LINE = 0;
const IN_NAME = 1;
const BEFORE_VALUE = 2;
const IN_VALUE = 3;

const CR = 13;
const LF = 10;
const TAB = 9;
const SPACE = 32;
const COLON = 58;

const INCOMPLETE = -1;
const FORBIDDEN_TRAILERS = FIELD.contentLength | FIELD.transferEncoding | FIELD.host;
const FIRST_HOLD_BYTES = 1024;

export class H1Section {
  // The result, valid once `isComplete`.
  isComplete = false;
  failure: H1Failure | undefined = undefined;
  /** The whole section as latin1. */
  raw = "";
  /** How many fields there are. */
  count = 0;
  /** Bits of `FIELD`; only of the names for trailers. */
  fields = 0;
  contentLength = -1;
  isChunked = false;
  /** Connection has `close`, or `keep-alive`. */
  saysClose = false;
  saysKeepAlive = false;
  minorVersion = 1;
  status = 0;
  /** Ends of the method and of the start line. */
  methodEnd = 0;
  lineEnd = 0;

  readonly #limits: H1Limits;
  // Four offsets for each field, as HeaderMap wants them. Used again and again, so that a map gets an array of the right size.
  readonly #pos: number[] = [];
  #kind = REQUEST_LINE;
  #phase = IN_LINE;
  // Offsets count from the section's first byte.
  #scanned = 0;
  #lines = 0;
  #nameStart = 0;
  #nameEnd = 0;
  #valueStart = 0;
  #held: Buffer | undefined = undefined;
  #heldBytes = 0;

  constructor(limits: H1Limits) {
    this.#limits = limits;
  }

  /** True when some bytes of an unfinished section have come. */
  get hasBegun(): boolean {
    return this.#heldBytes > 0;
  }

  /** Starts a new section: `REQUEST_LINE`, `STATUS_LINE` or `NO_LINE` (trailers). */
  begin(kind: number): void {
    this.#kind = kind;
    this.#phase = kind === NO_LINE ? IN_NAME : IN_LINE;
    this.#scanned = 0;
    this.#lines = 0;
    this.#nameStart = 0;
    this.isComplete = false;
    this.count = 0;
    this.fields = 0;
    if (kind !== NO_LINE) {
      this.contentLength = -1;
      this.isChunked = false;
      this.saysClose = false;
      this.saysKeepAlive = false;
    }
  }

  /** The fields of the complete section. */
  takeHeaders(): HeaderMap {
    const end = this.count * 4;
    while (this.#pos.length < end + SPARE_OFFSETS) {
      this.#pos.push(0);
    }
    return new HeaderMap(this.raw, this.#pos.slice(0, end + SPARE_OFFSETS), end);
  }

  /** Takes bytes up to the section's end and returns where it stopped; then see `isComplete` and `failure`. */
  execute(buffer: Buffer, start: number, end: number): number {
    const limit = this.#limits.maxHeadBytes;
    const before = this.#heldBytes;
    const length = Math.min(before + end - start, limit);
    let bytes = buffer;
    let base = start;
    if (before > 0) {
      bytes = this.#hold(buffer, start, length - before);
      base = 0;
    }
    const sectionEnd = this.#scan(bytes, base, base + length);
    if (this.failure !== undefined) {
      return start;
    }
    if (sectionEnd === INCOMPLETE) {
      if (length === limit) {
        const inTarget = this.#kind === REQUEST_LINE && this.#phase === IN_LINE;
        this.#fail(inTarget ? H1_FAILURE.targetTooLarge : H1_FAILURE.headTooLarge);
      } else if (before === 0) {
        this.#hold(buffer, start, length);
      }
      return end;
    }
    this.raw = (bytes as Latin1Buffer).latin1Slice(base, sectionEnd);
    this.isComplete = true;
    this.#held = undefined;
    this.#heldBytes = 0;
    return start + sectionEnd - base - before;
  }

  #fail(failure: H1Failure): void {
    this.failure = failure;
    this.#held = undefined;
    this.#heldBytes = 0;
  }

  #hold(buffer: Buffer, start: number, length: number): Buffer {
    let held = this.#held;
    const total = this.#heldBytes + length;
    if (held === undefined || held.length < total) {
      const grown = Buffer.allocUnsafeSlow(Math.max(FIRST_HOLD_BYTES, total * 2));
      if (held !== undefined) {
        grown.set(held.subarray(0, this.#heldBytes));
      }
      this.#held = held = grown;
    }
    buffer.copy(held, this.#heldBytes, start, start + length);
    this.#heldBytes = total;
    return held;
  }

  // Scans from where it stopped; returns the end of the section, or INCOMPLETE, or anything after #fail.
  #scan(bytes: Uint8Array, base: number, end: number): number {
    const classes = BYTE_CLASS;
    let at = base + this.#scanned;
    while (at < end) {
      if (this.#phase === IN_NAME) {
        while (at < end && ((classes[bytes[at] as number] as number) & TOKEN) !== 0) {
          at++;
        }
        if (at >= end) {
          break;
        }
        const byte = bytes[at] as number;
        if (byte === COLON && at - base > this.#nameStart) {
          this.#nameEnd = at - base;
          this.#phase = BEFORE_VALUE;
          at++;
        } else if (byte === CR && at - base === this.#nameStart) {
          if (at + 1 >= end) {
            break;
          }
          if (bytes[at + 1] === LF) {
            return at + 2;
          }
          this.#fail(H1_FAILURE.lineEnd);
          return at;
        } else {
          const folded = (byte === SPACE || byte === TAB) && at - base === this.#nameStart;
          this.#fail(byte === LF ? H1_FAILURE.lineEnd : folded ? H1_FAILURE.folded : H1_FAILURE.fieldName);
          return at;
        }
      }
      if (this.#phase === BEFORE_VALUE) {
        while (at < end && (bytes[at] === SPACE || bytes[at] === TAB)) {
          at++;
        }
        if (at >= end) {
          break;
        }
        this.#valueStart = at - base;
        this.#phase = IN_VALUE;
      }
      const inLine = this.#phase === IN_LINE;
      const mask = inLine && this.#kind === REQUEST_LINE ? LINE : VALUE;
      while (at < end && ((classes[bytes[at] as number] as number) & mask) !== 0) {
        at++;
      }
      if (at >= end || (bytes[at] === CR && at + 1 >= end)) {
        break;
      }
      if (bytes[at] !== CR || bytes[at + 1] !== LF) {
        const byte = bytes[at];
        this.#fail(
          byte === CR || byte === LF ? H1_FAILURE.lineEnd : inLine ? H1_FAILURE.startLine : H1_FAILURE.fieldValue,
        );
        return at;
      }
      if (inLine ? !this.#startLine(bytes, base, at) : !this.#field(bytes, base, at)) {
        return at;
      }
      at += 2;
      this.#nameStart = at - base;
      this.#phase = IN_NAME;
    }
    this.#scanned = at - base;
    return INCOMPLETE;
  }

  // The start line is bytes[base, end). Leaves methodEnd and lineEnd; the text comes later.
  #startLine(bytes: Uint8Array, base: number, end: number): boolean {
    this.lineEnd = end - base;
    const failure =
      this.#kind === REQUEST_LINE ? this.#requestLine(bytes, base, end) : this.#statusLine(bytes, base, end);
    if (failure !== undefined) {
      this.#fail(failure);
    }
    return failure === undefined;
  }

  // method SP request-target SP HTTP-version
  #requestLine(bytes: Uint8Array, base: number, end: number): H1Failure | undefined {
    let at = base;
    while (((BYTE_CLASS[bytes[at] as number] as number) & TOKEN) !== 0) {
      at++;
    }
    const targetEnd = end - 9;
    if (at === base || bytes[at] !== SPACE || targetEnd <= at + 1 || bytes[targetEnd] !== SPACE) {
      return H1_FAILURE.startLine;
    }
    this.methodEnd = at - base;
    for (at++; at < targetEnd; at++) {
      if (bytes[at] === SPACE) {
        return H1_FAILURE.startLine;
      }
    }
    return this.#version(bytes, targetEnd + 1);
  }

  // HTTP-version SP status-code [SP reason-phrase]; many servers leave the last space out with an empty reason.
  #statusLine(bytes: Uint8Array, base: number, end: number): H1Failure | undefined {
    if (end - base < 12 || bytes[base + 8] !== SPACE || (end - base > 12 && bytes[base + 12] !== SPACE)) {
      return H1_FAILURE.startLine;
    }
    const status = parseContentLength(bytes, base + 9, base + 12);
    if (status < 100) {
      return H1_FAILURE.startLine;
    }
    this.status = status;
    return this.#version(bytes, base);
  }

  #version(bytes: Uint8Array, at: number): H1Failure | undefined {
    const major = (bytes[at + 5] as number) - 0x30;
    const minor = (bytes[at + 7] as number) - 0x30;
    if (
      bytes[at] !== 0x48 ||
      bytes[at + 1] !== 0x54 ||
      bytes[at + 2] !== 0x54 ||
      bytes[at + 3] !== 0x50 ||
      bytes[at + 4] !== 0x2f ||
      bytes[at + 6] !== 0x2e ||
      major < 0 ||
      major > 9 ||
      minor < 0 ||
      minor > 9
    ) {
      return H1_FAILURE.startLine;
    }
    if (major !== 1 || minor > 1) {
      return H1_FAILURE.version;
    }
    this.minorVersion = minor;
    return undefined;
  }

  // A field line ends at `lineEnd`; its parts are in #nameStart, #nameEnd and #valueStart.
  #field(bytes: Uint8Array, base: number, lineEnd: number): boolean {
    if (++this.#lines > this.#limits.maxFields) {
      this.#fail(H1_FAILURE.tooManyFields);
      return false;
    }
    const valueStart = base + this.#valueStart;
    let valueEnd = lineEnd;
    while (valueEnd > valueStart && (bytes[valueEnd - 1] === SPACE || bytes[valueEnd - 1] === TAB)) {
      valueEnd--;
    }
    const bit = fieldBit(bytes, base + this.#nameStart, base + this.#nameEnd);
    if (bit === FIELD.connection && this.#plainConnection(bytes, valueStart, valueEnd)) {
      return true;
    }
    const pos = this.#pos;
    const at = this.count * 4;
    pos[at] = this.#nameStart;
    pos[at + 1] = this.#nameEnd;
    pos[at + 2] = this.#valueStart;
    pos[at + 3] = valueEnd - base;
    this.count++;
    if (bit !== 0) {
      const failure = this.#recognised(bit, bytes, valueStart, valueEnd);
      this.fields |= bit;
      if (failure !== undefined) {
        this.#fail(failure);
        return false;
      }
    }
    return true;
  }

  // `Connection: close` and `Connection: keep-alive` say nothing but what the parser itself needs: they end here, which
  // spares everybody else their removal. Any other value is kept, and read once the text is there.
  #plainConnection(bytes: Uint8Array, start: number, end: number): boolean {
    if (isWord(bytes, start, end, "keep-alive")) {
      this.saysKeepAlive = true;
      return true;
    }
    if (isWord(bytes, start, end, "close")) {
      this.saysClose = true;
      return true;
    }
    return false;
  }

  #recognised(bit: number, bytes: Uint8Array, start: number, end: number): H1Failure | undefined {
    if (this.#kind === NO_LINE) {
      return (bit & FORBIDDEN_TRAILERS) !== 0 ? H1_FAILURE.trailerName : undefined;
    }
    const again = (this.fields & bit) !== 0;
    if (bit === FIELD.contentLength) {
      this.contentLength = parseContentLength(bytes, start, end);
      return again ? H1_FAILURE.repeatedLength : this.contentLength < 0 ? H1_FAILURE.contentLength : undefined;
    }
    if (bit === FIELD.transferEncoding) {
      this.isChunked = isWord(bytes, start, end, "chunked");
      return again ? H1_FAILURE.repeatedEncoding : this.isChunked ? undefined : H1_FAILURE.encoding;
    }
    return bit === FIELD.host && again && this.#kind === REQUEST_LINE ? H1_FAILURE.repeatedHost : undefined;
  }
}
