// Bodies of answers that configuration names by a file or a variable: of direct responses and local replies. Read by each worker when
// the configuration comes into use, never for a request.

import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import type { DataSource } from "../xds/model/plugin-config.ts";

const MAX_BYTES = 4 * 1_024 * 1_024;

/** undefined: it is not there, no plain file, or larger than 4 MiB. */
export function answerData(
  source: DataSource,
  environment: Readonly<Record<string, string | undefined>>,
): Uint8Array | undefined {
  switch (source.kind) {
    case "bytes":
      return source.bytes;
    case "environment": {
      const text = environment[source.variable];
      return text === undefined ? undefined : Buffer.from(text);
    }
    case "file":
      return fileBytes(source.path);
  }
}

function fileBytes(path: string): Uint8Array | undefined {
  try {
    // To open a pipe without this is to wait for its writer.
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stats = fstatSync(file);
      return stats.isFile() && stats.size <= MAX_BYTES ? readFileSync(file) : undefined;
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
}
