// pod-app.ts as a child process in a network namespace: servers and clients there, asked from the test.

import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Owner } from "./launcher.ts";
import type { NetworkNamespace } from "./network-namespace.ts";
import type { AppCommand, Seen } from "./pod-app.ts";

const PROGRAM = join(import.meta.dirname, "pod-app.ts");

export class NamespaceApp {
  readonly #write: (line: string) => void;
  readonly #waiting = new Map<number, (result: string) => void>();
  #lastId = 0;

  private constructor(write: (line: string) => void) {
    this.#write = write;
  }

  /** `who` is what its servers say that they are. Runs as user 1000: neither root nor the sidecar. */
  static async start(t: Owner, namespace: NetworkNamespace, who: string): Promise<NamespaceApp> {
    const child = namespace.spawn(process.execPath, [PROGRAM, who], { uid: 1000 });
    const app = new NamespaceApp((line) => child.stdin?.write(line));
    child.stderr?.pipe(process.stderr);
    t.after(async () => {
      child.kill("SIGKILL");
      await once(child, "close");
    });
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
      const { id, result } = JSON.parse(line) as { readonly id: number; readonly result: string };
      app.#waiting.get(id)?.(result);
      app.#waiting.delete(id);
    });
    return app;
  }

  /** What came back: a server's answer, `closed`, or `error: …`. */
  ask(command: AppCommand): Promise<string> {
    const id = ++this.#lastId;
    const answer = new Promise<string>((resolve) => this.#waiting.set(id, resolve));
    this.#write(`${JSON.stringify({ id, command })}\n`);
    return answer;
  }

  async serve(kind: "http" | "tcp", ...ports: readonly number[]): Promise<void> {
    for (const port of ports) {
      const result = await this.ask({ do: "serve", kind, port });
      if (result !== "{}") throw new Error(`port ${port}: ${result}`);
    }
  }

  /** A server's answer. */
  async see(command: AppCommand): Promise<Seen> {
    const answer = await this.ask(command);
    try {
      return JSON.parse(answer) as Seen;
    } catch {
      throw new Error(`${JSON.stringify(command)} got ${answer}`);
    }
  }
}
