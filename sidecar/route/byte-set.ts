// Sets of bytes, as character classes of RE2 patterns become them, and their source text for V8's expressions.
// Used by regex.ts when patterns are compiled. A class that names any non-ASCII character takes every byte above 0x7f.

/** Membership by byte, 0 to 255. */
export type ByteSet = Uint8Array;

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

/** undefined when there is no such property or script. */
export function unicodeClass(name: string): RegExp | undefined {
  for (const property of [name, `Script=${name}`]) {
    try {
      return new RegExp(`\\p{${property}}`, "u");
    } catch {
      // Not this kind of property.
    }
  }
  return name === "Any" ? /[^]/ : undefined;
}

/** The ASCII characters that `member` matches. */
export function asciiSet(member: RegExp): ByteSet {
  const set = new Uint8Array(256);
  for (let code = 0; code < 128; code++) {
    set[code] = member.test(String.fromCharCode(code)) ? 1 : 0;
  }
  return set;
}

export function complement(set: ByteSet): ByteSet {
  return set.map((member) => 1 - member);
}

export function addSet(set: ByteSet, more: ByteSet): void {
  for (let code = 0; code < 256; code++) {
    set[code] = (set[code] as number) | (more[code] as number);
  }
}

export function foldSet(set: ByteSet): void {
  for (let upper = 65; upper <= 90; upper++) {
    const member = (set[upper] as number) | (set[upper + 32] as number);
    set[upper] = member;
    set[upper + 32] = member;
  }
}

export function setSource(set: ByteSet, foldCase: boolean): string {
  if (foldCase) {
    foldSet(set);
  }
  let source = "";
  for (let low = 0; low < 256; low++) {
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

/** Source that matches one character: non-ASCII ones are their UTF-8 bytes. */
export function literal(code: number, foldCase: boolean): string {
  if (code >= 128) {
    const bytes = Buffer.from(String.fromCodePoint(code), "utf8");
    return `(?:${Array.from(bytes, hex).join("")})`;
  }
  const char = String.fromCharCode(code);
  if (/[A-Za-z]/.test(char)) {
    return foldCase ? `[${char.toUpperCase()}${char.toLowerCase()}]` : char;
  }
  return /[0-9/_]/.test(char) ? char : hex(code);
}

function hex(code: number): string {
  return `\\x${code.toString(16).padStart(2, "0")}`;
}
