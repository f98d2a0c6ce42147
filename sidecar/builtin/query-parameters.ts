// The query of a path, taken apart and put together as Envoy's QueryParamsMulti does: names and values percent-decoded,
// names in byte order, values of a name in their order, `name=value` always. Used by header-mutation-filter.ts.
// Envoy writes decoded characters as they are, so that `%26` begins a parameter and `%20` ends the request line. Here what a query
// needs encoded stays encoded, and a value from elsewhere is encoded: no parameter comes about by a value of another.

export class QueryParameters {
  readonly #values = new Map<string, string[]>();

  /** `path`: wire text with or without a query. */
  constructor(path: string) {
    const mark = path.indexOf("?");
    const parts = mark < 0 ? [] : path.slice(mark + 1).split("&");
    // Between two `&` there is a parameter without a name; after the last there is none.
    if (parts.at(-1) === "") {
      parts.pop();
    }
    for (const part of parts) {
      const equals = part.indexOf("=");
      if (equals < 0) {
        this.add(part, "");
      } else {
        this.add(decoded(part.slice(0, equals)), decoded(part.slice(equals + 1)));
      }
    }
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  add(name: string, value: string): void {
    const values = this.#values.get(name);
    if (values === undefined) {
      this.#values.set(name, [value]);
    } else {
      values.push(value);
    }
  }

  overwrite(name: string, value: string): void {
    this.#values.set(name, [value]);
  }

  remove(name: string): void {
    this.#values.delete(name);
  }

  /** `path` with this query instead of its own. */
  writeTo(path: string): string {
    const mark = path.indexOf("?");
    const plain = mark < 0 ? path : path.slice(0, mark);
    const names = [...this.#values.keys()].toSorted(byteOrder);
    const pairs = names.flatMap((name) =>
      (this.#values.get(name) ?? []).map((value) => `${safe(name).replaceAll("=", "%3D")}=${safe(value)}`),
    );
    return pairs.length === 0 ? plain : `${plain}?${pairs.join("&")}`;
  }
}

function byteOrder(a: string, b: string): number {
  return a < b ? -1 : 1;
}

/** The first value of the parameter with this decoded name, all decoded, as Envoy's matchers see it. Undefined: there is none. */
export function firstParameter(path: string, name: string): string | undefined {
  const mark = path.indexOf("?");
  if (mark < 0) {
    return undefined;
  }
  for (const part of path.slice(mark + 1).split("&")) {
    const equals = part.indexOf("=");
    if (equals < 0 ? part === name : plain(part.slice(0, equals)) === name) {
      return equals < 0 ? "" : plain(part.slice(equals + 1));
    }
  }
  return undefined;
}

function plain(text: string): string {
  return text.replaceAll(/%([0-9a-fA-F]{2})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 16)));
}

/** What would mean something else once it is decoded stays as it is. */
function decoded(text: string): string {
  return text.replaceAll(/%([0-9a-fA-F]{2})/g, (triplet, digits: string) => {
    const character = String.fromCharCode(parseInt(digits, 16));
    return "%&=+#".includes(character) ? triplet : character;
  });
}

function safe(text: string): string {
  return text.replaceAll(/[^!"$%'-~]/g, (character) => encoded(character));
}

function encoded(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
}
