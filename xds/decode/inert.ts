// Filters that are accepted without effect, or refused whatever they say, by type name: the table of extensions knows them.
// Called by the filter decoders.

import { EXTENSION_ROWS, type ExtensionKind } from "../fields.ts";

/** What happens instead; undefined: the type is not accepted without effect. */
export function inertReason(kind: ExtensionKind, typeName: string): string | undefined {
  return reasonOf(EXTENSION_ROWS[kind].accepted, typeName);
}

/** Why such a filter is refused even when it is optional: Envoy has it, so that it is never left out there. */
export function refusalReason(kind: ExtensionKind, typeName: string): string | undefined {
  return reasonOf(EXTENSION_ROWS[kind].refused, typeName);
}

function reasonOf(rows: Readonly<Record<string, string>>, typeName: string): string | undefined {
  return Object.hasOwn(rows, typeName) ? rows[typeName] : undefined;
}
