// What code that counts needs of statistics: a name resolves to an object once, when configuration names it, and the hot path
// adds to that object. Implemented by table.ts over shared memory. Types only.

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
}
