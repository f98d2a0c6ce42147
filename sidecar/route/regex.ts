// RE2 patterns, as everywhere in Envoy's configuration. Called when it is compiled; matchers.ts and rewrite.ts run the result.
// A pattern of the plain kind is V8's for subjects in ASCII, where both engines are known to agree (regex-translation.ts);
// other patterns and other subjects are RE2's own (re2-engine.ts). Both are linear.
// Subjects are latin1 strings of UTF-8 bytes (see http/headers.ts).

import { linearRegExp } from "../linear-regex.ts";
import { compileRe2, type Groups, type Re2Engine } from "./re2-engine.ts";
import { translate } from "./regex-translation.ts";

export type RegexResult =
  | { readonly ok: true; readonly regex: FullMatch }
  | { readonly ok: false; readonly problem: string };

export type SearchResult =
  | { readonly ok: true; readonly regex: Search }
  | { readonly ok: false; readonly problem: string };

// oxlint-disable-next-line no-control-regex -- all of ASCII
const NOT_ASCII = /[^\0-\x7f]/;

/** The whole subject must match, as everywhere in Envoy. */
export function compileFullMatch(pattern: string): RegexResult {
  const engines = compile(pattern, "^(?:", ")$", "");
  return "problem" in engines ? { ok: false, problem: engines.problem } : { ok: true, regex: new FullMatch(engines) };
}

/** For search and replace: matches anywhere. */
export function compileSearch(pattern: string): SearchResult {
  const engines = compile(pattern, "", "", "g");
  return "problem" in engines ? { ok: false, problem: engines.problem } : { ok: true, regex: new Search(engines) };
}

/** V8's expression where there is one; RE2's is made when it is needed, and not again. */
interface Engines {
  readonly pattern: string;
  readonly v8: RegExp | undefined;
  re2: Re2Engine | undefined;
}

function compile(
  pattern: string,
  before: string,
  after: string,
  flags: string,
): Engines | { readonly problem: string } {
  const source = translate(pattern, flags === "");
  if (source !== undefined) {
    try {
      return { pattern, v8: linearRegExp(before + source + after, flags), re2: undefined };
    } catch {
      // Too large for V8.
    }
  }
  const compiled = compileRe2(pattern);
  return compiled.ok
    ? { pattern, v8: undefined, re2: compiled.engine }
    : { problem: `Cannot compile regex ${JSON.stringify(pattern)}: ${compiled.problem}` };
}

// Every pattern that is translated is one that RE2 takes; should it not be, it matches nothing.
function re2Of(engines: Engines): Re2Engine | undefined {
  if (engines.re2 === undefined) {
    const compiled = compileRe2(engines.pattern);
    engines.re2 = compiled.ok ? compiled.engine : undefined;
  }
  return engines.re2;
}

export class FullMatch {
  readonly #v8: RegExp | undefined;
  readonly #engines: Engines;

  constructor(engines: Engines) {
    this.#v8 = engines.v8;
    this.#engines = engines;
  }

  test(subject: string): boolean {
    return this.#v8 !== undefined && !NOT_ASCII.test(subject)
      ? this.#v8.test(subject)
      : re2Of(this.#engines)?.matches(subject) === true;
  }
}

export class Search {
  readonly #engines: Engines;

  constructor(engines: Engines) {
    this.#engines = engines;
  }

  /** RE2's GlobalReplace: every match, but no empty match right after another one. Group 0 is the whole match. */
  replaceAll(subject: string, replacement: (groups: Groups) => string): string {
    const { v8 } = this.#engines;
    return v8 !== undefined && !NOT_ASCII.test(subject)
      ? replaceAscii(v8, subject, replacement)
      : (re2Of(this.#engines)?.replaceAll(subject, replacement) ?? subject);
  }
}

function replaceAscii(regex: RegExp, text: string, replacement: (groups: Groups) => string): string {
  regex.lastIndex = 0;
  let result = "";
  let copied = 0;
  let lastEnd = -1;
  for (let found = regex.exec(text); found !== null; found = regex.exec(text)) {
    const end = found.index + found[0].length;
    if (found[0] === "") {
      regex.lastIndex++;
      if (found.index === lastEnd) {
        continue;
      }
    }
    result += text.slice(copied, found.index) + replacement(found);
    copied = end;
    lastEnd = end;
  }
  return result + text.slice(copied);
}

const FLAG_GROUP = /\(\?[A-Za-z-]*\)/;

/** ASCII text that every full match of `pattern` begins with; empty when there is none or it is hard to tell. */
export function literalPrefix(pattern: string): string {
  // A flag group is no atom: in "/(?i)?" the last ? makes the / optional, in "/+(?i)*" the last * does.
  if (pattern.includes("|") || pattern.includes("\\Q") || FLAG_GROUP.test(pattern)) {
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
