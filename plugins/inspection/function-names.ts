// Names of functions from a module's "name" section, which stripped modules do not have. Input is hostile: reads are checked, and a
// damaged section ends the list. Source: WebAssembly Core Specification 3.0, appendix A.4.

import { ByteReader } from "../metering/byte-reader.ts";

const FUNCTION_NAMES = 1;
const MAX_NAMES = 200_000;

export function functionNames(module: WebAssembly.Module): string[] {
  const names: string[] = [];
  for (const section of WebAssembly.Module.customSections(module, "name")) {
    const bytes = new Uint8Array(section);
    const reader = new ByteReader(bytes, 0, bytes.length);
    while (reader.at < reader.end && !reader.failed) {
      const kind = reader.byte();
      const size = reader.u32();
      const start = reader.at;
      reader.skip(size);
      if (kind !== FUNCTION_NAMES || reader.failed) continue;
      readNames(new ByteReader(bytes, start, reader.at), names);
    }
  }
  return names;
}

function readNames(map: ByteReader, into: string[]): void {
  for (let left = Math.min(map.count(), MAX_NAMES); left > 0; left--) {
    map.u32();
    const length = map.u32();
    const start = map.at;
    map.skip(length);
    if (map.failed) return;
    into.push(Buffer.from(map.bytes.buffer, map.bytes.byteOffset + start, length).toString("utf8"));
  }
}
