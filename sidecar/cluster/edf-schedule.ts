// Earliest-deadline-first schedule over weighted entries: an entry of weight w comes round every 1/w of virtual time, so
// weights are honoured smoothly rather than in bursts. Used by round-robin.ts and least-request.ts. O(log n) a pick.
// Source: Envoy's EdfScheduler. A binary heap in typed arrays; hot path.

export class EdfSchedule {
  // heap[i] is an entry's index; deadlines and turns belong to entries, not to heap places.
  readonly #heap: Uint32Array;
  readonly #deadline: Float64Array;
  // Breaks ties in favour of the one that has waited longest, as Envoy's order offset does.
  readonly #turn: Float64Array;
  #nextTurn = 0;

  /** `weights` are above 0. */
  constructor(weights: readonly number[]) {
    const size = weights.length;
    this.#heap = new Uint32Array(size);
    this.#deadline = new Float64Array(size);
    this.#turn = new Float64Array(size);
    for (let entry = 0; entry < size; entry++) {
      this.#deadline[entry] = 1 / (weights[entry] as number);
      this.#turn[entry] = this.#nextTurn++;
      this.#heap[entry] = entry;
    }
    for (let at = (size >> 1) - 1; at >= 0; at--) {
      this.#sink(at);
    }
  }

  /** The entry whose turn it is. There must be one. */
  get first(): number {
    return this.#heap[0] as number;
  }

  /** Ends the first entry's turn; it comes again after 1/`weight`. */
  advance(weight: number): void {
    const entry = this.#heap[0] as number;
    // Relative to its own deadline, which is the schedule's present time.
    this.#deadline[entry] = (this.#deadline[entry] as number) + 1 / weight;
    this.#turn[entry] = this.#nextTurn++;
    this.#sink(0);
  }

  #sink(from: number): void {
    const heap = this.#heap;
    const size = heap.length;
    let at = from;
    const entry = heap[at] as number;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) {
        break;
      }
      if (child + 1 < size && this.#before(heap[child + 1] as number, heap[child] as number)) {
        child++;
      }
      if (!this.#before(heap[child] as number, entry)) {
        break;
      }
      heap[at] = heap[child] as number;
      at = child;
    }
    heap[at] = entry;
  }

  #before(a: number, b: number): boolean {
    const difference = (this.#deadline[a] as number) - (this.#deadline[b] as number);
    return difference < 0 || (difference === 0 && (this.#turn[a] as number) < (this.#turn[b] as number));
  }
}
