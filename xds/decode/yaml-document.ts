// YAML 1.2 (and so JSON) text → nodes with positions. The only file that imports the yaml package.
// Called by the loaders of configuration files; config-json.ts walks the nodes. Aliases are followed, within a bound.

import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseAllDocuments,
  parseDocument,
  type Document,
  type Node,
  type YAMLParseError,
} from "yaml";
import type { NamedFile } from "./issues.ts";

/** One problem, where it is. `line` and `column` count from 1; 0 means the whole file. */
export interface LocatedIssue {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly path: string;
  readonly problem: string;
}

/** A file that configuration names (a module, a body, resources), and where it does; not read yet. `problem` is empty. */
export interface LocatedFile extends LocatedIssue {
  readonly kind: NamedFile["kind"];
  readonly name: string;
}

export type YamlValue =
  | { readonly kind: "map"; readonly entries: readonly YamlEntry[]; readonly offset: number }
  | { readonly kind: "list"; readonly items: readonly YamlValue[]; readonly offset: number }
  | YamlScalar;

export interface YamlEntry {
  readonly key: string;
  readonly offset: number;
  readonly value: YamlValue;
}

export interface YamlScalar {
  readonly kind: "scalar";
  readonly value: string | number | bigint | boolean | null;
  /** As written; for integers beyond 53 bits. */
  readonly source: string;
  /** False for a quoted string. */
  readonly isPlain: boolean;
  readonly offset: number;
}

/** More nodes than this that come from aliases are refused: an alias bomb must not eat the memory. */
const MAX_ALIAS_NODES = 100_000;
const MAX_DEPTH = 200;

/** A parsed file. `root` is undefined for an empty one. */
export interface YamlFile {
  readonly file: string;
  readonly root: YamlValue | undefined;
  /** Line and column, from 1, of an offset in the text. */
  position(offset: number): { readonly line: number; readonly column: number };
}

export type ParsedYaml =
  | { readonly ok: true; readonly value: YamlFile }
  | { readonly ok: false; readonly issues: readonly LocatedIssue[] };

/** A file with more keys that are there twice than this is told of these. */
const MAX_SYNTAX_ERRORS = 20;

/** Never throws; syntax errors come back with their positions. */
export function parseYaml(text: string, file: string): ParsedYaml {
  const parsed = parse(file, (options) => [parseDocument(text, options)]);
  if (!parsed.ok) return parsed;
  const [value] = parsed.values;
  return { ok: true, value: value ?? { file, root: undefined, position: () => ({ line: 0, column: 0 }) } };
}

export type ParsedDocuments =
  | { readonly ok: true; readonly values: readonly YamlFile[] }
  | { readonly ok: false; readonly issues: readonly LocatedIssue[] };

/** The same for text with several documents, divided by `---`: one value for each that is not empty. */
export function parseYamlDocuments(text: string, file: string): ParsedDocuments {
  const parsed = parse(file, (options) => {
    const documents = parseAllDocuments(text, options);
    return Array.isArray(documents) ? documents : [];
  });
  return parsed.ok
    ? { ok: true, values: parsed.values.filter(({ root }) => root !== undefined && !isNothing(root)) }
    : parsed;
}

function isNothing(root: YamlValue): boolean {
  return root.kind === "scalar" && root.value === null;
}

type ParseOptions = NonNullable<Parameters<typeof parseDocument>[1]>;

function parse(file: string, documentsOf: (options: ParseOptions) => Document[]): ParsedDocuments {
  const lines = new LineCounter();
  const position = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  let documents: Document[];
  try {
    documents = documentsOf({ lineCounter: lines, version: "1.2", prettyErrors: false, merge: false });
  } catch (error) {
    return { ok: false, issues: [{ file, line: 0, column: 0, path: "", problem: `not valid YAML: ${String(error)}` }] };
  }
  const language = file.endsWith(".json") ? "JSON" : "YAML";
  const values: YamlFile[] = [];
  const issues: LocatedIssue[] = [];
  for (const document of documents) {
    for (const error of ownErrors(document.errors)) {
      const problem = `not valid ${language}: ${syntaxProblem(error)}`;
      issues.push({ file, ...position(error.pos[0]), path: "", problem });
    }
    if (issues.length > 0) continue;
    const converter = new NodeConverter(document);
    const root = document.contents === null ? undefined : converter.convert(document.contents as Node, 0);
    if (converter.problem !== undefined) {
      const { offset, text: problem } = converter.problem;
      issues.push({ file, ...position(offset), path: "", problem });
    }
    values.push({ file, root, position });
  }
  return issues.length > 0 ? { ok: false, issues } : { ok: true, values };
}

/** What follows the first broken line follows from it; keys that are there twice stand for themselves. */
function ownErrors(errors: readonly YAMLParseError[]): readonly YAMLParseError[] {
  const broken = errors.findIndex(({ code }) => code !== "DUPLICATE_KEY");
  return errors.slice(0, Math.min(MAX_SYNTAX_ERRORS, broken < 0 ? errors.length : broken + 1));
}

/** What the library says, by its beginning, and what is meant. */
const PLAIN_PROBLEMS: readonly (readonly [begin: string, problem: string])[] = [
  [
    "Sequence item without - indicator",
    "this line is indented as an item of the list before it, and has no - at its beginning",
  ],
  [
    "Nested mappings are not allowed",
    "a key inside the value of another: a line is indented too far, two keys share a line, or quotes are missing",
  ],
  [
    "Implicit map keys need to be followed by map values",
    "a key without a colon: one is missing after it, or the line is indented wrong",
  ],
  ["Implicit keys need to be on a single line", "a colon is missing after the key of this line"],
  ["All mapping items must start at the same column", "this key is indented otherwise than the keys before it"],
];

function syntaxProblem(error: YAMLParseError): string {
  if (error.code === "MULTIPLE_DOCS") return "a second document starts here; a file holds one";
  if (error.code === "DUPLICATE_KEY") return "this key is in the map already";
  if (error.code === "TAB_AS_INDENT") return "a tab indents this line; use spaces";
  const plain = PLAIN_PROBLEMS.find(([begin]) => error.message.startsWith(begin));
  if (plain !== undefined) return plain[1];
  const open = /^Flow (?:sequence|map) .*end with a ([\]}])/.exec(error.message)?.[1];
  if (open === "]") return "a [ before this is not closed: the ] is missing, or stands too far left";
  if (open === "}") return "a { before this is not closed: the } is missing, or stands too far left";
  return error.message.startsWith("Maximum call stack") ? "is nested too deeply" : error.message;
}

class NodeConverter {
  readonly #document: Document;
  #aliasDepth = 0;
  #aliasNodes = 0;
  problem: { readonly offset: number; readonly text: string } | undefined;

  constructor(document: Document) {
    this.#document = document;
  }

  convert(node: Node | null, depth: number): YamlValue {
    if (this.#aliasDepth > 0) this.#aliasNodes += 1;
    const offset = node?.range?.[0] ?? 0;
    if (this.#aliasNodes > MAX_ALIAS_NODES || depth > MAX_DEPTH) {
      this.problem ??= { offset, text: "is nested too deeply, or its aliases expand to too much" };
      return { kind: "scalar", value: null, source: "", isPlain: true, offset };
    }
    if (isAlias(node)) {
      const target = node.resolve(this.#document);
      if (target === undefined)
        this.problem ??= { offset, text: `*${node.source}: no anchor &${node.source} stands before it` };
      this.#aliasDepth += 1;
      const value = this.convert(target ?? null, depth + 1);
      this.#aliasDepth -= 1;
      return value;
    }
    if (isMap(node)) {
      const entries = node.items.map((pair): YamlEntry => {
        const key = this.convert(pair.key as Node, depth + 1);
        const value = this.convert(pair.value as Node | null, depth + 1);
        return { key: key.kind === "scalar" ? keyText(key) : "", offset: key.offset, value };
      });
      return { kind: "map", entries, offset };
    }
    if (isSeq(node)) {
      return { kind: "list", items: node.items.map((entry) => this.convert(entry as Node, depth + 1)), offset };
    }
    if (isScalar(node)) {
      const source = typeof node.source === "string" ? node.source : String(node.value);
      return { kind: "scalar", value: scalarValue(node.value), source, isPlain: node.type === "PLAIN", offset };
    }
    return { kind: "scalar", value: null, source: "", isPlain: true, offset };
  }
}

function keyText(key: YamlScalar): string {
  return typeof key.value === "string" ? key.value : key.source;
}

function scalarValue(value: unknown): YamlScalar["value"] {
  if (typeof value === "string" || typeof value === "number" || typeof value === "bigint") return value;
  return typeof value === "boolean" ? value : null;
}

export function formatLocated(issue: LocatedIssue): string {
  const where = issue.line === 0 ? issue.file : `${issue.file}:${issue.line}:${issue.column}`;
  return issue.path === "" ? `${where}: ${issue.problem}` : `${where}: ${issue.path}: ${issue.problem}`;
}

export type PlainJson = string | number | boolean | null | PlainJson[] | { [key: string]: PlainJson };

/** JSON without a schema: what a Struct holds. */
export function plainJson(value: YamlValue): PlainJson {
  switch (value.kind) {
    case "list":
      return value.items.map(plainJson);
    case "map":
      return Object.fromEntries(value.entries.map((entry) => [entry.key, plainJson(entry.value)]));
    case "scalar":
      return typeof value.value === "bigint" ? Number(value.value) : value.value;
  }
}

/** "a list", "a map", `the string "x"`, "the number 3". */
export function describe(value: YamlValue): string {
  if (value.kind !== "scalar") return `a ${value.kind}`;
  if (value.value === null) return "nothing";
  if (typeof value.value === "string") return `the string ${JSON.stringify(value.value.slice(0, 60))}`;
  return typeof value.value === "boolean" ? String(value.value) : `the number ${value.source}`;
}
