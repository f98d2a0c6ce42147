// What is set on sockets, and where connections come from. Source: envoy.config.core.v3 SocketOption and BindConfig.
// Decoded by xds/decode/socket-options.ts, set by sidecar/socket-options.ts. Types only.

export interface SocketOption {
  /** Numbers of the kernel, as in setsockopt(2). */
  readonly level: number;
  readonly name: number;
  /** A 32-bit number, or the bytes of a structure. */
  readonly value: number | Uint8Array;
  readonly state: "prebind" | "bound" | "listening";
  /** The IP version of the sockets that get it; 0: all. */
  readonly family: 0 | 4 | 6;
}

/** Where connections to a cluster's hosts come from. */
export interface BindConfig {
  /** The first of a host's own IP version is used; a host of another version gets what the kernel chooses. */
  readonly sources: readonly BindSource[];
}

export interface BindSource {
  /** IP literal. */
  readonly host: string;
  /** 0: the kernel chooses. */
  readonly port: number;
  /** The address need not be of this machine. */
  readonly freebind: boolean;
  readonly options: readonly SocketOption[];
}
