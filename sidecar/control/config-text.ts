// What the verb `config` prints: a diff and the history, for people. Pure.

import type { DiffJson, ReleaseJson } from "./config-routes.ts";
import { printable, textTable } from "./text-table.ts";

export function diffText({ changes, sidecars, denied }: DiffJson): string {
  if (changes.length === 0) return "nothing would change\n";
  let text = "";
  for (const { kind, type, name, selector, sidecars: affected, lines } of changes) {
    const whom = selector === "" ? "" : ` for ${selector}`;
    text += `${kind} ${type} ${printable(name)}${printable(whom)}: ${count(affected)}\n`;
    for (const line of lines) text += `  ${printable(line)}\n`;
  }
  for (const each of denied) text += `REFUSED would be ${printable(each)}\n`;
  return `${text}${changes.length} change${changes.length === 1 ? "" : "s"}, which ${count(sidecars)} would see at once\n`;
}

function count(sidecars: number): string {
  return `${sidecars} sidecar${sidecars === 1 ? "" : "s"}`;
}

export function historyText(releases: readonly ReleaseJson[]): string {
  const rows = releases.map(({ release, at, state, resources, digest, origin, reason }) => [
    String(release),
    at,
    state,
    `${resources}`,
    digest,
    reason === "" ? origin : `${origin}: ${reason}`,
  ]);
  return textTable([["RELEASE", "AT", "STATE", "RESOURCES", "DIGEST", "ORIGIN"], ...rows]);
}
