// The real go-control-plane server of test/fixtures/go-control-plane, as a child process.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { EventLog } from "./events.ts";

const CACHE = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
const BINARY = join(CACHE, "outrigger/go-control-plane-v0.14.0");

/** Why tests that need it are skipped; undefined when it is there. */
export const GO_CONTROL_PLANE_MISSING = existsSync(BINARY)
  ? undefined
  : `go-control-plane is not built (${BINARY}): run test/fixtures/go-control-plane/build.sh, which needs Go`;

export type GoSnapshot = { version: string; cluster: string; port?: number; bad?: boolean };

/** One request that the server received. `held` counts initial_resource_versions. */
export type GoRequest = {
  variant: string;
  type: string;
  version: string;
  nonce: string;
  names: number;
  held: number;
  error: string;
};

export class GoControlPlane {
  readonly requests: EventLog<GoRequest>;
  readonly port: number;
  readonly #process: ChildProcess;

  private constructor(child: ChildProcess, port: number, requests: EventLog<GoRequest>) {
    this.#process = child;
    this.port = port;
    this.requests = requests;
  }

  static async start(port = 0): Promise<GoControlPlane> {
    const child = spawn(BINARY, [String(port)], { stdio: ["pipe", "pipe", "inherit"] });
    const lines = createInterface({ input: child.stdout });
    const requests = new EventLog<GoRequest>();
    const bound = await new Promise<number>((resolve, reject) => {
      lines.once("line", (line) => {
        resolve((JSON.parse(line) as { port: number }).port);
        // A client that has waited for the port may ask in the same piece of output.
        lines.on("line", (next) => requests.push(JSON.parse(next) as GoRequest));
      });
      child.once("exit", () => reject(new assert.AssertionError({ message: "go-control-plane did not start" })));
    });
    return new GoControlPlane(child, bound, requests);
  }

  serve(snapshot: GoSnapshot): void {
    this.#process.stdin?.write(`${JSON.stringify({ port: 8080, ...snapshot })}\n`);
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill("SIGKILL");
    await ended;
  }
}
