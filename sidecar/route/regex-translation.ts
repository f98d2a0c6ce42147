// RE2 patterns → sources for V8's RegExp, for the subset of RE2's syntax on which both engines agree about ASCII subjects.
// Everything else is left to RE2 itself: Unicode classes, what folding case does beyond ASCII, (?m), \C, and all that RE2
// may refuse, so that no problem is found here. Called by regex.ts when patterns are compiled.
// The output uses only what V8's linear-time engine accepts: no flag but g, no lookaround.
// Syntax: https://github.com/google/re2/wiki/Syntax.

import {
  addRange,
  addSet,
  asciiSet,
  type ByteSet,
  complement,
  emptySet,
  foldSet,
  literal,
  PERL,
  POSIX,
  setSource,
} from "./byte-set.ts";

const MAX_DEPTH = 100;
/** RE2 bounds what a repetition may come to, nested ones multiplied, by 1000. */
const MAX_REPEAT = 1_000;

/**
 * undefined for a pattern outside of the subset. `fullMatch`: only whether all of a subject matches is asked, else also
 * where matches and groups lie, about which the engines agree less.
 */
export function translate(pattern: string, fullMatch: boolean): string | undefined {
  return new Translator(pattern, fullMatch).translate();
}

interface Flags {
  foldCase: boolean;
  dotAll: boolean;
  ungreedy: boolean;
}

interface Part {
  readonly source: string;
  readonly isNullable: boolean;
  readonly hasGroups: boolean;
  /** The product of the counts of nested repetitions. */
  readonly repeats: number;
}

/** What the pattern before `at` can be followed by: only an atom can be repeated. */
type Before = "atom" | "other";

class Translator {
  readonly #text: string;
  readonly #fullMatch: boolean;
  readonly #names = new Set<string>();
  #at = 0;
  #isForeign = false;

  constructor(text: string, fullMatch: boolean) {
    this.#text = text;
    this.#fullMatch = fullMatch;
  }

  translate(): string | undefined {
    const { source } = this.#alternatives({ foldCase: false, dotAll: false, ungreedy: false }, 0);
    return this.#isForeign || this.#at < this.#text.length ? undefined : source;
  }

  /** Outside of the subset: all ends. */
  #leave(): void {
    this.#isForeign = true;
    this.#at = this.#text.length;
  }

  /** Up to the closing parenthesis, which is left for the caller. `flags` belong to this group and change inside it. */
  #alternatives(flags: Flags, depth: number): Part {
    let source = "";
    let isNullable = false;
    let hasGroups = false;
    let repeats = 1;
    let parts: Part[] = [];
    let before: Before = "other";
    const finish = (): void => {
      source += parts.map((part) => part.source).join("");
      isNullable ||= parts.every((part) => part.isNullable);
      hasGroups ||= parts.some((part) => part.hasGroups);
      repeats = Math.max(repeats, ...parts.map((part) => part.repeats));
      parts = [];
      before = "other";
    };
    if (depth > MAX_DEPTH) {
      this.#leave();
    }
    while (this.#at < this.#text.length && this.#text.charAt(this.#at) !== ")") {
      if (this.#text.charAt(this.#at) === "|") {
        this.#at++;
        finish();
        source += "|";
        continue;
      }
      const operator = this.#operator();
      before = operator === undefined ? this.#atom(flags, depth, parts) : this.#repeat(operator, parts, before, flags);
    }
    finish();
    return { source, isNullable, hasGroups, repeats };
  }

  #atom(flags: Flags, depth: number, parts: Part[]): Before {
    const char = this.#text.charAt(this.#at);
    switch (char) {
      case "(":
        return this.#group(flags, depth, parts);
      case "[":
        parts.push(consuming(this.#class(flags)));
        return "atom";
      case "\\":
        return this.#escape(flags, parts);
      case ".":
        this.#at++;
        parts.push(consuming(flags.dotAll ? "[^]" : "[^\\n]"));
        return "atom";
      case "^":
      case "$":
        this.#at++;
        parts.push(assertion(char));
        return "other";
      default:
        this.#literal(flags, parts);
        return "atom";
    }
  }

  #literal(flags: Flags, parts: Part[]): void {
    const code = this.#text.codePointAt(this.#at) as number;
    this.#at += code > 0xffff ? 2 : 1;
    this.#pushLiteral(code, flags, parts);
  }

  /** Folding makes an ASCII letter of some other characters. Without it they match nothing in an ASCII subject. */
  #pushLiteral(code: number, flags: Flags, parts: Part[]): void {
    if (code < 128) {
      parts.push(consuming(literal(code, flags.foldCase)));
    } else if (flags.foldCase || isSurrogate(code)) {
      this.#leave();
    } else {
      parts.push(consuming("[]"));
    }
  }

  /** The repetition operator here, read, or undefined with nothing read: a brace that is no repetition is a literal. */
  #operator(): RegExpExecArray | undefined {
    const found = /^(?:[*+?]|\{(\d{1,4})(?:,(\d{0,4}))?\})(\??)/.exec(this.#text.slice(this.#at, this.#at + 16));
    if (found === null) {
      if (/^\{\d/.test(this.#text.slice(this.#at, this.#at + 2))) {
        this.#leave();
      }
      return undefined;
    }
    this.#at += found[0].length;
    return found;
  }

  /** Only an atom that stands right before the operator: RE2 refuses the rest, or has its own idea of it. */
  #repeat(operator: RegExpExecArray, parts: Part[], before: Before, flags: Flags): Before {
    const [text, least, most] = operator;
    const target = parts.pop();
    const count = Math.max(1, Number(least ?? 0), Number(most ?? 0));
    const isOutOfOrder = most !== undefined && most !== "" && Number(most) < Number(least);
    if (target === undefined || before !== "atom" || isOutOfOrder || count * target.repeats > MAX_REPEAT) {
      this.#leave();
      return "other";
    }
    if (!this.#fullMatch && (target.isNullable || target.hasGroups)) {
      // Which of its ways a repeated empty match goes, and what a group keeps from an earlier round, differs.
      this.#leave();
      return "other";
    }
    const isLazy = operator[3] === "?";
    const plain = isLazy ? text.slice(0, -1) : text;
    parts.push({
      source: target.source + plain + (isLazy !== flags.ungreedy ? "?" : ""),
      isNullable: target.isNullable || plain === "*" || plain === "?" || (least !== undefined && Number(least) === 0),
      hasGroups: target.hasGroups,
      repeats: count * target.repeats,
    });
    return "other";
  }

  #group(flags: Flags, depth: number, parts: Part[]): Before {
    this.#at++;
    let open = "(";
    let inner = { ...flags };
    const head = /^\?(?:P?<([A-Za-z_][A-Za-z0-9_]*)>|([isU]*)(?:-([isU]+))?([:)]))/.exec(
      this.#text.slice(this.#at, this.#at + 80),
    );
    if (head !== null) {
      this.#at += head[0].length;
      const name = head[1];
      if (name === undefined) {
        inner = withFlags(flags, head[2] ?? "", head[3] ?? "");
        open = "(?:";
      }
      if (head[0] === "?)" || (name !== undefined && this.#names.has(name))) {
        this.#leave();
      }
      this.#names.add(name ?? "");
      if (head[4] === ")") {
        Object.assign(flags, inner);
        return "other";
      }
    } else if (this.#text.charAt(this.#at) === "?") {
      this.#leave();
    }
    const body = this.#alternatives(inner, depth + 1);
    if (this.#text.charAt(this.#at) !== ")") {
      this.#leave();
      return "other";
    }
    this.#at++;
    parts.push({ ...body, source: `${open}${body.source})`, hasGroups: body.hasGroups || open === "(" });
    return "atom";
  }

  #escape(flags: Flags, parts: Part[]): Before {
    const next = this.#text.charAt(this.#at + 1);
    const simple = Object.hasOwn(ASSERTIONS, next) ? ASSERTIONS[next] : undefined;
    if (simple !== undefined) {
      this.#at += 2;
      parts.push(assertion(simple));
      return "other";
    }
    if (next === "Q") {
      return this.#quoted(flags, parts);
    }
    const set = this.#perlClass();
    if (set !== undefined) {
      parts.push(consuming(setSource(set)));
      return "atom";
    }
    const code = this.#codeEscape();
    if (code >= 0) {
      this.#pushLiteral(code, flags, parts);
    }
    return "atom";
  }

  #quoted(flags: Flags, parts: Part[]): Before {
    const end = this.#text.indexOf("\\E", this.#at + 2);
    const text = this.#text.slice(this.#at + 2, end < 0 ? undefined : end);
    this.#at = end < 0 ? this.#text.length : end + 2;
    for (const char of text) {
      this.#pushLiteral(char.codePointAt(0) as number, flags, parts);
    }
    return text === "" ? "other" : "atom";
  }

  /** `\d` and the like, or undefined with nothing read. Closed under folding, negated or not. */
  #perlClass(): ByteSet | undefined {
    const char = this.#text.charAt(this.#at + 1);
    const member = this.#text.charAt(this.#at) === "\\" ? PERL[char.toLowerCase()] : undefined;
    if (member === undefined) {
      return undefined;
    }
    this.#at += 2;
    const set = asciiSet(member);
    return char === char.toLowerCase() ? set : complement(set);
  }

  /** The character that an escape stands for, or -1 outside of the subset. */
  #codeEscape(): number {
    const rest = this.#text.slice(this.#at, this.#at + 16);
    const hex = /^\\x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\})/.exec(rest);
    let code = -1;
    if (hex !== null) {
      code = Number.parseInt(hex[1] ?? hex[2] ?? "", 16);
      this.#at += hex[0].length;
    } else {
      const char = rest.charAt(1);
      if (Object.hasOwn(CONTROL, char)) {
        code = CONTROL[char] as number;
      } else if (char !== "" && char.charCodeAt(0) < 128 && !/[0-9A-Za-z]/.test(char)) {
        code = char.charCodeAt(0);
      }
      this.#at += 2;
    }
    if (code < 0 || code > 0x10_ffff) {
      this.#leave();
      return -1;
    }
    return code;
  }

  #class(flags: Flags): string {
    this.#at++;
    const negated = this.#text.charAt(this.#at) === "^";
    this.#at += negated ? 1 : 0;
    const set = emptySet();
    let first = true;
    while (this.#text.charAt(this.#at) !== "]" || first) {
      if (this.#at >= this.#text.length) {
        this.#leave();
        return "";
      }
      first = false;
      this.#classItem(set, flags);
    }
    this.#at++;
    if (flags.foldCase) {
      foldSet(set);
    }
    return setSource(negated ? complement(set) : set);
  }

  #classItem(set: ByteSet, flags: Flags): void {
    const posix = /^\[:(\^?)([a-z]+):\]/.exec(this.#text.slice(this.#at, this.#at + 16));
    if (posix !== null) {
      const name = posix[2] ?? "";
      const member = Object.hasOwn(POSIX, name) ? POSIX[name] : undefined;
      const negated = posix[1] === "^";
      if (member === undefined || (negated && flags.foldCase)) {
        this.#leave();
        return;
      }
      this.#at += posix[0].length;
      const named = asciiSet(member);
      addSet(set, negated ? complement(named) : named);
      return;
    }
    if (this.#text.startsWith("[:", this.#at)) {
      this.#leave();
      return;
    }
    const perl = this.#perlClass();
    if (perl !== undefined) {
      addSet(set, perl);
      return;
    }
    this.#classRange(set, flags);
  }

  #classRange(set: ByteSet, flags: Flags): void {
    const low = this.#classChar();
    let high = low;
    if (this.#text.charAt(this.#at) === "-" && this.#text.charAt(this.#at + 1) !== "]") {
      this.#at++;
      high = this.#perlClass() === undefined ? this.#classChar() : -1;
    }
    if (low < 0 || high < low || isSurrogate(low) || isSurrogate(high) || (flags.foldCase && high > 127)) {
      this.#leave();
      return;
    }
    addRange(set, low, high);
  }

  #classChar(): number {
    if (this.#text.charAt(this.#at) === "\\") {
      return this.#codeEscape();
    }
    const code = this.#text.codePointAt(this.#at) ?? -1;
    this.#at += code > 0xffff ? 2 : 1;
    return code;
  }
}

/** `\A` and `\z` are `^` and `$` without (?m); V8's `\b` is ASCII's without flags, as RE2's is. */
const ASSERTIONS: Readonly<Record<string, string>> = { A: "^", z: "$", b: "\\b", B: "\\B" };

const CONTROL: Readonly<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 };

function consuming(source: string): Part {
  return { source, isNullable: false, hasGroups: false, repeats: 1 };
}

function assertion(source: string): Part {
  return { source, isNullable: true, hasGroups: false, repeats: 1 };
}

function isSurrogate(code: number): boolean {
  return code >= 0xd8_00 && code <= 0xdf_ff;
}

function withFlags(flags: Flags, on: string, off: string): Flags {
  const value = (letter: string, before: boolean) => (off.includes(letter) ? false : on.includes(letter) || before);
  return {
    foldCase: value("i", flags.foldCase),
    dotAll: value("s", flags.dotAll),
    ungreedy: value("U", flags.ungreedy),
  };
}
