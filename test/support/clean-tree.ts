// A copy of the repository as a fresh clone has it, with this one's node_modules: for what changes a tree, as packing does.

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");

/** Copies what git knows, or would know, into `folder`. */
export function copyCleanTree(folder: string): void {
  const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  for (const path of new Set(listed.split("\0"))) {
    if (path !== "" && !path.startsWith("test/")) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      cpSync(join(ROOT, path), join(folder, path), { verbatimSymlinks: true });
    }
  }
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
}
