// A module's memory as its active data segments fill it, for looking things up that toolchains keep there. Segments with addresses
// that are not plain numbers are left out. Input is hostile: reads are checked, the image has a limit.
// Source: WebAssembly Core Specification 3.0, §5.5.14.

import { ByteReader } from "../metering/byte-reader.ts";
import { SectionId } from "../metering/module-shape.ts";

const HEADER_BYTES = 8;
const MAX_IMAGE_BYTES = 64 * 1024 * 1024;
const I32_CONST = 0x41;
const END = 0x0b;

/** The memory from address 0 to the last byte that is filled; undefined when there is nothing, or too much. */
export function readMemoryImage(bytes: Uint8Array): Buffer | undefined {
  const data = dataSection(bytes);
  if (data === undefined) return undefined;
  const parts: { readonly address: number; readonly start: number; readonly end: number }[] = [];
  for (let left = data.count(); left > 0 && !data.failed; left--) {
    const flags = data.u32();
    if (flags === 2) data.u32();
    const address = flags === 1 ? undefined : constantAddress(data);
    const length = data.u32();
    const start = data.at;
    data.skip(length);
    // What cannot be read as an address cannot be passed over either.
    if (flags !== 1 && address === undefined) break;
    if (address !== undefined && !data.failed) parts.push({ address, start, end: data.at });
  }
  const size = parts.reduce((most, { address, start, end }) => Math.max(most, address + end - start), 0);
  if (size === 0 || size > MAX_IMAGE_BYTES) return undefined;
  const image = Buffer.alloc(size);
  for (const { address, start, end } of parts) image.set(bytes.subarray(start, end), address);
  return image;
}

function dataSection(bytes: Uint8Array): ByteReader | undefined {
  const file = new ByteReader(bytes, Math.min(HEADER_BYTES, bytes.length), bytes.length);
  while (file.at < file.end && !file.failed) {
    const id = file.byte();
    const size = file.u32();
    const start = file.at;
    file.skip(size);
    if (id === SectionId.Data && !file.failed) return new ByteReader(bytes, start, file.at);
  }
  return undefined;
}

/** (i32.const N) (end) */
function constantAddress(data: ByteReader): number | undefined {
  if (data.byte() !== I32_CONST) return undefined;
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = data.byte();
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
  }
  return data.byte() === END && !data.failed && value < 2 ** 31 ? value : undefined;
}
