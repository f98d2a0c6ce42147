// One HTTP stream through a plugin, driven by a test. Two ways: request() and respond() push whole messages; requestHeaders(),
// requestBody() … push parts, for tests of one callback. What the plugin let go on, holds, changed or answered is in
// `request`, `response`, `localReply`. Made by TestPlugin.stream() and request().

import { HeaderList } from "../header-list.ts";
import type { HttpContext } from "../http-context.ts";
import type { Plugin } from "../plugin.ts";
import type { LocalReply, StreamAccess } from "../ports.ts";
import { MessagePass } from "./message-pass.ts";
import { StreamPort } from "./stream-port.ts";
import { type HeadersInput, headerPairs, TestHeaders } from "./test-headers.ts";
import type { PropertiesInput } from "./test-properties.ts";

/** What a callback that can pause answered, as far as the stream is concerned. */
export type Action = "continue" | "pause";

export interface RequestInput {
  /** Default GET, or POST with a body. */
  readonly method?: string;
  /** Default "/". */
  readonly path?: string;
  /** Default "example.com". */
  readonly authority?: string;
  /** Default "http". */
  readonly scheme?: string;
  readonly headers?: HeadersInput;
  /** A list is pushed part by part. */
  readonly body?: BodyInput;
  readonly trailers?: HeadersInput;
}

export interface ResponseInput {
  /** Default 200. */
  readonly status?: number;
  readonly headers?: HeadersInput;
  readonly body?: BodyInput;
  readonly trailers?: HeadersInput;
}

export type BodyInput = string | Uint8Array | readonly (string | Uint8Array)[];

export interface PartOptions {
  /** Whether the message ends with this part. Default false. */
  readonly endOfStream?: boolean;
}

/** One message, as it is beyond the plugin. */
export interface MessageView {
  /** As they are now, whether or not they have gone on. */
  readonly headers: TestHeaders;
  /** The body that went on. */
  readonly body: Buffer;
  /** The body that the plugin holds back. */
  readonly heldBody: Buffer;
  readonly trailers: TestHeaders | undefined;
  /** The plugin paused this direction and has not resumed it. */
  readonly isPaused: boolean;
  readonly headersPassed: boolean;
  /** All of it went on. */
  readonly isComplete: boolean;
}

/** An answer that the plugin gave itself (proxy_send_local_response), or the host's 503 for a plugin that failed. */
export interface TestReply {
  readonly status: number;
  readonly headers: TestHeaders;
  readonly body: Buffer;
  /** -1: none. */
  readonly grpcStatus: number;
  /** Response code details; "wasm_fail_stream" when the plugin failed. */
  readonly details: string;
}

export class TestStream {
  /** How calls and transcripts name this stream: compare it with TestCall.stream and CallbackEntry.stream. */
  readonly access: StreamAccess;
  localReply: TestReply | undefined = undefined;
  /** The stream was cut: by the plugin, or because a reply came after the response had gone on. */
  isReset = false;
  /** How often the plugin asked for the route to be chosen anew. */
  routeCacheClears = 0;
  readonly #context: HttpContext;
  readonly #port: StreamPort;
  readonly #request: MessagePass;
  readonly #response: MessagePass;
  #requestEnded = false;
  #responseEnded = false;
  #isClosed = false;

  constructor(plugin: Plugin, properties: PropertiesInput) {
    this.#request = new MessagePass({
      headers: (count, end) => this.#context.onRequestHeaders(count, end),
      body: (size, end) => this.#context.onRequestBody(size, end),
      trailers: (count) => this.#context.onRequestTrailers(count),
    });
    this.#response = new MessagePass({
      headers: (count, end) => this.#context.onResponseHeaders(count, end),
      body: (size, end) => this.#context.onResponseBody(size, end),
      trailers: (count) => this.#context.onResponseTrailers(count),
    });
    this.#port = new StreamPort(this.#request, this.#response, properties, {
      onReply: (reply) => this.#onReply(reply),
      onClose: () => this.#onReset(),
      onClearRouteCache: () => this.routeCacheClears++,
    });
    this.access = this.#port;
    this.#context = plugin.createHttpContext(this.#port);
  }

  // ── Whole messages ──

  /** Pushes a whole request. What the plugin holds waits until it resumes. */
  sendRequest(init: RequestInput = {}): this {
    const parts = partsOf(init.body);
    const isBare = parts.length === 0 && init.trailers === undefined;
    const pseudo: [string, string][] = [
      [":authority", init.authority ?? "example.com"],
      [":path", init.path ?? "/"],
      [":method", init.method ?? (parts.length === 0 ? "GET" : "POST")],
      [":scheme", init.scheme ?? "http"],
    ];
    this.#pushHead(this.#request, headerPairs(init.headers, pseudo), { endOfStream: isBare });
    parts.forEach((part, i) => {
      this.requestBody(part, { endOfStream: i === parts.length - 1 && init.trailers === undefined });
    });
    if (init.trailers !== undefined) this.requestTrailers(init.trailers);
    return this;
  }

  /** Pushes a whole response of the upstream. Throws when the request never got there. */
  respond(init: ResponseInput = {}): this {
    this.#refuseAfterReply();
    if (!this.#request.headersPassed)
      throw new Error("no upstream can respond: the plugin holds the request's headers");
    const parts = partsOf(init.body);
    const isBare = parts.length === 0 && init.trailers === undefined;
    const status: [string, string][] = [[":status", String(init.status ?? 200)]];
    this.#pushHead(this.#response, headerPairs(init.headers, status), { endOfStream: isBare });
    parts.forEach((part, i) => {
      this.responseBody(part, { endOfStream: i === parts.length - 1 && init.trailers === undefined });
    });
    if (init.trailers !== undefined) this.responseTrailers(init.trailers);
    return this;
  }

  // ── Parts ──

  /** proxy_on_request_headers. Give the pseudo headers too: ":method", ":path", ":authority". */
  requestHeaders(headers: HeadersInput, options: PartOptions = {}): Action {
    return this.#pushHead(this.#request, headerPairs(headers), options);
  }

  /** proxy_on_request_body, unless the plugin paused in the headers: then it comes when the plugin resumes. */
  requestBody(part: string | Uint8Array, options: PartOptions = {}): Action {
    return this.#push(this.#request, options, (end) => this.#request.pushBody(Buffer.from(part), end));
  }

  /** proxy_on_request_trailers; they end the request. */
  requestTrailers(trailers: HeadersInput): Action {
    return this.#push(this.#request, { endOfStream: true }, () =>
      this.#request.pushTrailers(new HeaderList(headerPairs(trailers))),
    );
  }

  /** proxy_on_response_headers. Give ":status" too. */
  responseHeaders(headers: HeadersInput, options: PartOptions = {}): Action {
    this.#refuseAfterReply();
    return this.#pushHead(this.#response, headerPairs(headers), options);
  }

  responseBody(part: string | Uint8Array, options: PartOptions = {}): Action {
    return this.#push(this.#response, options, (end) => this.#response.pushBody(Buffer.from(part), end));
  }

  responseTrailers(trailers: HeadersInput): Action {
    return this.#push(this.#response, { endOfStream: true }, () =>
      this.#response.pushTrailers(new HeaderList(headerPairs(trailers))),
    );
  }

  /** proxy_on_log, proxy_on_done, proxy_on_delete. Once; a second time nothing happens. */
  end(): this {
    if (this.#isClosed) return this;
    this.#isClosed = true;
    this.#context.onLog();
    this.#context.close();
    return this;
  }

  // ── What came of it ──

  get request(): MessageView {
    return viewOf(this.#request);
  }

  get response(): MessageView {
    return viewOf(this.#response);
  }

  /** Status of the response or of the plugin's own reply, as it is now; 0 before. */
  get status(): number {
    return Number(this.#response.headers?.get(":status") ?? 0);
  }

  /** Id of the stream's context in the guest; 0 before the first callback. */
  get contextId(): number {
    return this.#context.contextId;
  }

  /** Bytes of a property that the plugin set (proxy_set_property), by its dotted path. */
  storedProperty(path: string): Buffer | undefined {
    return this.#port.stored(path);
  }

  #refuseAfterReply(): void {
    if (this.localReply === undefined) return;
    throw new Error(`no upstream can respond: the plugin answered itself, ${this.localReply.status}`);
  }

  #pushHead(message: MessagePass, headers: readonly string[], options: PartOptions): Action {
    if (message.headers !== undefined) throw new Error(`the ${this.#nameOf(message)} has its headers already`);
    message.headers = new HeaderList([...headers]);
    return this.#push(message, options, (end) => message.pushHeaders(message.headers as HeaderList, end));
  }

  #nameOf(message: MessagePass): string {
    return message === this.#request ? "request" : "response";
  }

  #push(message: MessagePass, { endOfStream = false }: PartOptions, push: (end: boolean) => void): Action {
    const isRequest = message === this.#request;
    if (this.#isClosed) throw new Error("the stream has ended");
    if (message.headers === undefined) throw new Error(`the ${this.#nameOf(message)} needs its headers first`);
    if (isRequest ? this.#requestEnded : this.#responseEnded) {
      throw new Error(`the ${this.#nameOf(message)} has ended already`);
    }
    if (isRequest) this.#requestEnded = endOfStream;
    else this.#responseEnded = endOfStream;
    // What is left of a message after a reply or a reset goes nowhere.
    if (message.isOver || this.localReply !== undefined) return "pause";
    push(endOfStream);
    return message.isPaused || message.isOver ? "pause" : "continue";
  }

  #onReply(reply: LocalReply): void {
    if (this.#response.headersPassed) return this.#onReset();
    const body = Buffer.from(reply.body);
    const headers = new HeaderList([":status", String(reply.status)]);
    if (body.length > 0) {
      headers.add("content-length", String(body.length));
      headers.add("content-type", "text/plain");
    }
    for (let i = 0; i < reply.headers.length; i += 2) {
      const name = reply.headers[i] as string;
      if (name.toLowerCase() === "content-type") headers.replace(name, reply.headers[i + 1] as string);
      else headers.add(name, reply.headers[i + 1] as string);
    }
    const { status, grpcStatus, details } = reply;
    this.localReply = { status, headers: new TestHeaders(headers), body, grpcStatus, details };
    this.#request.isOver = true;
    // Over a response that the plugin has begun with, the reply goes past it.
    if (this.#response.headers !== undefined) return this.#response.replace(headers, body);
    this.#response.pushHeaders(headers, body.length === 0);
    if (body.length > 0) this.#response.pushBody(body, true);
  }

  #onReset(): void {
    this.isReset = true;
    this.#request.isOver = true;
    this.#response.isOver = true;
  }
}

function viewOf(message: MessagePass): MessageView {
  return {
    headers: new TestHeaders(message.headers ?? new HeaderList()),
    body: message.passedBody,
    heldBody: message.visibleBody ?? Buffer.alloc(0),
    trailers: message.trailers === undefined ? undefined : new TestHeaders(message.trailers),
    isPaused: message.isPaused,
    headersPassed: message.headersPassed,
    isComplete: message.isComplete,
  };
}

function partsOf(body: BodyInput | undefined): readonly (string | Uint8Array)[] {
  if (body === undefined) return [];
  return typeof body === "string" || body instanceof Uint8Array ? [body] : body;
}
