// The wire form of header maps and property maps (ABI "serialized pairs"), little endian:
//
//   u32 count | count x (u32 name length, u32 value length) | count x (name bytes, 0, value bytes, 0)
//
// Encoding goes straight into guest memory; decoding answers undefined for anything that is not exactly that form.
// Limits: MAX_PAIRS_BYTES and MAX_PAIRS (proxy-wasm-cpp-host limits.h). Fuzzed in test/fuzz/plugins-pairs.test.ts.

import type { SliceBuffer } from "../known-texts.ts";
import { type GuestMemory, sliceBuffer } from "../memory.ts";
import type { HeaderAccess } from "../ports.ts";
import { MAX_PAIRS, MAX_PAIRS_BYTES } from "./constants.ts";

/** Bytes that the map needs; 0 for an empty map, which the ABI gives as pointer 0 and size 0. */
export function pairsByteLength(map: HeaderAccess): number {
  const count = map.size;
  if (count === 0) return 0;
  let length = 4 + count * 10;
  for (let i = 0; i < count; i++) length += map.nameAt(i).length + map.valueAt(i).length;
  return length;
}

/** Writes the map at `pointer`; the caller has reserved pairsByteLength(map) bytes there. */
export function writePairs(memory: GuestMemory, pointer: number, map: HeaderAccess): void {
  const count = map.size;
  const view = memory.view;
  const bytes = memory.bytes;
  view.setUint32(pointer, count, true);
  let lengths = pointer + 4;
  let data = lengths + count * 8;
  for (let i = 0; i < count; i++) {
    const name = map.nameAt(i);
    const value = map.valueAt(i);
    view.setUint32(lengths, name.length, true);
    view.setUint32(lengths + 4, value.length, true);
    lengths += 8;
    memory.writeLatin1(data, name);
    data += name.length;
    bytes[data++] = 0;
    memory.writeLatin1(data, value);
    data += value.length;
    bytes[data++] = 0;
  }
}

/**
 * Decodes [start, start + length) of `bytes` into flat pairs (name, value, …), latin1, as written by the guest.
 * Undefined when the bytes are not a list of pairs or exceed the limits. The caller has checked the range.
 * Empty lists come as no bytes, one zero byte or a zero count.
 */
export function decodePairs(bytes: SliceBuffer, start: number, length: number): string[] | undefined {
  if (length === 0 || (length === 1 && bytes[start] === 0)) return [];
  if (length < 4 || length > MAX_PAIRS_BYTES) return undefined;
  const count = bytes.readUInt32LE(start);
  if (count > MAX_PAIRS) return undefined;
  const end = start + length;
  let lengths = start + 4;
  let data = lengths + count * 8;
  if (data > end) return undefined;
  const pairs: string[] = [];
  for (let i = 0; i < count * 2; i++) {
    const next = data + bytes.readUInt32LE(lengths);
    lengths += 4;
    if (next >= end || bytes[next] !== 0) return undefined;
    pairs.push(bytes.latin1Slice(data, next));
    data = next + 1;
  }
  return data === end ? pairs : undefined;
}

/** Encodes pairs whose values are raw bytes: property maps and lists. */
export function encodeBytePairs(pairs: readonly (readonly [string, Uint8Array])[]): Uint8Array {
  let length = 4;
  for (const [name, value] of pairs) length += 10 + name.length + value.length;
  const out = sliceBuffer(new ArrayBuffer(length));
  out.writeUInt32LE(pairs.length, 0);
  let lengths = 4;
  let data = 4 + pairs.length * 8;
  for (const [name, value] of pairs) {
    out.writeUInt32LE(name.length, lengths);
    out.writeUInt32LE(value.length, lengths + 4);
    lengths += 8;
    out.latin1Write(name, data, name.length);
    data += name.length + 1;
    out.set(value, data);
    data += value.length + 1;
  }
  return out;
}
