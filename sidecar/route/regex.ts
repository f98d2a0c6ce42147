// RE2 patterns → V8 regular expressions. Called when configuration is compiled; matchers.ts and rewrite.ts run the result.
// The output uses only what V8's linear-time engine accepts (no `i`, `u` or `m` flag, no lookahead but for `(?m)$`), so
// that --enable-experimental-regexp-engine-on-excessive-backtracks can rescue every pattern that backtracks too much.
// Subjects are latin1 strings of UTF-8 bytes (see http/headers.ts): non-ASCII literals become their bytes, `.` is one
// byte, and a class that names any non-ASCII character takes every byte above 0x7f. `\p{…}` knows ASCII members only.
// Syntax: https://github.com/google/re2/wiki/Syntax.

import {
  addSet,
  asciiSet,
  type ByteSet,
  complement,
  foldSet,
  literal,
  PERL,
  POSIX,
  setSource,
  unicodeClass,
} from "./byte-set.ts";

export type RegexResult =
  | { readonly ok: true; readonly regex: RegExp }
  | { readonly ok: false; readonly problem: string };

const MAX_DEPTH = 200;
const MAX_REPEAT = 1_000;

/** The whole subject must match, as everywhere in Envoy. The result has no state: use `test`. */
export function compileFullMatch(pattern: string): RegexResult {
  return compile(pattern, "^(?:", ")$", "");
}

/** For search and replace: matches anywhere, has the `g` flag and therefore state in `lastIndex`. */
export function compileSearch(pattern: string): RegexResult {
  return compile(pattern, "", "", "g");
}

function compile(pattern: string, before: string, after: string, flags: string): RegexResult {
  const parser = new Parser(pattern);
  const source = parser.parse();
  if (parser.problem !== "") {
    return { ok: false, problem: `Cannot compile regex ${JSON.stringify(pattern)}: ${parser.problem}` };
  }
  try {
    return { ok: true, regex: new RegExp(before + source + after, flags) };
  } catch (error) {
    return { ok: false, problem: `Cannot compile regex ${JSON.stringify(pattern)}: ${String(error)}` };
  }
}

/** ASCII text that every full match of `pattern` begins with; empty when there is none or it is hard to tell. */
export function literalPrefix(pattern: string): string {
  if (pattern.includes("|") || pattern.includes("\\Q")) {
    return "";
  }
  let prefix = "";
  let at = pattern.startsWith("^") ? 1 : 0;
  while (at < pattern.length) {
    const escaped = pattern.charAt(at) === "\\";
    const char = pattern.charAt(escaped ? at + 1 : at);
    if (!(escaped ? /[-./_~,:;=@]/ : /[A-Za-z0-9/_\-~,;:=@!&'"<> %#]/).test(char)) {
      break;
    }
    prefix += char;
    at += escaped ? 2 : 1;
  }
  const next = pattern.charAt(at);
  // Flags are no atom: in "/(?i)?" the last ? makes the / optional.
  return pattern.startsWith("(?", at) || next === "*" || next === "?" || next === "{" ? prefix.slice(0, -1) : prefix;
}

interface Flags {
  foldCase: boolean;
  multiLine: boolean;
  dotAll: boolean;
  ungreedy: boolean;
}

class Parser {
  readonly #text: string;
  #at = 0;
  problem = "";

  constructor(text: string) {
    this.#text = text;
  }

  parse(): string {
    const source = this.#alternatives({ foldCase: false, multiLine: false, dotAll: false, ungreedy: false }, 0);
    if (this.problem === "" && this.#at < this.#text.length) {
      this.problem = "unexpected )";
    }
    return source;
  }

  #fail(problem: string): string {
    this.problem ||= problem;
    this.#at = this.#text.length;
    return "";
  }

  /** Up to the closing parenthesis, which is left for the caller. `flags` belong to this group and change inside it. */
  #alternatives(flags: Flags, depth: number): string {
    if (depth > MAX_DEPTH) {
      return this.#fail(`groups nest deeper than ${MAX_DEPTH}`);
    }
    // What can still be repeated is the last entry: a flag group between it and its operator changes nothing.
    let source = "";
    let atoms: string[] = [];
    let afterOperator = false;
    while (this.#at < this.#text.length) {
      const char = this.#text.charAt(this.#at);
      if (char === ")") {
        break;
      }
      if (char === "|") {
        this.#at++;
        source += `${atoms.join("")}|`;
        atoms = [];
        afterOperator = false;
        continue;
      }
      const operator = this.#operator();
      if (operator === undefined) {
        this.#atom(char, flags, depth, atoms);
      } else {
        this.#repeat(operator, atoms, afterOperator, flags);
      }
      afterOperator = operator !== undefined;
    }
    return source + atoms.join("");
  }

  #atom(char: string, flags: Flags, depth: number, atoms: string[]): void {
    switch (char) {
      case "(":
        this.#group(flags, depth, atoms);
        return;
      case "[":
        atoms.push(this.#class(flags));
        return;
      case "\\":
        this.#escape(flags, atoms);
        return;
      case ".":
        this.#at++;
        atoms.push(flags.dotAll ? "[^]" : "[^\\n]");
        return;
      case "^":
        this.#at++;
        atoms.push(flags.multiLine ? "(?:(?<![^\\n]))" : "(?:^)");
        return;
      case "$":
        this.#at++;
        atoms.push(flags.multiLine ? "(?:(?![^\\n]))" : "(?:$)");
        return;
      default: {
        const code = this.#text.codePointAt(this.#at) as number;
        this.#at += code > 0xffff ? 2 : 1;
        atoms.push(literal(code, flags.foldCase));
      }
    }
  }

  /** The repetition operator here, read, or undefined with nothing read: a brace that is no repetition is a literal. */
  #operator(): RegExpExecArray | undefined {
    const found = /^(?:[*+?]|\{(\d+)(?:,(\d*))?\})(\??)/.exec(this.#text.slice(this.#at, this.#at + 16));
    if (found === null) {
      return undefined;
    }
    this.#at += found[0].length;
    return found;
  }

  #repeat(operator: RegExpExecArray, atoms: string[], afterOperator: boolean, flags: Flags): void {
    const [text, least, most] = operator;
    const target = atoms.pop();
    if (target === undefined) {
      this.#fail(`missing argument to repetition operator ${text}`);
    } else if (afterOperator) {
      this.#fail(`bad repetition operator ${text} after another one`);
    } else if (Number(least ?? 0) > MAX_REPEAT || Number(most ?? 0) > MAX_REPEAT) {
      this.#fail(`invalid repeat count ${text}`);
    } else {
      const isLazy = operator[3] === "?";
      const plain = isLazy ? text.slice(0, -1) : text;
      // A repeated repetition, as in a*(?s)*, needs a group of its own.
      const inner = /[*+?}]$/.test(target) ? `(?:${target})` : target;
      atoms.push(inner + plain + (isLazy !== flags.ungreedy ? "?" : ""));
    }
  }

  #group(flags: Flags, depth: number, atoms: string[]): void {
    this.#at++;
    let open = "(";
    let inner = { ...flags };
    const head = /^\?(?:P?<([A-Za-z0-9_]+)>|([imsU]*)(?:-([imsU]+))?([:)]))/.exec(
      this.#text.slice(this.#at, this.#at + 80),
    );
    if (head !== null) {
      this.#at += head[0].length;
      if (head[1] === undefined) {
        inner = withFlags(flags, head[2] ?? "", head[3] ?? "");
        if (head[4] === ")") {
          Object.assign(flags, inner);
          return;
        }
        open = "(?:";
      }
    } else if (this.#text.charAt(this.#at) === "?") {
      this.#fail(`invalid or unsupported group (${this.#text.slice(this.#at, this.#at + 3)}`);
      return;
    }
    const body = this.#alternatives(inner, depth + 1);
    if (this.#text.charAt(this.#at) !== ")") {
      this.#fail("missing closing )");
      return;
    }
    this.#at++;
    atoms.push(`${open}${body})`);
  }

  #escape(flags: Flags, atoms: string[]): void {
    const next = this.#text.charAt(this.#at + 1);
    const simple = Object.hasOwn(SIMPLE_ESCAPES, next) ? SIMPLE_ESCAPES[next] : undefined;
    if (simple !== undefined) {
      this.#at += 2;
      atoms.push(simple);
      return;
    }
    if (next === "Q") {
      this.#quoted(flags, atoms);
      return;
    }
    const set = this.#setEscape();
    if (set !== undefined) {
      atoms.push(setSource(set, flags.foldCase));
      return;
    }
    const code = this.#codeEscape();
    if (code >= 0) {
      atoms.push(literal(code, flags.foldCase));
    }
  }

  #quoted(flags: Flags, atoms: string[]): void {
    const end = this.#text.indexOf("\\E", this.#at + 2);
    const text = this.#text.slice(this.#at + 2, end < 0 ? undefined : end);
    this.#at = end < 0 ? this.#text.length : end + 2;
    for (const char of text) {
      atoms.push(literal(char.codePointAt(0) as number, flags.foldCase));
    }
  }

  /** `\d`, `\pL` and the like, or undefined with nothing read. */
  #setEscape(): ByteSet | undefined {
    const found = /^\\(?:([dswDSW])|([pP])(?:\{(\^?)([A-Za-z_]+)\}|([A-Z])))/.exec(
      this.#text.slice(this.#at, this.#at + 40),
    );
    if (found === null) {
      return undefined;
    }
    this.#at += found[0].length;
    const perl = found[1];
    if (perl !== undefined) {
      const set = asciiSet(PERL[perl.toLowerCase()] as RegExp);
      return perl === perl.toLowerCase() ? set : complement(set);
    }
    const name = found[4] ?? found[5] ?? "";
    const member = unicodeClass(name);
    if (member === undefined) {
      this.#fail(`invalid character class \\p{${name}}`);
      return new Uint8Array(256);
    }
    const set = asciiSet(member);
    return (found[2] === "P") !== (found[3] === "^") ? complement(set) : set;
  }

  /** The character that an escape stands for, or -1 with a problem noted. */
  #codeEscape(): number {
    const rest = this.#text.slice(this.#at, this.#at + 16);
    const hex = /^\\x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\})/.exec(rest);
    const octal = /^\\(0[0-7]{0,2}|[1-7][0-7]{1,2})/.exec(rest);
    let code = -1;
    if (hex !== null) {
      code = Number.parseInt(hex[1] ?? hex[2] ?? "", 16);
      this.#at += hex[0].length;
    } else if (octal !== null) {
      code = Number.parseInt(octal[1] ?? "", 8);
      this.#at += octal[0].length;
    } else {
      const char = rest.charAt(1);
      const control = "abfnrtv".includes(char) && char !== "" && char !== "b" ? CONTROL[char] : undefined;
      if (control !== undefined) {
        code = control;
      } else if (char !== "" && char.charCodeAt(0) < 128 && !/[0-9A-Za-z]/.test(char)) {
        code = char.charCodeAt(0);
      }
      this.#at += 2;
    }
    if (code < 0 || code > 0x10_ffff) {
      this.#fail(`invalid escape sequence ${rest.slice(0, 2)}`);
      return -1;
    }
    return code;
  }

  #class(flags: Flags): string {
    this.#at++;
    const negated = this.#text.charAt(this.#at) === "^";
    this.#at += negated ? 1 : 0;
    const set = new Uint8Array(256);
    let first = true;
    while (this.#text.charAt(this.#at) !== "]" || first) {
      if (this.#at >= this.#text.length) {
        return this.#fail("missing closing ]");
      }
      first = false;
      this.#classItem(set);
    }
    this.#at++;
    if (flags.foldCase) {
      foldSet(set);
    }
    return setSource(negated ? complement(set) : set, false);
  }

  #classItem(set: ByteSet): void {
    const posix = /^\[:(\^?)([a-z]+):\]/.exec(this.#text.slice(this.#at, this.#at + 16));
    const named = posix === null ? this.#setEscape() : asciiSet(POSIX[posix[2] ?? ""] ?? /(?!)/);
    if (posix !== null) {
      this.#at += posix[0].length;
      if (POSIX[posix[2] ?? ""] === undefined) {
        this.#fail(`invalid character class ${posix[0]}`);
      }
    }
    if (named !== undefined) {
      addSet(set, posix?.[1] === "^" ? complement(named) : named);
      return;
    }
    const low = this.#classChar();
    let high = low;
    if (this.#text.charAt(this.#at) === "-" && !["]", ""].includes(this.#text.charAt(this.#at + 1))) {
      this.#at++;
      high = this.#classChar();
    }
    if (low < 0 || high < low) {
      this.#fail("invalid character class range");
      return;
    }
    for (let code = low; code <= high && code < 128; code++) {
      set[code] = 1;
    }
    if (high >= 128) {
      set.fill(1, 128);
    }
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

const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  A: "(?:^)",
  z: "(?:$)",
  b: "(?:\\b)",
  B: "(?:\\B)",
  C: "[^]",
};

const CONTROL: Readonly<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 };

function withFlags(flags: Flags, on: string, off: string): Flags {
  const value = (letter: string, before: boolean) => (off.includes(letter) ? false : on.includes(letter) || before);
  return {
    foldCase: value("i", flags.foldCase),
    multiLine: value("m", flags.multiLine),
    dotAll: value("s", flags.dotAll),
    ungreedy: value("U", flags.ungreedy),
  };
}
