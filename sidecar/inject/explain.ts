// What happened to each object, in words: `inject --explain`, and the lines that `inject` writes to stderr about pods that it leaves alone.

import type { Outcome } from "./manifest.ts";

export function explain({ kind, namespace, name, injection }: Outcome): string {
  const title = `${namespace}/${kind === "" ? "object without a kind" : kind} ${name === "" ? "(no name)" : name}`;
  if (injection === undefined) {
    return `${title}: left alone: ${kind === "" ? "it says no kind" : `a ${kind} makes no pods`}\n`;
  }
  switch (injection.kind) {
    case "patched":
      return [
        `${title}: injected, because ${injection.because}`,
        ...[...injection.notes, ...injection.remarks].map((note) => `  - ${note}`),
        "",
      ].join("\n");
    case "skipped":
      return `${title}: left alone: ${injection.reason}\n`;
    case "refused":
      return [`${title}: refused`, ...injection.problems.map((problem) => `  - ${problem}`), ""].join("\n");
  }
}
