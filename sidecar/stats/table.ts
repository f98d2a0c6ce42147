// One thread's statistics: a name gets a slot in this thread's shared pages the first time it is asked for, and the hot
// path adds to the slot with one typed-array store. New names and pages go to the main thread in batches (`onDefine`).
// Made once for each thread by worker.ts and supervisor.ts; read by reader.ts without this thread's help.
// Hot path: CounterSlot, GaugeSlot and HistogramSlots allocate nothing once their slots exist.

import { BUCKETS_PER_OCTAVE, FIRST_EXPONENT, OCTAVES } from "./buckets.ts";
import { hasPrefix, isReleased } from "./families.ts";
import { SLOTS_PER_PAGE } from "./pages.ts";
import type {
  FamilyNews,
  SharedDefinition,
  StatDefinition,
  StatFamily,
  StatKind,
  StatPage,
  StatUpdate,
} from "./pages.ts";
import type { Counter, Gauge, Histogram, ProcessScope } from "./scope.ts";
import { SharedSlot, SharedValues } from "./shared-values.ts";

/** Default bound on names of one thread: what 1,000 clusters in use need three times over, about 40 MB with their names. */
export const MAX_STAT_NAMES = 200_000;
/** Longest name in characters; a longer one is cut, so that a plugin cannot fill memory with names. */
export const MAX_STAT_NAME_LENGTH = 512;
/** Of Istio's metrics, whose labels are 25. Their texts are bounded, and so is how many there are. */
const MAX_ISTIO_NAME_LENGTH = 4_096;
/** Counts names that found no room; always has a slot. */
export const OVERFLOW_STAT = "server.stats_overflow";

export interface StatsTableOptions {
  /** Takes news for the main thread's StatsReader, at most one batch for each turn of the event loop. */
  readonly onDefine: (update: StatUpdate) => void;
  /** Default MAX_STAT_NAMES. */
  readonly maxNames?: number;
  /** createSharedValues() of the process. Absent: what is process-wide is this thread's alone. */
  readonly shared?: SharedArrayBuffer;
}

/** A place for `count` neighbouring slots. */
interface Slots {
  readonly page: Float64Array;
  readonly pageId: number;
  readonly index: number;
}

export class StatsTable implements ProcessScope {
  readonly #onDefine: (update: StatUpdate) => void;
  readonly #maxNames: number;
  readonly #counters = new Map<string, Counter>();
  readonly #gauges = new Map<string, Gauge>();
  readonly #histograms = new Map<string, Histogram>();
  readonly #overflow: Counter;
  // What names without room share: counted, never shown.
  readonly #sinkCounter = new CounterSlot(new Float64Array(1), 0);
  readonly #sinkGauge = new GaugeSlot(new Float64Array(1), 0);
  readonly #sinkHistogram: Histogram = { record: ignore };
  #page: Float64Array = new Float64Array(0);
  #pageId = -1;
  #used = 0;
  #pages: StatPage[] = [];
  #definitions: StatDefinition[] = [];
  readonly #shared: SharedValues | undefined;
  #sharedDefinitions: SharedDefinition[] = [];
  #declared = new Map<string, StatFamily>();
  /** How often each prefix is retained: a cluster's successor is there before the cluster goes. */
  readonly #retained = new Map<string, number>();
  #released = new Set<string>();
  #isScheduled = false;

  constructor(options: StatsTableOptions) {
    this.#onDefine = options.onDefine;
    this.#maxNames = options.maxNames ?? MAX_STAT_NAMES;
    this.#shared = options.shared === undefined ? undefined : new SharedValues(options.shared);
    this.#overflow = this.#newCounter(OVERFLOW_STAT);
  }

  /** The same name gives the same object; a name beyond the bound gives a shared object that is never shown. */
  counter(name: string): Counter {
    return this.#counters.get(name) ?? (this.#hasRoom() ? this.#newCounter(name) : this.#sinkCounter);
  }

  gauge(name: string): Gauge {
    let gauge = this.#gauges.get(name);
    if (gauge === undefined) {
      if (!this.#hasRoom()) {
        return this.#sinkGauge;
      }
      const slots = this.#take(1);
      gauge = new GaugeSlot(slots.page, slots.index);
      this.#gauges.set(name, gauge);
      this.#define("gauge", name, slots, 0);
    }
    return gauge;
  }

  histogram(name: string): Histogram {
    let histogram = this.#histograms.get(name);
    if (histogram === undefined) {
      if (!this.#hasRoom()) {
        return this.#sinkHistogram;
      }
      histogram = new HistogramSlots((block) => this.#histogramBlock(name, block));
      this.#histograms.set(name, histogram);
      this.#define("histogram", name, undefined, -2);
    }
    return histogram;
  }

  processWide(kind: "counter" | "gauge", name: string): Counter | Gauge | undefined {
    if (this.#shared === undefined) {
      return kind === "gauge" ? this.gauge(name) : this.counter(name);
    }
    const slot = this.#shared.slotOf(kind, name);
    if (slot === undefined) {
      this.#overflow.inc();
      return undefined;
    }
    this.#sharedDefinitions.push({ kind, name: shownName(name), slot });
    this.#schedule();
    return new SharedSlot(this.#shared, slot);
  }

  retain(prefix: string, family?: StatFamily): void {
    const times = this.#retained.get(prefix) ?? 0;
    this.#retained.set(prefix, times + 1);
    if (times > 0 || this.#released.delete(prefix)) {
      return;
    }
    if (family !== undefined) {
      this.declare(prefix, family);
    }
  }

  declare(prefix: string, family: StatFamily): void {
    if (prefix.length < MAX_STAT_NAME_LENGTH / 2) {
      this.#declared.set(prefix, family);
      this.#schedule();
    }
  }

  release(prefix: string): void {
    const times = this.#retained.get(prefix) ?? 0;
    if (times > 1) {
      this.#retained.set(prefix, times - 1);
    } else if (times === 1) {
      this.#retained.delete(prefix);
      this.#released.add(prefix);
      this.#schedule();
    }
  }

  /** Hands over what is new now; otherwise it goes at the end of the current turn. */
  flush(): void {
    this.#isScheduled = false;
    const isEmpty =
      this.#definitions.length === 0 &&
      this.#pages.length === 0 &&
      this.#sharedDefinitions.length === 0 &&
      this.#declared.size === 0 &&
      this.#released.size === 0;
    if (isEmpty) {
      return;
    }
    const { released, kept } = this.#forgetReleased();
    const update: StatUpdate = {
      pages: this.#pages,
      definitions: this.#definitions,
      shared: this.#sharedDefinitions,
      ...(released.length === 0 ? {} : { released }),
      ...(kept.length === 0 ? {} : { kept }),
      ...(this.#declared.size === 0 ? {} : { families: familyNews(this.#declared) }),
    };
    this.#pages = [];
    this.#definitions = [];
    this.#sharedDefinitions = [];
    this.#declared = new Map();
    this.#onDefine(update);
  }

  /** The names are gone from here; their slots stay, for whoever still holds one of them. */
  #forgetReleased(): { readonly released: readonly string[]; readonly kept: readonly string[] } {
    const prefixes = this.#released;
    if (prefixes.size === 0) {
      return { released: [], kept: [] };
    }
    // Names have dots: the statistics of `a.b` are not those of `a`.
    const kept = new Set([...this.#retained.keys()].filter((prefix) => hasPrefix(prefix, prefixes)));
    this.#released = new Set();
    prefixes.forEach((prefix) => this.#declared.delete(prefix));
    for (const names of [this.#counters, this.#gauges, this.#histograms]) {
      for (const name of names.keys()) {
        if (isReleased(name, prefixes, kept)) {
          names.delete(name);
        }
      }
    }
    const shown = new Set([...prefixes].map((prefix) => shownName(prefix)));
    const shownKept = new Set([...kept].map((prefix) => shownName(prefix)));
    this.#definitions = this.#definitions.filter(({ name }) => !isReleased(name, shown, shownKept));
    return { released: [...shown], kept: [...shownKept] };
  }

  #hasRoom(): boolean {
    if (this.#counters.size + this.#gauges.size + this.#histograms.size < this.#maxNames) {
      return true;
    }
    this.#overflow.inc();
    return false;
  }

  #newCounter(name: string): Counter {
    const slots = this.#take(1);
    const counter = new CounterSlot(slots.page, slots.index);
    this.#counters.set(name, counter);
    this.#define("counter", name, slots, 0);
    return counter;
  }

  #histogramBlock(name: string, block: number): Slots {
    const slots = this.#take(block < 0 ? 2 : BUCKETS_PER_OCTAVE);
    this.#define("histogram", name, slots, block);
    return slots;
  }

  #take(count: number): Slots {
    if (this.#used + count > this.#page.length) {
      const buffer = new SharedArrayBuffer(SLOTS_PER_PAGE * 8);
      this.#page = new Float64Array(buffer);
      this.#pageId++;
      this.#used = 0;
      this.#pages.push({ id: this.#pageId, buffer });
    }
    const index = this.#used;
    this.#used += count;
    // Minus zero says "never written": every operation on it, adding 0 too, gives plus zero. See `usedonly`.
    this.#page.fill(-0, index, this.#used);
    return { page: this.#page, pageId: this.#pageId, index };
  }

  #define(kind: StatKind, name: string, slots: Slots | undefined, block: number): void {
    const shown = shownName(name);
    this.#definitions.push({ kind, name: shown, page: slots?.pageId ?? -1, index: slots?.index ?? -1, block });
    this.#schedule();
  }

  #schedule(): void {
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      queueMicrotask(() => this.flush());
    }
  }
}

function familyNews(declared: ReadonlyMap<string, StatFamily>): FamilyNews[] {
  const byFamily = Map.groupBy(declared, ([, family]) => family);
  return [...byFamily].map(([family, entries]) => ({ family, declared: entries.map(([prefix]) => prefix) }));
}

class CounterSlot implements Counter {
  readonly #page: Float64Array;
  readonly #index: number;

  constructor(page: Float64Array, index: number) {
    this.#page = page;
    this.#index = index;
  }

  inc(): void {
    this.#page[this.#index] = (this.#page[this.#index] as number) + 1;
  }

  add(amount: number): void {
    this.#page[this.#index] = (this.#page[this.#index] as number) + amount;
  }

  get value(): number {
    return this.#page[this.#index] as number;
  }
}

class GaugeSlot implements Gauge {
  readonly #page: Float64Array;
  readonly #index: number;

  constructor(page: Float64Array, index: number) {
    this.#page = page;
    this.#index = index;
  }

  inc(): void {
    this.#page[this.#index] = (this.#page[this.#index] as number) + 1;
  }

  dec(): void {
    this.#page[this.#index] = (this.#page[this.#index] as number) - 1;
  }

  add(amount: number): void {
    this.#page[this.#index] = (this.#page[this.#index] as number) + amount;
  }

  set(value: number): void {
    this.#page[this.#index] = value;
  }

  get value(): number {
    return this.#page[this.#index] as number;
  }
}

// A value's bucket is read from its IEEE 754 bits: the exponent is the octave, the top five bits of the mantissa the
// step. Assumes little-endian words, which every platform that Node 26 runs on has.
const bits = new Float64Array(1);
const words = new Uint32Array(bits.buffer);

class HistogramSlots implements Histogram {
  readonly #allocate: (block: number) => Slots;
  #totals: Slots | undefined = undefined;
  readonly #octaves: (Slots | undefined)[] = Array.from({ length: OCTAVES }, () => undefined);

  constructor(allocate: (block: number) => Slots) {
    this.#allocate = allocate;
  }

  /** Values that are negative or not a number are dropped. */
  record(value: number): void {
    if (!(value >= 0)) {
      return;
    }
    const totals = (this.#totals ??= this.#allocate(-1));
    bits[0] = value;
    const high = words[1] as number;
    let octave = (high >>> 20) - 1023 - FIRST_EXPONENT;
    let step = (high >>> 15) & (BUCKETS_PER_OCTAVE - 1);
    if (octave < 0) {
      totals.page[totals.index + 1] = (totals.page[totals.index + 1] as number) + 1;
    } else {
      if (octave >= OCTAVES) {
        octave = OCTAVES - 1;
        step = BUCKETS_PER_OCTAVE - 1;
      }
      const block = (this.#octaves[octave] ??= this.#allocate(octave));
      const at = block.index + step;
      block.page[at] = (block.page[at] as number) + 1;
    }
    if (value !== Number.POSITIVE_INFINITY) {
      totals.page[totals.index] = (totals.page[totals.index] as number) + value;
    }
  }
}

/** As Envoy shows names: no colons (`listener.127.0.0.1_80`). Names with labels are Prometheus' own and stay. */
function shownName(name: string): string {
  const limit = name.startsWith("istio_") ? MAX_ISTIO_NAME_LENGTH : MAX_STAT_NAME_LENGTH;
  const bounded = name.length > limit ? name.slice(0, limit) : name;
  return bounded.includes(":") && !bounded.includes("{") ? bounded.replace(/:\/\/?|:/g, "_") : bounded;
}

function ignore(): void {}
