// Which loops may be written several times over, so that one check of the fuel does for several turns: those with no loop inside
// and one branch back, as their last instruction. body-scan.ts tells what it meets; body-rewriter.ts writes them.
//
//   loop … br_if 0 end     a condition at the bottom
//   loop … br 0 end        conditions above, which branch out of the loop

export class InnerLoops {
  /** The innermost open loop, as the number of blocks around it, while it has none inside; -1: none. */
  block = -1;
  #mayRepeat = false;
  #back = 0;
  #backEnd = 0;

  reset(): void {
    this.block = -1;
  }

  /** `isPlain`: it takes and gives no values. */
  enter(block: number, isPlain: boolean): void {
    this.block = block;
    this.#mayRepeat = isPlain;
    this.#back = 0;
  }

  /** A branch to `target`, in [at, end) of the code. True when it leaves the loop. */
  onBranch(target: number, at: number, end: number, isAlive: boolean): boolean {
    if (this.block < 0 || target > this.block) return false;
    // One byte for its index, which may have to be another; and what never runs is not written anew.
    if (end !== at + 2 || !isAlive) this.#mayRepeat = false;
    if (target < this.block) return true;
    if (this.#back !== 0) this.#mayRepeat = false;
    this.#back = at;
    this.#backEnd = end;
    return false;
  }

  /** The loop has what stands in the way. */
  spoil(): void {
    this.#mayRepeat = false;
  }

  /** A loop ends at `end`. Where its branch back is, if it may be repeated; else 0. */
  leave(block: number, end: number): number {
    if (block !== this.block) return 0;
    this.block = -1;
    return this.#mayRepeat && this.#back !== 0 && this.#backEnd === end ? this.#back : 0;
  }
}
