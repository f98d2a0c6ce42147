// Code that is at hand: a file, bytes in the configuration, an environment variable. Called by code-loader.ts.

import { readFile, stat } from "node:fs/promises";
import type { DataSource } from "../../xds/model/plugin-config.ts";

/** The bytes, or why there are none. A larger file is not read. */
export async function readLocalCode(
  source: DataSource,
  environment: Readonly<Record<string, string>>,
  maxBytes: number,
): Promise<Uint8Array | string> {
  switch (source.kind) {
    case "file":
      return readModuleFile(source.path, maxBytes);
    case "bytes":
      return source.bytes.length > maxBytes
        ? tooLarge("the module in the configuration", source.bytes.length, maxBytes)
        : source.bytes;
    case "environment": {
      const value = environment[source.variable];
      return value === undefined
        ? `Cannot read a plugin's code: the environment variable "${source.variable}" is not set`
        : Buffer.from(value, "latin1");
    }
  }
}

async function readModuleFile(path: string, maxBytes: number): Promise<Uint8Array | string> {
  try {
    const { size } = await stat(path);
    return size > maxBytes ? tooLarge(`the module "${path}"`, size, maxBytes) : await readFile(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    return `Cannot read the module "${path}": ${REASONS[code ?? ""] ?? String(code)}`;
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EISDIR: "it is a folder",
  EACCES: "reading it is not permitted",
};

function tooLarge(what: string, bytes: number, maxBytes: number): string {
  return `Cannot load ${what}: ${bytes} bytes, at most ${maxBytes} are allowed`;
}
