// An accepted connection as Node.js has it before it makes a socket of it. The sockets that we need read into a buffer of ours, which
// can only be said when one is made; one that Node.js made first would be thrown away, for a tenth of what accepting costs.

import { type Server, Socket } from "node:net";
import type { ConnectionInfo } from "../http/stream.ts";

export interface AcceptedHandle {
  readonly fd: number;
  close(): void;
  setNoDelay?(on: boolean): unknown;
  /** Not of a Unix socket. They fill `out` and return 0, or an error. */
  getpeername?(out: HandleAddress): number;
  getsockname?(out: HandleAddress): number;
}

interface HandleAddress {
  address?: string;
  port?: number;
}

/** A server that listens gives what it accepts to `accept`, instead of making sockets. */
export function takeHandles(server: Server, accept: (handle: AcceptedHandle) => void): void {
  const { _handle: handle } = server as unknown as {
    readonly _handle: { onconnection: (error: number, accepted: AcceptedHandle | undefined) => void };
  };
  handle.onconnection = (error, accepted) => {
    // Running out of file descriptors, for one: accepting goes on when some are free again.
    if (error === 0 && accepted !== undefined) {
      accepted.setNoDelay?.(true);
      accept(accepted);
    }
  };
}

export function infoOf(handle: AcceptedHandle, id: number): ConnectionInfo {
  const peer: HandleAddress = {};
  const own: HandleAddress = {};
  handle.getpeername?.(peer);
  handle.getsockname?.(own);
  return {
    id,
    remoteAddress: plainAddress(peer.address),
    remotePort: peer.port ?? 0,
    localAddress: plainAddress(own.address),
    localPort: own.port ?? 0,
    direct: undefined,
    source: undefined,
  };
}

// A dual-stack socket shows IPv4 clients as ::ffff:a.b.c.d.
function plainAddress(address = ""): string {
  return address.startsWith("::ffff:") ? address.slice("::ffff:".length) : address;
}

/** The socket of an accepted connection; what is read is in the start of `buffer` until `callback` returns. */
export function socketOver(
  handle: AcceptedHandle,
  highWaterMark: number,
  buffer: Buffer,
  callback: (bytes: number) => boolean,
): Socket {
  const options = { handle, onread: { buffer, callback }, allowHalfOpen: true, noDelay: true, highWaterMark };
  return new Socket(options as unknown as ConstructorParameters<typeof Socket>[0]);
}
