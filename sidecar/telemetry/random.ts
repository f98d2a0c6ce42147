// Random 32-bit numbers and hexadecimal ids, fast: xoshiro128** seeded from the system's generator.
// For trace and span ids and sampling only, never for secrets. One for each thread. Hot path.

/** Hands out numbers and ids. */
export class RandomSource {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** The seed must not be all zero; the default comes from the system. */
  constructor(seed: Uint32Array = crypto.getRandomValues(new Uint32Array(4))) {
    this.#a = seed[0] ?? 0;
    this.#b = seed[1] ?? 0;
    this.#c = seed[2] ?? 0;
    this.#d = (seed[3] ?? 0) | 1;
  }

  /** 0 to 2^32 - 1. */
  next(): number {
    const x = Math.imul(this.#b, 5);
    const result = Math.imul((x << 7) | (x >>> 25), 9) >>> 0;
    const t = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= t;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result;
  }
}

const BYTES: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** A 32-bit number as 8 hexadecimal digits. */
export function hex32(value: number): string {
  return (
    (BYTES[value >>> 24] as string) +
    (BYTES[(value >>> 16) & 255] as string) +
    (BYTES[(value >>> 8) & 255] as string) +
    (BYTES[value & 255] as string)
  );
}

/** A span id, 16 digits, from its two halves. */
export function spanIdText(high: number, low: number): string {
  return hex32(high) + hex32(low);
}
