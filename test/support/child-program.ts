// A program as a child process: its output line by line, its end, signals. Tests end to end start the launcher by it,
// whatever the verb; sidecar-process.ts adds what is special of `run`. A child that is still there is killed at disposal.

import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { EventLog } from "./events.ts";
import { within } from "./fake-upstream.ts";

const ROOT = join(import.meta.dirname, "../..");
const END_DEADLINE_MS = 10_000;

/** The launcher's path. */
export const LAUNCHER = join(ROOT, "outrigger");

export interface ProgramEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ProgramOptions {
  /** Added to the test's own environment, from which OTEL_* is left out. */
  readonly env?: Readonly<Record<string, string>>;
  /** Default: the repository's root. */
  readonly cwd?: string;
  /** Its own process group, so that `signalGroup` reaches what it starts in turn. */
  readonly ownGroup?: boolean;
}

export class ChildProgram implements AsyncDisposable {
  /** Lines without their ends. */
  readonly stdout = new EventLog<string>();
  readonly stderr = new EventLog<string>();
  /** How it ended, once it has and all its output is here. */
  readonly ended: Promise<ProgramEnd>;
  readonly #child: ChildProcess;
  #end: ProgramEnd | undefined = undefined;

  constructor(command: string, args: readonly string[], options: ProgramOptions = {}) {
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("OTEL_"));
    this.#child = spawn(command, args, {
      cwd: options.cwd ?? ROOT,
      env: { ...Object.fromEntries(inherited), ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: options.ownGroup ?? false,
    });
    readLines(this.#child.stdout, this.stdout);
    readLines(this.#child.stderr, this.stderr);
    this.ended = new Promise((resolve, reject) => {
      this.#child.once("error", reject);
      this.#child.once("close", (code, signal) => {
        this.#end = { code, signal };
        resolve(this.#end);
      });
    });
    this.ended.catch(() => undefined);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** All of stderr so far, for messages. */
  get log(): string {
    return this.stderr.all.join("\n");
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  signalGroup(name: NodeJS.Signals): void {
    process.kill(-this.pid, name);
  }

  /** Its end, within the deadline; else fails with its log. */
  async untilEnded(ms = END_DEADLINE_MS): Promise<ProgramEnd> {
    try {
      return await within(this.ended, "the program's end", ms);
    } catch (cause) {
      throw new Error(`The program goes on; its log: ${this.log.slice(-2_000)}`, { cause });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#end === undefined) {
      this.signal("SIGKILL");
      await this.ended.catch(() => undefined);
    }
  }
}

function readLines(stream: NodeJS.ReadableStream | null, lines: EventLog<string>): void {
  let rest = "";
  stream?.on("data", (chunk: Buffer) => {
    const parts = (rest + chunk.toString("utf8")).split("\n");
    rest = parts.pop() ?? "";
    parts.forEach((line) => lines.push(line));
  });
  stream?.on("end", () => {
    if (rest !== "") {
      lines.push(rest);
    }
  });
}
