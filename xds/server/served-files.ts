// The files and folders that a control plane serves: read at the start, and again after every change, also by editors
// that replace a file and by Kubernetes, which swaps a link. A bad version is reported once and changes nothing. Used by
// the CLI's `control-plane` verb and by the demo.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { systemClock } from "../clock.ts";
import type { Clock } from "../clock.ts";
import { readProblem } from "../decode/file-problem.ts";
import type { FormatProblem } from "../decode/issues.ts";
import { watchFile } from "../file-watch.ts";
import { GroupReader } from "./group-files.ts";
import type { GroupFile, ReadGroups } from "./group-files.ts";
import type { ResourceGroup } from "./resource-groups.ts";

export type ServedFilesDeps = Readonly<{
  /** Files, and folders of which every .yaml, .yml and .json counts, by name. */
  paths: readonly string[];
  clock?: Clock;
  /** Checks the format strings of the resources, as in DecodeOptions. */
  formatProblem?: FormatProblem;
  /** The content changed and is good. */
  onGroups(groups: readonly ResourceGroup[]): void;
  /** The content changed and is refused: the last good one counts. */
  onProblems(problems: readonly string[]): void;
}>;

export type FoundFiles = Readonly<{ ok: true; files: readonly GroupFile[] }> | Readonly<{ ok: false; problem: string }>;

/** An editor that truncates and writes is given this long to finish. */
const QUIET_MS = 80;
const MAX_FILES = 1_000;
const MAX_TOTAL_BYTES = 256 * 1024 * 1024;

export class ServedFiles {
  readonly #deps: ServedFilesDeps;
  readonly #reader: GroupReader;
  #content = "";
  #problems = "";
  #unwatch: readonly (() => void)[] = [];

  constructor(deps: ServedFilesDeps) {
    this.#deps = deps;
    this.#reader = new GroupReader(deps.formatProblem);
  }

  /** Reads everything for the first time. Watching begins when it is good. */
  open(): ReadGroups {
    const { paths, clock } = this.#deps;
    const found = findFiles(paths);
    if (!found.ok) return { ok: false, problems: [found.problem] };
    const read = this.#reader.read(found.files);
    if (!read.ok) return read;
    this.#content = contentOf(found.files);
    const settings = { quietMs: QUIET_MS, clock: clock ?? systemClock, onChange: () => this.#reload() };
    const directories = new Map(paths.map((path) => [isFolder(path) ? path : dirname(path), path]));
    this.#unwatch = [...directories].map(([directory, path]) => watchFile({ ...settings, path, directory }));
    return read;
  }

  close(): void {
    for (const stop of this.#unwatch) stop();
  }

  #reload(): void {
    const { paths, onGroups } = this.#deps;
    const found = findFiles(paths);
    if (!found.ok) {
      this.#report([found.problem]);
      return;
    }
    const content = contentOf(found.files);
    if (content === this.#content) {
      this.#problems = "";
      return;
    }
    const read = this.#reader.read(found.files);
    if (!read.ok) {
      this.#report(read.problems);
      return;
    }
    this.#content = content;
    this.#problems = "";
    onGroups(read.groups);
  }

  #report(problems: readonly string[]): void {
    const text = problems.join("\n");
    if (text === this.#problems) return;
    this.#problems = text;
    this.#deps.onProblems(problems);
  }
}

/** The files that `paths` stand for, with their text, or the first problem. Never throws. */
export function findFiles(paths: readonly string[]): FoundFiles {
  const files: GroupFile[] = [];
  let bytes = 0;
  for (const path of paths) {
    try {
      const names = isFolder(path) ? filesIn(path) : [path];
      if (names.length === 0) return { ok: false, problem: `${path}: has no .yaml, .yml or .json file` };
      for (const name of names) {
        const text = readFileSync(name, "utf8");
        bytes += text.length;
        files.push({ name, text });
        if (files.length > MAX_FILES) return { ok: false, problem: `${path}: more than ${MAX_FILES} files` };
        if (bytes > MAX_TOTAL_BYTES)
          return { ok: false, problem: `${path}: more than ${MAX_TOTAL_BYTES} bytes in all` };
      }
    } catch (error) {
      return { ok: false, problem: `${path}: ${readProblem(error)}` };
    }
  }
  return { ok: true, files };
}

/** Names that begin with a dot are an editor's, or Kubernetes' own. */
function filesIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => /^[^.].*\.(?:ya?ml|json)$/.test(name))
    .sort()
    .map((name) => join(folder, name));
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** Tells two contents apart without keeping them. */
function contentOf(files: readonly GroupFile[]): string {
  return createHash("sha256").update(JSON.stringify(files)).digest("hex");
}
