// Counts refusals in a row for one type, and says when the next NACK must wait. go-control-plane sends a refused
// state-of-the-world version again the moment it is refused, so a client that answers at once loops a thousand times
// a second. Pure: the wait itself is the client's, with its clock. Used by the two subscription state machines.

/** A NACK for new content goes out at once, up to this many times in a row. */
const PROMPT_REFUSALS = 3;

export class Refusals {
  #inARow = 0;
  #last = "";

  /**
   * Notes a refusal of content with this fingerprint. Returns 0 when the NACK may go out at once, else n ≥ 1: the
   * n-th wait in this row (for an exponential delay).
   */
  note(fingerprint: string): number {
    this.#inARow += 1;
    const isRepeat = fingerprint === this.#last;
    this.#last = fingerprint;
    if (this.#inARow === 1) return 0;
    if (!isRepeat && this.#inARow <= PROMPT_REFUSALS) return 0;
    return this.#inARow - 1;
  }

  clear(): void {
    this.#inARow = 0;
    this.#last = "";
  }
}
