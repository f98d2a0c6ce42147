// The file that a control plane serves: read at the start, and again after every change, also by editors that replace
// it. A bad version is reported once and changes nothing. Used by the CLI's `control-plane` verb and by the demo.

import { readFileSync } from "node:fs";
import { systemClock } from "../clock.ts";
import type { Clock } from "../clock.ts";
import { readProblem } from "../decode/file-problem.ts";
import type { FormatProblem } from "../decode/issues.ts";
import { parseResources } from "../decode/resources-file.ts";
import type { FileResource } from "../decode/resources-file.ts";
import { formatLocated } from "../decode/yaml-document.ts";
import { watchFile } from "../file-watch.ts";

export type ReadFile =
  | Readonly<{ ok: true; resources: readonly FileResource[] }>
  /** Each as `file:line:column: path: what is wrong`. */
  | Readonly<{ ok: false; problems: readonly string[] }>;

export type ServedFileDeps = Readonly<{
  path: string;
  clock?: Clock;
  /** Checks the format strings of the resources, as in DecodeOptions. */
  formatProblem?: FormatProblem;
  /** The content changed and is good. */
  onResources(resources: readonly FileResource[]): void;
  /** The content changed and is refused: the last good one counts. */
  onProblems(problems: readonly string[]): void;
}>;

/** An editor that truncates and writes is given this long to finish. */
const QUIET_MS = 80;

export class ServedFile {
  readonly #deps: ServedFileDeps;
  #text: string | undefined;
  #problems = "";
  #unwatch: () => void = () => {};

  constructor(deps: ServedFileDeps) {
    this.#deps = deps;
  }

  /** Reads the file for the first time. Watching begins when it is good. */
  open(): ReadFile {
    const { path, clock, formatProblem } = this.#deps;
    const text = readText(path);
    if (typeof text !== "string") return { ok: false, problems: text };
    const loaded = parse(text, path, formatProblem);
    if (!loaded.ok) return loaded;
    this.#text = text;
    this.#unwatch = watchFile({ path, quietMs: QUIET_MS, clock: clock ?? systemClock, onChange: () => this.#reload() });
    return loaded;
  }

  close(): void {
    this.#unwatch();
  }

  #reload(): void {
    const { path, onResources, formatProblem } = this.#deps;
    const text = readText(path);
    if (typeof text !== "string") {
      this.#report(text);
      return;
    }
    if (text === this.#text) {
      this.#problems = "";
      return;
    }
    // A file that is being written is empty for a moment; `[]` says on purpose that there is nothing.
    if (text.trim() === "") {
      this.#report([`${path}:1:1: the file is empty`]);
      return;
    }
    const loaded = parse(text, path, formatProblem);
    if (!loaded.ok) {
      this.#report(loaded.problems);
      return;
    }
    this.#text = text;
    this.#problems = "";
    onResources(loaded.resources);
  }

  #report(problems: readonly string[]): void {
    const text = problems.join("\n");
    if (text === this.#problems) return;
    this.#problems = text;
    this.#deps.onProblems(problems);
  }
}

/** The text, or why it cannot be read. */
function readText(path: string): string | readonly string[] {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    return [`${path}: ${readProblem(error)}`];
  }
}

function parse(text: string, path: string, formatProblem: FormatProblem | undefined): ReadFile {
  const loaded = parseResources(text, path, formatProblem);
  return loaded.ok ? loaded : { ok: false, problems: loaded.issues.map(formatLocated) };
}
