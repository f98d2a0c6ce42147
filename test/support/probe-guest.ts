// The guest `probe` in a proxy, ours or Envoy: host calls that a configuration lists, phase by phase, and what they answered.

import { Agent, request } from "node:http";
import { guest, wasmFilter } from "./bootstrap-builder.ts";
import type { ProxyProcess } from "./proxy-process.ts";

/** Phase, then `operation subject` (with a number when it is not the first of its name), then the answer: hex, `empty`, `status N`. */
export type Answers = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** `lines` as in test/guests/README.md. */
export function probeFilter(name: string, lines: readonly string[], vmId = name): object {
  return wasmFilter(name, guest("probe"), [`name ${name}`, ...lines].join("\n"), { vmId });
}

export interface ProbeRequest {
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string;
}

/** One kept-alive connection to a listener. */
export class ProbeClient implements Disposable {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #port: number;

  constructor(proxy: ProxyProcess, listener: string) {
    this.#port = proxy.port(listener);
  }

  async send({ path, headers = {}, body = "" }: ProbeRequest): Promise<string> {
    const done = Promise.withResolvers<string>();
    const fields = { ...headers, "content-length": String(Buffer.byteLength(body)) };
    const sent = request(
      { agent: this.#agent, port: this.#port, path, method: "POST", headers: fields },
      (response) => {
        let text = "";
        response.setEncoding("latin1").on("data", (chunk: string) => (text += chunk));
        response.on("end", () => done.resolve(text)).on("error", done.reject);
      },
    );
    sent.on("error", done.reject).end(body);
    return done.promise;
  }

  /** What the guest of this name has kept since it was asked last. */
  async kept(name: string): Promise<Answers> {
    const answers = new Map<string, Map<string, string>>();
    for (const line of (await this.send({ path: `/kept/${name}` })).split("\n")) {
      const [, phase = "", call = "", answer = ""] = /^(\S+) (.*) = (.*)$/.exec(line) ?? [];
      if (phase !== "") {
        const ofPhase = answers.get(phase) ?? new Map<string, string>();
        const again = ofPhase.has(call) ? ` ${ofPhase.size}` : "";
        answers.set(phase, ofPhase.set(call + again, answer));
      }
    }
    return answers;
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}
