// A bootstrap from a pipe: `-c <(…)`, or a FIFO whose writer may come later, or never. Opening or reading one the plain way would keep the
// thread, signals included, until then.

import { accessSync, closeSync, constants, openSync, readSync, statSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

const CHUNK_BYTES = 64 * 1024;
/** A writer that does not stop must not fill the memory. */
const MAX_BYTES = 256 * 1024 * 1024;
const POLL_MS = 5;

/** That can be read. */
export function isPipe(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return statSync(path).isFIFO();
  } catch {
    return false;
  }
}

/** All that comes until the last writer has closed it, at most 256 MiB of it. Null: `stop` was first. */
export async function readPipe(path: string, stop: AbortSignal): Promise<Buffer | null> {
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const chunks: Buffer[] = [];
    let size = 0;
    // Without a writer yet a pipe reads as at its end.
    let hasWriter = false;
    while (size < MAX_BYTES) {
      const chunk = readSome(file);
      if (chunk !== undefined && (chunk.length > 0 || hasWriter)) {
        hasWriter = true;
        chunks.push(chunk);
        size += chunk.length;
        if (chunk.length === 0) {
          break;
        }
        continue;
      }
      hasWriter ||= chunk === undefined;
      await delay(POLL_MS, undefined, { signal: stop }).catch(() => {});
      if (stop.aborted) {
        return null;
      }
    }
    return Buffer.concat(chunks);
  } finally {
    closeSync(file);
  }
}

/** Empty: nobody has it open for writing. Undefined: somebody has, and nothing is there now. */
function readSome(file: number): Buffer | undefined {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  try {
    return chunk.subarray(0, readSync(file, chunk));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EAGAIN") {
      return undefined;
    }
    throw error;
  }
}
