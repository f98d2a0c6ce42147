// Waiting for something to happen, with a deadline instead of a sleep.

import assert from "node:assert/strict";

/** Ten processes may start at once on a machine with two cores. */
const DEADLINE_MS = 30_000;

/** A list that grows, and tests that wait until an entry satisfies them. */
export class EventLog<T> {
  readonly all: T[] = [];
  readonly #waiters = new Set<() => void>();

  push(event: T): void {
    this.all.push(event);
    for (const check of this.#waiters) check();
  }

  /** The first event, present or future, that `test` accepts. Fails after the deadline with all events seen. */
  async first(what: string, test: (event: T) => boolean, from = 0): Promise<T> {
    return new Promise((resolve, reject) => {
      const check = () => {
        const found = this.all.slice(from).find(test);
        if (found === undefined) return;
        clearTimeout(timer);
        this.#waiters.delete(check);
        resolve(found);
      };
      const timer = setTimeout(() => {
        this.#waiters.delete(check);
        reject(
          new assert.AssertionError({ message: `no ${what} within ${DEADLINE_MS} ms; seen: ${preview(this.all)}` }),
        );
      }, DEADLINE_MS);
      this.#waiters.add(check);
      check();
    });
  }
}

function preview(events: readonly unknown[]): string {
  const text = events.map((event) => JSON.stringify(event)).join("\n");
  return text.length > 4_000 ? `…${text.slice(-4_000)}` : text;
}
