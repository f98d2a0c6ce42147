// The real product as a child process: `./outrigger run` with a generated bootstrap (bootstrap-builder.ts), every port 0,
// the admin port found by --admin-address-path. Waits for /ready, reads admin, collects the log, stops. For end-to-end tests.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ChildProgram, LAUNCHER, type ProgramEnd } from "./child-program.ts";

const START_DEADLINE_MS = 20_000;
const WAIT_DEADLINE_MS = 10_000;
const POLL_MS = 10;

export interface SidecarOptions {
  /** Further flags of `run`. `--concurrency 1` and `-l info` stand before them. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** False: `start` resolves as soon as the admin port answers, ready or not. */
  readonly untilReady?: boolean;
}

export interface AdminAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

export class SidecarProcess implements AsyncDisposable {
  readonly program: ChildProgram;
  readonly adminPort: number;
  /** The bootstrap's folder; access logs and files of the test may go there. It is deleted at disposal. */
  readonly folder: string;
  #ports: ReadonlyMap<string, number>;

  private constructor(program: ChildProgram, folder: string, adminPort: number, ports: ReadonlyMap<string, number>) {
    this.program = program;
    this.folder = folder;
    this.adminPort = adminPort;
    this.#ports = ports;
  }

  /** `bootstrap`: an Envoy bootstrap, or a function that makes it of the folder that will be this sidecar's. */
  static async start(
    bootstrap: object | ((folder: string) => object),
    options: SidecarOptions = {},
  ): Promise<SidecarProcess> {
    const folder = mkdtempSync(join(tmpdir(), "outrigger-test-"));
    const file = join(folder, "bootstrap.json");
    const adminFile = join(folder, "admin");
    const content: object = typeof bootstrap === "function" ? (bootstrap(folder) as object) : bootstrap;
    writeFileSync(file, JSON.stringify(content));
    const args = ["run", "-c", file, "--admin-address-path", adminFile, "--concurrency", "1", ...(options.args ?? [])];
    const program = new ChildProgram(LAUNCHER, args, { env: options.env ?? {} });
    try {
      const adminPort = await adminOf(program, adminFile);
      const sidecar = new SidecarProcess(program, folder, adminPort, new Map());
      if (options.untilReady !== false) {
        await sidecar.untilReady();
      }
      return sidecar;
    } catch (error) {
      await program[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  get pid(): number {
    return this.program.pid;
  }

  get isAlive(): boolean {
    return this.program.isAlive;
  }

  /** Bytes of memory that the process holds (Linux). */
  get residentBytes(): number {
    return Number(readFileSync(`/proc/${this.pid}/statm`, "utf8").split(" ")[1]) * 4096;
  }

  /** Entries of the log, parsed; lines that are no JSON as `{ line }`. */
  get logEntries(): readonly Record<string, unknown>[] {
    return this.program.stderr.all.map(parseLine);
  }

  /** The port of a listener, by its name. */
  port(listener: string): number {
    const port = this.#ports.get(listener);
    assert.ok(port !== undefined, `no listener ${listener} among ${[...this.#ports.keys()].join(", ")}`);
    return port;
  }

  url(listener: string, path = "/"): string {
    return `http://127.0.0.1:${this.port(listener)}${path}`;
  }

  async admin(path: string, method = "GET"): Promise<AdminAnswer> {
    const answer = await fetch(`http://127.0.0.1:${this.adminPort}${path}`, { method });
    return {
      status: answer.status,
      contentType: answer.headers.get("content-type") ?? "",
      text: await answer.text(),
    };
  }

  async adminJson<T>(path: string): Promise<T> {
    const answer = await this.admin(path);
    assert.equal(answer.status, 200, answer.text);
    return JSON.parse(answer.text) as T;
  }

  /** A counter or gauge; 0 when there is none of that name. */
  async stat(name: string): Promise<number> {
    const { text } = await this.admin(`/stats?filter=${encodeURIComponent(`^${RegExp.escape(name)}$`)}`);
    return Number(/: (\d+)/.exec(text)?.[1] ?? 0);
  }

  /** Waits until `isTrue` says so of what `read` gives; returns that. Fails after 10 s with the last value. */
  async until<T>(what: string, read: () => T | Promise<T>, isTrue: (value: T) => boolean): Promise<T> {
    const deadline = Date.now() + WAIT_DEADLINE_MS;
    for (;;) {
      const value = await read();
      if (isTrue(value)) {
        return value;
      }
      if (Date.now() > deadline) {
        assert.fail(`not within ${WAIT_DEADLINE_MS} ms: ${what}; last: ${JSON.stringify(value)?.slice(0, 2_000)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Waits until the statistic has at least this value. */
  untilStat(name: string, atLeast: number): Promise<number> {
    return this.until(
      `${name} ≥ ${atLeast}`,
      () => this.stat(name),
      (value) => value >= atLeast,
    );
  }

  /** Waits for /ready and learns the listeners' ports. */
  async untilReady(): Promise<void> {
    const deadline = Date.now() + START_DEADLINE_MS;
    for (;;) {
      const ready = await this.admin("/ready");
      if (ready.status === 200) {
        break;
      }
      if (!this.isAlive || Date.now() > deadline) {
        throw new Error(`The sidecar is not ready: ${ready.text} Its log: ${this.program.log.slice(-2_000)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    await this.learnPorts();
  }

  /** Reads the listeners' ports again, after a push. */
  async learnPorts(): Promise<void> {
    const { text } = await this.admin("/listeners");
    const lines = text.matchAll(/^(\S+)::\S+?:(\d+)$/gm);
    this.#ports = new Map([...lines].map(([, name, port]) => [name ?? "", Number(port)]));
  }

  /** SIGTERM, and its end. */
  stop(): Promise<ProgramEnd> {
    this.program.signal("SIGTERM");
    return this.program.untilEnded();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function parseLine(line: string): Record<string, unknown> {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return { line };
  }
}

async function adminOf(program: ChildProgram, adminFile: string): Promise<number> {
  const deadline = Date.now() + START_DEADLINE_MS;
  for (;;) {
    const port = existsSync(adminFile) ? Number(readFileSync(adminFile, "utf8").split(":")[1]) : 0;
    if (port > 0) {
      return port;
    }
    if (!program.isAlive || Date.now() > deadline) {
      throw new Error(`The sidecar did not start; its log: ${program.log.slice(-2_000)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
