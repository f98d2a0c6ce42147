// The host that is judged: a process that takes an Envoy bootstrap, logs what plugins log, and has Envoy's admin port.
// To judge another host, give it a class of this shape; the cases need nothing else of it.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Scene } from "./scene.ts";

const POLL_MS = 4;
const START_DEADLINE_MS = 60_000;
const OURS = join(import.meta.dirname, "../../outrigger");

/** A line that a plugin logged. */
export interface GuestLine {
  readonly level: string;
  readonly text: string;
}

/** How a kind of host is started and how its log is read. */
export interface SubjectKind {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** A plugin's line; undefined for every other line of the log. */
  guestLine(line: string): GuestLine | undefined;
}

const COMMON = ["--concurrency", "1", "--file-flush-interval-msec", "20", "--drain-time-s", "1", "-l", "warning"];

export const OUTRIGGER: SubjectKind = {
  name: "outrigger",
  command: OURS,
  args: ["run", ...COMMON, "--component-log-level", "wasm:debug"],
  guestLine(line) {
    if (!line.startsWith("{")) {
      return undefined;
    }
    const entry = JSON.parse(line) as { level?: string; plugin?: string; message?: string };
    return entry.plugin === undefined ? undefined : { level: entry.level ?? "", text: entry.message ?? "" };
  },
};

/** `binary`: Envoy's. */
export function envoyKind(binary: string): SubjectKind {
  return {
    name: "Envoy",
    command: binary,
    args: [...COMMON, "--component-log-level", "wasm:debug", "--log-format", "%l %n %v", "--disable-hot-restart"],
    guestLine(line) {
      const found = /^(\S+) wasm (?:\[.*?\] )?wasm log[^:]*: (.*)$/.exec(line);
      return found === null ? undefined : { level: found[1] ?? "", text: found[2] ?? "" };
    },
  };
}

export class Subject implements AsyncDisposable {
  readonly kind: SubjectKind;
  /** All lines of its log. */
  readonly lines: string[] = [];
  readonly scene: Scene;
  readonly #child: ChildProcess;
  readonly #reader: LogReader;
  readonly #folder: string;
  readonly #ports: ReadonlyMap<string, number>;
  readonly #adminPort: number;

  /** `onGuestLine` gets every line that a plugin logs, from the start on. */
  static async start(
    kind: SubjectKind,
    sceneIn: (folder: string) => Scene,
    onGuestLine: (line: GuestLine) => void,
  ): Promise<Subject> {
    const folder = mkdtempSync(join(tmpdir(), "outrigger-conformance-"));
    const scene = sceneIn(folder);
    const file = join(folder, "bootstrap.json");
    const adminFile = join(folder, "admin");
    writeFileSync(file, JSON.stringify(scene.bootstrap));
    const args = [...kind.args, "-c", file, "--admin-address-path", adminFile];
    // Into a file: a full pipe loses lines, or holds the host up.
    const logFile = openSync(join(folder, "log"), "a+");
    const child = spawn(kind.command, args, { stdio: ["ignore", "ignore", logFile] });
    const lines: string[] = [];
    const reader = new LogReader(logFile, (line) => {
      lines.push(line);
      const said = kind.guestLine(line);
      if (said !== undefined) {
        onGuestLine(said);
      }
    });
    try {
      const adminPort = await untilReady(child, adminFile);
      const listeners = await (await fetch(`http://127.0.0.1:${adminPort}/listeners`)).text();
      const found = listeners.matchAll(/^(\S+)::127\.0\.0\.1:(\d+)$/gm);
      const ports = new Map([...found].map((match) => [match[1] ?? "", Number(match[2])]));
      return new Subject(kind, lines, scene, child, reader, folder, ports, adminPort);
    } catch (cause) {
      child.kill("SIGKILL");
      reader.stop();
      rmSync(folder, { recursive: true, force: true });
      throw new Error(`${kind.name} did not start: ${lines.join("\n").slice(-4_000)}`, { cause });
    }
  }

  private constructor(
    kind: SubjectKind,
    lines: string[],
    scene: Scene,
    child: ChildProcess,
    reader: LogReader,
    folder: string,
    ports: ReadonlyMap<string, number>,
    adminPort: number,
  ) {
    this.kind = kind;
    this.lines = lines;
    this.scene = scene;
    this.#child = child;
    this.#reader = reader;
    this.#folder = folder;
    this.#ports = ports;
    this.#adminPort = adminPort;
  }

  /** The port of a listener; undefined when the host has not got that listener. */
  port(listener: string): number | undefined {
    return this.#ports.get(listener);
  }

  /** All counters, gauges and histograms, `name: value`. Fails when the host has died. */
  async stats(): Promise<ReadonlyMap<string, string>> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
      throw new Error(`${this.kind.name} has died: ${this.lines.slice(-40).join("\n")}`);
    }
    const text = await (await fetch(`http://127.0.0.1:${this.#adminPort}/stats`)).text();
    return new Map([...text.matchAll(/^(\S+): (.*)$/gm)].map((match) => [match[1] ?? "", match[2] ?? ""]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, "exit");
      this.#child.kill("SIGKILL");
      await ended;
    }
    this.#reader.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Follows a file that another process appends to. */
class LogReader {
  readonly #file: number;
  readonly #timer: NodeJS.Timeout;
  readonly #onLine: (line: string) => void;
  readonly #chunk = Buffer.alloc(64 * 1024);
  #at = 0;
  #pending = "";

  constructor(file: number, onLine: (line: string) => void) {
    this.#file = file;
    this.#onLine = onLine;
    this.#timer = setInterval(() => this.#read(), POLL_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    closeSync(this.#file);
  }

  #read(): void {
    for (;;) {
      const count = readSync(this.#file, this.#chunk, 0, this.#chunk.length, this.#at);
      if (count === 0) {
        return;
      }
      this.#at += count;
      const lines = (this.#pending + this.#chunk.toString("latin1", 0, count)).split("\n");
      this.#pending = lines.pop() ?? "";
      lines.forEach(this.#onLine);
    }
  }
}

async function untilReady(child: ChildProcess, adminFile: string): Promise<number> {
  const deadline = Date.now() + START_DEADLINE_MS;
  for (;;) {
    if (child.exitCode !== null || Date.now() > deadline) {
      throw new Error("no ready admin port");
    }
    const port = existsSync(adminFile) ? Number(readFileSync(adminFile, "utf8").split(":")[1]) : 0;
    if (port > 0 && (await isReady(port))) {
      return port;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function isReady(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/ready`)).status === 200;
  } catch {
    return false;
  }
}
