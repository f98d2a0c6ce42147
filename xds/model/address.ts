// Socket addresses as configuration names them. Source: envoy.config.core.v3.Address.
// Used by listeners, endpoints and the admin server. Types only.

/** `host` is an IP literal, or a DNS name where the owner allows one (STRICT_DNS and LOGICAL_DNS endpoints). */
export interface TcpAddress {
  readonly kind: "tcp";
  readonly host: string;
  /** 0 to 65535; 0 lets the kernel choose (listeners only). */
  readonly port: number;
}

/** A Unix domain socket. */
export interface PipeAddress {
  readonly kind: "pipe";
  readonly path: string;
  /** File mode bits of the socket, listeners only. */
  readonly mode: number;
}

export type Address = TcpAddress | PipeAddress;

/** An IP prefix: `address` is an IP literal. */
export interface CidrRange {
  readonly address: string;
  readonly prefixLength: number;
}
