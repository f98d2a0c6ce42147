// The admin port's own statistics, under Envoy's names: `listener.admin.*` and `http.admin.*`. Used by admin.ts.

import type { Counter, Gauge, Histogram, StatsScope } from "../stats/scope.ts";

export class AdminStats {
  readonly #connections: readonly Counter[];
  readonly #active: readonly Gauge[];
  readonly #destroyed: readonly Counter[];
  readonly #lengthMs: readonly Histogram[];
  readonly #requests: Counter;
  readonly #requestsActive: Gauge;
  readonly #completed: readonly Counter[];
  readonly #timeMs: Histogram;
  /** By first digit of the status. */
  readonly #classes: readonly (readonly Counter[])[];

  constructor(scope: StatsScope) {
    const both = ["listener.admin.", "http.admin."] as const;
    this.#connections = both.map((prefix) => scope.counter(`${prefix}downstream_cx_total`));
    this.#active = both.map((prefix) => scope.gauge(`${prefix}downstream_cx_active`));
    this.#destroyed = both.map((prefix) => scope.counter(`${prefix}downstream_cx_destroy`));
    this.#lengthMs = both.map((prefix) => scope.histogram(`${prefix}downstream_cx_length_ms`));
    this.#requests = scope.counter("http.admin.downstream_rq_total");
    this.#requestsActive = scope.gauge("http.admin.downstream_rq_active");
    this.#timeMs = scope.histogram("http.admin.downstream_rq_time");
    const requestPrefixes = ["listener.admin.http.admin.", "http.admin."];
    this.#completed = requestPrefixes.map((prefix) => scope.counter(`${prefix}downstream_rq_completed`));
    this.#classes = [0, 1, 2, 3, 4, 5].map((digit) =>
      digit === 0 ? [] : requestPrefixes.map((prefix) => scope.counter(`${prefix}downstream_rq_${digit}xx`)),
    );
  }

  /** A connection has been accepted; call what is returned once, when it is gone. */
  connection(): () => void {
    const startedAt = performance.now();
    for (const counter of this.#connections) {
      counter.inc();
    }
    for (const gauge of this.#active) {
      gauge.inc();
    }
    return () => {
      for (const gauge of this.#active) {
        gauge.dec();
      }
      for (const counter of this.#destroyed) {
        counter.inc();
      }
      for (const histogram of this.#lengthMs) {
        histogram.record(Math.round(performance.now() - startedAt));
      }
    };
  }

  /** A request has come; call what is returned once, with the answer's status. */
  request(): (status: number) => void {
    const startedAt = performance.now();
    this.#requests.inc();
    this.#requestsActive.inc();
    return (status) => {
      this.#requestsActive.dec();
      for (const counter of this.#completed) {
        counter.inc();
      }
      for (const counter of this.#classes[Math.floor(status / 100)] ?? []) {
        counter.inc();
      }
      this.#timeMs.record(Math.round(performance.now() - startedAt));
    };
  }
}
