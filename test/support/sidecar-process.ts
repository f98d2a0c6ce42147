// The real product as a child process: `./outrigger run` with a generated bootstrap (bootstrap-builder.ts), every port 0,
// the admin port found by --admin-address-path. Waits for /ready, reads admin, collects the log, stops. For end-to-end tests.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { builtProgram } from "./built-program.ts";
import { within } from "./fake-upstream.ts";
import { type Ending, Launched } from "./launcher.ts";
import { ownMemoryBytes } from "./own-memory.ts";
import { until } from "./sidecar-story.ts";

const ROOT = join(import.meta.dirname, "../..");
const PROGRAM = await builtProgram();
const END_DEADLINE_MS = 10_000;

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
  /** Its output, line by line, and its end. */
  readonly output: Launched;
  readonly adminPort: number;
  /** The bootstrap's folder; access logs and files of the test may go there. It is deleted at disposal. */
  readonly folder: string;
  readonly #child: ChildProcess;
  #ports: ReadonlyMap<string, number> = new Map();

  private constructor(child: ChildProcess, output: Launched, folder: string, adminPort: number) {
    this.#child = child;
    this.output = output;
    this.folder = folder;
    this.adminPort = adminPort;
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
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("OTEL_"));
    const child = spawn(PROGRAM.launcher, args, {
      cwd: ROOT,
      env: { ...Object.fromEntries(inherited), ...PROGRAM.env, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const output = new Launched(child);
    try {
      const adminPort = await adminPortOf(output, adminFile);
      const sidecar = new SidecarProcess(child, output, folder, adminPort);
      if (options.untilReady !== false) {
        await sidecar.untilReady();
      }
      return sidecar;
    } catch (cause) {
      await output.end("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
      throw new Error(`The sidecar did not start; its log: ${logOf(output).slice(-2_000)}`, { cause });
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get isAlive(): boolean {
    return !this.output.hasEnded;
  }

  /** All of stderr so far. */
  get log(): string {
    return logOf(this.output);
  }

  /** Bytes of memory that the process holds of its own. */
  get residentBytes(): number {
    return ownMemoryBytes(this.pid);
  }

  /** Entries of the log, parsed; lines that are no JSON as `{ line }`. */
  get logEntries(): readonly Record<string, unknown>[] {
    return this.output.stderr.all.map(parseLine);
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

  /** Waits until the statistic has at least this value. */
  untilStat(name: string, atLeast: number): Promise<number> {
    return until(
      `${name} ≥ ${atLeast}`,
      () => this.stat(name),
      (value) => value >= atLeast,
    );
  }

  /** Waits for /ready and learns the listeners' ports. */
  async untilReady(): Promise<void> {
    await until(
      "ready",
      async () => {
        const { status, text } = await this.admin("/ready");
        return { status, text };
      },
      ({ status }) => status === 200 || this.output.hasEnded,
    );
    await this.learnPorts();
  }

  /** Reads the listeners' ports again, after a push. */
  async learnPorts(): Promise<void> {
    const { text } = await this.admin("/listeners");
    const lines = text.matchAll(/^(\S+)::\S+?:(\d+)$/gm);
    this.#ports = new Map([...lines].map(([, name, port]) => [name ?? "", Number(port)]));
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** SIGTERM, and its end. */
  stop(): Promise<Ending> {
    this.signal("SIGTERM");
    return this.untilEnded();
  }

  /** Its end, within the deadline. */
  untilEnded(ms = END_DEADLINE_MS): Promise<Ending> {
    return within(this.output.ended, "the sidecar's end", ms);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.output.end("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function logOf(output: Launched): string {
  return output.stderr.all.join("\n");
}

function parseLine(line: string): Record<string, unknown> {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return { line };
  }
}

async function adminPortOf(output: Launched, adminFile: string): Promise<number> {
  const port = await until(
    "the admin port",
    () => (existsSync(adminFile) ? Number(readFileSync(adminFile, "utf8").split(":")[1]) : 0),
    (value) => value > 0 || output.hasEnded,
  );
  assert.ok(port > 0, "it has ended");
  return port;
}
