// What code that counts needs of statistics: a name resolves to an object once, when configuration names it, and the hot path
// adds to that object. Implemented by table.ts over shared memory. Types only.

import type { StatFamily } from "./pages.ts";

export interface Counter {
  inc(): void;
  add(amount: number): void;
  readonly value: number;
}

export interface Gauge {
  inc(): void;
  dec(): void;
  add(amount: number): void;
  set(value: number): void;
  readonly value: number;
}

/** Records non-negative numbers; the unit is in the name (`_ms` unless the name says otherwise, as in Envoy). */
export interface Histogram {
  record(value: number): void;
}

/** Names are Envoy's full, dotted names. The same name gives the same object. */
export interface StatsScope {
  counter(name: string): Counter;
  gauge(name: string): Gauge;
  histogram(name: string): Histogram;
  /**
   * Names that begin with `prefix` (it ends with a dot) are used from now on, until each `retain` of it has had its `release`:
   * then they are gone, as a cluster's are with the cluster, and what still counts by one of them is not seen. The names of
   * `family` are shown as unused until each is asked for: thousands of clusters that no request goes to cost no slots.
   */
  retain?(prefix: string, family?: StatFamily): void;
  /** What is retained has another family now; names of the one before that were not asked for are gone. */
  declare?(prefix: string, family: StatFamily): void;
  release?(prefix: string): void;
}

/** For numbers that are one for the whole process: dearer to change than others, see shared-values.ts. */
export interface ProcessScope extends StatsScope {
  /** The same value on every thread; a counter is only ever added to. Undefined: the process has too many. */
  processWide(kind: "counter" | "gauge", name: string): Counter | Gauge | undefined;
}
