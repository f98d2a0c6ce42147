// Header maps as a test writes and reads them. Names have no case; values are texts in UTF-8 (the host itself carries one
// char a byte, and the edge is here).

import { lowerName } from "../field-syntax.ts";
import type { HeaderList } from "../header-list.ts";

/** `{ accept: "text/html", "set-cookie": ["a=1", "b=2"] }`, or pairs in order. Pseudo headers (":path") are entries like any other. */
export type HeadersInput =
  | Readonly<Record<string, string | number | readonly string[]>>
  | readonly (readonly [string, string])[];

/** A header map of a stream or of a call, as it is now. */
export class TestHeaders {
  readonly #list: HeaderList;

  constructor(list: HeaderList) {
    this.#list = list;
  }

  /** The first value of the name. */
  get(name: string): string | undefined {
    const value = this.#list.get(lowerName(name));
    return value === undefined ? undefined : decoded(value);
  }

  /** All values of the name, in order. */
  getAll(name: string): string[] {
    const lower = lowerName(name);
    return this.entries()
      .filter(([key]) => lowerName(key) === lower)
      .map(([, value]) => value);
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  get size(): number {
    return this.#list.size;
  }

  /** Names as they go on the wire, with their values, in order. */
  entries(): [string, string][] {
    const { pairs } = this.#list;
    return Array.from({ length: pairs.length / 2 }, (_, i) => [
      decoded(pairs[i * 2] as string),
      decoded(pairs[i * 2 + 1] as string),
    ]);
  }

  /** For assert.deepEqual: names in lower case, repeated values joined by ", ". */
  toObject(): Record<string, string> {
    const object: Record<string, string> = {};
    for (const [name, value] of this.entries()) {
      const key = name.toLowerCase();
      object[key] = key in object ? `${object[key]}, ${value}` : value;
    }
    return object;
  }

  toJSON(): [string, string][] {
    return this.entries();
  }
}

/** Flat pairs as the host takes them. `first` go before the rest unless `init` names them too. */
export function headerPairs(init: HeadersInput = [], first: readonly (readonly [string, string])[] = []): string[] {
  const entries: [string, string][] = [];
  const add = (name: string, value: string): void => void entries.push([encoded(name), encoded(value)]);
  if (isPairs(init)) init.forEach(([name, value]) => add(name, value));
  else {
    for (const [name, value] of Object.entries(init)) {
      if (typeof value === "string" || typeof value === "number") add(name, String(value));
      else value.forEach((one) => add(name, one));
    }
  }
  const given = first.filter(([name]) => !entries.some(([key]) => key.toLowerCase() === name));
  const ordered = [...given.map(([name, value]) => [encoded(name), encoded(value)]), ...entries];
  // Pseudo headers come first, as on the wire.
  return [...ordered.filter(([name]) => isPseudo(name)), ...ordered.filter(([name]) => !isPseudo(name))].flat();
}

function isPairs(init: HeadersInput): init is readonly (readonly [string, string])[] {
  return Array.isArray(init);
}

function isPseudo(name: string | undefined): boolean {
  return name?.startsWith(":") === true;
}

function encoded(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

function decoded(latin1: string): string {
  return Buffer.from(latin1, "latin1").toString("utf8");
}
