// What was recorded of the hosts (test/fixtures/conformance), and the tables of results that plugins/README.md shows.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ABI_VERSIONS, type Abi, type Case, type CaseRow } from "./case.ts";
import type { Observation } from "./observation.ts";

const GOLDEN = join(import.meta.dirname, "../fixtures/conformance");
const BEGIN = "<!-- conformance: begin -->";
const END = "<!-- conformance: end -->";

/** What was seen with these versions; `outrigger` only where it is something else than what Envoy did. */
export interface Recorded {
  readonly abi: readonly Abi[];
  readonly envoy: Partial<Observation>;
  readonly outrigger?: Partial<Observation>;
}

/** By family, then by the case's name. */
type GoldenFile = Readonly<Record<string, readonly Recorded[]>>;

/** What stands for a case that Envoy does not survive. */
export const CRASH: Partial<Observation> = { answers: [["the process ends"]] };

/** Without what is empty: nobody wants to read that. */
export function trimmed(seen: Observation | undefined): Partial<Observation> {
  return Object.fromEntries(Object.entries(seen ?? {}).filter(([, lines]) => lines.length > 0));
}

export function isSame(one: Partial<Observation>, other: Partial<Observation>): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

export class Golden {
  readonly #files = new Map<string, GoldenFile>();

  of(one: Case): Recorded | undefined {
    const { family, name } = one.row;
    return this.#file(family)[name]?.find(({ abi }) => abi.includes(one.abi));
  }

  /** Names in the files that no case has any more. */
  orphans(rows: readonly CaseRow[]): string[] {
    return [...new Set(rows.map(({ family }) => family))].flatMap((family) => {
      const names = new Set(rows.filter((row) => row.family === family).map(({ name }) => name));
      return Object.keys(this.#file(family)).filter((name) => !names.has(name));
    });
  }

  #file(family: string): GoldenFile {
    let file = this.#files.get(family);
    if (file === undefined) {
      const path = join(GOLDEN, `${family}.json`);
      file = existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as GoldenFile) : {};
      this.#files.set(family, file);
    }
    return file;
  }
}

type Seen = ReadonlyMap<string, Observation>;

export function writeGolden(cases: readonly Case[], envoy: Seen, outrigger: Seen): void {
  for (const [family, own] of Map.groupBy(cases, ({ row }) => row.family)) {
    const file: Record<string, Recorded[]> = {};
    for (const one of own) {
      const theirs = one.row.crashes_envoy === true ? CRASH : trimmed(envoy.get(one.id));
      const ours = trimmed(outrigger.get(one.id));
      const recorded = { envoy: theirs, ...(isSame(theirs, ours) ? {} : { outrigger: ours }) };
      const list = (file[one.row.name] ??= []);
      const equal = list.findIndex(({ abi: _abi, ...rest }) => JSON.stringify(rest) === JSON.stringify(recorded));
      const abi = equal < 0 ? [one.abi] : [...(list[equal]?.abi ?? []), one.abi];
      list.splice(equal < 0 ? list.length : equal, equal < 0 ? 0 : 1, { abi, ...recorded });
    }
    writeFileSync(join(GOLDEN, `${family}.json`), `${JSON.stringify(file, null, 1)}\n`);
  }
}

/** The tables, one a family, and every difference with its reason. */
export function resultsMarkdown(rows: readonly CaseRow[], golden: Golden): string {
  const lines = [BEGIN, ""];
  const cells = rows.flatMap((row) => (row.abi ?? ABI_VERSIONS).map((abi) => cellOf(row, abi, golden)));
  const differing = cells.filter((cell) => cell !== "same").length;
  lines.push(
    `${rows.length} cases, ${cells.length} with their versions: ${cells.length - differing} same, ${differing} different on purpose.`,
    "",
  );
  for (const [family, own] of Map.groupBy(rows, (row) => row.family)) {
    const body = own.map((row) => [
      row.name,
      ...ABI_VERSIONS.map((abi) => ((row.abi ?? ABI_VERSIONS).includes(abi) ? cellOf(row, abi, golden) : "")),
    ]);
    lines.push(`#### ${family}`, "", ...table([["a host …", ...ABI_VERSIONS], ...body]), "");
    const reasons = Map.groupBy(own, (row) => row.differs);
    for (const [why, rowsOfIt] of reasons) {
      if (why !== undefined) {
        lines.push(`- _${rowsOfIt.map(({ name }) => name).join("_; _")}_: ${why.trim().replaceAll("\n", " ")}`);
      }
    }
    if (own.some((row) => row.differs !== undefined)) {
      lines.push("");
    }
  }
  lines.push(END);
  return lines.join("\n");
}

function cellOf(row: CaseRow, abi: Abi, golden: Golden): string {
  const recorded = golden.of({ row, abi, id: "" });
  return recorded?.outrigger === undefined ? "same" : "differs";
}

function table(rows: readonly (readonly string[])[]): string[] {
  const escaped = rows.map((row) => row.map((cell) => cell.replaceAll("|", "\\|")));
  const widths = (escaped[0] ?? []).map((_, column) => Math.max(3, ...escaped.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const [head = [], ...body] = escaped;
  return [line(head), `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...body.map(line)];
}

/** The document with the part between the markers put anew. */
export function withResults(document: string, markdown: string): string {
  const begin = document.indexOf(BEGIN);
  const end = document.indexOf(END);
  if (begin < 0 || end < begin) {
    throw new Error(`The document has no ${BEGIN} … ${END}`);
  }
  return document.slice(0, begin) + markdown + document.slice(end + END.length);
}
