// HTTP/1.1 messages → bytes, both roles: heads, framing (Content-Length, chunked or the connection's end), trailers.
// Used by listener/connection.ts for responses and by the upstream connection for requests. Hot path.
// A head waits for the first body bytes, so that both leave in one write; whoever owns the output calls `flush` when no
// body is at hand. What is given to the output is never a borrowed chunk: small writes are latin1 strings, which the
// kernel takes or libuv copies, larger ones a buffer of their own (a shared read buffer is overwritten by the next read).

import type { Latin1Buffer } from "./h1-section.ts";
import type { HeaderMap } from "./headers.ts";
import type { RequestHead, ResponseHead } from "./message.ts";
import { REASON_PHRASES } from "./reason-phrases.ts";

/** Where bytes go: a socket. Strings are latin1. It keeps what it gets until it is sent. */
export interface ByteOutput {
  write(bytes: string | Uint8Array): void;
}

/** How the end of the body is marked. */
export type Framing = "none" | "length" | "chunked" | "close";

/** What the connection says about its own end. `none`: no Connection field. */
export type ConnectionField = "none" | "close" | "keep-alive";

// Node writes strings below 16 KiB without a copy on the heap; above that a buffer is cheaper.
const MAX_STRING_BYTES = 8_192;
const LAST_CHUNK = "0\r\n\r\n";
const DIGITS = /^[0-9]{1,15}$/;
const EMPTY = new Uint8Array(0);
const CONNECTION_LINE: Readonly<Record<ConnectionField, string>> = {
  none: "",
  close: "connection: close\r\n",
  "keep-alive": "connection: keep-alive\r\n",
};

export class H1Writer {
  // Facts about the exchange, set by the owner before the head of each message.
  /** The response answers a HEAD request: its data is swallowed. */
  toHead = false;
  /** The client speaks HTTP/1.0 and cannot read chunks. */
  toHttp10 = false;
  /** Bytes without framing follow the head (Upgrade, CONNECT); Connection and Upgrade are kept as they are. */
  isTunnel = false;

  /** Bytes handed to the output in heads since the last request or response began, 1xx before it included. */
  headBytes = 0;
  /** Body bytes of this message, without framing. */
  bodyBytes = 0;
  /** True when the body did not have the announced length: the connection must be cut, it cannot be reused. */
  isBroken = false;

  readonly #output: ByteOutput;
  // A head that waits for the bytes after it.
  #pending = "";
  #framing: Framing = "none";
  #left = 0;
  #isOpen = false;

  constructor(output: ByteOutput) {
    this.#output = output;
  }

  /** How the body of the message is framed. `close`: the connection must be closed after it. */
  get framing(): Framing {
    return this.#framing;
  }

  /** True from a head until the end of its message. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** True when `flush` has something to send. */
  get hasPending(): boolean {
    return this.#pending.length > 0;
  }

  /** Begins a request. Changes the head's map only where framing demands it. */
  request(head: RequestHead, end: boolean, connection: ConnectionField): void {
    const method = head.method;
    const fields = this.#frame(head.headers, end, false, !isBodiless(method));
    const target = method === "CONNECT" ? head.authority : head.path;
    this.#begin(`${method} ${target} HTTP/1.1\r\n`, head.headers, fields + CONNECTION_LINE[connection], end);
  }

  /** A 1xx head before the response. It goes out at once. */
  informational(head: ResponseHead): void {
    this.#output.write(`${statusLine(head)}${head.headers.write()}\r\n`);
  }

  /** Begins a response. Without a length to an HTTP/1.0 client, `framing` becomes `close` and says so to the client. */
  response(head: ResponseHead, end: boolean, connection: ConnectionField): void {
    const status = head.status;
    const noBody = this.toHead || status === 204 || status === 304 || (status < 200 && !this.isTunnel);
    if (status === 204) {
      // RFC 9110 §8.6
      head.headers.remove("content-length");
    }
    let fields = this.#frame(head.headers, end, noBody, true);
    if (!this.isTunnel) {
      fields += CONNECTION_LINE[this.#framing === "close" ? "close" : connection];
    }
    this.#begin(statusLine(head), head.headers, fields, end);
  }

  /** Body bytes; borrowed. */
  data(chunk: Uint8Array, end: boolean): void {
    if (!this.#isOpen) {
      return;
    }
    this.#isOpen = !end;
    if (this.#framing === "none") {
      // A response without a body: whatever its source says, only its end counts.
      this.flush();
      return;
    }
    this.bodyBytes += chunk.length;
    const before = this.#pending;
    this.#pending = "";
    if (this.#framing === "chunked") {
      if (chunk.length > 0) {
        this.#join(`${before}${chunk.length.toString(16)}\r\n`, chunk, end ? `\r\n${LAST_CHUNK}` : "\r\n");
      } else {
        this.#join(end ? before + LAST_CHUNK : before, chunk, "");
      }
      return;
    }
    if (this.#framing === "length") {
      this.#left -= chunk.length;
      // Bytes beyond the announced length would be read as the next message.
      if (this.#left < 0 || (end && this.#left > 0)) {
        this.isBroken = true;
        this.#isOpen = false;
        return;
      }
    }
    this.#join(before, chunk, "");
  }

  /** Ends the body with trailers; they are left out where the framing cannot carry them. */
  trailers(trailers: HeaderMap): void {
    if (this.#framing !== "chunked" || !this.#isOpen) {
      this.data(EMPTY, true);
      return;
    }
    const text = `${this.#pending}0\r\n${trailers.write()}\r\n`;
    this.#pending = "";
    this.#isOpen = false;
    this.#output.write(text);
  }

  /** Sends a head that waits for its body. */
  flush(): void {
    if (this.#pending.length > 0) {
      const text = this.#pending;
      this.#pending = "";
      this.#output.write(text);
    }
  }

  #begin(startLine: string, headers: HeaderMap, fields: string, end: boolean): void {
    const text = `${startLine}${headers.write()}${fields}\r\n`;
    this.headBytes = text.length;
    this.bodyBytes = 0;
    this.isBroken = false;
    this.#isOpen = !end;
    if (end) {
      this.#pending = "";
      this.#output.write(text);
    } else {
      this.#pending = text;
    }
  }

  // RFC 9112 §6. Decides #framing and #left; returns the framing line that the map lacks.
  #frame(headers: HeaderMap, end: boolean, noBody: boolean, saysEmpty: boolean): string {
    removeField(headers, "transfer-encoding");
    if (this.isTunnel) {
      this.#framing = "close";
      return "";
    }
    removeField(headers, "connection");
    removeField(headers, "keep-alive");
    if (noBody) {
      this.#framing = "none";
      return "";
    }
    const index = headers.indexOf("content-length");
    if (end) {
      this.#framing = "none";
      if (index >= 0 && headers.valueAt(index) !== "0") {
        headers.set("content-length", "0");
      }
      return index < 0 && saysEmpty ? "content-length: 0\r\n" : "";
    }
    if (index >= 0) {
      const text = headers.valueAt(index);
      if (DIGITS.test(text) && headers.indexOf("content-length", index + 1) < 0) {
        this.#framing = "length";
        this.#left = Number(text);
        return "";
      }
      headers.remove("content-length");
    }
    if (this.toHttp10) {
      this.#framing = "close";
      return "";
    }
    this.#framing = "chunked";
    return "transfer-encoding: chunked\r\n";
  }

  // One write for text and chunk. Nothing when both are empty.
  #join(before: string, chunk: Uint8Array, after: string): void {
    const length = before.length + chunk.length + after.length;
    if (chunk.length === 0) {
      if (before.length > 0) {
        this.#output.write(before);
      }
    } else if (length <= MAX_STRING_BYTES) {
      this.#output.write(before + latin1(chunk) + after);
    } else {
      const bytes = Buffer.allocUnsafeSlow(length);
      if (before.length > 0) {
        bytes.write(before, 0, "latin1");
      }
      bytes.set(chunk, before.length);
      if (after.length > 0) {
        bytes.write(after, before.length + chunk.length, "latin1");
      }
      this.#output.write(bytes);
    }
  }
}

function latin1(chunk: Uint8Array): string {
  const buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
  return (buffer as Latin1Buffer).latin1Slice(0, chunk.length);
}

function statusLine(head: ResponseHead): string {
  const status = head.status;
  if (status === 200 && (head.reason === "OK" || head.reason === "")) {
    return "HTTP/1.1 200 OK\r\n";
  }
  const reason = head.reason.length > 0 ? head.reason : (REASON_PHRASES[status] ?? "Unknown");
  return `HTTP/1.1 ${status} ${reason}\r\n`;
}

// RFC 9110 §8.6: a request says `Content-Length: 0` unless its method usually has no body.
function isBodiless(method: string): boolean {
  return (
    method === "GET" ||
    method === "HEAD" ||
    method === "DELETE" ||
    method === "OPTIONS" ||
    method === "TRACE" ||
    method === "CONNECT"
  );
}

function removeField(headers: HeaderMap, name: string): void {
  if (headers.indexOf(name) >= 0) {
    headers.remove(name);
  }
}
