// The files of a new plugin project: those of plugins/templates/common and of its language, with `{{name}}` and `{{outrigger}}`
// filled in. `dot.` at the beginning of a file's name stands for a dot, so that this repository's tools take no notice of it.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const LANGUAGES = ["go", "rust", "assemblyscript", "cpp"] as const;
export type Language = (typeof LANGUAGES)[number];

export interface ProjectValues {
  readonly name: string;
  /** Path of the launcher, for the Makefile. */
  readonly outrigger: string;
}

const TEMPLATES = fileURLToPath(new URL("../../../plugins/templates/", import.meta.url));

/** Path in the project, and text. */
export function projectFiles(language: Language, values: ProjectValues): Map<string, string> {
  const files = new Map<string, string>();
  for (const folder of ["common", language]) {
    const root = join(TEMPLATES, folder);
    for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) {
        continue;
      }
      const path = join(entry.parentPath, entry.name);
      const target = path.slice(root.length + 1).replace(/(^|\/)dot\./, "$1.");
      files.set(target, fill(target, readFileSync(path, "utf8"), values));
    }
  }
  return files;
}

function fill(path: string, template: string, { name, outrigger }: ProjectValues): string {
  // Make reads `$` itself, and the path stands in a shell's single quotes.
  const launcher = outrigger.replaceAll("'", `'\\''`).replaceAll("$", "$$$$");
  const text = template.replaceAll("{{name}}", () => name).replaceAll("{{outrigger}}", () => launcher);
  return path === "Cargo.lock" ? sortedLock(text) : text;
}

/** Cargo keeps the packages sorted by name, and `--locked` takes nothing else. */
function sortedLock(text: string): string {
  const [head = "", ...packages] = text.trimEnd().split("\n\n");
  return `${[head, ...packages.toSorted()].join("\n\n")}\n`;
}
