// Which functions are not charged, because their callers pay for them: small ones without loops that call only such ones.
// Most calls of a plugin are of these, and a charge costs about as much as a call. What they use is bounded, so a guest that
// calls them where nobody pays (through a table) gets away with little. instrumenter.ts asks.

import type { BodyScan } from "./body-scan.ts";

/** Most that one of them costs, with all that it calls. */
const FREE_COST = 48;
const MAX_CALLEES = 4;
/** How deep such functions may call each other. */
const MAX_LEVELS = 4;

export class FreeFunctions {
  /** By function index: 1 if callers pay, and what one call costs them. */
  readonly isFree: Uint8Array;
  readonly costs: Uint16Array;
  /** Function index, own cost, callees; those that may turn out to be free. */
  readonly #candidates: { readonly index: number; readonly cost: number; readonly callees: readonly number[] }[] = [];

  constructor(functions: number) {
    this.isFree = new Uint8Array(functions);
    this.costs = new Uint16Array(functions);
  }

  /** Looks at one function, of which the scan tells. */
  consider(index: number, scan: BodyScan): void {
    const { cost, callees } = scan;
    if (scan.hasLoop || scan.hasOpenCalls || scan.hasLengths || scan.hasExceptions || cost > FREE_COST) return;
    if (callees.length === 0) this.#free(index, cost);
    else if (callees.length <= MAX_CALLEES) this.#candidates.push({ index, cost, callees: [...callees] });
  }

  /** After all functions: frees those that call only free ones. None of a circle is ever free. */
  settle(): void {
    for (let level = 0; level < MAX_LEVELS; level++) {
      for (const { index, cost, callees } of this.#candidates) {
        if (this.isFree[index] === 1 || !callees.every((callee) => this.isFree[callee] === 1)) continue;
        const total = callees.reduce((sum, callee) => sum + (this.costs[callee] as number), cost);
        if (total <= FREE_COST) this.#free(index, total);
      }
    }
  }

  #free(index: number, cost: number): void {
    this.isFree[index] = 1;
    this.costs[index] = cost;
  }
}
