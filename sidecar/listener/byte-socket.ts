// What connection.ts uses of a socket, so that something may stand between it and the real one (network filters).

export interface ByteSocket {
  on(event: "drain" | "end" | "close" | "error", listener: () => void): unknown;
  /** False above the buffer limit: "drain" follows. The bytes are the socket's from now on. */
  write(bytes: Uint8Array): boolean;
  write(text: string, encoding: "latin1"): boolean;
  pause(): unknown;
  resume(): unknown;
  /** Shuts our sending side after what is written. */
  end(): unknown;
  /** Closes when everything written is sent. */
  destroySoon(): unknown;
  destroy(): unknown;
  resetAndDestroy(): unknown;
}
