// A header map over a flat array of pairs (name, value, name, value …). The host uses it for the answers of calls;
// tests and embedders may use it for streams. Lookups are linear: such maps are small.

import { lowerName } from "./field-syntax.ts";
import type { HeaderAccess } from "./ports.ts";

export class HeaderList implements HeaderAccess {
  #pairs: string[];

  /** Takes the array over. Names keep their case; it means nothing. */
  constructor(pairs: string[] = []) {
    this.#pairs = pairs;
  }

  get size(): number {
    return this.#pairs.length / 2;
  }

  /** The pairs, flat, names as they were written; a view, not a copy. */
  get pairs(): readonly string[] {
    return this.#pairs;
  }

  nameAt(index: number): string {
    return lowerName(this.#pairs[index * 2] as string);
  }

  valueAt(index: number): string {
    return this.#pairs[index * 2 + 1] as string;
  }

  get(name: string): string | undefined {
    const pairs = this.#pairs;
    for (let i = 0; i < pairs.length; i += 2) {
      if (isCalled(pairs[i] as string, name)) return pairs[i + 1];
    }
    return undefined;
  }

  add(name: string, value: string): void {
    this.#pairs.push(name, value);
  }

  replace(name: string, value: string): boolean {
    const pairs = this.#pairs;
    const lower = lowerName(name);
    let first = -1;
    for (let i = 0; i < pairs.length; i += 2) {
      if (!isCalled(pairs[i] as string, lower)) continue;
      if (first >= 0) {
        this.#removeFrom(i, lower);
        break;
      }
      first = i;
    }
    if (first < 0) {
      pairs.push(name, value);
      return false;
    }
    pairs[first] = name;
    pairs[first + 1] = value;
    return true;
  }

  remove(name: string): boolean {
    const before = this.#pairs.length;
    this.#removeFrom(0, name);
    return this.#pairs.length < before;
  }

  replaceAll(pairs: readonly string[]): void {
    this.#pairs = [...pairs];
  }

  #removeFrom(start: number, name: string): void {
    const pairs = this.#pairs;
    let kept = start;
    for (let i = start; i < pairs.length; i += 2) {
      if (isCalled(pairs[i] as string, name)) continue;
      pairs[kept] = pairs[i] as string;
      pairs[kept + 1] = pairs[i + 1] as string;
      kept += 2;
    }
    pairs.length = kept;
  }
}

/** Whether a field's name, in any case, is the one in lower case. */
function isCalled(field: string, lower: string): boolean {
  return field.length === lower.length && (field === lower || lowerName(field) === lower);
}
