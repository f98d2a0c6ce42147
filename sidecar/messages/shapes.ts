// The messages of the configuration that properties and access logs can look into, as field tables: name → number and kind.
// Source: envoy.config.core.v3 Node, Metadata, Locality and what they contain. message-value.ts reads by them.

export type FieldKind =
  | "string"
  | "bytes"
  | "bool"
  /** int32, uint32, int64, enumerations: numbers that read as signed. */
  | "int"
  | "uint"
  | "double"
  /** google.protobuf types that read as what they hold. */
  | "struct"
  | "value"
  | "list_value"
  | "any"
  | "duration"
  | "timestamp";

export interface Field {
  readonly number: number;
  readonly kind: FieldKind | Shape;
  /** Repeated: a list, or a map with string keys. */
  readonly repeated?: "list" | "map";
}

/** A message's fields by their names in the .proto file. */
export type Shape = ReadonlyMap<string, Field>;

function shape(fields: Readonly<Record<string, Field>>): Shape {
  return new Map(Object.entries(fields));
}

export const LOCALITY = shape({
  region: { number: 1, kind: "string" },
  zone: { number: 2, kind: "string" },
  sub_zone: { number: 3, kind: "string" },
});

export const METADATA = shape({
  filter_metadata: { number: 1, kind: "struct", repeated: "map" },
  typed_filter_metadata: { number: 2, kind: "any", repeated: "map" },
});

const SEMANTIC_VERSION = shape({
  major_number: { number: 1, kind: "uint" },
  minor_number: { number: 2, kind: "uint" },
  patch: { number: 3, kind: "uint" },
});

const BUILD_VERSION = shape({
  version: { number: 1, kind: SEMANTIC_VERSION },
  metadata: { number: 2, kind: "struct" },
});

const EXTENSION = shape({
  name: { number: 1, kind: "string" },
  category: { number: 2, kind: "string" },
  type_descriptor: { number: 3, kind: "string" },
  version: { number: 4, kind: BUILD_VERSION },
  disabled: { number: 5, kind: "bool" },
  type_urls: { number: 6, kind: "string", repeated: "list" },
});

const SOCKET_ADDRESS = shape({
  protocol: { number: 1, kind: "int" },
  address: { number: 2, kind: "string" },
  port_value: { number: 3, kind: "uint" },
  named_port: { number: 4, kind: "string" },
  resolver_name: { number: 5, kind: "string" },
  ipv4_compat: { number: 6, kind: "bool" },
});

const PIPE = shape({
  path: { number: 1, kind: "string" },
  mode: { number: 2, kind: "uint" },
});

const ADDRESS = shape({
  socket_address: { number: 1, kind: SOCKET_ADDRESS },
  pipe: { number: 2, kind: PIPE },
});

const CONTEXT_PARAMS = shape({
  params: { number: 1, kind: "string", repeated: "map" },
});

export const NODE = shape({
  id: { number: 1, kind: "string" },
  cluster: { number: 2, kind: "string" },
  metadata: { number: 3, kind: "struct" },
  locality: { number: 4, kind: LOCALITY },
  user_agent_name: { number: 6, kind: "string" },
  user_agent_version: { number: 7, kind: "string" },
  user_agent_build_version: { number: 8, kind: BUILD_VERSION },
  extensions: { number: 9, kind: EXTENSION, repeated: "list" },
  client_features: { number: 10, kind: "string", repeated: "list" },
  listening_addresses: { number: 11, kind: ADDRESS, repeated: "list" },
  dynamic_parameters: { number: 12, kind: CONTEXT_PARAMS, repeated: "map" },
});

/** What an Any may hold, by full name; wrappers hold a kind in field 1. */
export const WRAPPERS: ReadonlyMap<string, FieldKind> = new Map([
  ["google.protobuf.StringValue", "string"],
  ["google.protobuf.BytesValue", "bytes"],
  ["google.protobuf.BoolValue", "bool"],
  ["google.protobuf.Int32Value", "int"],
  ["google.protobuf.Int64Value", "int"],
  ["google.protobuf.UInt32Value", "uint"],
  ["google.protobuf.UInt64Value", "uint"],
  ["google.protobuf.DoubleValue", "double"],
]);

export const WELL_KNOWN: ReadonlyMap<string, FieldKind | Shape> = new Map<string, FieldKind | Shape>([
  ["google.protobuf.Struct", "struct"],
  ["google.protobuf.Value", "value"],
  ["google.protobuf.ListValue", "list_value"],
  ["google.protobuf.Duration", "duration"],
  ["google.protobuf.Timestamp", "timestamp"],
  ["envoy.config.core.v3.Metadata", METADATA],
  ["envoy.config.core.v3.Node", NODE],
  ["envoy.config.core.v3.Locality", LOCALITY],
]);
