// APISIX's YAML while it is translated: each part knows where it stands and which of its fields have been taken. What nobody has taken is
// a finding, so nothing gets lost silently.

import { type PlainJson, plainJson, type YamlFile, type YamlValue } from "../../xds/decode/yaml-document.ts";

export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly path: string;
  readonly text: string;
  /** "lost": it is not in the result. "differs": it is, and does not mean quite the same. */
  readonly kind: "lost" | "differs";
}

export class Findings {
  readonly all: Finding[] = [];
  readonly #known = new Set<string>();
  #lost = 0;

  add(kind: Finding["kind"], file: YamlFile, value: YamlValue | undefined, path: string, text: string): void {
    const { line, column } = value === undefined ? { line: 0, column: 0 } : file.position(value.offset);
    // What several routes share is translated for each of them, and told once.
    const key = JSON.stringify([file.file, path, text]);
    if (!this.#known.has(key)) {
      this.#known.add(key);
      this.#lost += kind === "lost" ? 1 : 0;
      this.all.push({ file: file.file, line, column, path, text, kind });
    }
  }

  /** How many things are lost so far. */
  get lost(): number {
    return this.#lost;
  }
}

/** A mapping. Values of another kind than asked for are findings, and count as absent. */
export class Section {
  readonly path: string;
  readonly #file: YamlFile;
  readonly #findings: Findings;
  readonly #value: YamlValue | undefined;
  readonly #fields = new Map<string, YamlValue>();
  readonly #taken = new Set<string>();

  constructor(file: YamlFile, value: YamlValue | undefined, path: string, findings: Findings) {
    this.#file = file;
    this.#value = value;
    this.path = path;
    this.#findings = findings;
    if (value?.kind === "map") {
      for (const { key, value: inner } of value.entries) {
        this.#fields.set(key, inner);
      }
    } else if (value !== undefined) {
      this.lost("must be a mapping");
    }
  }

  get keys(): readonly string[] {
    return [...this.#fields.keys()];
  }

  has(key: string): boolean {
    return this.#fields.has(key);
  }

  text(key: string): string | undefined {
    const value = this.#take(key);
    if (value === undefined) {
      return undefined;
    }
    if (value.kind === "scalar" && value.value !== null) {
      return typeof value.value === "string" ? value.value : value.source;
    }
    return this.#wrong(key, "a text");
  }

  number(key: string): number | undefined {
    const value = this.#take(key);
    if (value === undefined) {
      return undefined;
    }
    return value.kind === "scalar" && typeof value.value === "number" ? value.value : this.#wrong(key, "a number");
  }

  flag(key: string): boolean | undefined {
    const value = this.#take(key);
    if (value === undefined) {
      return undefined;
    }
    return value.kind === "scalar" && typeof value.value === "boolean"
      ? value.value
      : this.#wrong(key, "true or false");
  }

  /** Texts of a list, or the one text. */
  texts(key: string): readonly string[] | undefined {
    const value = this.#take(key);
    if (value === undefined) {
      return undefined;
    }
    const items = value.kind === "list" ? value.items : [value];
    const texts = items.flatMap((item) =>
      item.kind === "scalar" && item.value !== null ? [typeof item.value === "string" ? item.value : item.source] : [],
    );
    return texts.length === items.length ? texts : this.#wrong(key, "a list of texts");
  }

  section(key: string): Section | undefined {
    const value = this.#take(key);
    return value === undefined ? undefined : this.#inner(value, `${this.path === "" ? "" : `${this.path}.`}${key}`);
  }

  /** A list of mappings. */
  sections(key: string): readonly Section[] {
    const value = this.#take(key);
    if (value === undefined) {
      return [];
    }
    const path = `${this.path === "" ? "" : `${this.path}.`}${key}`;
    if (value.kind !== "list") {
      this.#wrong(key, "a list");
      return [];
    }
    return value.items.map((item, i) => this.#inner(item, `${path}[${i}]`));
  }

  isList(key: string): boolean {
    return this.#fields.get(key)?.kind === "list";
  }

  isText(key: string): boolean {
    return this.#fields.get(key)?.kind === "scalar";
  }

  plain(key: string): PlainJson | undefined {
    const value = this.#take(key);
    return value === undefined ? undefined : plainJson(value);
  }

  /** Fields without meaning for what is served. */
  ignore(...keys: readonly string[]): void {
    keys.forEach((key) => this.#taken.add(key));
  }

  lost(text: string, key?: string): void {
    this.#note("lost", text, key);
  }

  differs(text: string, key?: string): void {
    this.#note("differs", text, key);
  }

  /** Everything that nobody has taken. */
  rest(): void {
    for (const [key, value] of this.#fields) {
      const isEmpty = (value.kind === "list" ? value.items : value.kind === "map" ? value.entries : [1]).length === 0;
      if (!this.#taken.has(key) && !isEmpty) {
        this.lost("is not translated", key);
      }
    }
  }

  #note(kind: Finding["kind"], text: string, key: string | undefined): void {
    if (key !== undefined) {
      this.#taken.add(key);
    }
    const value = key === undefined ? this.#value : (this.#fields.get(key) ?? this.#value);
    const path = [this.path, key ?? ""].filter((part) => part !== "").join(".");
    this.#findings.add(kind, this.#file, value, path, text);
  }

  #take(key: string): YamlValue | undefined {
    this.#taken.add(key);
    const value = this.#fields.get(key);
    return value?.kind === "scalar" && value.value === null ? undefined : value;
  }

  #inner(value: YamlValue, path: string): Section {
    return new Section(this.#file, value, path, this.#findings);
  }

  #wrong(key: string, expected: string): undefined {
    this.lost(`must be ${expected}`, key);
    return undefined;
  }
}
