// RE2 itself, in JavaScript, for what V8 must not be trusted with. Only regex.ts calls it. Linear time, like RE2.
// The package is loaded when the first such pattern or subject comes: 6 MB that most workers never need.
// It works on UTF-16, so subjects are decoded here; they are latin1 strings of UTF-8 bytes (see http/headers.ts).

import { isUtf8 } from "node:buffer";
import { createRequire } from "node:module";
import type * as Re2 from "re2js";

export type Re2Result =
  | { readonly ok: true; readonly engine: Re2Engine }
  | { readonly ok: false; readonly problem: string };

let loaded: typeof Re2 | undefined;

function load(): typeof Re2 {
  loaded ??= createRequire(import.meta.url)("re2js") as typeof Re2;
  return loaded;
}

/** The problem is RE2's own message. */
export function compileRe2(pattern: string): Re2Result {
  try {
    return { ok: true, engine: new Re2Engine(load().RE2JS.compile(pattern)) };
  } catch (error) {
    return { ok: false, problem: error instanceof Error ? error.message : String(error) };
  }
}

/** Groups of one match, the whole match first; a group that took no part is undefined. */
export type Groups = readonly (string | undefined)[];

export class Re2Engine {
  readonly #compiled: Re2.RE2JS;

  constructor(compiled: Re2.RE2JS) {
    this.#compiled = compiled;
  }

  /** True when the whole of `wire` matches. RE2 has no character for bytes that are not UTF-8: with some, nothing does. */
  matches(wire: string): boolean {
    const subject = decoded(wire);
    return subject !== undefined && this.#compiled.matches(subject);
  }

  /**
   * RE2's GlobalReplace: every match, but no empty match right after another one. `replacement` gets and gives wire text.
   * A subject that is not UTF-8 comes back as it is.
   */
  replaceAll(wire: string, replacement: (groups: Groups) => string): string {
    const subject = decoded(wire);
    if (subject === undefined) {
      return wire;
    }
    const matcher = this.#compiled.matcher(subject);
    let result = "";
    let copied = 0;
    let lastEnd = -1;
    for (let from = 0; from <= subject.length && matcher.find(from);) {
      const start = matcher.start();
      const end = matcher.end();
      from = end;
      if (start === end) {
        from += (subject.codePointAt(end) ?? 0) > 0xffff ? 2 : 1;
        if (start === lastEnd) {
          continue;
        }
      }
      const groups = Array.from({ length: matcher.groupCount() + 1 }, (_, at) => encoded(matcher.group(at)));
      result += encoded(subject.slice(copied, start)) + replacement(groups);
      copied = end;
      lastEnd = end;
    }
    return result + encoded(subject.slice(copied));
  }
}

function decoded(wire: string): string | undefined {
  const bytes = Buffer.from(wire, "latin1");
  return isUtf8(bytes) ? bytes.toString("utf8") : undefined;
}

function encoded(text: string): string;
function encoded(text: string | null): string | undefined;
function encoded(text: string | null): string | undefined {
  return text === null ? undefined : Buffer.from(text, "utf8").toString("latin1");
}
