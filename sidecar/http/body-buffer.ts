// BodyBuffer: the body bytes that a filter is looking at or that wait for somebody, as one contiguous view.
// Used by the filter chain (what a filter sees, holds and changes) and by the router while no connection is ready.
// Hot path. A chunk is first borrowed, without a copy; `own` copies it when it has to outlive the call.

const EMPTY = new Uint8Array(0);
const MIN_CAPACITY = 4096;

export class BodyBuffer {
  #bytes: Uint8Array = EMPTY;
  #length = 0;
  #owned = false;

  get length(): number {
    return this.#length;
  }

  /** The bytes; valid until the next change. Borrowed bytes are valid only during the call that lent them. */
  view(): Uint8Array {
    return this.#bytes.length === this.#length ? this.#bytes : this.#bytes.subarray(0, this.#length);
  }

  /** Shows `chunk` without copying it. The buffer must be empty. */
  borrow(chunk: Uint8Array): void {
    this.#bytes = chunk;
    this.#length = chunk.length;
    this.#owned = false;
  }

  /** Copies borrowed bytes, so that they may outlive the call that lent them. */
  own(): void {
    if (!this.#owned && this.#length > 0) {
      this.#reserve(0);
    }
  }

  append(chunk: Uint8Array): void {
    if (chunk.length === 0) {
      return;
    }
    this.#reserve(chunk.length);
    this.#bytes.set(chunk, this.#length);
    this.#length += chunk.length;
  }

  /** Replaces `count` bytes from `start` on by `data`. Both ends are clamped to what is there. */
  replace(start: number, count: number, data: Uint8Array): void {
    const from = Math.min(start, this.#length);
    if (from === this.#length) {
      this.append(data);
      return;
    }
    const to = Math.min(from + count, this.#length);
    const tail = this.#length - to;
    const next = new Uint8Array(from + data.length + tail);
    next.set(this.#bytes.subarray(0, from), 0);
    next.set(data, from);
    next.set(this.#bytes.subarray(to, this.#length), from + data.length);
    this.#bytes = next;
    this.#length = next.length;
    this.#owned = true;
  }

  clear(): void {
    this.#bytes = EMPTY;
    this.#length = 0;
    this.#owned = false;
  }

  /** Gives the bytes away and is empty afterwards. */
  take(): Uint8Array {
    const bytes = this.view();
    this.clear();
    return bytes;
  }

  #reserve(extra: number): void {
    const needed = this.#length + extra;
    if (this.#owned && this.#bytes.length >= needed) {
      return;
    }
    const grown = new Uint8Array(
      Math.max(needed, this.#owned ? this.#bytes.length * 2 : Math.min(needed * 2, MIN_CAPACITY)),
    );
    grown.set(this.#bytes.subarray(0, this.#length), 0);
    this.#bytes = grown;
    this.#owned = true;
  }
}
