// The product as a user starts it: the launcher as a child process, its output line by line. For integration tests.
// What it starts is ended with the test; nothing outlives it.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { builtProgram } from "./built-program.ts";
import { EventLog } from "./events.ts";

const END_DEADLINE_MS = 15_000;
const PROGRAM = await builtProgram();

/** Who ends what was started: a test, or a bench. */
export interface Owner {
  after(cleanUp: () => unknown): void;
}

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class Launched {
  readonly stdout: EventLog<string>;
  readonly stderr: EventLog<string>;
  /** Resolves when the process has ended and all its output is here. */
  readonly ended: Promise<Ending>;
  readonly #child: ChildProcess;

  constructor(child: ChildProcess & { stdout: Readable; stderr: Readable }) {
    this.#child = child;
    this.stdout = linesOf(child.stdout);
    this.stderr = linesOf(child.stderr);
    this.ended = new Promise((resolve) => child.once("close", (code, signal) => resolve({ code, signal })));
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Its end, by itself. Killed when it goes on for longer than any start or check should take. */
  async untilEnded(): Promise<Ending> {
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), END_DEADLINE_MS);
    const ending = await this.ended;
    clearTimeout(timer);
    return ending;
  }

  /** Sends a signal and waits for the end. */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<Ending> {
    this.#child.kill(signal);
    return this.ended;
  }
}

/** `outrigger ARGS…`; killed after the test when it still runs. */
export function launch(t: Owner, ...args: readonly string[]): Launched {
  return launchIn(t, process.cwd(), ...args);
}

/** The same in a folder, so that relative paths are what a user would write. */
export function launchIn(t: Owner, cwd: string, ...args: readonly string[]): Launched {
  return launchProgram(t, PROGRAM.launcher, args, cwd, PROGRAM.env);
}

/** Another program than the repository's launcher: one that was installed. `env` is added to the test's own. */
export function launchProgram(
  t: Owner,
  program: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Launched {
  // It is no part of the test run that starts it; `plugin test` would take itself for one.
  const { NODE_TEST_CONTEXT: _, ...own } = process.env;
  const child = spawn(program, args, { cwd, env: { ...own, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  const launched = new Launched(child);
  t.after(() => launched.end("SIGKILL"));
  return launched;
}

/** A folder of the test's own, gone after it; `files` are written into it. */
export function folderWith(t: Owner, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "outrigger-story-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

function linesOf(stream: Readable): EventLog<string> {
  const lines = new EventLog<string>();
  createInterface({ input: stream }).on("line", (line) => lines.push(line));
  return lines;
}
