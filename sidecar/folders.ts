// Folders that somebody named. Node's own mkdir with `recursive` never ends where a folder is there but nothing can be made in it and the
// system says ENOENT (/proc, a working folder that is deleted): it holds a thread of the pool with it, so not even the process ends.

import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";

/** Makes a folder, and those that it is in; one that is there stays as it is. `mode` is of those that are made. */
export async function makeFolder(path: string, mode = 0o777): Promise<void> {
  try {
    await mkdir(path, { mode });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") {
      return;
    }
    const parent = dirname(path);
    if (code !== "ENOENT" || existsSync(parent)) {
      throw error;
    }
    await makeFolder(parent, mode);
    await makeFolder(path, mode);
  }
}
