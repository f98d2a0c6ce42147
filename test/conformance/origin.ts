// The upstream of all cases: answers as the case says, which it learns from the request's `x-case`, and records every request.

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type CaseOrigin, repeated } from "./case.ts";

/** A request as the origin saw it, names in lower case, in the order in which they came. */
export interface SeenRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly string[];
  readonly body: string;
  readonly trailers: readonly string[];
}

type UntilPiece = (times: number) => Promise<void>;

export class CaseOriginServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #answers = new Map<string, { readonly answer: CaseOrigin; readonly untilPiece: UntilPiece }>();
  readonly #seen = new Map<string, SeenRequest[]>();

  static async start(): Promise<CaseOriginServer> {
    const origin = new CaseOriginServer();
    origin.#server.listen(0, "127.0.0.1");
    await once(origin.#server, "listening");
    return origin;
  }

  private constructor() {
    this.#server = createServer({ keepAliveTimeout: 0, maxHeaderSize: 256 * 1024 }, (request, response) => {
      this.#take(request, response);
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** `untilPiece` resolves when the guest has said so many pieces of the response. */
  answerFor(id: string, answer: CaseOrigin, untilPiece: UntilPiece): void {
    this.#answers.set(id, { answer, untilPiece });
  }

  /** What came for a case so far. */
  seen(id: string): readonly SeenRequest[] {
    return this.#seen.get(id) ?? [];
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const id = String(request.headers["x-case"] ?? "");
    let body = "";
    request.setEncoding("latin1");
    request.on("error", () => undefined);
    request.on("data", (chunk: string) => (body += chunk));
    request.on("end", () => {
      const one: SeenRequest = {
        method: request.method ?? "",
        target: request.url ?? "",
        headers: fields(request.rawHeaders),
        body,
        trailers: fields(request.rawTrailers),
      };
      this.#seen.set(id, [...this.seen(id), one]);
      const { answer = {}, untilPiece = async () => undefined } = this.#answers.get(id) ?? {};
      void reply(response, answer, one, untilPiece);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

/** `/call/…`: a plugin's own call, answered by what the path says; everything else as the case says. */
async function reply(
  response: ServerResponse,
  answer: CaseOrigin,
  { target }: SeenRequest,
  untilPiece: UntilPiece,
): Promise<void> {
  response.sendDate = false;
  response.removeHeader("connection");
  if (target === "/call/silent" || (answer.silent === true && !target.startsWith("/call"))) {
    return;
  }
  if (target.startsWith("/call")) {
    callReply(response, target);
    return;
  }
  const headers = (answer.headers ?? []).flatMap((line) => line.split(/: ?/, 2));
  const status = answer.status ?? 200;
  const trailers = (answer.trailers ?? []).map((line) => line.split(/: ?/, 2) as [string, string]);
  if (trailers.length > 0 || answer.pieces !== undefined) {
    response.writeHead(status, [...headers, "transfer-encoding", "chunked"]);
    for (const [index, piece] of (answer.pieces ?? [answer.body ?? "ok"]).entries()) {
      response.write(repeated(piece), "latin1");
      await (answer.pieces === undefined ? undefined : untilPiece(index + 1));
    }
    response.addTrailers(trailers);
    response.end();
    return;
  }
  const body = repeated(answer.body ?? "ok");
  const framing = [204, 304].includes(status) ? [] : ["content-length", String(body.length)];
  response.writeHead(status, [...headers, ...framing]).end(body, "latin1");
}

/** `/call/404` has that status, `/call/trailers` trailers. */
function callReply(response: ServerResponse, target: string): void {
  if (target === "/call/trailers") {
    response.writeHead(200, ["x-answer", "yes", "transfer-encoding", "chunked"]);
    response.write("called");
    response.addTrailers([["x-call-trailer", "one"]]);
    response.end();
    return;
  }
  const status = Number(/^\/call\/(\d+)/.exec(target)?.[1] ?? 200);
  response.writeHead(status, ["x-answer", "yes", "content-length", "6"]).end("called");
}

/** `name: value` lines of Node's flat list, names in lower case. */
export function fields(raw: readonly string[]): string[] {
  const lines: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    lines.push(`${raw[i]?.toLowerCase()}: ${raw[i + 1]}`);
  }
  return lines;
}
