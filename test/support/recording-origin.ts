// An HTTP/1 origin over a raw socket that records what a proxy sends it, by a parser of its own that takes nothing but
// the plain forms (CRLF, one Content-Length or chunked), and answers with bytes that a test may script.

import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";

export interface RecordedRequest {
  readonly method: string;
  readonly target: string;
  /** In order, names in lower case. */
  readonly fields: readonly (readonly [string, string])[];
  readonly body: string;
  readonly trailers: readonly (readonly [string, string])[];
  /** As it came. */
  readonly raw: string;
}

type Answer = (request: RecordedRequest) => string | undefined;

export class RecordingOrigin implements AsyncDisposable {
  readonly requests: RecordedRequest[] = [];
  /** What was no request in plain form. */
  readonly garbage: string[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(answer: Answer) {
    this.#server = createServer({ noDelay: true }, (socket) => {
      this.#sockets.add(socket);
      let pending = "";
      socket.on("error", () => undefined);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("data", (chunk: Buffer) => {
        pending = this.#take(socket, pending + chunk.toString("latin1"), answer);
      });
    });
  }

  /** `answer` gives the bytes of a response, in latin1; undefined: the method and the target as the body of a 200. */
  static async start(answer: Answer): Promise<RecordingOrigin> {
    const origin = new RecordingOrigin(answer);
    await once(origin.#server.listen(0, "127.0.0.1"), "listening");
    return origin;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  #take(socket: Socket, text: string, answer: Answer): string {
    let rest = text;
    for (;;) {
      const parsed = parseRequest(rest);
      if (parsed === "broken") {
        this.garbage.push(rest);
        return "";
      }
      if (parsed === "unfinished") {
        return rest;
      }
      rest = rest.slice(parsed.raw.length);
      this.requests.push(parsed);
      const scripted = answer(parsed);
      const body = `${parsed.method} ${parsed.target}`;
      const isHead = parsed.method === "HEAD";
      socket.write(
        scripted?.replace(/\0$/, "") ??
          `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${isHead ? "" : body}`,
        "latin1",
      );
      if (scripted?.endsWith("\0") === true) {
        socket.end();
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#sockets) {
      socket.destroy();
    }
    await closed;
  }
}

function parseFields(text: string): [string, string][] | undefined {
  const fields: [string, string][] = [];
  for (const line of text === "" ? [] : text.split("\r\n")) {
    const match = /^([!#-'*+\-.^-z|~0-9A-Z]+):[ \t]*([^\0\r\n]*)$/.exec(line);
    if (match === null) {
      return undefined;
    }
    fields.push([(match[1] ?? "").toLowerCase(), (match[2] ?? "").trimEnd()]);
  }
  return fields;
}

function parseRequest(text: string): RecordedRequest | "unfinished" | "broken" {
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd < 0) {
    return "unfinished";
  }
  const lineEnd = text.indexOf("\r\n");
  const line = /^(\S+) (\S+) HTTP\/1\.1$/.exec(text.slice(0, lineEnd));
  const fields = parseFields(text.slice(lineEnd + 2, Math.max(headEnd, lineEnd + 2)));
  if (line === null || fields === undefined) {
    return "broken";
  }
  const values = (name: string): string[] => fields.filter(([field]) => field === name).map(([, value]) => value);
  const lengths = values("content-length");
  const codings = values("transfer-encoding");
  const isPlain = lengths.length + codings.length <= 1 && lengths.every((length) => /^\d+$/.test(length));
  if (!isPlain || codings.some((coding) => coding !== "chunked")) {
    return "broken";
  }
  const start = headEnd + 4;
  const body = codings.length > 0 ? parseChunks(text, start) : parseLength(text, start, Number(lengths[0] ?? 0));
  if (typeof body === "string") {
    return body;
  }
  return {
    method: line[1] ?? "",
    target: line[2] ?? "",
    fields,
    body: body.text,
    trailers: body.trailers,
    raw: text.slice(0, body.end),
  };
}

interface Body {
  readonly text: string;
  readonly trailers: readonly (readonly [string, string])[];
  readonly end: number;
}

function parseLength(text: string, start: number, length: number): Body | "unfinished" {
  const end = start + length;
  return text.length < end ? "unfinished" : { text: text.slice(start, end), trailers: [], end };
}

function parseChunks(text: string, start: number): Body | "unfinished" | "broken" {
  let body = "";
  for (let at = start; ;) {
    const lineEnd = text.indexOf("\r\n", at);
    if (lineEnd < 0) {
      return "unfinished";
    }
    const size = text.slice(at, lineEnd);
    if (!/^[0-9A-Fa-f]+$/.test(size)) {
      return "broken";
    }
    const length = Number.parseInt(size, 16);
    if (length === 0) {
      const isBare = text.startsWith("\r\n", lineEnd + 2);
      const end = isBare ? lineEnd + 2 : text.indexOf("\r\n\r\n", lineEnd + 2);
      if (end < 0 || text.length < end + 2) {
        return "unfinished";
      }
      const trailers = parseFields(isBare ? "" : text.slice(lineEnd + 2, end));
      return trailers === undefined ? "broken" : { text: body, trailers, end: isBare ? end + 2 : end + 4 };
    }
    const dataEnd = lineEnd + 2 + length;
    if (text.length < dataEnd + 2) {
      return "unfinished";
    }
    if (!text.startsWith("\r\n", dataEnd)) {
      return "broken";
    }
    body += text.slice(lineEnd + 2, dataEnd);
    at = dataEnd + 2;
  }
}
