// Bounds-checked access to one guest's linear memory. The host functions read and write through it; a pointer that a
// guest invents makes a method answer false or undefined, never an exception and never a byte outside the memory.
//
// Views are cached. memory.grow (by the guest itself or inside its allocator) detaches the old ArrayBuffer, and a
// detached view has length 0: `ensure()` tests that one field. If an engine ever grew in place without detaching, the
// views would be too short and valid pointers would be refused: test/plugins/memory.test.ts guards the assumption.
//
// Addresses and lengths are unsigned: callers pass `x >>> 0`. Sums are doubles, so they cannot wrap.

import { Buffer } from "node:buffer";
import { type KnownText, KnownTexts, type SliceBuffer } from "./known-texts.ts";

/** Up to this length a loop over charCodeAt beats the call into latin1Write. */
const SHORT_STRING = 12;

/** What a byte of memory that the host takes for the guest costs, in fuel; moving a byte costs one. */
const COPY_WORK = 2;

/** The same memory, seen with those methods. */
export function sliceBuffer(memory: ArrayBufferLike): SliceBuffer {
  return Buffer.from(memory) as SliceBuffer;
}

const NO_MEMORY = { buffer: new ArrayBuffer(0) };

export class GuestMemory {
  readonly #texts = new KnownTexts();
  #memory: { readonly buffer: ArrayBuffer } = NO_MEMORY;
  /** All of the memory. Valid until guest code runs; call ensure() after that. Empty before attach(). */
  bytes: SliceBuffer = sliceBuffer(new ArrayBuffer(0));
  view: DataView = new DataView(new ArrayBuffer(0));
  /** Bytes moved for the guest, and other work counted like them, since the owner last took it out of the guest's fuel. */
  work = 0;

  /** Names the memory; before that every access is out of bounds (a module's start function may call the host). */
  attach(memory: { readonly buffer: ArrayBuffer }): void {
    this.#memory = memory;
    this.#refresh();
  }

  /** Lets go of the memory: nobody will read it any more, and everything is out of bounds from now on. */
  detach(): void {
    this.attach(NO_MEMORY);
  }

  /** Renews the views when the memory has grown. Must run after guest code did and before any access. */
  ensure(): void {
    if (this.bytes.length === 0) this.#refresh();
  }

  #refresh(): void {
    this.bytes = sliceBuffer(this.#memory.buffer);
    this.view = new DataView(this.#memory.buffer);
  }

  /** Size in bytes now. */
  get size(): number {
    this.ensure();
    return this.bytes.length;
  }

  /** Whether [pointer, pointer + length) lies inside the memory. */
  contains(pointer: number, length: number): boolean {
    return pointer + length <= this.bytes.length;
  }

  /** Reads a little-endian u32; the caller has checked the range. */
  u32(pointer: number): number {
    return this.view.getUint32(pointer, true);
  }

  /** Writes a little-endian u32; false when the pointer is out of bounds. */
  putU32(pointer: number, value: number): boolean {
    if (pointer + 4 > this.bytes.length) return false;
    this.view.setUint32(pointer, value, true);
    return true;
  }

  /** Writes a little-endian u64 from its halves; false when the pointer is out of bounds. */
  putU64(pointer: number, low: number, high: number): boolean {
    if (pointer + 8 > this.bytes.length) return false;
    this.view.setUint32(pointer, low, true);
    this.view.setUint32(pointer + 4, high, true);
    return true;
  }

  /** The bytes as one char each, or undefined when out of bounds. */
  latin1(pointer: number, length: number): string | undefined {
    if (pointer + length > this.bytes.length) return undefined;
    this.work += length;
    return this.bytes.latin1Slice(pointer, pointer + length);
  }

  /** The same for a text that is likely to come again. */
  known(pointer: number, length: number): KnownText | undefined {
    if (pointer + length > this.bytes.length) return undefined;
    this.work += length;
    return this.#texts.find(this.bytes, pointer, length);
  }

  /** The bytes as UTF-8 text (bad sequences become U+FFFD), or undefined when out of bounds. */
  utf8(pointer: number, length: number): string | undefined {
    if (pointer + length > this.bytes.length) return undefined;
    this.work += length;
    return this.bytes.utf8Slice(pointer, pointer + length);
  }

  /** A copy of the bytes, owned by the caller, or undefined when out of bounds. */
  copy(pointer: number, length: number): Uint8Array | undefined {
    if (pointer + length > this.bytes.length) return undefined;
    this.work += length * COPY_WORK;
    const copy = new Uint8Array(length);
    copy.set(this.bytes.subarray(pointer, pointer + length));
    return copy;
  }

  /** Writes one byte a char; the caller has checked the range. */
  writeLatin1(pointer: number, text: string): void {
    const length = text.length;
    this.work += length;
    if (length > SHORT_STRING) {
      this.bytes.latin1Write(text, pointer, length);
      return;
    }
    const bytes = this.bytes;
    for (let i = 0; i < length; i++) bytes[pointer + i] = text.charCodeAt(i);
  }
}
