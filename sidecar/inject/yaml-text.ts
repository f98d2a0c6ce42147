// YAML as injection meets it: one small text (an annotation, a settings file), or a file of documents that is to be edited. With yaml-edit.ts
// the only place here that knows the library. Parsed as kubectl does: merge keys (`<<`) work, a key that is there twice is an error.

import { type Document, LineCounter, parseAllDocuments, parseDocument } from "yaml";

export type YamlResult =
  | { readonly ok: true; readonly value: unknown }
  /** `line` from 1, where the problem has a place. */
  | { readonly ok: false; readonly problem: string; readonly line?: number };

/** Aliases are limited: ten of ten of ten would be a thousand copies. */
const MAX_ALIASES = 100;

export function readYaml(text: string): YamlResult {
  const lines = new LineCounter();
  const document = parseDocument(text, { merge: true, prettyErrors: false, lineCounter: lines });
  const [error] = document.errors;
  return error === undefined
    ? valueOf(document)
    : { ok: false, problem: error.message, line: lines.linePos(error.pos[0]).line };
}

/** The plain value of a document; refused when its aliases are a bomb. */
export function valueOf(document: Document): YamlResult {
  try {
    return { ok: true, value: document.toJS({ maxAliasCount: MAX_ALIASES }) };
  } catch (cause) {
    return { ok: false, problem: cause instanceof Error ? cause.message : String(cause) };
  }
}

export interface YamlFile {
  readonly documents: readonly Document[];
  /** Lines and columns from 1. */
  readonly place: (offset: number) => { readonly line: number; readonly column: number };
  /** As it was written, from the document's first line to the next one's. */
  readonly sourceOf: (index: number) => string;
}

export function readYamlFile(text: string): YamlFile {
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, { merge: true, prettyErrors: false, lineCounter: lines });
  const documents: Document[] = Array.isArray(parsed) ? parsed : [];
  // Comments before the first document's first line belong to it.
  const starts = documents.map(({ range }, index) => (index === 0 ? 0 : (range?.[0] ?? 0)));
  return {
    documents,
    place: (offset) => {
      const { line, col } = lines.linePos(offset);
      return { line, column: col };
    },
    sourceOf: (index) => text.slice(starts[index], starts[index + 1] ?? text.length),
  };
}

/** Prints a changed document with the habits of its source: how far lists are indented, blanks inside braces, no line folded. */
export function printDocument(document: Document, source: string): string {
  const printed = document.toString({
    lineWidth: 0,
    indentSeq: !HAS_FLUSH_LIST.test(source),
    flowCollectionPadding: !/[{[][^\s{}[\]]/.test(source),
  });
  return printed.endsWith("\n") ? printed : `${printed}\n`;
}

/** `key:` and under it, no deeper, `- `. */
const HAS_FLUSH_LIST = /^( *)[^\s#-][^\n]*:[ \t]*(?:#[^\n]*)?\n(?:[ \t]*(?:#[^\n]*)?\n)*\1- /m;
