// Spans that wait for one exporter, as the bytes that workers made of them: bounded, first in, first out. A request to the
// collector takes spans from it and becomes one message without looking into them. Used by tracing.ts.

import type { SpanPart } from "./span-batch.ts";

/** Most bytes that wait for one exporter, whatever the number of spans. */
const MAX_QUEUED_BYTES = 32 * 1024 * 1024;
/** Most bytes of one request, whatever the number of spans: gRPC servers take 4 MiB by default. */
const MAX_REQUEST_BYTES = 3 * 1024 * 1024;
/** A request's buffer is kept for the next one up to this size. */
const MAX_KEPT_BYTES = 1024 * 1024;
/** Bytes of a padded length: up to 256 MiB. */
const LENGTH_BYTES = 4;

/** Spans taken from the queue for one request to the collector. */
export interface SpanRequest {
  readonly count: number;
  /** An ExportTraceServiceRequest. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

interface Waiting {
  readonly part: SpanPart;
  /** The next span of the part to be taken. */
  next: number;
  /** The first span of the part that is not ours any more. */
  readonly end: number;
}

export class SpanQueue {
  readonly #maxSpans: number;
  /** `Resource` with its tag, and `InstrumentationScope` with its tag: the same in every request. */
  readonly #resource: Uint8Array;
  readonly #scope: Uint8Array;
  #waiting: Waiting[] = [];
  #spans = 0;
  #bytes = 0;
  /** The last request's, for the next one. */
  #buffer: Uint8Array<ArrayBuffer> | undefined = undefined;

  /** `resource`: field 1 of ResourceSpans; `scope`: field 1 of ScopeSpans. */
  constructor(maxSpans: number, resource: Uint8Array, scope: Uint8Array) {
    this.#maxSpans = maxSpans;
    this.#resource = resource;
    this.#scope = scope;
  }

  /** Spans that wait. */
  get size(): number {
    return this.#spans;
  }

  /** Adds as many of a part's spans, from the `from`-th on, as there is room for; how many those were. */
  add(part: SpanPart, from: number): number {
    const isFull = this.#bytes >= MAX_QUEUED_BYTES;
    const count = isFull ? 0 : Math.min(part.ends.length - from, this.#maxSpans - this.#spans);
    if (count > 0) {
      this.#waiting.push({ part, next: from, end: from + count });
      this.#spans += count;
      this.#bytes += startOf(part, from + count) - startOf(part, from);
    }
    return count;
  }

  /** The oldest spans, at most `maxSpans`, as one request; undefined when none wait. */
  take(maxSpans: number): SpanRequest | undefined {
    const slices: Uint8Array[] = [];
    let size = 0;
    let count = 0;
    let whole = 0;
    for (const waiting of this.#waiting) {
      const { part, end } = waiting;
      const start = startOf(part, waiting.next);
      let stop = start;
      while (count < maxSpans && waiting.next < end) {
        const after = startOf(part, waiting.next + 1);
        if (count > 0 && size + after - start > MAX_REQUEST_BYTES) {
          break;
        }
        stop = after;
        waiting.next++;
        count++;
      }
      slices.push(part.bytes.subarray(start, stop));
      size += stop - start;
      if (waiting.next < end) {
        break;
      }
      whole++;
    }
    this.#spans -= count;
    this.#bytes -= size;
    const request = count === 0 ? undefined : { count, bytes: this.#request(slices, size) };
    for (const { part, end } of this.#waiting.splice(0, whole)) {
      // A part that was added piece by piece is whole with its last.
      if (end === part.ends.length) {
        free(part);
      }
    }
    return request;
  }

  /** The request is done with: its bytes may become the next one's. */
  reuse(request: SpanRequest): void {
    this.#buffer = request.bytes.buffer.byteLength > MAX_KEPT_BYTES ? undefined : new Uint8Array(request.bytes.buffer);
  }

  /** Forgets what waits; how many spans that were. */
  clear(): number {
    const count = this.#spans;
    this.#waiting = [];
    this.#spans = 0;
    this.#bytes = 0;
    return count;
  }

  /** resource_spans { resource, scope_spans { scope, spans … } } */
  #request(slices: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
    const scopeSize = this.#scope.length + size;
    const resourceSize = this.#resource.length + 1 + LENGTH_BYTES + scopeSize;
    const total = 1 + LENGTH_BYTES + resourceSize;
    const kept = this.#buffer;
    this.#buffer = undefined;
    const request = kept !== undefined && kept.length >= total ? kept.subarray(0, total) : new Uint8Array(total);
    let at = writeHead(request, 0, 0x0a, resourceSize);
    request.set(this.#resource, at);
    at = writeHead(request, at + this.#resource.length, 0x12, scopeSize);
    request.set(this.#scope, at);
    at += this.#scope.length;
    for (const slice of slices) {
      request.set(slice, at);
      at += slice.length;
    }
    return request;
  }
}

/**
 * Gives a part's memory back now. Left to the garbage collector, the bytes of some thousand requests a second would make it
 * walk the whole heap several times a second.
 */
function free(part: SpanPart): void {
  part.bytes.buffer.transfer(0);
}

/** Where the `index`-th span of a part starts, or its bytes end. */
function startOf(part: SpanPart, index: number): number {
  return index === 0 ? 0 : (part.ends[index - 1] as number);
}

function writeHead(request: Uint8Array, start: number, tag: number, size: number): number {
  request[start] = tag;
  let rest = size;
  for (let i = 1; i < LENGTH_BYTES; i++) {
    request[start + i] = (rest & 127) | 128;
    rest >>>= 7;
  }
  request[start + LENGTH_BYTES] = rest;
  return start + 1 + LENGTH_BYTES;
}
