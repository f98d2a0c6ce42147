// The four messages of the discovery protocol as plain values: what the state machines, the client and the control
// plane speak among themselves. Types only; discovery-wire.ts turns them into protobuf bytes and back.
// Source: envoy/service/discovery/v3/discovery.proto.

/** Which of the two protocol variants a stream speaks. */
export type Variant = "sotw" | "delta";

/** Why a response was refused: `error_detail`, a google.rpc.Status. */
export type ErrorDetail = Readonly<{ code: number; message: string }>;

export type SotwRequest = Readonly<{
  kind: "sotw";
  typeUrl: string;
  version: string;
  nonce: string;
  names: readonly string[];
  error: ErrorDetail | undefined;
  /** True when the stream must attach the node to this request. */
  withNode: boolean;
}>;

export type DeltaRequest = Readonly<{
  kind: "delta";
  typeUrl: string;
  subscribe: readonly string[];
  unsubscribe: readonly string[];
  /** Every resource held, name to version; only on the first request of a type on a stream. */
  initialVersions: ReadonlyMap<string, string>;
  nonce: string;
  error: ErrorDetail | undefined;
  withNode: boolean;
}>;

export type DiscoveryRequest = SotwRequest | DeltaRequest;

/** One resource of a response. The bytes belong to the receiver and are never changed. */
export type WireResource = Readonly<{
  /** Empty when a state-of-the-world server sent the resource without a wrapper: the name is then inside the bytes. */
  name: string;
  version: string;
  /** The resource's own type; empty together with `bytes` undefined for a heartbeat. */
  typeUrl: string;
  /** Undefined for a heartbeat, which only refreshes the TTL. */
  bytes: Uint8Array | undefined;
  ttlMs: number | undefined;
  /** Other names that this resource answers (VHDS). */
  aliases?: readonly string[];
}>;

export type SotwResponse = Readonly<{
  kind: "sotw";
  typeUrl: string;
  version: string;
  nonce: string;
  resources: readonly WireResource[];
  /** control_plane.identifier, for status; empty when the server did not say. */
  controlPlane: string;
}>;

export type DeltaResponse = Readonly<{
  kind: "delta";
  typeUrl: string;
  /** system_version_info: for people only. */
  version: string;
  nonce: string;
  resources: readonly WireResource[];
  removed: readonly string[];
  controlPlane: string;
}>;

export type DiscoveryResponse = SotwResponse | DeltaResponse;
