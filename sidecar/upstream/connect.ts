// Dials one upstream address: a socket that reads into the worker's shared buffer and is on its way when this returns.
// Called by connection.ts, which owns the socket, its deadline and its errors.

import { Socket } from "node:net";
import type { SocketConstructorOpts } from "node:net";

import type { Address } from "../../xds/model/address.ts";

export interface DialOptions {
  readonly readBuffer: Buffer;
  /** Bytes of unsent data from which `write` asks for a pause. */
  readonly bufferLimitBytes: number;
  /** `bytes` have been read into the start of `readBuffer`; they are there until the call returns. */
  readonly onRead: (bytes: number) => boolean;
  /** The socket stays open for writing when the upstream has shut its side. */
  readonly allowHalfOpen?: boolean;
  /** Idle milliseconds before TCP probes the upstream; undefined: it does not. */
  readonly keepAliveMs: number | undefined;
}

/** Reading begins with the connection; `address.host` must be an IP literal, so no resolver is asked. */
export function dial(address: Address, options: DialOptions): Socket {
  const settings: SocketConstructorOpts & { highWaterMark: number } = {
    onread: { buffer: options.readBuffer, callback: options.onRead },
    noDelay: true,
    highWaterMark: options.bufferLimitBytes,
    allowHalfOpen: options.allowHalfOpen === true,
    ...(options.keepAliveMs === undefined ? {} : { keepAlive: true, keepAliveInitialDelay: options.keepAliveMs }),
  };
  const socket = new Socket(settings);
  if (address.kind === "pipe") {
    socket.connect({ path: address.path });
  } else {
    socket.connect({ host: address.host, port: address.port });
  }
  return socket;
}
