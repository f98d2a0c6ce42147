// pod-app.ts as a child process in a network namespace: servers and clients there, asked from the test.

import { chmodSync } from "node:fs";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { folderWith, type Owner } from "./launcher.ts";
import { become, type NetworkNamespace } from "./network-namespace.ts";
import type { AppCommand, Seen } from "./pod-app.ts";

const PROGRAM = join(import.meta.dirname, "pod-app.ts");

const OWN_RESOLVER = 'mount --bind "$0" /etc/resolv.conf && exec "$@"';

function resolverFile(t: Owner, nameServer: string): string {
  const folder = folderWith(t, { "resolv.conf": `nameserver ${nameServer}\noptions timeout:2\n` });
  chmodSync(folder, 0o755);
  return join(folder, "resolv.conf");
}

export class NamespaceApp {
  readonly #write: (line: string) => void;
  readonly #waiting = new Map<number, (result: string) => void>();
  #lastId = 0;

  private constructor(write: (line: string) => void) {
    this.#write = write;
  }

  /**
   * `who` is what its servers say that they are. Runs as user 1000: neither root nor the sidecar. Names are asked of `nameServer`, by a
   * resolv.conf that only it sees.
   */
  static async start(t: Owner, namespace: NetworkNamespace, who: string, nameServer?: string): Promise<NamespaceApp> {
    const user = { uid: 1000 };
    const words = [process.execPath, PROGRAM, who];
    const child =
      nameServer === undefined
        ? namespace.spawn(process.execPath, words.slice(1), user)
        : namespace.spawn("unshare", [
            "--mount",
            "sh",
            "-c",
            OWN_RESOLVER,
            resolverFile(t, nameServer),
            ...become(user),
            ...words,
          ]);
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

  /** A name server on port 53: name → addresses. */
  async serveNames(names: Readonly<Record<string, readonly string[]>>): Promise<void> {
    const result = await this.ask({ do: "dns", port: 53, names });
    if (result !== "{}") throw new Error(`port 53: ${result}`);
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
