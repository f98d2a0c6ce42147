// The fuel of one instance: vm.ts fills it before each callback and reads it after. Fuel is about one machine instruction a
// unit; the same callback with the same input uses the same amount on every run. instrumenter.ts builds the gauge into modules.

import { FUEL_EXPORTS } from "./instrumenter.ts";

/** How much fuel callbacks may use; 0: as much as they like. */
export interface FuelLimits {
  /** One callback, with all that it makes the host do. */
  readonly perCallback: number;
  /** Instantiation, `_initialize` and `main` together, then each start callback of a root context. */
  readonly start: number;
  /** How the embedder calls the two limits: faults name them. */
  readonly perCallbackName: string;
  readonly startName: string;
}

/**
 * Ends a callback after about 50 ms: an endless loop takes 8 to 40 ms in code that V8 has optimised (it uses 3 to 13 units a
 * nanosecond), and 30 to 120 ms in code that runs for the first time, which V8 does not optimise before the loop ends.
 */
export const DEFAULT_FUEL_PER_CALLBACK = 100_000_000;
/** About half a second of code that runs for the first time, as most of a start does. */
export const DEFAULT_START_FUEL = 1_500_000_000;
export const DEFAULT_FUEL: FuelLimits = {
  perCallback: DEFAULT_FUEL_PER_CALLBACK,
  start: DEFAULT_START_FUEL,
  perCallbackName: "fuel.perCallback",
  startName: "fuel.start",
};

/** No guest gets through it: centuries. */
const UNLIMITED = 2 ** 52;
export class FuelGauge {
  #set: ((amount: number) => void) | undefined = undefined;
  #get: () => number = () => 0;
  #filled = 0;

  /** Takes the accessors from an instance's exports; false when its module was not metered. */
  attach(exports: Readonly<Record<string, unknown>>): boolean {
    const set = exports[FUEL_EXPORTS.set];
    const get = exports[FUEL_EXPORTS.get];
    if (typeof set !== "function" || typeof get !== "function") return false;
    this.#set = set as (amount: number) => void;
    this.#get = get as () => number;
    return true;
  }

  /** Lets go of the instance. */
  detach(): void {
    this.#set = undefined;
    this.#get = () => 0;
  }

  /** Gives the guest that much; 0 for no limit. */
  fill(amount: number): void {
    if (this.#set === undefined) return;
    this.#filled = amount > 0 ? Math.min(amount, UNLIMITED) : UNLIMITED;
    this.#set(this.#filled);
  }

  /** What was used since the last `fill`, with what has not been spent yet; -1 when there is no gauge. */
  used(unspent: number): number {
    return this.#set === undefined ? -1 : this.#filled - this.#get() + unspent;
  }

  /** Takes from the guest what the host did for it. It traps when it goes on with nothing left. */
  spend(amount: number): void {
    if (this.#set !== undefined) this.#set(this.#get() - amount);
  }

  /** Whether the guest used more than it had: what trapped then is the gauge. */
  isSpent(): boolean {
    return this.#set !== undefined && this.#get() < 0;
  }
}
