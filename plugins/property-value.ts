// The typed values that a property can have. The embedder makes them; hostcalls/properties.ts encodes them for the guest
// (proxy_get_property), cel/ computes with them. Source: Envoy's CEL values and their serialisation.

/**
 * A property's value. A plain string (latin1) is a string, a boolean a bool, a Uint8Array bytes; everything else says its
 * kind. Times are milliseconds with fractions; the guest gets nanoseconds.
 */
export type PropertyValue =
  | string
  | boolean
  | Uint8Array
  /** `uint` reads like `int`; only expressions tell them apart. */
  | { readonly kind: "int"; readonly value: number | bigint }
  | { readonly kind: "uint"; readonly value: number | bigint }
  | { readonly kind: "double"; readonly value: number }
  | { readonly kind: "duration"; readonly ms: number }
  /** Milliseconds since the Unix epoch. */
  | { readonly kind: "timestamp"; readonly ms: number }
  | PropertyMap
  | PropertyList
  | PropertyObject;

/** A part of a map, list or object; null is there and has no value. */
export type PropertyItem = PropertyValue | null;

export interface PropertyMap {
  readonly kind: "map";
  /** Each name once. May be computed when it is read. */
  readonly entries: readonly (readonly [string, PropertyItem])[];
  /** Faster than searching the entries; the same answer, or more lenient with the spelling of names. */
  get?(name: string): PropertyItem | undefined;
}

export interface PropertyList {
  readonly kind: "list";
  readonly items: readonly PropertyItem[];
}

/** Something with named parts that are made when asked for: a protobuf message, or a group of attributes. */
export interface PropertyObject {
  readonly kind: "object";
  /** What a guest reads that asks for the whole: a message, serialised. undefined: it has no form as a whole. */
  readonly bytes: Uint8Array | undefined;
  /** undefined: no such part, or none now. */
  get(name: string): PropertyItem | undefined;
}

/** One step down a path. undefined: there is nothing of that name, or the value has no parts. */
export function partOf(value: PropertyItem, name: string): PropertyItem | undefined {
  if (value === null || typeof value !== "object" || value instanceof Uint8Array) return undefined;
  switch (value.kind) {
    case "object":
      return value.get(name);
    case "map":
      return value.get === undefined ? value.entries.find(([key]) => key === name)?.[1] : value.get(name);
    case "list":
      return /^\d{1,9}$/.test(name) ? value.items[Number(name)] : undefined;
    case "int":
    case "uint":
    case "double":
    case "duration":
    case "timestamp":
      return undefined;
  }
}
