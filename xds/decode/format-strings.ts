// Substitution format strings inside a value: one string, or JSON whose strings are. Called by inspect.ts and access-log.ts.

import { item, type Findings } from "./issues.ts";

/** Depth is bounded by that of a parsed Struct. */
export function checkFormats(value: unknown, path: string, findings: Findings): void {
  if (typeof value === "string") findings.format(path, value);
  else if (Array.isArray(value)) {
    for (const [index, entry] of value.entries()) checkFormats(entry, item(path, index), findings);
  } else if (typeof value === "object" && value !== null) {
    for (const [name, entry] of Object.entries(value)) checkFormats(entry, item(path, name), findings);
  }
}
