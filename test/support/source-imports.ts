// Which file imports what, read from the sources of sidecar/, xds/ and plugins/ by their text: enough for a tree that
// oxfmt formats (an import begins its line), and it needs no compiler. layers.test.ts asks; nothing is run.
// `import type` leaves no trace at run time. `import { type X }` does: Node still loads that file, so it counts as code.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

export const ROOT = join(import.meta.dirname, "../..");

export interface Import {
  /** Path from the repository's root, such as "xds/client.ts". */
  readonly from: string;
  /** The same for a file, else the module's name: "node:net", "@grpc/grpc-js". */
  readonly to: string;
  readonly isTypeOnly: boolean;
}

const STATEMENT = /^(?:import|export)\s+(type\s+)?(?:[\w$*{][^;"']*?\sfrom\s+)?"([^"]+)"/gm;
const DYNAMIC = /\bimport\(\s*"([^"]+)"\s*\)/g;

/** Every TypeScript file of the product, in order; built guests and their sources are not part of it. */
export function sourceFiles(): string[] {
  return ["plugins", "sidecar", "xds"]
    .flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" }).map((f) => `${folder}/${f}`),
    )
    .filter(
      (file) => file.endsWith(".ts") && !file.endsWith(".d.ts") && !/^plugins\/(?:examples|templates)\//.test(file),
    )
    .sort();
}

/** The file's text without comments, so that prose is not taken for code. */
export function sourceText(file: string): string {
  return withoutComments(readFileSync(join(ROOT, file), "utf8"));
}

export function importsOf(file: string, text = sourceText(file)): Import[] {
  const imports: Import[] = [];
  for (const match of text.matchAll(STATEMENT)) {
    imports.push({ from: file, to: target(file, match[2] as string), isTypeOnly: match[1] !== undefined });
  }
  for (const match of text.matchAll(DYNAMIC)) {
    imports.push({ from: file, to: target(file, match[1] as string), isTypeOnly: false });
  }
  return imports;
}

/** "@grpc/grpc-js/build/x" → "@grpc/grpc-js"; undefined for a file and for Node's own modules. */
export function packageOf(to: string): string | undefined {
  if (to.startsWith("node:") || /^(?:plugins|sidecar|xds|test)\//.test(to)) {
    return undefined;
  }
  return to
    .split("/")
    .slice(0, to.startsWith("@") ? 2 : 1)
    .join("/");
}

function target(from: string, specifier: string): string {
  return specifier.startsWith(".") ? normalize(join(dirname(from), specifier)) : specifier;
}

/** Comments only where they can begin in formatted code: at a line's start, or after code and a space. */
function withoutComments(text: string): string {
  return text.replaceAll(/^\s*\/\*[\s\S]*?\*\//gm, "").replaceAll(/(^|\s)\/\/.*$/gm, "$1");
}
