// A client's socket as its connection uses it: writes with backpressure, reading that several parties may hold up, closing.
// Owned by connection.ts. Hot path.

import type { ByteOutput } from "../http/h1-writer.ts";
import type { ByteSocket } from "./byte-socket.ts";
import type { DownstreamStats } from "./downstream-stats.ts";

export interface SocketOwner {
  /** Unsent bytes have gone above the buffer limit. */
  onBlocked(): void;
  /** They have been sent. */
  onUnblocked(): void;
  /** The client has shut its sending side. */
  onPeerEnd(): void;
  onSocketClosed(): void;
}

export class DownstreamSocket implements ByteOutput {
  readonly #socket: ByteSocket;
  readonly #owner: SocketOwner;
  readonly #stats: DownstreamStats;
  #holds = 0;

  constructor(socket: ByteSocket, owner: SocketOwner, stats: DownstreamStats) {
    this.#socket = socket;
    this.#owner = owner;
    this.#stats = stats;
  }

  /** Begins to read. */
  start(): void {
    const socket = this.#socket;
    const owner = this.#owner;
    socket.on("drain", () => owner.onUnblocked());
    socket.on("end", () => owner.onPeerEnd());
    // `close` follows; an error that nobody listens to would end the process.
    socket.on("error", () => undefined);
    socket.on("close", () => owner.onSocketClosed());
    socket.resume();
  }

  write(bytes: string | Uint8Array): void {
    this.#stats.cxTxBytes.add(bytes.length);
    const socket = this.#socket;
    const hasRoom = typeof bytes === "string" ? socket.write(bytes, "latin1") : socket.write(bytes);
    if (!hasRoom) {
      this.#owner.onBlocked();
    }
  }

  /** Stops reading until as many `release` calls have come. */
  hold(): void {
    if (this.#holds++ === 0) {
      this.#stats.flowControlPausedReading.inc();
      this.#socket.pause();
    }
  }

  release(): void {
    if (--this.#holds === 0) {
      this.#stats.flowControlResumedReading.inc();
      this.#socket.resume();
    }
  }

  /** Sends the end of our side after what is written, and reads on. */
  shut(): void {
    this.#holds = 0;
    this.#socket.end();
    this.#socket.resume();
  }

  /** Closes when everything written is sent. */
  closeSoon(): void {
    this.#socket.destroySoon();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Closes so that the client sees an error, not an end. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }
}
