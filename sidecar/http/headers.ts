// HeaderMap: an ordered, repeatable list of fields that keeps each name's case and each line's place.
// Made by the codecs, read and changed by filters, routes and plugins, written out by the codecs.
// Hot path. Entries that came from the wire are offsets into the head's text, so a head that nobody touches costs no
// string per field, and `write` copies whole runs of untouched lines.
// Strings are latin1: one char is one byte of the wire (RFC 9110 §5.5).

// Entry layout in #pos: [nameStart, nameEnd, valueStart, valueEnd] in #raw,
// or [-1, index of the name in #own, 0, 0] with the value at index + 1.
const STRIDE = 4;
const CR = 13;
/** Room for four fields of our own: what the proxy itself adds to an ordinary head. An array that grows is copied. */
const FIRST_OWN: readonly string[] = ["", "", "", "", "", "", "", ""];
/** Room that a codec leaves in `pos` for the same: four entries. */
export const SPARE_OFFSETS = 4 * STRIDE;

/** Field names are compared without case; every `name` that is looked up must be given in lower case. */
export class HeaderMap {
  #raw: string;
  #pos: number[];
  /** How much of #pos and of #own is in use; what is beyond is room. */
  #end: number;
  #own: string[] | undefined;
  #ownEnd: number;

  /**
   * `pos` holds four offsets into `raw` for each field (see above), up to `end`, and belongs to the map from now on.
   * Lines that are canonical (`name: value CRLF`) and neighbours in `raw` are written back as one piece.
   */
  constructor(raw = "", pos: number[] = [], end = pos.length) {
    this.#raw = raw;
    this.#pos = pos;
    this.#end = end;
    this.#own = undefined;
    this.#ownEnd = 0;
  }

  /** Builds a map from name and value pairs. */
  static from(pairs: Iterable<readonly [string, string]>): HeaderMap {
    const map = new HeaderMap();
    for (const [name, value] of pairs) {
      map.add(name, value);
    }
    return map;
  }

  /** How many fields there are, repeated names counted each time. */
  get size(): number {
    return this.#end / STRIDE;
  }

  /** Name of field `index`, in its own case. */
  nameAt(index: number): string {
    const at = index * STRIDE;
    const start = this.#pos[at] as number;
    return start >= 0
      ? this.#raw.slice(start, this.#pos[at + 1] as number)
      : ((this.#own as string[])[this.#pos[at + 1] as number] as string);
  }

  /** Value of field `index`. */
  valueAt(index: number): string {
    const at = index * STRIDE;
    return (this.#pos[at] as number) >= 0
      ? this.#raw.slice(this.#pos[at + 2] as number, this.#pos[at + 3] as number)
      : ((this.#own as string[])[(this.#pos[at + 1] as number) + 1] as string);
  }

  /** Index of the first field named `name` (lower case) at or after `from`, or -1. */
  indexOf(name: string, from = 0): number {
    const pos = this.#pos;
    const end = this.#end;
    const length = name.length;
    for (let at = from * STRIDE; at < end; at += STRIDE) {
      const start = pos[at] as number;
      if (start >= 0) {
        if ((pos[at + 1] as number) - start === length && equalsLower(this.#raw, start, name)) {
          return at / STRIDE;
        }
      } else {
        const own = (this.#own as string[])[pos[at + 1] as number] as string;
        if (own.length === length && equalsLower(own, 0, name)) {
          return at / STRIDE;
        }
      }
    }
    return -1;
  }

  has(name: string): boolean {
    return this.indexOf(name) >= 0;
  }

  /** True when some name begins with `prefix` (lower case). */
  hasPrefix(prefix: string): boolean {
    const pos = this.#pos;
    const end = this.#end;
    const length = prefix.length;
    for (let at = 0; at < end; at += STRIDE) {
      const start = pos[at] as number;
      if (start >= 0) {
        if ((pos[at + 1] as number) - start >= length && equalsLower(this.#raw, start, prefix)) {
          return true;
        }
      } else {
        const own = (this.#own as string[])[pos[at + 1] as number] as string;
        if (own.length >= length && equalsLower(own, 0, prefix)) {
          return true;
        }
      }
    }
    return false;
  }

  /** The first value of `name` (lower case). */
  get(name: string): string | undefined {
    const index = this.indexOf(name);
    return index < 0 ? undefined : this.valueAt(index);
  }

  /** All values of `name` joined by `separator`, as Envoy's matchers see them; undefined when absent. */
  getJoined(name: string, separator = ","): string | undefined {
    let index = this.indexOf(name);
    if (index < 0) {
      return undefined;
    }
    let joined = this.valueAt(index);
    while ((index = this.indexOf(name, index + 1)) >= 0) {
      joined += separator + this.valueAt(index);
    }
    return joined;
  }

  /** Appends a field. Name and value must be valid: see `isFieldName` and `isFieldValue`. */
  add(name: string, value: string): void {
    const pos = this.#pos;
    const at = this.#end;
    const index = this.#keep(name, value);
    this.#end = at + STRIDE;
    if (at === pos.length) {
      pos.push(-1, index, 0, 0);
    } else {
      pos[at] = -1;
      pos[at + 1] = index;
    }
  }

  /** Keeps a name and a value of our own; where. */
  #keep(name: string, value: string): number {
    const own = (this.#own ??= FIRST_OWN.slice());
    const index = this.#ownEnd;
    this.#ownEnd = index + 2;
    if (index === own.length) {
      own.push(name, value);
    } else {
      own[index] = name;
      own[index + 1] = value;
    }
    return index;
  }

  /** Sets `name` to one value: the first field keeps its place and its name's case, later ones go; appended if absent. */
  set(name: string, value: string): void {
    const lower = name.toLowerCase();
    const first = this.indexOf(lower);
    if (first < 0) {
      this.add(name, value);
      return;
    }
    this.setAt(first, value);
    this.#removeAfter(first, lower);
  }

  /** As `set`, but the field that keeps its place is spelled as `name` from now on. Whether there was one. */
  replace(name: string, value: string): boolean {
    const lower = name.toLowerCase();
    const first = this.indexOf(lower);
    if (first < 0) {
      this.add(name, value);
      return false;
    }
    this.setAt(first, value, name);
    this.#removeAfter(first, lower);
    return true;
  }

  #removeAfter(first: number, lower: string): void {
    for (let index = this.indexOf(lower, first + 1); index >= 0; index = this.indexOf(lower, index)) {
      this.removeAt(index);
    }
  }

  /** Changes the value of field `index`, keeping its name unless there is another spelling. */
  setAt(index: number, value: string, name = this.nameAt(index)): void {
    const at = index * STRIDE;
    this.#pos[at] = -1;
    this.#pos[at + 1] = this.#keep(name, value);
  }

  removeAt(index: number): void {
    const pos = this.#pos;
    const end = this.#end - STRIDE;
    for (let at = index * STRIDE; at < end; at++) {
      pos[at] = pos[at + STRIDE] as number;
    }
    this.#end = end;
  }

  /** Removes every field named `name` (lower case) and says how many there were. */
  remove(name: string): number {
    let removed = 0;
    let index = this.indexOf(name);
    while (index >= 0) {
      this.removeAt(index);
      removed++;
      index = this.indexOf(name, index);
    }
    return removed;
  }

  clear(): void {
    this.#end = 0;
    this.#own = undefined;
    this.#ownEnd = 0;
  }

  /** Sum of the lengths of names and values, in bytes. */
  get byteSize(): number {
    let bytes = 0;
    const pos = this.#pos;
    for (let at = 0; at < this.#end; at += STRIDE) {
      if ((pos[at] as number) >= 0) {
        bytes += (pos[at + 1] as number) - (pos[at] as number) + (pos[at + 3] as number) - (pos[at + 2] as number);
      } else {
        const index = pos[at + 1] as number;
        bytes +=
          ((this.#own as string[])[index] as string).length + ((this.#own as string[])[index + 1] as string).length;
      }
    }
    return bytes;
  }

  /** The fields as HTTP/1 lines, each ended by CRLF, without the empty line. */
  write(): string {
    const raw = this.#raw;
    const pos = this.#pos;
    const end = this.#end;
    let text = "";
    let runStart = -1;
    let runEnd = -1;
    for (let at = 0; at < end; at += STRIDE) {
      const start = pos[at] as number;
      // A run holds neighbouring lines of the form `name: value CRLF`; anything else is written by itself.
      if (
        start >= 0 &&
        (pos[at + 1] as number) + 2 === (pos[at + 2] as number) &&
        raw.charCodeAt(pos[at + 3] as number) === CR
      ) {
        if (start !== runEnd) {
          if (runEnd >= 0) {
            text += raw.slice(runStart, runEnd);
          }
          runStart = start;
        }
        runEnd = (pos[at + 3] as number) + 2;
        continue;
      }
      if (runEnd >= 0) {
        text += raw.slice(runStart, runEnd);
        runEnd = -1;
      }
      const index = at / STRIDE;
      text += `${this.nameAt(index)}: ${this.valueAt(index)}\r\n`;
    }
    return runEnd >= 0 ? text + raw.slice(runStart, runEnd) : text;
  }

  clone(): HeaderMap {
    const copy = new HeaderMap(this.#raw, this.#pos.slice(), this.#end);
    copy.#own = this.#own?.slice();
    copy.#ownEnd = this.#ownEnd;
    return copy;
  }

  *[Symbol.iterator](): IterableIterator<[string, string]> {
    for (let index = 0; index < this.size; index++) {
      yield [this.nameAt(index), this.valueAt(index)];
    }
  }
}

/** Compares `text` from `start` on with `name`, which is in lower case. Lengths must agree already. */
function equalsLower(text: string, start: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const c = text.charCodeAt(start + i);
    if (c !== name.charCodeAt(i) && !(c >= 65 && c <= 90 && c + 32 === name.charCodeAt(i))) {
      return false;
    }
  }
  return true;
}

const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** A token of RFC 9110 §5.6.2. */
export function isFieldName(name: string): boolean {
  return FIELD_NAME.test(name);
}

/** A field value of RFC 9110 §5.5 in latin1: no control characters but tab, nothing above U+00FF. */
export function isFieldValue(value: string): boolean {
  return FIELD_VALUE.test(value);
}
