// One direction of a connection through its network filters, in order. Each filter has a buffer: what it is offered, and what
// it holds after it has stopped. More bytes for a filter that holds are offered together with those.
// Two of them make a NetworkChain. A borrowed chunk that no filter touches or holds goes through without a copy.

import { BodyBuffer } from "../http/body-buffer.ts";
import type { FilterVerdict } from "./network-filter.ts";

const EMPTY = new Uint8Array(0);

export class DataPass<Filter> {
  readonly #filters: readonly Filter[];
  readonly #offer: (filter: Filter, data: BodyBuffer, end: boolean) => FilterVerdict;
  readonly #passed: (bytes: Uint8Array, end: boolean) => void;
  readonly #buffers: BodyBuffer[];
  /** By filter: it has stopped; and the direction's end has come to it. */
  readonly #stopped: boolean[];
  readonly #ended: boolean[];
  #isClosed = false;

  /** `passed` gets what has gone through all filters; the bytes are borrowed. */
  constructor(
    filters: readonly Filter[],
    offer: (filter: Filter, data: BodyBuffer, end: boolean) => FilterVerdict,
    passed: (bytes: Uint8Array, end: boolean) => void,
  ) {
    this.#filters = filters;
    this.#offer = offer;
    this.#passed = passed;
    this.#buffers = filters.map(() => new BodyBuffer());
    this.#stopped = filters.map(() => false);
    this.#ended = filters.map(() => false);
  }

  /** Bytes that filters hold. */
  get heldBytes(): number {
    let bytes = 0;
    for (const [index, buffer] of this.#buffers.entries()) {
      bytes += this.#stopped[index] === true ? buffer.length : 0;
    }
    return bytes;
  }

  buffer(filter: Filter): BodyBuffer {
    return this.#buffers[this.#filters.indexOf(filter)] ?? new BodyBuffer();
  }

  /** Bytes for the first filter. */
  push(bytes: Uint8Array, end: boolean): void {
    this.#run(0, bytes, end);
  }

  /** What `filter` holds goes on. */
  resume(filter: Filter): void {
    const index = this.#filters.indexOf(filter);
    if (index < 0 || this.#stopped[index] !== true || this.#isClosed) {
      return;
    }
    this.#stopped[index] = false;
    const bytes = (this.#buffers[index] as BodyBuffer).take();
    const end = this.#ended[index] === true;
    if (bytes.length > 0 || end) {
      this.#run(index + 1, bytes, end);
    }
  }

  /** Nothing goes on any more. */
  close(): void {
    this.#isClosed = true;
  }

  #run(from: number, bytes: Uint8Array, end: boolean): void {
    let chunk = bytes;
    for (let index = from; index < this.#filters.length; index++) {
      const buffer = this.#buffers[index] as BodyBuffer;
      if (buffer.length > 0) {
        buffer.append(chunk);
      } else {
        buffer.borrow(chunk);
      }
      this.#ended[index] = end;
      const verdict = this.#offer(this.#filters[index] as Filter, buffer, end);
      if (this.#isClosed) {
        return;
      }
      if (verdict === "stop") {
        this.#stopped[index] = true;
        buffer.own();
        return;
      }
      this.#stopped[index] = false;
      chunk = buffer.take();
      if (chunk.length === 0 && !end) {
        return;
      }
    }
    this.#passed(chunk.length === 0 ? EMPTY : chunk, end);
  }
}
