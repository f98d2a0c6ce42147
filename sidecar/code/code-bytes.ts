// What was fetched → the module's bytes: raw, gzipped, or in a tar. Called by remote-code.ts and image-code.ts.

import { decompress, isGzip, isTar, readTarFile, type Unpacked } from "./archive.ts";

/** The file that holds the module in an image's layer. */
const MODULE_FILE = "plugin.wasm";

/** `name`: the tar's file that is wanted; without it the tar's first file is taken (and no tar is needed). */
export async function unpackModule(
  bytes: Uint8Array,
  packing: "module" | "tar" | "any",
  maxBytes: number,
): Promise<Unpacked> {
  const plain =
    isGzip(bytes) && packing !== "module" ? await decompress(bytes, maxBytes) : ({ ok: true, bytes } as const);
  if (!plain.ok || packing === "module") {
    return plain;
  }
  if (packing === "tar") {
    return readTarFile(plain.bytes, MODULE_FILE);
  }
  return isTar(plain.bytes) ? readTarFile(plain.bytes, undefined) : plain;
}
