// Writes borrowed bytes to sockets. Every socket of the worker reads into one buffer, which the next read overwrites, so what
// is written is copied first, into a scratch buffer that is used again when the kernel took all of it at once, as it
// nearly always does. One for each worker. Hot path.

import type { Socket } from "node:net";

const SCRATCH_BYTES = 64 * 1024;

export class ChunkWriter {
  #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

  /** `onWritten` is called on a later turn, when the kernel has taken all of it or the socket has failed. */
  write(socket: Socket, bytes: Uint8Array, onWritten: () => void): void {
    const { length } = bytes;
    const copy = length > SCRATCH_BYTES ? Buffer.allocUnsafeSlow(length) : this.#scratch;
    copy.set(bytes);
    socket.write(length === copy.length ? copy : copy.subarray(0, length), onWritten);
    if (copy === this.#scratch && socket.writableLength > 0) {
      this.#scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
    }
  }
}
