// Reads the wasm binary format from hostile bytes: every read is bounds-checked, and a failed one sets `failed` and answers
// zero, so that callers check once after a stretch. Never throws. Used by the other files of this folder and
// by wasm-binary.ts.
// Source: WebAssembly Core Specification 3.0, §5.2 (LEB128) and §5.3 (types).

const MAX_LEB_BYTES = 10;

export class ByteReader {
  readonly bytes: Uint8Array;
  at: number;
  end: number;
  failed = false;

  /** Reads `bytes` from `at` up to `end`, which must lie within them. */
  constructor(bytes: Uint8Array, at: number, end: number) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  byte(): number {
    if (this.at >= this.end) {
      this.failed = true;
      return 0;
    }
    return this.bytes[this.at++] as number;
  }

  /** Unsigned LEB128 of at most 32 bits. */
  u32(): number {
    const first = this.byte();
    if (first < 0x80) return first;
    let value = first & 0x7f;
    for (let shift = 7; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) {
        if (value > 0xffff_ffff) this.failed = true;
        return this.failed ? 0 : value;
      }
    }
    this.failed = true;
    return 0;
  }

  /** Passes over a LEB128 number of any kind. */
  skipLeb(): void {
    for (let i = 0; i < MAX_LEB_BYTES; i++) {
      if (this.byte() < 0x80) return;
    }
    this.failed = true;
  }

  skip(count: number): void {
    if (count > this.end - this.at) {
      this.failed = true;
      this.at = this.end;
    } else this.at += count;
  }

  /** The length of a list whose entries take at least one byte each. */
  count(): number {
    const count = this.u32();
    if (count > this.end - this.at) this.failed = true;
    return this.failed ? 0 : count;
  }

  /** Passes over a value type: one byte, and a heap type after those of typed references. */
  skipValueType(): void {
    const code = this.byte();
    if (code === 0x63 || code === 0x64) this.skipLeb();
  }

  /** Passes over the limits of a table or memory. */
  skipLimits(): void {
    const flags = this.byte();
    this.skipLeb();
    if ((flags & 1) !== 0) this.skipLeb();
  }

  /** Passes over a name or another vector of bytes. */
  skipBytes(): void {
    this.skip(this.u32());
  }
}
