// Which protocol a connection to the admin port speaks, told by its first bytes: HTTP/2 begins with a preface of its own
// (RFC 9113, section 3.4), and over plain text only gRPC tools speak it here. Used by admin.ts.

import type { Socket } from "node:net";

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/**
 * Calls `route` once, with the bytes given back to the socket, which is paused, as soon as they tell. A connection that says nothing for
 * `timeoutMs` is closed; one that closes or fails before is never routed.
 */
export function byFirstBytes(socket: Socket, timeoutMs: number, route: (isHttp2: boolean) => void): void {
  let seen: Buffer = Buffer.alloc(0);
  const onData = (chunk: Buffer): void => {
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const length = Math.min(seen.length, PREFACE.length);
    const isPreface = seen.compare(PREFACE, 0, length, 0, length) === 0;
    if (isPreface && length < PREFACE.length) {
      return;
    }
    socket.pause();
    socket.setTimeout(0);
    socket.off("data", onData).off("timeout", onTimeout).off("error", onError);
    socket.unshift(seen);
    route(isPreface);
  };
  const onTimeout = (): void => void socket.destroy();
  // It is closed by itself; without a listener an error would end the process.
  const onError = (): void => {};
  socket.on("data", onData).on("timeout", onTimeout).on("error", onError);
  socket.setTimeout(timeoutMs);
}
