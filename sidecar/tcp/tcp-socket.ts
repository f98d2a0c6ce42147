// One side of a proxied TCP connection: writes with backpressure, reading that several parties may hold up, half-close.
// Owned by tcp-connection.ts, which has two of them. Hot path.
//
// Behind what the kernel has not taken yet, small chunks are gathered, so that a peer that sends single bytes to one that does
// not read costs what it sent and little more.

import type { Socket } from "node:net";
import { BodyBuffer } from "../http/body-buffer.ts";
import type { Counter } from "../stats/scope.ts";
import type { ChunkWriter } from "./chunk-writer.ts";

export interface TcpSocketOwner {
  /** Unsent bytes have gone above the buffer limit. */
  onBlocked(side: TcpSocket): void;
  /** They are below half of it. */
  onUnblocked(side: TcpSocket): void;
  /** The peer has shut its sending side; everything that it sent has been delivered. */
  onPeerEnd(side: TcpSocket): void;
  /** Last call. `error` is undefined when both directions had ended in order. */
  onSocketClosed(side: TcpSocket, error: Error | undefined): void;
}

export interface TcpSocketStats {
  readonly txBytes: Counter;
  readonly pausedReading: Counter;
  readonly resumedReading: Counter;
}

/** Chunks from this size on are queued one by one. */
const LARGE_BYTES = 4 * 1024;
/** Gathered bytes are queued when they are as many. */
const GATHER_BYTES = 64 * 1024;

export class TcpSocket {
  readonly #socket: Socket;
  readonly #owner: TcpSocketOwner;
  readonly #writer: ChunkWriter;
  readonly #stats: TcpSocketStats;
  readonly #limit: number;
  readonly #onWritten: () => void;
  readonly #behind = new BodyBuffer();
  #holds = 0;
  #isBlocked = false;
  #error: Error | undefined = undefined;

  /** `limit`: bytes. */
  constructor(socket: Socket, owner: TcpSocketOwner, writer: ChunkWriter, stats: TcpSocketStats, limit: number) {
    this.#socket = socket;
    this.#owner = owner;
    this.#writer = writer;
    this.#stats = stats;
    this.#limit = limit;
    this.#onWritten = () => this.#flush();
    socket.on("end", () => owner.onPeerEnd(this));
    // `close` follows.
    socket.on("error", (error) => (this.#error = error));
    socket.on("close", () => owner.onSocketClosed(this, this.#error));
  }

  /** Bytes that the kernel has not taken yet. */
  get unsent(): number {
    return this.#socket.writableLength + this.#behind.length;
  }

  /** Begins to read, unless somebody holds it. */
  start(): void {
    if (this.#holds === 0) {
      this.#socket.resume();
    }
  }

  /** `bytes` are borrowed. */
  write(bytes: Uint8Array): void {
    this.#stats.txBytes.add(bytes.length);
    const socket = this.#socket;
    if (socket.writableLength === 0 && this.#behind.length === 0) {
      this.#writer.write(socket, bytes, this.#onWritten);
    } else if (bytes.length >= LARGE_BYTES) {
      this.#writeBehind();
      socket.write(Uint8Array.from(bytes), this.#onWritten);
    } else {
      this.#behind.append(bytes);
      if (this.#behind.length >= GATHER_BYTES) {
        this.#writeBehind();
      }
    }
    if (!this.#isBlocked && this.unsent > this.#limit) {
      this.#isBlocked = true;
      this.#owner.onBlocked(this);
    }
  }

  /** Shuts our sending side after what is written. */
  end(): void {
    this.#writeBehind();
    this.#socket.end();
  }

  /** Closes when everything written is sent; what the peer still sends is thrown away. */
  closeSoon(): void {
    this.#writeBehind();
    this.#socket.destroySoon();
  }

  /** Closes now. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** Closes so that the peer sees an error, not an end. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  /** Stops reading until as many `release` calls have come. */
  hold(): void {
    if (this.#holds++ === 0) {
      this.#stats.pausedReading.inc();
      this.#socket.pause();
    }
  }

  release(): void {
    if (--this.#holds === 0) {
      this.#stats.resumedReading.inc();
      this.#socket.resume();
    }
  }

  #writeBehind(): void {
    if (this.#behind.length > 0) {
      this.#socket.write(this.#behind.take(), this.#onWritten);
    }
  }

  #flush(): void {
    if (this.#socket.writableLength > 0 || this.#socket.destroyed) {
      return;
    }
    this.#writeBehind();
    if (this.#isBlocked && this.unsent <= this.#limit / 2) {
      this.#isBlocked = false;
      this.#owner.onUnblocked(this);
    }
  }
}
