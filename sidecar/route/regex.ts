// RE2 patterns → V8 regular expressions. Called when configuration is compiled; matchers.ts and rewrite.ts run the result.
// The output uses only what V8's linear-time engine accepts (no `i`, `u` or `m` flag, no lookahead but for `(?m)$`), so
// that --enable-experimental-regexp-engine-on-excessive-backtracks can rescue every pattern that backtracks too much.
// Subjects are latin1 strings of UTF-8 bytes (see http/headers.ts): non-ASCII literals become their bytes, `.` is one
// byte, and a class that names any non-ASCII character takes every byte above 0x7f. `\p{…}` knows ASCII members only.
// Syntax: https://github.com/google/re2/wiki/Syntax.

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
  return next === "*" || next === "?" || next === "{" ? prefix.slice(0, -1) : prefix;
}

interface Flags {
  foldCase: boolean;
  multiLine: boolean;
  dotAll: boolean;
  ungreedy: boolean;
}

/** Membership by byte, 0 to 255. */
type ByteSet = Uint8Array;

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
    let source = "";
    while (this.#at < this.#text.length) {
      const char = this.#text.charAt(this.#at);
      if (char === ")") {
        break;
      }
      if (char === "|") {
        this.#at++;
        source += "|";
        continue;
      }
      const atom = this.#atom(char, flags, depth);
      source += atom === "" ? "" : this.#quantified(atom, flags);
    }
    return source;
  }

  #atom(char: string, flags: Flags, depth: number): string {
    switch (char) {
      case "(":
        return this.#group(flags, depth);
      case "[":
        return this.#class(flags);
      case "\\":
        return this.#escape(flags);
      case "*":
      case "+":
      case "?":
        return this.#fail(`missing argument to repetition operator ${char}`);
      case ".":
        this.#at++;
        return flags.dotAll ? "[^]" : "[^\\n]";
      case "^":
        this.#at++;
        return flags.multiLine ? "(?<![^\\n])" : "(?:^)";
      case "$":
        this.#at++;
        return flags.multiLine ? "(?![^\\n])" : "(?:$)";
      default: {
        const code = this.#text.codePointAt(this.#at) as number;
        this.#at += code > 0xffff ? 2 : 1;
        return literal(code, flags.foldCase);
      }
    }
  }

  #quantified(atom: string, flags: Flags): string {
    const rest = this.#text.slice(this.#at, this.#at + 16);
    const found = /^(?:[*+?]|\{(\d+)(?:,(\d*))?\})(\??)/.exec(rest);
    if (found === null) {
      return atom;
    }
    if (Number(found[1] ?? 0) > MAX_REPEAT || Number(found[2] ?? 0) > MAX_REPEAT) {
      return this.#fail(`invalid repeat count ${found[0]}`);
    }
    this.#at += found[0].length;
    const lazy = (found[3] === "?") !== flags.ungreedy;
    if (/^[*+?]/.test(this.#text.slice(this.#at, this.#at + 1))) {
      return this.#fail(`bad repetition operator ${found[0]}${this.#text.charAt(this.#at)}`);
    }
    const operator = found[3] === "?" ? found[0].slice(0, -1) : found[0];
    const target = atom.startsWith("(?<!") || atom.startsWith("(?!") ? `(?:${atom})` : atom;
    return target + operator + (lazy ? "?" : "");
  }

  #group(flags: Flags, depth: number): string {
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
          return "";
        }
        open = "(?:";
      }
    } else if (this.#text.charAt(this.#at) === "?") {
      return this.#fail(`invalid or unsupported group (${this.#text.slice(this.#at, this.#at + 3)}`);
    }
    const body = this.#alternatives(inner, depth + 1);
    if (this.#text.charAt(this.#at) !== ")") {
      return this.#fail("missing closing )");
    }
    this.#at++;
    return `${open}${body})`;
  }

  #escape(flags: Flags): string {
    const next = this.#text.charAt(this.#at + 1);
    switch (next) {
      case "A":
        this.#at += 2;
        return "(?:^)";
      case "z":
        this.#at += 2;
        return "(?:$)";
      case "b":
      case "B":
        this.#at += 2;
        return `(?:\\${next})`;
      case "C":
        this.#at += 2;
        return "[^]";
      case "Q":
        return this.#quoted(flags);
      default:
    }
    const set = this.#setEscape();
    if (set !== undefined) {
      return setSource(set, flags.foldCase);
    }
    const code = this.#codeEscape();
    return code < 0 ? "" : literal(code, flags.foldCase);
  }

  #quoted(flags: Flags): string {
    const end = this.#text.indexOf("\\E", this.#at + 2);
    const text = this.#text.slice(this.#at + 2, end < 0 ? undefined : end);
    this.#at = end < 0 ? this.#text.length : end + 2;
    let source = "";
    for (const char of text) {
      source += literal(char.codePointAt(0) as number, flags.foldCase);
    }
    return source;
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
      } else if (/^[!-/:-@[-`{-~]$/.test(char)) {
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

const CONTROL: Readonly<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 };

const PERL: Readonly<Record<string, RegExp>> = { d: /[0-9]/, s: /[\t\n\f\r ]/, w: /[0-9A-Za-z_]/ };

const POSIX: Readonly<Record<string, RegExp>> = {
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

function unicodeClass(name: string): RegExp | undefined {
  for (const property of [name, `Script=${name}`]) {
    try {
      return new RegExp(`\\p{${property}}`, "u");
    } catch {
      // Not this kind of property.
    }
  }
  return name === "Any" ? /[^]/ : undefined;
}

function withFlags(flags: Flags, on: string, off: string): Flags {
  const value = (letter: string, before: boolean) => (off.includes(letter) ? false : on.includes(letter) || before);
  return {
    foldCase: value("i", flags.foldCase),
    multiLine: value("m", flags.multiLine),
    dotAll: value("s", flags.dotAll),
    ungreedy: value("U", flags.ungreedy),
  };
}

function asciiSet(member: RegExp): ByteSet {
  const set = new Uint8Array(256);
  for (let code = 0; code < 128; code++) {
    set[code] = member.test(String.fromCharCode(code)) ? 1 : 0;
  }
  return set;
}

function complement(set: ByteSet): ByteSet {
  return set.map((member) => 1 - member);
}

function addSet(set: ByteSet, more: ByteSet): void {
  for (let code = 0; code < 256; code++) {
    set[code] = (set[code] as number) | (more[code] as number);
  }
}

function foldSet(set: ByteSet): void {
  for (let upper = 65; upper <= 90; upper++) {
    const member = (set[upper] as number) | (set[upper + 32] as number);
    set[upper] = member;
    set[upper + 32] = member;
  }
}

function setSource(set: ByteSet, foldCase: boolean): string {
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

function literal(code: number, foldCase: boolean): string {
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
