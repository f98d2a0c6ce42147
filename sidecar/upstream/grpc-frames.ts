// The frames of gRPC over HTTP/2: a flag, a length of four bytes, a message. Chunks in, whole messages out.
// Source: grpc/doc/PROTOCOL-HTTP2.md, "Length-Prefixed-Message". Used by grpc-exchange.ts.

const PREFIX_BYTES = 5;

/** What is wrong with what the peer sent. */
export type FrameProblem = "compressed" | "too-large";

export class GrpcFrameReader {
  readonly #maxMessageBytes: number;
  readonly #onMessage: (message: Uint8Array) => void;
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #prefixLength = 0;
  /** The message that has begun, and how much of it is there. */
  #message: Uint8Array | undefined = undefined;
  #length = 0;

  constructor(maxMessageBytes: number, onMessage: (message: Uint8Array) => void) {
    this.#maxMessageBytes = maxMessageBytes;
    this.#onMessage = onMessage;
  }

  /** Takes a chunk; answers what is wrong, after which nothing more may be given. Messages own their bytes. */
  push(chunk: Uint8Array): FrameProblem | undefined {
    let at = 0;
    while (at < chunk.length || (this.#message !== undefined && this.#length === this.#message.length)) {
      if (this.#message === undefined) {
        const count = Math.min(PREFIX_BYTES - this.#prefixLength, chunk.length - at);
        this.#prefix.set(chunk.subarray(at, at + count), this.#prefixLength);
        this.#prefixLength += count;
        at += count;
        const problem = this.#prefixLength === PREFIX_BYTES ? this.#begin() : undefined;
        if (problem !== undefined) {
          return problem;
        }
        continue;
      }
      const message: Uint8Array = this.#message;
      const count = Math.min(message.length - this.#length, chunk.length - at);
      message.set(chunk.subarray(at, at + count), this.#length);
      this.#length += count;
      at += count;
      if (this.#length === message.length) {
        this.#message = undefined;
        this.#onMessage(message);
      }
    }
    return undefined;
  }

  #begin(): FrameProblem | undefined {
    const length = this.#prefix.readUInt32BE(1);
    if (length > this.#maxMessageBytes) {
      return "too-large";
    }
    // Nobody has asked for compression: plugins get bytes as they are.
    if (this.#prefix[0] !== 0 && length > 0) {
      return "compressed";
    }
    this.#prefixLength = 0;
    this.#length = 0;
    this.#message = new Uint8Array(length);
    return undefined;
  }
}

/** A message in its frame. */
export function grpcFrame(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, PREFIX_BYTES);
  return frame;
}
