// Random 32-bit numbers and hexadecimal ids, fast: xoshiro128** seeded from the system's generator.
// For trace, span and request ids and sampling only, never for secrets. One for each thread. Hot path.

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

interface Latin1Buffer {
  latin1Slice(start: number, end: number): string;
}
/** Ids are written here and read as one string: joining pieces would leave a dozen strings behind for each. */
const scratch = Buffer.allocUnsafeSlow(36);
const HIGH_DIGIT = Uint8Array.from({ length: 256 }, (_, byte) => (byte >> 4).toString(16).charCodeAt(0));
const LOW_DIGIT = Uint8Array.from({ length: 256 }, (_, byte) => (byte & 15).toString(16).charCodeAt(0));
const DASH = 45;

/** A 32-bit number as 8 hexadecimal digits. */
export function hex32(value: number): string {
  putHex32(0, value);
  return read(8);
}

/** A span id, 16 digits, from its two halves. */
export function spanIdText(high: number, low: number): string {
  putHex32(0, high);
  putHex32(8, low);
  return read(16);
}

/** A trace id, 32 digits, not all zeros. */
export function traceIdText(random: RandomSource): string {
  putHex32(0, random.next());
  putHex32(8, random.next());
  putHex32(16, random.next());
  putHex32(24, random.next() | 1);
  return read(32);
}

/** A UUID of version 4 (RFC 9562 §5.4). */
export function uuidText(random: RandomSource): string {
  const second = random.next();
  const third = random.next();
  putHex32(0, random.next());
  putHex16(9, second >>> 16);
  putHex16(14, (second & 0x0fff) | 0x4000);
  putHex16(19, ((third >>> 16) & 0x3fff) | 0x8000);
  putHex16(24, third & 0xffff);
  putHex32(28, random.next());
  scratch[8] = DASH;
  scratch[13] = DASH;
  scratch[18] = DASH;
  scratch[23] = DASH;
  return read(36);
}

function putHex32(at: number, value: number): void {
  putHex16(at, value >>> 16);
  putHex16(at + 4, value & 0xffff);
}

function putHex16(at: number, value: number): void {
  scratch[at] = HIGH_DIGIT[value >>> 8] as number;
  scratch[at + 1] = LOW_DIGIT[value >>> 8] as number;
  scratch[at + 2] = HIGH_DIGIT[value & 255] as number;
  scratch[at + 3] = LOW_DIGIT[value & 255] as number;
}

function read(length: number): string {
  return (scratch as unknown as Latin1Buffer).latin1Slice(0, length);
}
