// A client's socket behind network filters, for the connection manager: what is read has gone through the filters, and what is
// written goes through them. Used by filtered-http.ts; connection.ts takes it for the socket itself.

import type { Socket } from "node:net";
import type { ByteSocket } from "../listener/byte-socket.ts";
import { NetworkChain, type ChainOwner } from "./network-chain.ts";
import type { CloseSide, NetworkFilterFactory } from "./network-filter.ts";
import type { TcpRecord } from "./tcp-record.ts";

/** What is handed on at a time. */
const PIECE_BYTES = 16 * 1024;

export interface FilteredSocketOwner {
  /** The filters let the connection begin. */
  onAdmitted(): void;
  /** `bytes` are in the start of `FilteredSocket.buffer`. */
  onFiltered(bytes: number): void;
  onClosed(): void;
}

export class FilteredSocket implements ByteSocket, ChainOwner {
  readonly facts: TcpRecord;
  /** Whoever reads gets the bytes here: the worker's own buffer may be in use by what led to them. */
  readonly buffer = Buffer.allocUnsafeSlow(PIECE_BYTES);
  readonly #socket: Socket;
  readonly #owner: FilteredSocketOwner;
  readonly #chain: NetworkChain;
  readonly #waiting: Uint8Array[] = [];
  #hasEnd = false;
  #isHandingOn = false;
  #holds = 0;
  #isReaderPaused = true;
  #isUpstreamFull = false;
  #isAboveLimit = false;
  #closedBy: CloseSide = "remote";
  #onDrain: () => void = () => undefined;
  #onEnd: () => void = () => undefined;

  /** `limit`: bytes that filters may hold in each direction. */
  constructor(
    socket: Socket,
    facts: TcpRecord,
    factories: readonly NetworkFilterFactory[],
    owner: FilteredSocketOwner,
    limit: number,
  ) {
    this.facts = facts;
    this.#socket = socket;
    this.#owner = owner;
    this.#chain = new NetworkChain(factories, this, [limit, limit]);
    // A socket over an accepted handle reads from the start.
    socket.pause();
    // Without half-close a client's end is its close: as in Envoy, filters do not see it as the end of data.
    socket.on("end", () => {
      this.#hasEnd = true;
      if (!this.#isHandingOn) {
        this.#onEnd();
      }
    });
    socket.on("error", () => undefined);
    socket.on("drain", () => {
      this.#isAboveLimit = false;
      this.#drained();
    });
    socket.on("close", () => {
      this.#chain.close(this.#closedBy);
      owner.onClosed();
    });
  }

  /** Asks the filters to let the connection begin. */
  begin(): void {
    this.#chain.begin();
  }

  /** What the real socket has read; borrowed. */
  onRead(bytes: Uint8Array): void {
    this.#chain.downstream(bytes, false);
  }

  // ByteSocket. "close" and "error" are the owner's business.

  on(event: "drain" | "end" | "close" | "error", listener: () => void): void {
    if (event === "drain") {
      this.#onDrain = listener;
    } else if (event === "end") {
      this.#onEnd = listener;
    } else if (event === "close") {
      this.#socket.on("close", listener);
    }
  }

  write(bytes: Uint8Array | string): boolean {
    this.#chain.upstream(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes, false);
    return !this.#isAboveLimit && !this.#isUpstreamFull;
  }

  pause(): void {
    if (!this.#isReaderPaused) {
      this.#isReaderPaused = true;
      this.#hold();
    }
  }

  resume(): void {
    if (this.#isReaderPaused) {
      this.#isReaderPaused = false;
      this.#release();
    }
  }

  end(): void {
    this.#closedBy = "local";
    this.#socket.end();
  }

  destroySoon(): void {
    this.#closedBy = "local";
    this.#socket.destroySoon();
  }

  destroy(): void {
    if (!this.#hasEnd && !this.#socket.destroyed) {
      this.#closedBy = "local";
    }
    this.#socket.destroy();
  }

  resetAndDestroy(): void {
    this.#closedBy = "local";
    this.#socket.resetAndDestroy();
  }

  // ChainOwner

  onAdmitted(): void {
    this.#holds = 1;
    this.#owner.onAdmitted();
  }

  onDownstreamPassed(bytes: Uint8Array): void {
    this.#waiting.push(this.#isHandingOn ? Uint8Array.from(bytes) : bytes);
    // What a reader does may lead a plugin to let more through: that follows when the reader is done.
    if (this.#isHandingOn) {
      return;
    }
    this.#isHandingOn = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      for (let at = 0; at < next.length && !this.#socket.destroyed; at += PIECE_BYTES) {
        const piece = next.subarray(at, at + PIECE_BYTES);
        this.buffer.set(piece);
        this.#owner.onFiltered(piece.length);
      }
    }
    this.#isHandingOn = false;
    if (this.#hasEnd) {
      this.#onEnd();
    }
  }

  onUpstreamPassed(bytes: Uint8Array): void {
    if (!this.#socket.destroyed && !this.#socket.write(bytes)) {
      this.#isAboveLimit = true;
    }
  }

  onDownstreamHeld(isFull: boolean): void {
    if (isFull) {
      this.#hold();
    } else {
      this.#release();
    }
  }

  onUpstreamHeld(isFull: boolean): void {
    this.#isUpstreamFull = isFull;
    this.#drained();
  }

  onFilterClose(): void {
    this.destroySoon();
  }

  #drained(): void {
    if (!this.#isAboveLimit && !this.#isUpstreamFull) {
      this.#onDrain();
    }
  }

  #hold(): void {
    if (this.#holds++ === 0) {
      this.#socket.pause();
    }
  }

  #release(): void {
    if (--this.#holds === 0) {
      this.#socket.resume();
    }
  }
}
