// All threads' statistics as one, on the main thread: sums the same name over every thread's slots, without the help of
// the threads, and keeps the counts of a thread that has died. Fed by the tables' updates; read by exposition.ts.
// Resetting counters moves a baseline here, because only a slot's own thread may write it.

import { addCounts, BUCKETS_PER_OCTAVE, emptyCounts } from "./buckets.ts";
import type { HistogramCounts } from "./buckets.ts";
import { type DeclaredName, Families, isReleased } from "./families.ts";
import type { SharedDefinition, StatDefinition, StatKind, StatUpdate } from "./pages.ts";
import { SharedValues } from "./shared-values.ts";

interface Slot {
  readonly owner: string;
  readonly page: Float64Array;
  readonly index: number;
  readonly block: number;
}

interface Entry {
  readonly name: string;
  readonly kind: StatKind;
  slots: Slot[];
  /** What threads that are gone had counted, less what a reset took away. */
  kept: number;
  histogram: { readonly kept: HistogramCounts; rolled: HistogramCounts } | undefined;
}

export interface HistogramView {
  readonly name: string;
  readonly cumulative: HistogramCounts;
  /** Since the interval began: see `rollInterval`. */
  readonly interval: HistogramCounts;
}

export interface NumberView {
  readonly name: string;
  readonly kind: "counter" | "gauge";
  readonly value: number;
  /** Whether anybody has ever written it: then `?usedonly` shows it even at 0, as `server.state: 0` must be. */
  readonly isUsed: boolean;
}

export interface TextView {
  readonly name: string;
  readonly value: string;
}

// Every worker knows the same cluster and would set the same number: these are not summed but the largest is taken.
const SAME_EVERYWHERE = /\.(?:membership_\w+|max_host_weight|version|update_time|circuit_breakers\.\w+\.\w+_open)$/;

/** Owner of the slots that all threads have in common: it does not end with a thread. */
const PROCESS = "";

export class StatsReader {
  readonly #entries = new Map<string, Entry>();
  readonly #pages = new Map<string, Float64Array[]>();
  readonly #texts = new Map<string, string>();
  readonly #shared: Float64Array | undefined;
  readonly #families = new Families();
  #sorted: Entry[] | undefined;

  /** `shared`: createSharedValues() of the process. */
  constructor(shared?: SharedArrayBuffer) {
    this.#shared = shared === undefined ? undefined : new SharedValues(shared).values;
  }

  /** Takes news of a thread's table. `owner` names the thread's life: a replacement worker needs a new name. */
  apply(owner: string, update: StatUpdate): void {
    let pages = this.#pages.get(owner);
    if (pages === undefined) {
      pages = [];
      this.#pages.set(owner, pages);
    }
    if (update.released !== undefined) {
      this.#release(owner, new Set(update.released), new Set(update.kept));
    }
    for (const page of update.pages) {
      pages[page.id] = new Float64Array(page.buffer);
    }
    for (const definition of update.definitions) {
      this.#define(owner, pages, definition);
    }
    for (const definition of update.shared) {
      this.#defineShared(definition);
    }
    if (update.families !== undefined || update.released !== undefined) {
      this.#families.apply(owner, update.released ?? [], update.families ?? []);
    }
  }

  /** A thread is gone: its counters and histograms stay, its gauges (what is open now) go with it. */
  retire(owner: string): void {
    this.#pages.delete(owner);
    this.#families.retire(owner);
    for (const entry of this.#entries.values()) {
      if (!entry.slots.some((slot) => slot.owner === owner)) {
        continue;
      }
      const gone = entry.slots.filter((slot) => slot.owner === owner);
      entry.slots = entry.slots.filter((slot) => slot.owner !== owner);
      if (entry.kind === "counter") {
        entry.kept += sumSlots(gone);
      } else if (entry.histogram !== undefined) {
        addSlots(entry.histogram.kept, gone);
      }
    }
  }

  /** A value that is a text, `cluster_manager.cds.version_text` for example. */
  setText(name: string, value: string): void {
    this.#texts.set(name, value);
  }

  /** The value of a counter or gauge; undefined when no thread knows the name. */
  value(name: string): number | undefined {
    const entry = this.#entries.get(name);
    const kind = entry?.kind ?? this.#families.kindOf(name);
    if (kind === undefined || kind === "histogram") {
      return undefined;
    }
    return entry === undefined ? 0 : valueOf(entry) + 0;
  }

  /** A histogram by its name; undefined when no thread knows it. */
  histogram(name: string): HistogramView | undefined {
    const entry = this.#entries.get(name);
    return entry === undefined ? undefined : viewOf(entry);
  }

  texts(): TextView[] {
    return [...this.#texts].map(([name, value]) => ({ name, value })).toSorted(byName);
  }

  /** Counters and gauges by name, in order; `usedOnly` leaves out those that nobody has ever written. */
  numbers(usedOnly = false): NumberView[] {
    const views: NumberView[] = [];
    for (const entry of this.#inOrder()) {
      if (entry.kind !== "histogram") {
        const value = valueOf(entry);
        const isUsed = !Object.is(value, -0);
        if (isUsed || !usedOnly) {
          views.push({ name: entry.name, kind: entry.kind, value: value + 0, isUsed });
        }
      }
    }
    if (usedOnly) {
      return views;
    }
    const unused = views.length;
    for (const { name, kind } of this.#declaredNames()) {
      if (kind !== "histogram") {
        views.push({ name, kind, value: 0, isUsed: false });
      }
    }
    return views.length === unused ? views : views.sort(byName);
  }

  /** Histograms by name, in order. */
  histograms(): HistogramView[] {
    const views: HistogramView[] = [];
    for (const entry of this.#inOrder()) {
      const view = viewOf(entry);
      if (view !== undefined) {
        views.push(view);
      }
    }
    const known = views.length;
    for (const { name, kind } of this.#declaredNames()) {
      if (kind === "histogram") {
        views.push({ name, cumulative: emptyCounts(), interval: emptyCounts() });
      }
    }
    return views.length === known ? views : views.sort(byName);
  }

  /** Begins a new interval for the first of each pair that /stats prints; call it every 5 s (stats_flush_interval). */
  rollInterval(): void {
    for (const entry of this.#entries.values()) {
      if (entry.histogram !== undefined) {
        entry.histogram.rolled = cumulative(entry, entry.histogram.kept);
      }
    }
  }

  /** POST /reset_counters: counters and histograms start again at 0, gauges keep their value. */
  resetCounters(): void {
    for (const entry of this.#entries.values()) {
      if (entry.kind === "counter") {
        const value = valueOf(entry);
        entry.kept -= Object.is(value, -0) ? 0 : value;
      } else if (entry.histogram !== undefined) {
        addCounts(entry.histogram.kept, cumulative(entry, entry.histogram.kept), -1);
        entry.histogram.rolled = emptyCounts();
      }
    }
  }

  /** A name that no thread uses any more is gone, with what it had counted. */
  #release(owner: string, prefixes: ReadonlySet<string>, kept: ReadonlySet<string>): void {
    for (const [name, entry] of this.#entries) {
      if (isReleased(name, prefixes, kept)) {
        entry.slots = entry.slots.filter((slot) => slot.owner !== owner);
        if (entry.slots.length === 0) {
          this.#entries.delete(name);
          this.#sorted = undefined;
        }
      }
    }
    for (const name of this.#texts.keys()) {
      if (isReleased(name, prefixes, kept)) {
        this.#texts.delete(name);
      }
    }
  }

  #define(owner: string, pages: readonly Float64Array[], definition: StatDefinition): void {
    const entry = this.#entryOf(definition.kind, definition.name);
    const page = pages[definition.page];
    if (page !== undefined && entry !== undefined) {
      entry.slots.push({ owner, page, index: definition.index, block: definition.block });
    }
  }

  /** Every thread that uses the name says so; it counts once. */
  #defineShared({ kind, name, slot }: SharedDefinition): void {
    const entry = this.#entryOf(kind, name);
    const page = this.#shared;
    if (page !== undefined && entry !== undefined && !entry.slots.some(({ owner }) => owner === PROCESS)) {
      entry.slots.push({ owner: PROCESS, page, index: slot, block: 0 });
    }
  }

  /** Undefined: another thread knows the name as another kind. The first one stands. */
  #entryOf(kind: StatKind, name: string): Entry | undefined {
    let entry = this.#entries.get(name);
    if (entry === undefined) {
      const histogram = kind === "histogram" ? { kept: emptyCounts(), rolled: emptyCounts() } : undefined;
      entry = { name, kind, slots: [], kept: -0, histogram };
      this.#entries.set(name, entry);
      this.#sorted = undefined;
    }
    return entry.kind === kind ? entry : undefined;
  }

  #declaredNames(): Iterable<DeclaredName> {
    return this.#families.names((name) => this.#entries.has(name));
  }

  #inOrder(): readonly Entry[] {
    this.#sorted ??= [...this.#entries.values()].toSorted(byName);
    return this.#sorted;
  }
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

function valueOf(entry: Entry): number {
  if (entry.kind === "gauge" && SAME_EVERYWHERE.test(entry.name)) {
    let largest = -0;
    for (const slot of entry.slots) {
      largest = Math.max(largest, slot.page[slot.index] as number);
    }
    return largest;
  }
  return entry.kept + sumSlots(entry.slots);
}

/** Minus zero when nobody has written any of them. */
function sumSlots(slots: readonly Slot[]): number {
  let sum = -0;
  for (const slot of slots) {
    sum += slot.page[slot.index] as number;
  }
  return sum;
}

function viewOf(entry: Entry): HistogramView | undefined {
  if (entry.histogram === undefined) {
    return undefined;
  }
  const all = cumulative(entry, entry.histogram.kept);
  const interval = emptyCounts();
  addCounts(interval, all);
  addCounts(interval, entry.histogram.rolled, -1);
  return { name: entry.name, cumulative: all, interval };
}

function cumulative(entry: Entry, kept: HistogramCounts): HistogramCounts {
  const counts = emptyCounts();
  addCounts(counts, kept);
  addSlots(counts, entry.slots);
  return counts;
}

function addSlots(counts: HistogramCounts, slots: readonly Slot[]): void {
  for (const slot of slots) {
    if (slot.block < 0) {
      counts.sum += slot.page[slot.index] as number;
      counts.zeros += slot.page[slot.index + 1] as number;
      counts.count += slot.page[slot.index + 1] as number;
      continue;
    }
    const target = (counts.octaves[slot.block] ??= new Float64Array(BUCKETS_PER_OCTAVE));
    for (let i = 0; i < BUCKETS_PER_OCTAVE; i++) {
      const here = slot.page[slot.index + i] as number;
      target[i] = (target[i] as number) + here;
      counts.count += here;
    }
  }
}
