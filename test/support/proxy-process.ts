// A real proxy process, ours or Envoy, on ports of its own, with a bootstrap that both take. For tests end to end.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { builtProgram } from "./built-program.ts";
import { ownMemoryBytes } from "./own-memory.ts";

const DEADLINE_MS = 30_000;
const OURS = await builtProgram();

export class ProxyProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #ports: ReadonlyMap<string, number>;
  readonly adminPort: number;
  readonly isEnvoy: boolean;
  readonly #log: () => string;

  private constructor(
    child: ChildProcess,
    folder: string,
    adminPort: number,
    ports: ReadonlyMap<string, number>,
    isEnvoy: boolean,
    log: () => string,
  ) {
    this.#log = log;
    this.isEnvoy = isEnvoy;
    this.#child = child;
    this.#folder = folder;
    this.adminPort = adminPort;
    this.#ports = ports;
  }

  /**
   * `envoy`: the binary's path, or undefined for our own. `bootstrap` has an admin port and listeners on port 0. `args`:
   * further flags, which both know.
   */
  static async start(
    envoy: string | undefined,
    bootstrap: object,
    args: readonly string[] = [],
  ): Promise<ProxyProcess> {
    const folder = mkdtempSync(join(tmpdir(), "outrigger-proxy-"));
    const file = join(folder, "bootstrap.json");
    const adminFile = join(folder, "admin");
    writeFileSync(file, JSON.stringify(bootstrap));
    const common = [
      "-c",
      file,
      "--concurrency",
      "1",
      "--file-flush-interval-msec",
      "50",
      "--admin-address-path",
      adminFile,
      ...args,
    ];
    const child =
      envoy === undefined
        ? spawn(OURS.launcher, ["run", ...common, "-l", "error"], {
            env: { ...process.env, ...OURS.env },
            stdio: ["ignore", "ignore", "pipe"],
          })
        : spawn(envoy, [...common, "-l", "error", "--disable-hot-restart"], { stdio: ["ignore", "ignore", "pipe"] });
    let log = "";
    child.stderr?.on("data", (chunk: Buffer) => (log += chunk.toString()));
    try {
      const adminPort = await ready(child, adminFile, () => log);
      const listeners = await (await fetch(`http://127.0.0.1:${adminPort}/listeners`)).text();
      const ports = new Map(
        [...listeners.matchAll(/^(\S+)::127\.0\.0\.1:(\d+)$/gm)].map((m) => [m[1] ?? "", Number(m[2])]),
      );
      return new ProxyProcess(child, folder, adminPort, ports, envoy !== undefined, () => log);
    } catch (error) {
      child.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** The port of a listener. */
  port(listener: string): number {
    const port = this.#ports.get(listener);
    if (port === undefined) {
      throw new Error(`No listener ${listener}`);
    }
    return port;
  }

  /** What it has written to stderr. */
  get log(): string {
    return this.#log();
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** A counter or gauge; 0 when there is none of that name. */
  async stat(name: string): Promise<number> {
    const filter = encodeURIComponent(`^${name.replaceAll(".", "\\.")}$`);
    const text = await (await fetch(`http://127.0.0.1:${this.adminPort}/stats?filter=${filter}`)).text();
    return Number(/: (\d+)/.exec(text)?.[1] ?? 0);
  }

  /** Bytes of memory that the process holds of its own. */
  get residentBytes(): number {
    return ownMemoryBytes(this.pid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.isAlive) {
      const ended = once(this.#child, "exit");
      this.#child.kill("SIGKILL");
      await ended;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function ready(child: ChildProcess, adminFile: string, log: () => string): Promise<number> {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    if (child.exitCode !== null || Date.now() > deadline) {
      throw new Error(`The proxy did not start: ${log().slice(-2_000)}`);
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
