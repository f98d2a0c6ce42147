// Names of fields as generated code has them: what the runtime's `reflect` does, without importing it. The runtime's own messages are
// described by this folder where the program is joined (deploy/npm/bundle.ts); if it imported the runtime, which of the two is
// evaluated first would depend on who imports what in which order.

/** `foo_bar2` → `fooBar2`: proto3 JSON's names. */
export function camelName(name: string): string {
  return name.replaceAll(/_+([^_]?)/g, (_, next: string) => next.toUpperCase());
}

/** Names that every object has already. */
const TAKEN: ReadonlySet<string> = new Set(["constructor", "toString", "toJSON", "valueOf"]);

export function propertyName(name: string): string {
  return TAKEN.has(name) ? `${name}$` : name;
}
