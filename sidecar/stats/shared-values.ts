// Counters and gauges that all threads have in common: one value for the whole process, which every thread reads and changes.
// Plugins' own metrics are such, because Envoy's are: a gauge that one worker sets is set, and what a plugin reads is the sum of all.
// A name finds its slot without a lock and without a message: by a hash of it, in a table that is only ever added to.
// Used by table.ts (each thread) and reader.ts; everything else has a slot of its own on each thread (pages.ts), which is cheaper.
//
//   Int32 count, 8 bytes · BigInt64 hash × SLOTS (0: free) · Float64 value × SLOTS (-0: never written, as in pages.ts)

import { createHash } from "node:crypto";
import type { Counter, Gauge } from "./scope.ts";

/** Places in the table; more than LIMIT, so that a search is short. */
const SLOTS = 16_384;
/** Most names of the process. */
const LIMIT = 10_000;
const HEAD_BYTES = 8;

/** 256 KiB, for all threads of a process. */
export function createSharedValues(): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(HEAD_BYTES + SLOTS * 16);
  new SharedValues(buffer).values.fill(-0);
  return buffer;
}

export class SharedValues {
  readonly values: Float64Array;
  readonly #count: Int32Array;
  readonly #hashes: BigInt64Array;
  readonly #bits: BigInt64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#count = new Int32Array(buffer, 0, 1);
    this.#hashes = new BigInt64Array(buffer, HEAD_BYTES, SLOTS);
    this.#bits = new BigInt64Array(buffer, HEAD_BYTES + SLOTS * 8, SLOTS);
    this.values = new Float64Array(buffer, HEAD_BYTES + SLOTS * 8, SLOTS);
  }

  /** The name's slot, the same on every thread; undefined when the process has too many. */
  slotOf(kind: "counter" | "gauge", name: string): number | undefined {
    const hash = createHash("sha256").update(`${kind} ${name}`).digest().readBigInt64LE(0) || 1n;
    let slot = Number(BigInt.asUintN(32, hash)) % SLOTS;
    for (;;) {
      const there = Atomics.load(this.#hashes, slot);
      if (there === hash) {
        return slot;
      }
      if (there === 0n) {
        if (Atomics.load(this.#count, 0) >= LIMIT) {
          return undefined;
        }
        if (Atomics.compareExchange(this.#hashes, slot, 0n, hash) === 0n) {
          Atomics.add(this.#count, 0, 1);
          return slot;
        }
        // Another thread was faster: look again at what it put there.
        continue;
      }
      slot = slot + 1 === SLOTS ? 0 : slot + 1;
    }
  }

  add(slot: number, amount: number): void {
    for (;;) {
      const before = Atomics.load(this.#bits, slot);
      scratchBits[0] = before;
      scratch[0] = (scratch[0] as number) + amount;
      if (Atomics.compareExchange(this.#bits, slot, before, scratchBits[0]) === before) {
        return;
      }
    }
  }

  set(slot: number, value: number): void {
    scratch[0] = value;
    Atomics.store(this.#bits, slot, scratchBits[0] as bigint);
  }
}

/** Sums of floats need a compare-and-swap of their bits. */
const scratch = new Float64Array(1);
const scratchBits = new BigInt64Array(scratch.buffer);

/** A counter or gauge of the whole process. */
export class SharedSlot implements Counter, Gauge {
  readonly #shared: SharedValues;
  readonly #slot: number;

  constructor(shared: SharedValues, slot: number) {
    this.#shared = shared;
    this.#slot = slot;
  }

  inc(): void {
    this.#shared.add(this.#slot, 1);
  }

  dec(): void {
    this.#shared.add(this.#slot, -1);
  }

  add(amount: number): void {
    this.#shared.add(this.#slot, amount);
  }

  set(value: number): void {
    this.#shared.set(this.#slot, value);
  }

  get value(): number {
    return this.#shared.values[this.#slot] as number;
  }
}
