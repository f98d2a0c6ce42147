// Where a field path stands in the text: maps what validation found in a message back to the file's line and column.
// Knows the file and the overlay that is merged over it (lists appended, the rest replaced). Called by bootstrap-file.ts.

import type { LocatedIssue, YamlEntry, YamlFile, YamlValue } from "./yaml-document.ts";
import type { Issue } from "./issues.ts";

interface Cursor {
  readonly file: YamlFile;
  readonly value: YamlValue;
  /** Where the value is named: its key, or itself in a list. */
  readonly offset: number;
}

/** The position of the deepest part of `path` that the text has, for each issue. */
export function locateIssue(issue: Issue, files: readonly YamlFile[]): LocatedIssue {
  let cursors = files.flatMap((file): Cursor[] =>
    file.root === undefined ? [] : [{ file, value: file.root, offset: file.root.offset }],
  );
  for (const step of pathSteps(issue.path)) {
    const next = typeof step === "number" ? atIndex(cursors, step) : atKey(cursors, step);
    // The content of an Any stands beside its "@type": steps that the text does not have are skipped.
    if (next.length === 0 && step === "value") continue;
    if (next.length === 0) break;
    cursors = next;
  }
  // Of a value in both files, the overlay's counts.
  const found = cursors.at(-1);
  if (found === undefined) return { file: files[0]?.file ?? "", line: 0, column: 0, ...issue };
  const position = found.file.position(found.value.kind === "scalar" ? found.value.offset : found.offset);
  return { file: found.file.file, ...position, path: issue.path, problem: issue.problem };
}

function atKey(cursors: readonly Cursor[], name: string): Cursor[] {
  return cursors.flatMap(({ file, value }): Cursor[] => {
    const entry = value.kind === "map" ? findEntry(value.entries, name) : undefined;
    return entry === undefined ? [] : [{ file, value: entry.value, offset: entry.offset }];
  });
}

function findEntry(entries: readonly YamlEntry[], name: string): YamlEntry | undefined {
  const camel = name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  return entries.find(({ key }) => key === name || key === camel);
}

/** Lists of two files follow each other. */
function atIndex(cursors: readonly Cursor[], index: number): Cursor[] {
  let left = index;
  for (const { file, value } of cursors) {
    if (value.kind !== "list") continue;
    const item = value.items[left];
    if (item !== undefined) return [{ file, value: item, offset: item.offset }];
    left -= value.items.length;
  }
  return [];
}

/** `a.b[0]["k"]` → "a", "b", 0, "k". */
function pathSteps(path: string): (string | number)[] {
  const steps: (string | number)[] = [];
  for (const match of path.matchAll(/\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]|([^.[\]]+)/g)) {
    const [, index, quoted, name] = match;
    if (index !== undefined) steps.push(Number(index));
    else if (quoted !== undefined) steps.push(JSON.parse(quoted) as string);
    else if (name !== undefined) steps.push(name);
  }
  return steps;
}
