// What a client has sent behind its current request: pipelined requests, which wait for the response before them.
// Owned by connection.ts. Copies, because the worker's read buffer is overwritten by the next read.

import type { DownstreamSocket } from "./downstream-socket.ts";

/** Bytes that are read ahead while a response is under way; then the client has to wait. */
const MAX_READ_AHEAD_BYTES = 65_536;

export class ReadAhead {
  readonly #socket: DownstreamSocket;
  #bytes: Buffer | undefined = undefined;
  #holdsSocket = false;

  constructor(socket: DownstreamSocket) {
    this.#socket = socket;
  }

  get isEmpty(): boolean {
    return this.#bytes === undefined;
  }

  append(buffer: Buffer, start: number, end: number): void {
    const more = Buffer.from(buffer.subarray(start, end));
    this.#bytes = this.#bytes === undefined ? more : Buffer.concat([this.#bytes, more]);
    if (this.#bytes.length >= MAX_READ_AHEAD_BYTES && !this.#holdsSocket) {
      this.#holdsSocket = true;
      this.#socket.hold();
    }
  }

  /** Hands everything over; `keep` brings back what is not used, else reading may go on. */
  take(): Buffer | undefined {
    const bytes = this.#bytes;
    this.#bytes = undefined;
    return bytes;
  }

  keep(bytes: Buffer): void {
    this.#bytes = bytes;
  }

  /** Nothing is left over. */
  release(): void {
    if (this.#holdsSocket) {
      this.#holdsSocket = false;
      this.#socket.release();
    }
  }
}
