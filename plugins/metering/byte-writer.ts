// Writes the wasm binary format into one growing buffer. Used by the other files of this folder.
// Source: WebAssembly Core Specification 3.0, §5.2 (LEB128).

/** Bytes that a length takes which is not known yet: a LEB128 padded to its longest form, which the format allows. */
const PADDED_BYTES = 5;

export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  length = 0;

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(Math.max(64, capacity));
  }

  /** Makes room for `count` more bytes. */
  #reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 1.5));
    grown.set(this.#bytes.subarray(0, this.length));
    this.#bytes = grown;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.length++] = value;
  }

  bytes(...values: readonly number[]): void {
    this.#reserve(values.length);
    for (const value of values) this.#bytes[this.length++] = value;
  }

  /** An opcode and its one index. */
  op(opcode: number, index: number): void {
    this.byte(opcode);
    this.u32(index);
  }

  u32(value: number): void {
    this.#reserve(PADDED_BYTES);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.length++] = rest;
  }

  /** A signed LEB128 of a whole number from 0 to 2^53. */
  positive(value: number): void {
    this.#reserve(8);
    let rest = value;
    while (rest >= 0x40) {
      this.#bytes[this.length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.length++] = rest;
  }

  /** A name: length and Latin-1 text. */
  name(text: string): void {
    this.u32(text.length);
    for (let i = 0; i < text.length; i++) this.byte(text.charCodeAt(i));
  }

  copy(from: Uint8Array, start: number, end: number): void {
    this.#reserve(end - start);
    this.#bytes.set(from.subarray(start, end), this.length);
    this.length += end - start;
  }

  /** Leaves room for a length; answers its place, for `close`. */
  open(): number {
    this.#reserve(PADDED_BYTES);
    this.length += PADDED_BYTES;
    return this.length;
  }

  /** Writes the length of what was written since `open`. */
  close(place: number): void {
    let rest = this.length - place;
    for (let i = 0; i < PADDED_BYTES; i++) {
      this.#bytes[place - PADDED_BYTES + i] = (rest & 0x7f) | (i < PADDED_BYTES - 1 ? 0x80 : 0);
      rest >>>= 7;
    }
  }

  /** What was written, without a copy: this writer must not be used after it. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.length);
  }
}
