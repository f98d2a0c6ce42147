/**
 * Reads HTTP/1.1 responses from the bytes of one connection, for the load client (load-connection.ts).
 * Counts and checks, keeps nothing: the status, the head for the header check, and where the message ends
 * (RFC 9112 section 6.3). Anything it cannot frame is a problem, never an exception.
 */

/** What one complete response was. `problem` is set when the bytes broke the rules; the connection is then of no use. */
export interface Reply {
  readonly status: number;
  /** Start line and fields, without the empty line. */
  readonly head: string;
  readonly bodyBytes: number;
  /** The peer closes after this response, or its end was the close itself. */
  readonly closes: boolean;
  readonly problem: string | undefined;
}

type Phase = "head" | "length" | "until-close" | "chunk-size" | "chunk-data" | "chunk-end" | "trailers" | "broken";

const MAX_HEAD_BYTES = 256 * 1024;
const EMPTY = Buffer.alloc(0);

export class ResponseReader {
  readonly #onReply: (reply: Reply) => void;
  readonly #isHead: boolean;
  #rest: Buffer = EMPTY;
  #phase: Phase = "head";
  #remaining = 0;
  #status = 0;
  #head = "";
  #bodyBytes = 0;
  #closes = false;

  constructor(onReply: (reply: Reply) => void, isHead: boolean) {
    this.#onReply = onReply;
    this.#isHead = isHead;
  }

  /** True between the first byte of a response and its last. */
  get isMidMessage(): boolean {
    return this.#phase !== "head" || this.#rest.length > 0;
  }

  push(chunk: Buffer): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = EMPTY;
    for (;;) {
      const used = this.#step(bytes);
      if (used < 0) break;
      bytes = bytes.subarray(used);
      if (bytes.length === 0 && this.#phase !== "head") break;
      if (bytes.length === 0) return;
    }
    this.#rest = bytes;
  }

  /** The peer has closed its side. */
  end(): void {
    if (this.#phase === "until-close") this.#finish(undefined);
    else if (this.isMidMessage && this.#phase !== "broken") this.#fail("closed in the middle of a response");
  }

  /** Consumes what it can of the bytes and says how much; -1 when more bytes are needed. */
  #step(bytes: Buffer): number {
    switch (this.#phase) {
      case "head":
        return this.#readHead(bytes);
      case "length":
      case "chunk-data":
        return this.#readData(bytes);
      case "until-close":
        this.#bodyBytes += bytes.length;
        return bytes.length === 0 ? -1 : bytes.length;
      case "chunk-size":
      case "chunk-end":
      case "trailers":
        return this.#readLine(bytes);
      case "broken":
        return bytes.length === 0 ? -1 : bytes.length;
    }
  }

  #readHead(bytes: Buffer): number {
    const end = bytes.indexOf("\r\n\r\n");
    if (end < 0) {
      if (bytes.length > MAX_HEAD_BYTES) this.#fail("a response head of more than 256 KiB");
      return -1;
    }
    const head = bytes.toString("latin1", 0, end);
    const status = Number(head.slice(9, 12));
    if (!head.startsWith("HTTP/1.") || !(status >= 100 && status < 600)) {
      this.#fail(`not an HTTP/1 response: ${JSON.stringify(head.slice(0, 40))}`);
      return bytes.length;
    }
    if (status < 200 && status !== 101) return end + 4;
    this.#status = status;
    this.#head = head;
    this.#bodyBytes = 0;
    this.#frame(head);
    return end + 4;
  }

  #frame(head: string): void {
    const connection = headerValue(head, "connection")?.toLowerCase() ?? "";
    this.#closes = connection.includes("close") || (head.startsWith("HTTP/1.0") && !connection.includes("keep-alive"));
    const encoding = headerValue(head, "transfer-encoding")?.toLowerCase();
    const length = headerValue(head, "content-length");
    if (this.#isHead || this.#status === 204 || this.#status === 304) this.#finish(undefined);
    else if (encoding === "chunked" && length === undefined) this.#phase = "chunk-size";
    else if (encoding !== undefined)
      this.#fail(`transfer-encoding ${encoding} with content-length ${length ?? "none"}`);
    else if (length === undefined) this.#phase = "until-close";
    else if (!/^\d{1,15}$/.test(length)) this.#fail(`content-length ${JSON.stringify(length)}`);
    else if (length === "0") this.#finish(undefined);
    else {
      this.#phase = "length";
      this.#remaining = Number(length);
    }
  }

  #readData(bytes: Buffer): number {
    if (bytes.length === 0) return -1;
    const used = Math.min(bytes.length, this.#remaining);
    this.#remaining -= used;
    this.#bodyBytes += used;
    if (this.#remaining === 0) {
      if (this.#phase === "length") this.#finish(undefined);
      else this.#phase = "chunk-end";
    }
    return used;
  }

  #readLine(bytes: Buffer): number {
    const end = bytes.indexOf("\r\n");
    if (end < 0) {
      if (bytes.length > MAX_HEAD_BYTES) this.#fail("a chunk line of more than 256 KiB");
      return -1;
    }
    const line = bytes.toString("latin1", 0, end);
    if (this.#phase === "chunk-end") {
      if (line === "") this.#phase = "chunk-size";
      else this.#fail("a chunk that is longer than its size");
    } else if (this.#phase === "trailers") {
      if (line === "") this.#finish(undefined);
    } else this.#readChunkSize(line);
    return end + 2;
  }

  #readChunkSize(line: string): void {
    const digits = /^[0-9a-fA-F]{1,8}/.exec(line)?.[0];
    if (digits === undefined) {
      this.#fail(`chunk size ${JSON.stringify(line.slice(0, 20))}`);
      return;
    }
    this.#remaining = Number.parseInt(digits, 16);
    this.#phase = this.#remaining === 0 ? "trailers" : "chunk-data";
  }

  #fail(problem: string): void {
    this.#phase = "broken";
    this.#closes = true;
    this.#finish(problem);
  }

  #finish(problem: string | undefined): void {
    const closes = this.#closes || this.#phase === "until-close";
    if (problem === undefined) this.#phase = "head";
    this.#onReply({ status: this.#status, head: this.#head, bodyBytes: this.#bodyBytes, closes, problem });
  }
}

/** The value of the first field of that (lower-case) name in a head, without the space around it. */
export function headerValue(head: string, name: string): string | undefined {
  const at = head.toLowerCase().indexOf(`\r\n${name}:`);
  if (at < 0) return undefined;
  const start = at + name.length + 3;
  const end = head.indexOf("\r\n", start);
  return head.slice(start, end < 0 ? undefined : end).trim();
}
