// Decides which regions of a scanned function are charged where they stand and which with their parent: each charge is code
// that the guest runs. Pure. body-rewriter.ts writes what is decided here.
//
// A region that is charged with its parent is paid for even when it does not run. So only small ones are, and no region pays for
// more than a few of them: what is charged stays near what has run.

import { type BodyScan, RegionKind } from "./body-scan.ts";

/** How a function is charged that its callers do not pay for (free-functions.ts). */
export const ChargeMode = {
  /** Each charge changes the global. */
  Global: 1,
  /** Fuel is in a local, which is written back where others look at it: functions with loops that call nothing. */
  Local: 2,
} as const;

interface Allowance {
  /** Costs up to this may be charged with the parent. */
  readonly each: number;
  /** All that one region pays for others. */
  readonly all: number;
}

/** Without loops each region runs once at most. */
const STRAIGHT: Allowance = { each: 60, all: 150 };
const LOOPING: Allowance = { each: 8, all: 16 };

export class ChargePlan {
  /** What is charged at each region; 0: nothing. */
  readonly charges: number[] = [];
  readonly #payer: number[] = [];
  readonly #paidForOthers: number[] = [];

  /** Fills `charges` for the regions of the scan. */
  decide(scan: BodyScan): void {
    const { each, all } = scan.hasLoop ? LOOPING : STRAIGHT;
    const count = scan.regionCost.length;
    for (let region = 0; region < count; region++) {
      const cost = scan.regionCost[region] as number;
      this.#paidForOthers[region] = 0;
      this.charges[region] = cost;
      this.#payer[region] = region;
      if (scan.regionKind[region] !== RegionKind.Plain) {
        // Every turn of every loop costs something, and every call.
        this.charges[region] = Math.max(1, cost);
        continue;
      }
      const payer = this.#payer[scan.regionParent[region] as number] as number;
      if (cost === 0 || (cost <= each && (this.#paidForOthers[payer] as number) + cost <= all)) {
        this.#payer[region] = payer;
        this.#paidForOthers[payer] = (this.#paidForOthers[payer] as number) + cost;
        this.charges[payer] = (this.charges[payer] as number) + cost;
        this.charges[region] = 0;
      }
    }
  }
}

/** A function with loops and this many regions for each call is better off with its fuel in a local. Measured. */
const REGIONS_PER_CALL = 4;

export function chooseMode(scan: BodyScan, results: number): number {
  // A caught exception would find the local stale; several results would need a block type of their own.
  return (scan.hasQuietLoop || (scan.hasLoop && scan.regionCost.length > scan.calls * REGIONS_PER_CALL)) &&
    !scan.hasExceptions &&
    results <= 1
    ? ChargeMode.Local
    : ChargeMode.Global;
}
