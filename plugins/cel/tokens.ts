// The words of a CEL expression. Source: the lexis of cel-spec's langdef.md. syntax.ts reads them.
// Text in and out is latin1, one char a byte of UTF-8, as property values are.

export interface Token {
  readonly kind: "ident" | "int" | "uint" | "double" | "string" | "bytes" | "symbol" | "end";
  /** The word; of a string or bytes literal its value. */
  readonly text: string;
  readonly at: number;
}

/** What is wrong with an expression, and where. */
export class CelSyntaxError extends Error {
  constructor(problem: string, at: number) {
    super(`${problem} at ${at}`);
  }
}

const SPACE = /(?:[\t\n\f\r ]+|\/\/[^\n]*)*/y;
const IDENT = /[A-Za-z_][A-Za-z0-9_]*/y;
const NUMBER = /(?:0x[0-9a-fA-F]+[uU]?|(?:\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)|\d+[uU]?)/y;
const SYMBOL = /&&|\|\||[<>=!]=|[-+*/%<>!?:.,()[\]{}]/y;
const QUOTE = /([rRbB]{0,2})("""|'''|"|')/y;

export function tokenize(source: string): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  const match = (regex: RegExp): RegExpExecArray | null => {
    regex.lastIndex = at;
    return regex.exec(source);
  };
  for (;;) {
    at += match(SPACE)?.[0].length ?? 0;
    if (at >= source.length) {
      tokens.push({ kind: "end", text: "", at });
      return tokens;
    }
    const quote = match(QUOTE);
    if (quote !== null) {
      const read = readString(source, at + quote[0].length, quote[1] ?? "", quote[2] as string);
      tokens.push({ kind: read.isBytes ? "bytes" : "string", text: read.value, at });
      at = read.end;
      continue;
    }
    const ident = match(IDENT)?.[0];
    const number = ident === undefined ? match(NUMBER)?.[0] : undefined;
    const word = ident ?? number ?? match(SYMBOL)?.[0];
    if (word === undefined) throw new CelSyntaxError("what is no word of the language", at);
    tokens.push({
      kind: ident !== undefined ? "ident" : number !== undefined ? numberKind(number) : "symbol",
      text: word,
      at,
    });
    at += word.length;
  }
}

function numberKind(word: string): Token["kind"] {
  if (/[uU]$/.test(word)) return "uint";
  return !word.startsWith("0x") && /[.eE]/.test(word) ? "double" : "int";
}

interface StringRead {
  readonly value: string;
  readonly isBytes: boolean;
  readonly end: number;
}

function readString(source: string, start: number, prefix: string, quote: string): StringRead {
  const isRaw = /r/i.test(prefix);
  const isBytes = /b/i.test(prefix);
  let value = "";
  let at = start;
  for (;;) {
    const char = source.charAt(at);
    if (char === "" || (quote.length === 1 && (char === "\n" || char === "\r"))) {
      throw new CelSyntaxError("a string that does not end", start);
    }
    if (source.startsWith(quote, at)) return { value, isBytes, end: at + quote.length };
    if (char === "\\" && !isRaw) {
      const escape = readEscape(source, at + 1, isBytes);
      value += escape.value;
      at = escape.end;
    } else {
      value += char;
      at++;
    }
  }
}

const SIMPLE: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
  "?": "?",
  '"': '"',
  "'": "'",
  "`": "`",
};
const CODES = /[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})/y;

function readEscape(source: string, at: number, isBytes: boolean): { readonly value: string; readonly end: number } {
  const simple = Object.hasOwn(SIMPLE, source.charAt(at)) ? SIMPLE[source.charAt(at)] : undefined;
  if (simple !== undefined) return { value: simple, end: at + 1 };
  CODES.lastIndex = at;
  const found = CODES.exec(source);
  if (found === null) throw new CelSyntaxError("an unknown escape", at);
  const [all, hex, unicode, long, octal] = found;
  const code = octal === undefined ? Number.parseInt(hex ?? unicode ?? long ?? "", 16) : Number.parseInt(octal, 8);
  const isPoint = unicode !== undefined || long !== undefined;
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) || (isPoint && isBytes)) {
    throw new CelSyntaxError("an escape that is no character", at);
  }
  const end = at + all.length;
  return {
    value: isBytes ? String.fromCharCode(code) : Buffer.from(String.fromCodePoint(code)).toString("latin1"),
    end,
  };
}
