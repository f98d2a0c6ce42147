// What one client is sent at present: the newest resources, and those that are going and may still be in use. All of them go when the
// client rests. When pushes never let it rest, they go in two steps: what went before an epoch began is taken away with the
// first push after that epoch is over, and it is over a moment after the client has answered everything in it, or has not in time.
// Pure.

import { CLUSTER_TYPE, ENDPOINTS_TYPE, EXTENSION_CONFIG_TYPE, ROUTE_TYPE, SECRET_TYPE } from "../type-urls.ts";
import type { ResourceSet } from "./resource-set.ts";

/** Types that others name: their removal comes last. */
const NAMED_BY_OTHERS: ReadonlySet<string> = new Set([
  CLUSTER_TYPE,
  ENDPOINTS_TYPE,
  SECRET_TYPE,
  EXTENSION_CONFIG_TYPE,
  ROUTE_TYPE,
]);

/** Nothing sent and nothing answered for this long, ms: the client asks for nothing more, removals may go. */
export const QUIET_MS = 250;
/** A client that has not answered for this long, ms, is not waited for. */
export const GATE_MS = 5_000;

export class ServedSet {
  #newest: ResourceSet;
  #all: ResourceSet;
  /** The newest of this epoch and what went in it. */
  #recent: ResourceSet;
  #began: number;
  /** When everything that was sent in this epoch had been answered for the first time. */
  #answeredAt: number | undefined;

  /** Times are in ms, of one clock. */
  constructor(resources: ResourceSet, now: number) {
    this.#newest = resources;
    this.#all = resources;
    this.#recent = resources;
    this.#began = now;
  }

  get all(): ResourceSet {
    return this.#all;
  }

  /** Nothing is held back. */
  get isNewest(): boolean {
    return this.#all === this.#newest;
  }

  replace(resources: ResourceSet, now: number): void {
    if (this.isNewest) this.#begin(now);
    else if (this.#isOver(now)) {
      this.#all = this.#recent;
      this.#begin(now);
    }
    this.#newest = resources;
    this.#all = resources.keeping(this.#all, NAMED_BY_OTHERS);
    this.#recent = resources.keeping(this.#recent, NAMED_BY_OTHERS);
  }

  /** The client has answered all that it was sent, and there is nothing else to send. */
  onAnswered(now: number): void {
    this.#answeredAt ??= now;
  }

  /** The client rests: what is going may go. */
  onQuiet(now: number): void {
    this.#all = this.#newest;
    this.#begin(now);
  }

  #isOver(now: number): boolean {
    return now - this.#began >= GATE_MS || (this.#answeredAt !== undefined && now - this.#answeredAt >= QUIET_MS);
  }

  #begin(now: number): void {
    this.#recent = this.#newest;
    this.#began = now;
    this.#answeredAt = undefined;
  }
}
