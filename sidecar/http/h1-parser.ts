// HTTP/1.1 bytes → events, for requests (server side) and responses (client side). Pure: no sockets, no timers.
// Owned by listener/connection.ts and by the upstream connection, which push what they read into `execute`.
// Strict by RFC 9110 and 9112: an ambiguity ends the message with a failure instead of a guess. Hot path.
//
//   start ─▶ head ─▶ length ──────────┐       head ─▶ done     (no body)
//     ▲        ├──▶ chunks ─▶ trailers┼─▶ done    head ─▶ head     (1xx)
//     └─ next  └──▶ until close ──────┘

import { CHUNK_DATA, CHUNKS_END, H1Chunks } from "./h1-chunks.ts";
import { H1_FAILURE, type H1Failure } from "./h1-failure.ts";
import { FIELD, listHasToken } from "./h1-fields.ts";
import { H1Section, NO_LINE, REQUEST_LINE, STATUS_LINE, type H1Limits } from "./h1-section.ts";
import { HeaderMap } from "./headers.ts";

/** Events of one message at a time. Exactly one of them has `end` set, or is the trailers, and is the message's last. */
export interface H1Sink {
  /** The head is complete: read the parser's fields now. With `end` there is no body. A 1xx head has `end` false. */
  onHead(end: boolean): void;
  /** Part of the body, borrowed until the call returns. Empty only when `end` comes alone. */
  onBody(chunk: Uint8Array, end: boolean): void;
  /** The trailers, at least one, end the message. */
  onTrailers(trailers: HeaderMap): void;
}

export type { H1Limits } from "./h1-section.ts";
export const H1_REQUEST_LIMITS: H1Limits = { maxHeadBytes: 61_440, maxFields: 100, maxChunkExtensionBytes: 16_384 };
/** Envoy allows a response of HTTP/1 80 KiB of head. */
export const H1_RESPONSE_LIMITS: H1Limits = { maxHeadBytes: 81_920, maxFields: 100, maxChunkExtensionBytes: 16_384 };

const START = 0;
const HEAD = 1;
const LENGTH = 2;
const UNTIL_CLOSE = 3;
const CHUNKS = 4;
const TRAILERS = 5;
/** From here on `execute` takes nothing. */
const DONE = 6;
const STOPPED = 7;

const CR = 13;
const LF = 10;
const MAX_EMPTY_LINE_BYTES = 16;
const MAX_INFORMATIONALS = 100;
const NO_HEADERS = new HeaderMap();
const EMPTY = new Uint8Array(0);

export class H1Parser {
  // The last head, valid from onHead to the next head.
  /** Requests. */
  method = "";
  target = "";
  /** Responses. */
  status = 0;
  reason = "";
  /** 0 or 1: HTTP/1.0 or HTTP/1.1. */
  minorVersion = 1;
  /**
   * Every field as received, hop-by-hop ones included, but for lines that are just `Connection: close` or `keep-alive`,
   * which `keepAlive` speaks for. Belongs to the sink from onHead on.
   */
  headers: HeaderMap = NO_HEADERS;
  /** Bits of `FIELD`. */
  fields = 0;
  /** Of the Content-Length field, or -1. */
  contentLength = -1;
  isChunked = false;
  /** What version and Connection say (RFC 9112 §9.3); false too when the end of the connection ends the body. */
  keepAlive = true;
  /** Bytes of the head on the wire. */
  headBytes = 0;
  /** Set once, when the bytes break the protocol; nothing more is taken then, and the sink is not called again. */
  failure: H1Failure | undefined = undefined;

  readonly #isRequest: boolean;
  readonly #sink: H1Sink;
  readonly #section: H1Section;
  readonly #chunks: H1Chunks;
  #state: number;
  #left = 0;
  #emptyLineBytes = 0;
  #informationals = 0;
  #toHead = false;
  #mayUpgrade = false;

  constructor(role: "request" | "response", sink: H1Sink, limits: H1Limits) {
    this.#isRequest = role === "request";
    this.#sink = sink;
    this.#section = new H1Section(limits);
    this.#chunks = new H1Chunks(limits.maxChunkExtensionBytes);
    this.#state = this.#isRequest ? START : DONE;
  }

  /** True between messages: a request is complete and `nextRequest` was not called, or no response is expected. */
  get isDone(): boolean {
    return this.#state === DONE;
  }

  /** True when no byte of the next message has come: a close here cuts nothing. */
  get isIdle(): boolean {
    return this.#state === DONE || (this.#state === START && this.#emptyLineBytes === 0);
  }

  /** Takes up the next request of the connection. */
  nextRequest(): void {
    if (this.#state === DONE) {
      this.#state = START;
      this.#emptyLineBytes = 0;
    }
  }

  /** Expects a response. `toHead`: to a HEAD request; `mayUpgrade`: 101 is an acceptable answer. */
  nextResponse(toHead: boolean, mayUpgrade: boolean): void {
    if (this.#state === DONE) {
      this.#toHead = toHead;
      this.#mayUpgrade = mayUpgrade;
      this.#informationals = 0;
      this.#state = HEAD;
      this.#section.begin(STATUS_LINE);
    }
  }

  /** From onHead only: whatever follows is not HTTP and comes as body until the connection closes. */
  tunnel(): void {
    this.#state = UNTIL_CLOSE;
  }

  /** Takes nothing more, whatever comes; the sink is not called again. */
  stop(): void {
    this.#state = STOPPED;
  }

  /**
   * Parses `buffer[start, end)` up to the end of the message at most, and returns where it stopped. What is left over
   * belongs to the next message (requests) or to nobody (responses). Check `failure` afterwards.
   * A sink may call `nextRequest` at once from a message's last event: then parsing goes on with the next request.
   */
  execute(buffer: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end) {
      switch (this.#state) {
        case START:
          at = this.#skipEmptyLines(buffer, at, end);
          break;
        case HEAD:
        case TRAILERS:
          at = this.#executeSection(buffer, at, end);
          break;
        case LENGTH:
          at = this.#executeLength(buffer, at, end);
          break;
        case CHUNKS:
          at = this.#executeChunks(buffer, at, end);
          break;
        case UNTIL_CLOSE:
          this.#sink.onBody(buffer.subarray(at, end), false);
          return end;
        default:
          return at;
      }
    }
    return at;
  }

  /** The peer has sent all it will. A body that the close delimits ends here; anything else unfinished is a failure. */
  finish(): void {
    if (this.#state === UNTIL_CLOSE) {
      this.#state = DONE;
      this.#sink.onBody(EMPTY, true);
    } else if (!this.isIdle && this.#state !== STOPPED) {
      this.#fail(H1_FAILURE.cut);
    }
  }

  #fail(failure: H1Failure): void {
    this.failure = failure;
    this.#state = STOPPED;
  }

  // RFC 9112 §2.2: a server ignores empty lines before a request line.
  #skipEmptyLines(buffer: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end) {
      const byte = buffer[at] as number;
      if (byte > CR && this.#emptyLineBytes === 0) {
        this.#state = HEAD;
        this.#section.begin(REQUEST_LINE);
        return at;
      }
      const expected = (this.#emptyLineBytes & 1) === 0 ? CR : LF;
      if (byte !== expected) {
        if (expected === LF || byte === LF) {
          this.#fail(H1_FAILURE.lineEnd);
        } else {
          this.#state = HEAD;
          this.#section.begin(REQUEST_LINE);
        }
        return at;
      }
      at++;
      if (++this.#emptyLineBytes > MAX_EMPTY_LINE_BYTES) {
        this.#fail(H1_FAILURE.emptyLines);
        return at;
      }
    }
    return at;
  }

  #executeSection(buffer: Buffer, start: number, end: number): number {
    const section = this.#section;
    const at = section.execute(buffer, start, end);
    if (section.failure !== undefined) {
      this.#fail(section.failure);
    } else if (section.isComplete) {
      if (this.#state === HEAD) {
        this.#finishHead(section);
      } else {
        this.#finishTrailers(section);
      }
    }
    return at;
  }

  // Everything of the message is settled before the sink is called: it may call back into this object.
  #finishHead(section: H1Section): void {
    const raw = section.raw;
    this.headers = section.takeHeaders();
    this.headBytes = raw.length;
    this.fields = section.fields;
    this.contentLength = section.contentLength;
    this.isChunked = section.isChunked;
    this.minorVersion = section.minorVersion;
    this.keepAlive = this.#saysKeepAlive(section);
    let failure = this.#encodingFailure();
    if (this.#isRequest) {
      this.method = raw.slice(0, section.methodEnd);
      this.target = raw.slice(section.methodEnd + 1, section.lineEnd - " HTTP/1.1".length);
    } else {
      this.status = section.status;
      this.reason = raw.slice("HTTP/1.1 200 ".length, section.lineEnd);
      failure ??= this.#responseFailure();
    }
    if (failure !== undefined) {
      this.#fail(failure);
      return;
    }
    if (!this.#isRequest && this.status < 200) {
      this.#informational();
      return;
    }
    this.#state = this.#bodyState();
    this.#left = this.contentLength;
    this.#sink.onHead(this.#state === DONE);
  }

  #saysKeepAlive(section: H1Section): boolean {
    let isClosing = section.saysClose;
    let isKept = section.saysKeepAlive || this.minorVersion === 1;
    if ((this.fields & FIELD.connection) !== 0) {
      const tokens = this.headers.getJoined("connection") ?? "";
      isClosing ||= listHasToken(tokens, "close");
      isKept ||= listHasToken(tokens, "keep-alive");
    }
    return isKept && !isClosing;
  }

  // RFC 9112 §6.1: these combinations are how requests are smuggled.
  #encodingFailure(): H1Failure | undefined {
    if ((this.fields & FIELD.transferEncoding) === 0) {
      return undefined;
    }
    if ((this.fields & FIELD.contentLength) !== 0) {
      return H1_FAILURE.lengthAndEncoding;
    }
    return this.minorVersion === 0 ? H1_FAILURE.encodingInHttp10 : undefined;
  }

  #responseFailure(): H1Failure | undefined {
    if (this.status >= 200 && this.status !== 204) {
      return undefined;
    }
    if (this.isChunked || this.contentLength > 0) {
      return H1_FAILURE.encodingWithoutBody;
    }
    if (this.status === 204) {
      return undefined;
    }
    if (this.status === 101 && !this.#mayUpgrade) {
      return H1_FAILURE.switching;
    }
    return ++this.#informationals > MAX_INFORMATIONALS ? H1_FAILURE.informationals : undefined;
  }

  #informational(): void {
    if (this.status === 101) {
      this.#state = UNTIL_CLOSE;
      this.keepAlive = false;
      this.#sink.onHead(false);
      return;
    }
    this.#section.begin(STATUS_LINE);
    this.#sink.onHead(false);
  }

  // RFC 9112 §6.3
  #bodyState(): number {
    if (!this.#isRequest && (this.#toHead || this.status === 204 || this.status === 304)) {
      return DONE;
    }
    if (this.isChunked) {
      this.#chunks.begin();
      return CHUNKS;
    }
    if (this.contentLength >= 0) {
      return this.contentLength > 0 ? LENGTH : DONE;
    }
    if (this.#isRequest) {
      return DONE;
    }
    this.keepAlive = false;
    return UNTIL_CLOSE;
  }

  #executeLength(buffer: Buffer, start: number, end: number): number {
    const length = Math.min(this.#left, end - start);
    this.#left -= length;
    if (this.#left === 0) {
      this.#state = DONE;
    }
    this.#sink.onBody(buffer.subarray(start, start + length), this.#left === 0);
    return start + length;
  }

  #executeChunks(buffer: Buffer, start: number, end: number): number {
    const chunks = this.#chunks;
    if (chunks.state !== CHUNK_DATA) {
      const at = chunks.execute(buffer, start, end);
      if (chunks.failure !== undefined) {
        this.#fail(chunks.failure);
      } else if (chunks.state === CHUNKS_END) {
        this.#state = TRAILERS;
        this.#section.begin(NO_LINE);
      }
      return at;
    }
    const length = Math.min(chunks.left, end - start);
    const at = start + length;
    chunks.left -= length;
    const bodyEnd = chunks.left === 0 ? chunks.endData(buffer, at, end) : -1;
    if (bodyEnd >= 0) {
      this.#state = DONE;
    }
    this.#sink.onBody(buffer.subarray(start, at), bodyEnd >= 0);
    return bodyEnd >= 0 ? bodyEnd : at;
  }

  #finishTrailers(section: H1Section): void {
    this.#state = DONE;
    if (section.count === 0) {
      this.#sink.onBody(EMPTY, true);
    } else {
      this.#sink.onTrailers(section.takeHeaders());
    }
  }
}
