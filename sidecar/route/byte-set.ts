// Sets of ASCII characters, as classes of RE2 patterns become them, and their source text for V8's expressions.
// Used by regex-translation.ts, whose output sees ASCII subjects only: what a class says of other characters is nothing here.

/** Membership by character code, 0 to 127. */
export type ByteSet = Uint8Array;

const SIZE = 128;

export const PERL: Readonly<Record<string, RegExp>> = { d: /[0-9]/, s: /[\t\n\f\r ]/, w: /[0-9A-Za-z_]/ };

export const POSIX: Readonly<Record<string, RegExp>> = {
  alnum: /[0-9A-Za-z]/,
  alpha: /[A-Za-z]/,
  ascii: /[^]/,
  blank: /[\t ]/,
  cntrl: /[^ -~]/,
  digit: /[0-9]/,
  graph: /[!-~]/,
  lower: /[a-z]/,
  print: /[ -~]/,
  punct: /[!-/:-@[-`{-~]/,
  space: /[\t\n\v\f\r ]/,
  upper: /[A-Z]/,
  word: /[0-9A-Za-z_]/,
  xdigit: /[0-9A-Fa-f]/,
};

export function emptySet(): ByteSet {
  return new Uint8Array(SIZE);
}

/** The characters that `member` matches. */
export function asciiSet(member: RegExp): ByteSet {
  return emptySet().map((_, code) => (member.test(String.fromCharCode(code)) ? 1 : 0));
}

export function complement(set: ByteSet): ByteSet {
  return set.map((member) => 1 - member);
}

export function addSet(set: ByteSet, more: ByteSet): void {
  for (let code = 0; code < SIZE; code++) {
    set[code] = (set[code] as number) | (more[code] as number);
  }
}

export function addRange(set: ByteSet, low: number, high: number): void {
  set.fill(1, Math.min(low, SIZE), Math.min(high + 1, SIZE));
}

export function foldSet(set: ByteSet): void {
  for (let upper = 65; upper <= 90; upper++) {
    const member = (set[upper] as number) | (set[upper + 32] as number);
    set[upper] = member;
    set[upper + 32] = member;
  }
}

export function setSource(set: ByteSet): string {
  let source = "";
  for (let low = 0; low < SIZE; low++) {
    if (set[low] === 1) {
      let high = low;
      while (set[high + 1] === 1) {
        high++;
      }
      source += high === low ? hex(low) : `${hex(low)}-${hex(high)}`;
      low = high;
    }
  }
  return `[${source}]`;
}

/** Source that matches one ASCII character. */
export function literal(code: number, foldCase: boolean): string {
  const char = String.fromCharCode(code);
  if (/[A-Za-z]/.test(char)) {
    return foldCase ? `[${char.toUpperCase()}${char.toLowerCase()}]` : char;
  }
  return /[0-9/_]/.test(char) ? char : hex(code);
}

function hex(code: number): string {
  return `\\x${code.toString(16).padStart(2, "0")}`;
}
