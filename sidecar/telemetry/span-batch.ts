// Sampled requests on their way from a worker to the main thread: finished spans as OTLP bytes, one part for each exporter.
// The worker encodes a span when its request ends (span-encoder.ts); the main thread only cuts, joins and sends (tracing.ts).
// A part's buffer is handed over, not copied. Bounded: what finds no room, because too many batches are on their way, is
// dropped by trace-recorder.ts.

import type { TracingProvider } from "../../xds/model/tracing.ts";
import { SpanEncoder } from "./span-encoder.ts";
import type { OtlpWriter } from "./otlp-writer.ts";

/** A provider that a worker's parts name by number. `undefined` provider: the OTEL_* environment decides. */
export interface ProviderRecord {
  readonly id: number;
  readonly provider: TracingProvider | undefined;
}

/** Spans for one exporter. */
export interface SpanPart {
  readonly provider: number;
  /** Fields 2 (`spans`) of opentelemetry.proto.trace.v1.ScopeSpans, one after the other. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where each span ends in `bytes`. */
  readonly ends: Uint32Array<ArrayBuffer>;
}

/** What a worker posts. Survives structured cloning; the parts' buffers may be transferred (`buffersOf`). */
export interface SpanBatch {
  readonly parts: readonly SpanPart[];
  readonly providers: readonly ProviderRecord[];
  /** The reader adds 1 when it is done with the batch: what the worker's bound on batches on their way counts. */
  readonly credit: SharedArrayBuffer;
}

/** Bytes of a part before it is due, and its first buffer: some 30 requests with eight hooks. */
const DUE_BYTES = 128 * 1024;
const FIRST_BYTES = DUE_BYTES + 32 * 1024;
/** A part takes no more records above this. */
const MAX_BYTES = 256 * 1024;
/** Exporters that are written to at once; tracing.ts has no more. */
const MAX_PARTS = 16;

interface OpenPart {
  buffer: Uint8Array<ArrayBuffer>;
  used: number;
  ends: number[];
}

export class SpanBatchWriter {
  readonly encoder: SpanEncoder;
  readonly #writer: OtlpWriter;
  readonly #parts = new Map<number, OpenPart>();
  #largest = 0;
  #open: OpenPart | undefined = undefined;

  /** `nodeId`: the bootstrap's; `timeOrigin`: performance.timeOrigin of this thread. */
  constructor(nodeId: string, timeOrigin: number) {
    this.encoder = new SpanEncoder(nodeId, timeOrigin);
    this.#writer = this.encoder.writer;
  }

  get isEmpty(): boolean {
    return this.#largest === 0;
  }

  /** Time to post. */
  get isDue(): boolean {
    return this.#largest >= DUE_BYTES;
  }

  /** Whether there is room for a record to this provider; then write its spans, each followed by `endSpan`, and `close`. */
  open(provider: number): boolean {
    let part = this.#parts.get(provider);
    if (part === undefined) {
      if (this.#parts.size === MAX_PARTS) {
        return false;
      }
      part = { buffer: new Uint8Array(FIRST_BYTES), used: 0, ends: [] };
      this.#parts.set(provider, part);
    }
    if (part.used > MAX_BYTES) {
      return false;
    }
    this.#writer.buffer = part.buffer;
    this.#writer.at = part.used;
    this.#open = part;
    return true;
  }

  endSpan(): void {
    this.#open?.ends.push(this.#writer.at);
  }

  close(): void {
    const part = this.#open;
    if (part !== undefined) {
      part.buffer = this.#writer.buffer;
      part.used = this.#writer.at;
      this.#largest = Math.max(this.#largest, part.used);
    }
  }

  /** Takes what has been collected. */
  take(providers: readonly ProviderRecord[], credit: SharedArrayBuffer): SpanBatch {
    const parts = [...this.#parts].map(([provider, { buffer, used, ends }]): SpanPart => {
      // A little in a large buffer would hold all of it until it is sent.
      const bytes = used < buffer.length / 2 ? buffer.slice(0, used) : buffer.subarray(0, used);
      return { provider, bytes, ends: Uint32Array.from(ends) };
    });
    this.#parts.clear();
    this.#largest = 0;
    this.#open = undefined;
    return { parts, providers, credit };
  }
}

/** What goes along with a batch instead of being copied. */
export function buffersOf(batch: SpanBatch): ArrayBuffer[] {
  return batch.parts.flatMap(({ bytes, ends }) => [bytes.buffer, ends.buffer]);
}
