// Envoy's substitution format strings, `[%START_TIME%] "%REQ(:METHOD)%"`: compiled once, written many times.
// Used by access logs and by header values of routes. Source: Envoy's "Access logging" page, "Format Strings".
// Text in and out is wire text (latin1 characters that are UTF-8 bytes, see http/headers.ts).
// Control characters in values come out as `\n`, `\r` or `\xNN`, so no value can begin a new line or field.

import type { FormatString, JsonFormat } from "../../xds/model/access-log.ts";
import type { FieldRead, FieldValue, FormatContext } from "./format-operator.ts";
import { OPERATORS } from "./format-operators.ts";
import type { StreamFacts } from "./stream-facts.ts";
import { jsonText, latin1Text, wireText } from "./wire-text.ts";

export type FormatResult<Format> =
  | { readonly ok: true; readonly format: Format }
  | { readonly ok: false; readonly problem: string };

/** Writes one text for one stream. Never throws. */
export interface TextFormat {
  /** The text when it holds no operator. */
  readonly constant: string | undefined;
  render(facts: StreamFacts): string;
}

/** Envoy's default for HTTP access logs, with its newline. */
export const DEFAULT_ACCESS_LOG_FORMAT =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% ' +
  '%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" ' +
  '"%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"\n';

const NO_CONTEXT: FormatContext = { hostname: "", environment: {} };
const MAX_FORMAT_LENGTH = 64 * 1_024;
const MAX_JSON_DEPTH = 32;

/** Nothing is added to a text that is longer than this already, which then is longer: values come from clients, and formats repeat them. */
const MAX_RENDERED_LENGTH = 1_024 * 1_024;

/** A literal, or an operator's value cut to `maxLength`. */
type Piece =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "value" | "verbatim"; readonly read: FieldRead; readonly maxLength: number };

/** `missing` is what an absent value becomes: `-` in access logs, nothing in header values. */
export function compileFormat(text: string, context: FormatContext, missing = "-"): FormatResult<TextFormat> {
  const parsed = parsePieces(text, context);
  return parsed.ok ? { ok: true, format: textFormat(parsed.format, missing) } : parsed;
}

/** As configuration has it, for a log's lines or a body. */
export function compileFormatString(format: FormatString, context: FormatContext): FormatResult<TextFormat> {
  return format.kind === "text"
    ? compileFormat(format.text, context, format.omitEmptyValues ? "" : "-")
    : compileJsonFormat(format.fields, format.omitEmptyValues, context);
}

/** What is wrong with a format string of an access log or a header value, told when configuration is loaded. */
export function formatProblem(text: string): string | undefined {
  const parsed = parsePieces(text, NO_CONTEXT);
  return parsed.ok ? undefined : parsed.problem;
}

/**
 * One JSON object and a newline for each stream. A field that is one operator keeps its type (number, or null when
 * absent); a field that mixes is a string. With `omitEmptyValues` absent fields are left out.
 */
export function compileJsonFormat(
  fields: JsonFormat,
  omitEmptyValues: boolean,
  context: FormatContext,
): FormatResult<TextFormat> {
  const problems: string[] = [];
  const write = compileObject(fields, { omitEmptyValues, context, problems, depth: 0 });
  const [problem] = problems;
  if (problem !== undefined) {
    return { ok: false, problem };
  }
  return { ok: true, format: { constant: undefined, render: (facts) => `${write(facts) ?? "{}"}\n` } };
}

const COMMAND = /%([A-Z0-9_]+)(?:\(([^)]*)\))?(?::(\d{1,9}))?%/y;

function parsePieces(text: string, context: FormatContext): FormatResult<readonly Piece[]> {
  if (text.length > MAX_FORMAT_LENGTH) {
    return failure(`Format is ${text.length} characters long, at most ${MAX_FORMAT_LENGTH} are allowed`);
  }
  const pieces: Piece[] = [];
  let literal = "";
  let at = 0;
  while (at < text.length) {
    const percent = text.indexOf("%", at);
    literal += text.slice(at, percent < 0 ? undefined : percent);
    if (percent < 0) {
      break;
    }
    if (text.charAt(percent + 1) === "%") {
      literal += "%";
      at = percent + 2;
      continue;
    }
    COMMAND.lastIndex = percent;
    const found = COMMAND.exec(text);
    const piece =
      found === null ? `no valid operator at position ${percent}; a lone % is written %%` : pieceOf(found, context);
    if (typeof piece === "string") {
      return failure(`Cannot compile format ${JSON.stringify(text)}: ${piece}`);
    }
    if (literal !== "") {
      pieces.push({ kind: "literal", text: wireText(literal) });
      literal = "";
    }
    pieces.push(piece);
    at = COMMAND.lastIndex;
  }
  if (literal !== "") {
    pieces.push({ kind: "literal", text: wireText(literal) });
  }
  return { ok: true, format: pieces };
}

function failure(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem };
}

function pieceOf([, name = "", args, length]: readonly (string | undefined)[], context: FormatContext): Piece | string {
  const operator = Object.hasOwn(OPERATORS, name) ? OPERATORS[name] : undefined;
  if (operator === undefined) {
    return `unknown operator %${name}%`;
  }
  if (args !== undefined && operator.args === "none") {
    return `%${name}% takes no arguments`;
  }
  if ((args ?? "") === "" && operator.args === "required") {
    return `%${name}% needs an argument in parentheses`;
  }
  if (length !== undefined && !operator.length) {
    return `%${name}% takes no length`;
  }
  const read = operator.compile(args ?? "", context);
  if (typeof read === "string") {
    return `%${name}(${args ?? ""})% ${read}`;
  }
  const kind = operator.verbatim === true ? "verbatim" : "value";
  return { kind, read, maxLength: length === undefined ? Number.MAX_SAFE_INTEGER : Number(length) };
}

function textFormat(pieces: readonly Piece[], missing: string): TextFormat {
  const [only] = pieces;
  const constant = pieces.length === 0 ? "" : pieces.length === 1 && only?.kind === "literal" ? only.text : undefined;
  return {
    constant,
    render(facts) {
      let text = "";
      for (let i = 0; i < pieces.length && text.length <= MAX_RENDERED_LENGTH; i++) {
        const piece = pieces[i] as Piece;
        switch (piece.kind) {
          case "literal":
            text += piece.text;
            break;
          case "value":
            text += valueText(piece.read(facts), piece.maxLength, missing);
            break;
          case "verbatim":
            text += rawText(piece.read(facts), piece.maxLength, missing);
        }
      }
      return text;
    },
  };
}

// Control characters but tab, and what is not latin1. One test for the many values that need no care.
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const CAREFUL = /[\x00-\x08\x0a-\x1f\x7f\u0100-\uffff]/;

function valueText(value: FieldValue | undefined, maxLength: number, missing: string): string {
  if (value === undefined) {
    return missing;
  }
  if (typeof value === "number") {
    return String(value);
  }
  const text = typeof value === "string" ? value : value.json;
  const cut = text.length > maxLength ? text.slice(0, maxLength) : text;
  return CAREFUL.test(cut) ? neutralised(cut) : cut;
}

function neutralised(value: string): string {
  // oxlint-disable-next-line no-control-regex -- as above
  const safe = value.replaceAll(/[\x00-\x08\x0a-\x1f\x7f]/g, (char) =>
    char === "\n" ? "\\n" : char === "\r" ? "\\r" : `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  return latin1Text(safe);
}

interface JsonOptions {
  readonly omitEmptyValues: boolean;
  readonly context: FormatContext;
  readonly problems: string[];
  readonly depth: number;
}

/** Writes JSON text; undefined leaves the field out. */
type JsonWrite = (facts: StreamFacts) => string | undefined;

type JsonField = JsonFormat[string];

function compileObject(fields: JsonFormat, options: JsonOptions): JsonWrite {
  const writes: { readonly name: string; readonly write: JsonWrite }[] = [];
  // Sorted as Envoy sorts: a map that came over xDS has no order of its own.
  for (const [name, value] of Object.entries(fields).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    writes.push({ name: `${wireText(JSON.stringify(name))}:`, write: compileValue(value, options) });
  }
  return (facts) => {
    let text = "";
    for (const { name, write } of writes) {
      const value = text.length > MAX_RENDERED_LENGTH ? undefined : write(facts);
      if (value !== undefined) {
        text += (text === "" ? "" : ",") + name + value;
      }
    }
    return text === "" && options.omitEmptyValues ? undefined : `{${text}}`;
  };
}

function compileValue(value: JsonField | undefined, options: JsonOptions): JsonWrite {
  if (options.depth > MAX_JSON_DEPTH) {
    options.problems.push(`JSON format nests deeper than ${MAX_JSON_DEPTH}`);
    return () => "null";
  }
  if (typeof value === "string") {
    return compileText(value, options);
  }
  if (isList(value)) {
    const writes = value.map((entry) => compileValue(entry, { ...options, depth: options.depth + 1 }));
    return (facts) => {
      let text = "";
      for (let i = 0; i < writes.length && text.length <= MAX_RENDERED_LENGTH; i++) {
        text += (i === 0 ? "" : ",") + (writes[i]?.(facts) ?? "null");
      }
      return `[${text}]`;
    };
  }
  if (typeof value === "object" && value !== null) {
    return compileObject(value, { ...options, depth: options.depth + 1 });
  }
  const constant = JSON.stringify(value ?? null);
  return () => constant;
}

function isList(value: JsonField | undefined): value is readonly (string | number | JsonFormat)[] {
  return Array.isArray(value);
}

function compileText(text: string, options: JsonOptions): JsonWrite {
  const parsed = parsePieces(text, options.context);
  if (!parsed.ok) {
    options.problems.push(parsed.problem);
    return () => "null";
  }
  const pieces = parsed.format;
  const [only] = pieces;
  const omit = options.omitEmptyValues;
  if (pieces.length === 1 && only !== undefined && only.kind !== "literal") {
    return (facts) => {
      const value = only.read(facts);
      if (value === undefined) {
        return omit ? undefined : "null";
      }
      if (typeof value === "object") {
        return value.json;
      }
      return typeof value === "number" ? jsonNumber(value) : jsonText(latin1Text(value).slice(0, only.maxLength));
    };
  }
  const missing = omit ? "" : "-";
  return (facts) => {
    let joined = "";
    for (const piece of pieces) {
      if (joined.length > MAX_RENDERED_LENGTH) {
        break;
      }
      joined += piece.kind === "literal" ? piece.text : rawText(piece.read(facts), piece.maxLength, missing);
    }
    return jsonText(joined);
  };
}

function rawText(value: FieldValue | undefined, maxLength: number, missing: string): string {
  if (value === undefined) {
    return missing;
  }
  return latin1Text(typeof value === "object" ? value.json : String(value)).slice(0, maxLength);
}

function jsonNumber(value: number): string {
  return Number.isFinite(value) ? String(value) : "null";
}
