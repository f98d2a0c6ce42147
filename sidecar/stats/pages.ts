// Where one thread's numbers live: pages of 64-bit floats in shared memory, and the messages that tell the main thread
// what a slot means. Written by table.ts on the thread that counts, read by reader.ts on the main thread.
// Each slot has exactly one writing thread, so a plain typed-array store is enough; aligned 8-byte stores do not tear.

/** What a name counts. Text values are the main thread's own and need no slot. */
export type StatKind = "counter" | "gauge" | "histogram";

/** A new page of a thread. Ids count up from 0 for each thread. */
export interface StatPage {
  readonly id: number;
  readonly buffer: SharedArrayBuffer;
}

/**
 * A slot that got a meaning. Counters and gauges take one slot. A histogram takes blocks as it needs them: block -1 is
 * the pair [sum, count of values below the smallest bucket]; block n is the 32 buckets of octave n (see buckets.ts).
 * A histogram that has not recorded anything yet is announced with block -2 and no slot.
 */
export interface StatDefinition {
  readonly kind: StatKind;
  readonly name: string;
  readonly page: number;
  readonly index: number;
  readonly block: number;
}

/** Names that belong together, without their common beginning: those of a cluster. Sent with each batch that speaks of it. */
export interface StatFamily {
  readonly counters: readonly string[];
  readonly gauges: readonly string[];
  readonly histograms: readonly string[];
}

/** Names that a thread will use when there is something to count; until then they are shown as unused. */
export interface FamilyNews {
  readonly family: StatFamily;
  /** What the names begin with: `cluster.a.` */
  readonly declared: readonly string[];
}

/** A name that this thread uses of those that all threads have in common (shared-values.ts). */
export interface SharedDefinition {
  readonly kind: "counter" | "gauge";
  readonly name: string;
  readonly slot: number;
}

/** One batch of news from a thread to the main thread; survives structured cloning. */
export interface StatUpdate {
  readonly pages: readonly StatPage[];
  readonly definitions: readonly StatDefinition[];
  readonly shared: readonly SharedDefinition[];
  readonly families?: readonly FamilyNews[];
  /** What names begin with that this thread has given up, with all that it counted. */
  readonly released?: readonly string[];
  /** Longer beginnings than those released, which are in use: `cluster.a.b.` when cluster `a` is gone. */
  readonly kept?: readonly string[];
}

/** Slots of one page: 4,096 × 8 bytes = 32 KiB. */
export const SLOTS_PER_PAGE = 4096;
