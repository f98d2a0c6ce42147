/**
 * Child processes of the bench: each in a process group of its own, pinned to a core, its last output kept for error
 * messages. However the bench ends, stopAll() and the exit hook end every group.
 */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);
const KEPT_OUTPUT = 64 * 1024;
const groups = new Set<Child>();

export class Child {
  readonly name: string;
  readonly pid: number;
  readonly #process: ChildProcess;
  readonly #ended: Promise<void>;
  #output = "";
  #stdout = "";

  constructor(name: string, child: ChildProcess, pid: number) {
    this.name = name;
    this.pid = pid;
    this.#process = child;
    const keep = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString("utf8")).slice(-KEPT_OUTPUT);
    };
    child.stdout?.on("data", (chunk: Buffer) => {
      keep(chunk);
      this.#stdout = (this.#stdout + chunk.toString("utf8")).slice(-KEPT_OUTPUT);
    });
    child.stderr?.on("data", keep);
    this.#ended = new Promise((resolve) => child.once("close", () => resolve()));
    groups.add(this);
  }

  /** The last 64 KiB that it wrote, to standard output and error together. */
  get output(): string {
    return this.#output.trim();
  }

  /** Its standard output when it has ended well by itself. Ends it, and throws its own words, when it has not. */
  async result(limitMs: number): Promise<string> {
    const timer = setTimeout(() => this.signal("SIGKILL"), limitMs);
    await this.#ended;
    clearTimeout(timer);
    groups.delete(this);
    if (this.#process.exitCode !== 0) throw new Error(`${this.name} failed or took too long:\n${this.output}`);
    return this.#stdout;
  }

  get isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  signal(signal: NodeJS.Signals): void {
    try {
      process.kill(-this.pid, signal);
    } catch {
      // The group is gone already.
    }
  }

  /** SIGTERM, then after two seconds SIGKILL, to the whole group. */
  async stop(): Promise<void> {
    this.signal("SIGTERM");
    const timer = setTimeout(() => this.signal("SIGKILL"), 2000);
    if (this.isRunning) await this.#ended;
    clearTimeout(timer);
    this.signal("SIGKILL");
    groups.delete(this);
  }
}

/** Starts a command on one core. Throws when it cannot be started at all. */
export async function start(
  name: string,
  core: number,
  command: readonly string[],
  env?: NodeJS.ProcessEnv,
): Promise<Child> {
  const child = spawn("taskset", ["-c", String(core), ...command], {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", reject);
  });
  if (child.pid === undefined) throw new Error(`${name} has no process id`);
  return new Child(name, child, child.pid);
}

/** Runs a command on one core to its end and gives its standard output; ends it when it takes longer than the limit. */
export async function capture(core: number, command: readonly string[], limitMs: number): Promise<string> {
  const child = await start(command[0] ?? "", core, command);
  return child.result(limitMs);
}

export async function stopAll(): Promise<void> {
  await Promise.all([...groups].map((child) => child.stop()));
}

/** The last resort, when the bench itself is ended: nothing that it started may stay. */
export function killAllNow(): void {
  for (const child of groups) child.signal("SIGKILL");
}

/** Where a program is, by PATH; undefined when it is not there. */
export async function findProgram(name: string): Promise<string | undefined> {
  try {
    const { stdout } = await run("sh", ["-c", `PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v ${name}`]);
    return stdout.trim() === "" ? undefined : stdout.trim();
  } catch {
    return undefined;
  }
}

/** First line of a command's output, for version numbers, whatever its exit code; "unknown" when there is none. */
export async function firstLine(command: readonly string[]): Promise<string> {
  const [program = "", ...args] = command;
  const lines = await new Promise<string>((resolve) => {
    execFile(program, args, { timeout: 20_000 }, (_error, stdout, stderr) => resolve(`${stdout}\n${stderr}`));
  });
  return (
    lines
      .split("\n")
      .find((line) => line.trim() !== "")
      ?.trim() ?? "unknown"
  );
}
