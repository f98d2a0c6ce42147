// What metering makes of a module depends on the module and on this folder, so what was made before is known again by both.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Besides this folder: what cuts maxima to their limits before code is metered. */
const OTHERS: readonly string[] = ["plugin-module", "wasm-binary"];
let revision: string | undefined = undefined;

/** The sha256 of the code that rewrites modules, 64 hexadecimal digits; "" where its files are not to be found. About 1 ms, once. */
export function meteringRevision(): string {
  revision ??= readRevision();
  return revision;
}

function readRevision(): string {
  const here = import.meta.dirname;
  const hash = createHash("sha256");
  try {
    const above = join(here, "..");
    const others = readdirSync(above).filter((name) => OTHERS.includes(name.split(".")[0] ?? ""));
    if (others.length < OTHERS.length) return "";
    for (const path of [
      ...readdirSync(here).map((name) => join(here, name)),
      ...others.map((name) => join(above, name)),
    ]) {
      hash.update(readFileSync(path));
    }
  } catch {
    return "";
  }
  return hash.digest("hex");
}
