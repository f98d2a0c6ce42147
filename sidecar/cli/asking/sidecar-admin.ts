// The running sidecar's admin port, for the verbs that ask it: the flag that says where it is, one way to ask, and one line for
// whatever goes wrong. What the other side says is bounded, and reaches the terminal without control characters.

import { askAdmin } from "../../control/admin-client.ts";
import { printable } from "../../control/text-table.ts";
import type { Flag, FlagValues } from "../flags.ts";
import { type CliIo, wrongUsage } from "../verb.ts";

const DEFAULT_ADMIN = "127.0.0.1:15000";
/** For the next bytes, and for all of an answer: another side may send a byte now and then for ever. */
const TIMEOUT_MS = 10_000;
const DEADLINE_MS = 30_000;
/** A thousand requests with all their callbacks are shorter. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
const MAX_SAID_CHARS = 300;

export const ADMIN_FLAG: Flag = {
  name: "admin",
  kind: "string",
  value: "HOST:PORT",
  defaultText: DEFAULT_ADMIN,
  help: "the sidecar's admin port, or its http:// URL",
};

/** `json`: what that is, for the help. */
export function outputFlag(json: string): Flag {
  return {
    name: "output",
    short: "o",
    kind: "string",
    value: "FORMAT",
    allowed: ["text", "json"],
    defaultText: "text",
    help: `json: ${json}`,
  };
}

export class SidecarAdmin {
  readonly #verb: string;
  readonly #address: string;
  readonly #io: CliIo;

  private constructor(verb: string, address: string, io: CliIo) {
    this.#verb = verb;
    this.#address = address;
    this.#io = io;
  }

  /** Where the flag says, or 2 (wrong usage), which has been printed. */
  static of(verb: string, values: FlagValues, io: CliIo): SidecarAdmin | number {
    const given = String(values["admin"] ?? DEFAULT_ADMIN);
    const url = URL.parse(/^https?:\/\//.test(given) ? given : `http://${given}`);
    if (url === null || url.protocol !== "http:" || (!given.startsWith("http://") && !/:\d+\/?$/.test(given))) {
      return wrongUsage(io, verb, `flag --admin got "${given}": must be host:port, or an http:// URL`);
    }
    return new SidecarAdmin(verb, url.host, io);
  }

  /** The answer's text; undefined when there is none or a refusal, which has been printed. */
  async text(path: string, method: "GET" | "POST" = "GET", timeoutMs = TIMEOUT_MS): Promise<string | undefined> {
    const answer = await this.#ask(path, method, timeoutMs);
    if (answer === undefined) {
      return undefined;
    }
    if (answer.status === 200) {
      return answer.body;
    }
    const said = printable(answer.body.slice(0, MAX_SAID_CHARS).trim());
    return this.#failed(`${this.#address} answers ${answer.status}${said === "" ? "" : `: ${said}`}`);
  }

  /** The answer as JSON of the expected shape; undefined when it is another, which has been printed. */
  async json<T>(path: string, isShape: (value: unknown) => value is T): Promise<T | undefined> {
    const body = await this.text(path);
    if (body === undefined) {
      return undefined;
    }
    let value: unknown;
    try {
      value = JSON.parse(body);
    } catch {
      value = undefined;
    }
    return isShape(value) ? value : this.unlike(path, body);
  }

  /** Prints that the other side is something else. */
  unlike(path: string, body: string): undefined {
    const said = printable(body.slice(0, MAX_SAID_CHARS).trim());
    return this.#failed(`${this.#address}${path} does not answer as a sidecar's admin port: ${said}`);
  }

  async #ask(path: string, method: "GET" | "POST", timeoutMs: number) {
    const end = new AbortController();
    const timer = setTimeout(() => end.abort(`no whole answer within ${DEADLINE_MS / 1000} s`), DEADLINE_MS);
    const interrupt = (): void => end.abort("interrupted");
    this.#io.stop.addEventListener("abort", interrupt);
    const answer = await askAdmin({
      admin: this.#address,
      path,
      method,
      timeoutMs,
      maxBytes: MAX_ANSWER_BYTES,
      signal: end.signal,
    });
    clearTimeout(timer);
    this.#io.stop.removeEventListener("abort", interrupt);
    if (answer.ok) {
      return answer;
    }
    // Who interrupts it knows why there is no answer.
    return this.#io.stop.aborted ? undefined : this.#failed(answer.problem);
  }

  #failed(problem: string): undefined {
    this.#io.err(`outrigger ${this.#verb}: ${problem}\n`);
    return undefined;
  }
}
