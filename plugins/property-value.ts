// The typed values that a property can have, and their bytes for the guest (proxy_get_property).
// The embedder makes values; hostcalls/properties.ts encodes them. Encoding: Envoy's CEL value serialisation.

/**
 * A property's value. A plain string (latin1) is a string, a boolean a bool, a Uint8Array bytes or a serialised
 * protobuf message; everything else says its kind. Times are milliseconds with fractions; the guest gets nanoseconds.
 */
export type PropertyValue =
  | string
  | boolean
  | Uint8Array
  | { readonly kind: "int"; readonly value: number | bigint }
  | { readonly kind: "double"; readonly value: number }
  | { readonly kind: "duration"; readonly ms: number }
  /** Milliseconds since the Unix epoch. */
  | { readonly kind: "timestamp"; readonly ms: number }
  | { readonly kind: "map"; readonly entries: readonly (readonly [string, PropertyValue])[] }
  | { readonly kind: "list"; readonly items: readonly PropertyValue[] };
