// Counts the messages of a gRPC body as it passes: each has a head of five bytes, a flag and the length. Used by
// grpc-stats-filter.ts; what was counted is known of the stream afterwards, for istio-stats-filter.ts.

import type { StreamRecord } from "../stream-record.ts";

const HEAD_BYTES = 5;

/** One direction of one stream. Broken framing counts nothing more. */
export class GrpcMessageCounter {
  count = 0;
  /** Bytes of the current head that have come, and the length as far as they say. */
  #head = 0;
  #length = 0;
  /** Bytes of the current message that have not. */
  #left = 0;

  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const step = Math.min(this.#left, chunk.length - at);
        this.#left -= step;
        at += step;
        continue;
      }
      const byte = chunk[at++] as number;
      if (this.#head > 0) {
        this.#length = this.#length * 256 + byte;
      }
      this.#head += 1;
      if (this.#head === HEAD_BYTES) {
        this.count += 1;
        this.#left = this.#length;
        this.#head = 0;
        this.#length = 0;
      }
    }
  }
}

export interface MessageCounts {
  readonly requests: number;
  readonly responses: number;
}

const counts = new WeakMap<StreamRecord, MessageCounts>();

/** Of a stream that a grpc_stats filter has seen. */
export function messageCounts(facts: StreamRecord): MessageCounts | undefined {
  return counts.get(facts);
}

export function keepMessageCounts(facts: StreamRecord, kept: MessageCounts): void {
  counts.set(facts, kept);
}
