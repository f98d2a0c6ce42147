// The chunked transfer coding, everything of it but the data: chunk-size [chunk-ext] CRLF, the CRLF after the data.
// Owned by h1-parser.ts, which passes the data on. RFC 9112 §7.1: hexadecimal digits only, no space, no bare LF.

import { H1_FAILURE, type H1Failure } from "./h1-failure.ts";
import { BYTE_CLASS, hexDigit, VALUE } from "./h1-fields.ts";

const SIZE = 0;
const EXTENSION = 1;
const SIZE_LF = 2;
/** `left` bytes of data follow. */
export const CHUNK_DATA = 3;
const DATA_CR = 4;
const DATA_LF = 5;
/** The trailer section follows. */
export const CHUNKS_END = 6;

const CR = 13;
const LF = 10;
const SEMICOLON = 59;
const MAX_DIGITS = 16;
const LAST_CHUNK_BYTES = 7;

export class H1Chunks {
  /** `CHUNK_DATA`, `CHUNKS_END`, or something in between. */
  state = SIZE;
  /** Bytes of data still to come in this chunk. */
  left = 0;
  failure: H1Failure | undefined = undefined;
  readonly #maxExtensionBytes: number;
  #digits = 0;
  #extensionBytes = 0;

  constructor(maxExtensionBytes: number) {
    this.#maxExtensionBytes = maxExtensionBytes;
  }

  begin(): void {
    this.state = SIZE;
    this.#digits = 0;
    this.#extensionBytes = 0;
  }

  /** Takes framing bytes until data or the trailer section begins; returns where it stopped. */
  execute(buffer: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end && this.state !== CHUNK_DATA && this.state !== CHUNKS_END) {
      this.failure = this.#byte(buffer[at] as number);
      if (this.failure !== undefined) {
        return at;
      }
      at++;
    }
    return at;
  }

  /** The data of the chunk has been taken up to `at`. Returns where the body ends when its end follows, else -1. */
  endData(buffer: Buffer, at: number, end: number): number {
    // Most often the last chunk comes together with the end of the body: one event less, and one write less later.
    if (isLastChunk(buffer, at, end)) {
      return at + LAST_CHUNK_BYTES;
    }
    this.state = DATA_CR;
    return -1;
  }

  #byte(byte: number): H1Failure | undefined {
    switch (this.state) {
      case SIZE:
        return this.#sizeByte(byte);
      case EXTENSION:
        if (byte === CR) {
          this.state = SIZE_LF;
          return undefined;
        }
        this.#extensionBytes++;
        return ((BYTE_CLASS[byte] as number) & VALUE) === 0 || this.#extensionBytes > this.#maxExtensionBytes
          ? H1_FAILURE.chunkExtension
          : undefined;
      case SIZE_LF:
        if (byte !== LF) {
          return H1_FAILURE.lineEnd;
        }
        this.#digits = 0;
        this.state = this.left > 0 ? CHUNK_DATA : CHUNKS_END;
        return undefined;
      case DATA_CR:
        this.state = DATA_LF;
        return byte === CR ? undefined : H1_FAILURE.chunkEnd;
      default:
        this.state = SIZE;
        return byte === LF ? undefined : H1_FAILURE.chunkEnd;
    }
  }

  #sizeByte(byte: number): H1Failure | undefined {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      this.left = (this.#digits === 0 ? 0 : this.left * 16) + digit;
      return ++this.#digits > MAX_DIGITS || this.left > Number.MAX_SAFE_INTEGER ? H1_FAILURE.chunkSize : undefined;
    }
    if (this.#digits === 0) {
      return H1_FAILURE.chunkSize;
    }
    if (byte === SEMICOLON) {
      this.state = EXTENSION;
      this.#extensionBytes++;
      return undefined;
    }
    this.state = SIZE_LF;
    return byte === CR ? undefined : byte === LF ? H1_FAILURE.lineEnd : H1_FAILURE.chunkSize;
  }
}

/** True when CRLF, the last chunk and an empty trailer section follow at `at`. */
function isLastChunk(buffer: Buffer, at: number, end: number): boolean {
  return (
    at + LAST_CHUNK_BYTES <= end &&
    buffer[at] === CR &&
    buffer[at + 1] === LF &&
    buffer[at + 2] === 0x30 &&
    buffer[at + 3] === CR &&
    buffer[at + 4] === LF &&
    buffer[at + 5] === CR &&
    buffer[at + 6] === LF
  );
}
