// One stream of `plugin run`: the sidecar's filter chain with a plugin in it, and around it what proxy.ts is in a sidecar,
// without sockets, routes and clusters: the request that goes in, the upstream that answers it, and what comes out.
// What the filters hold back waits; run-request.ts lets time pass until the stream is over.

import type { ErrorCode } from "../../errors.ts";
import type { FilterFactory, FilterReply } from "../../filter/filter.ts";
import { type ChainOwner, FilterChain } from "../../filter/filter-chain.ts";
import type { WasmStream } from "../../filter/wasm-filter.ts";
import type { HeaderMap } from "../../http/headers.ts";
import { RequestHead, type ResponseHead } from "../../http/message.ts";
import type { ConnectionInfo, DownstreamStream } from "../../http/stream.ts";
import { failureReply, replyMessage } from "../../stream-answers.ts";
import { StreamRecord } from "../../stream-record.ts";
import { LengthGuard } from "./length-guard.ts";

/** A message in the parts in which it arrives. */
export interface InMessage<Head> {
  readonly head: Head;
  readonly body: readonly Uint8Array[];
  readonly trailers: HeaderMap | undefined;
}

/** A message as it left the filters. */
export interface OutMessage<Head> {
  readonly head: Head;
  readonly body: Uint8Array[];
  trailers: HeaderMap | undefined;
  isComplete: boolean;
}

export interface RunStreamOptions {
  /** The plugin's, or none. */
  readonly factories: readonly FilterFactory<RunStream>[];
  readonly request: InMessage<RequestHead>;
  readonly response: InMessage<ResponseHead>;
  readonly connection: ConnectionInfo;
  readonly bufferLimitBytes: number;
  /** Runs on a later turn: what comes over a network never comes from inside a call. */
  readonly later: (run: () => void) => void;
  readonly note: (text: string) => void;
}

type Part = () => void;

export class RunStream implements ChainOwner, WasmStream {
  readonly facts: StreamRecord;
  requestPassEnded = false;
  responsePassEnded = false;
  /** What the upstream got; undefined when the request's head never went on. */
  upstream: OutMessage<RequestHead> | undefined = undefined;
  /** What the client got. */
  client: OutMessage<ResponseHead> | undefined = undefined;
  /** Response code details of an answer that is not the upstream's; undefined otherwise. */
  replyDetails: string | undefined = undefined;
  isReset = false;
  isOver = false;
  /** Why a message could not be sent as the plugin left it; undefined when all could. */
  problem: string | undefined = undefined;
  readonly #chain: FilterChain;
  readonly #options: RunStreamOptions;
  #requestParts: Part[] = [];
  #responseParts: Part[] = [];
  /** Counted pauses that filters ask of either source. */
  #requestPauses = 0;
  #responsePauses = 0;
  #isPumping = false;
  #requestLength: LengthGuard | undefined = undefined;
  #responseLength: LengthGuard | undefined = undefined;

  constructor(options: RunStreamOptions) {
    this.#options = options;
    this.facts = new StreamRecord(downstreamOf(options.request, options.connection), {
      listenerName: "",
      trafficDirection: "unspecified",
      filterChainName: "",
      listenerMetadata: undefined,
      filterChainMetadata: undefined,
    });
    const limit = options.bufferLimitBytes;
    // The chain gives them the very stream that they are made for.
    const factories = options.factories as unknown as readonly FilterFactory<ChainOwner>[];
    this.#chain = new FilterChain(factories, this, { requestBytes: limit, responseBytes: limit });
  }

  /** Pushes the request; what can be done at once has been done when it returns. */
  start(): void {
    const { body, trailers } = this.#options.request;
    const { request } = this.#chain;
    const hasMore = body.length > 0 || trailers !== undefined;
    if (!hasMore) {
      this.facts.requestEndedAt = performance.now();
    }
    this.#requestParts = [
      () => request.headers(0, !hasMore),
      ...body.map((chunk, i) => () => {
        this.facts.requestBodyBytes += chunk.length;
        const end = i === body.length - 1 && trailers === undefined;
        if (end) {
          this.facts.requestEndedAt = performance.now();
        }
        request.data(0, chunk, end);
      }),
      ...(trailers === undefined
        ? []
        : [
            () => {
              this.facts.requestTrailers = trailers;
              this.facts.requestEndedAt = performance.now();
              request.trailers(0);
            },
          ]),
    ];
    this.#pump();
  }

  /** Where the stream waits, for people; undefined when it is over. */
  get waitsIn(): "request" | "response" | undefined {
    if (this.isOver) {
      return undefined;
    }
    return this.upstream?.isComplete === true ? "response" : "request";
  }

  /** Ends what is left: the client gave up. */
  giveUp(): void {
    if (!this.isOver) {
      this.#endPasses();
      this.#finish();
    }
  }

  #pump(): void {
    if (this.#isPumping) {
      return;
    }
    this.#isPumping = true;
    for (;;) {
      const part =
        (this.#requestPauses === 0 && !this.requestPassEnded ? this.#requestParts.shift() : undefined) ??
        (this.#responsePauses === 0 && !this.responsePassEnded ? this.#responseParts.shift() : undefined);
      if (part === undefined) {
        break;
      }
      part();
    }
    this.#isPumping = false;
  }

  // ── The end of the request pass: the upstream answers once it has all of the request ──

  onRequestHeadersPassed(end: boolean): void {
    const { method, path, authority, scheme, headers } = this.facts.requestHead;
    const head = new RequestHead(method, path, authority, scheme, headers.clone());
    this.upstream = { head, body: [], trailers: undefined, isComplete: end };
    this.#requestLength = end ? undefined : new LengthGuard(head.headers, true);
    this.facts.upstreamSentAt = performance.now();
    this.facts.attempts = 1;
    this.#onRequestPart(0);
  }

  onRequestDataPassed(chunk: Uint8Array, end: boolean): void {
    const { upstream } = this;
    if (upstream !== undefined) {
      upstream.body.push(Uint8Array.from(chunk));
      upstream.isComplete = end;
    }
    this.#onRequestPart(chunk.length);
  }

  onRequestTrailersPassed(): void {
    const { upstream } = this;
    if (upstream !== undefined) {
      upstream.trailers = this.facts.requestTrailers?.clone();
      upstream.isComplete = true;
    }
    this.#onRequestPart(0);
  }

  #onRequestPart(bytes: number): void {
    const { upstream } = this;
    if (upstream === undefined) {
      return;
    }
    if (this.#requestLength?.take(bytes, upstream.isComplete) === false) {
      upstream.isComplete = false;
      this.#break(misfit("request", this.#requestLength, upstream.body));
      this.onFilterReply(failureReply("internal", this.facts.requestEndedAt !== 0, undefined, undefined));
      return;
    }
    if (!upstream.isComplete) {
      return;
    }
    this.#options.note("the request goes to the upstream");
    this.#options.later(() => {
      if (!this.responsePassEnded && this.replyDetails === undefined) {
        this.#respond();
      }
    });
  }

  #respond(): void {
    const { head, body, trailers } = this.#options.response;
    const { response } = this.#chain;
    this.#responseParts = [
      () => {
        this.#options.note(`the upstream responds ${head.status}`);
        this.facts.upstreamFirstByteAt = performance.now();
        this.facts.responseCodeDetails = "via_upstream";
        this.facts.responseHead = head;
        response.headers(0, body.length === 0 && trailers === undefined);
      },
      ...body.map((chunk, i) => () => response.data(0, chunk, i === body.length - 1 && trailers === undefined)),
      ...(trailers === undefined
        ? []
        : [
            () => {
              this.facts.responseTrailers = trailers;
              response.trailers(0);
            },
          ]),
    ];
    this.#pump();
  }

  // ── The end of the response pass ──

  onResponseHeadersPassed(end: boolean): void {
    const head = this.facts.responseHead as ResponseHead;
    this.facts.status = head.status;
    this.client = { head, body: [], trailers: undefined, isComplete: end };
    const hasBody = this.facts.requestHead.method !== "HEAD" && head.status !== 204 && head.status !== 304;
    this.#responseLength = end ? undefined : new LengthGuard(head.headers, hasBody);
    this.#onResponsePart(0);
  }

  onResponseDataPassed(chunk: Uint8Array, end: boolean): void {
    const { client } = this;
    this.facts.responseBodyBytes += chunk.length;
    if (client !== undefined) {
      client.body.push(Uint8Array.from(chunk));
      client.isComplete = end;
    }
    this.#onResponsePart(chunk.length);
  }

  onResponseTrailersPassed(): void {
    const { client } = this;
    if (client !== undefined) {
      client.trailers = this.facts.responseTrailers;
      client.isComplete = true;
    }
    this.#onResponsePart(0);
  }

  #onResponsePart(bytes: number): void {
    const { client } = this;
    if (client === undefined) {
      return;
    }
    if (this.#responseLength?.take(bytes, client.isComplete) === false) {
      client.isComplete = false;
      this.#break(misfit("response", this.#responseLength, client.body));
      this.onFilterReset("internal_error");
    } else if (client.isComplete) {
      this.#finish();
    }
  }

  // ── Answers that are not the upstream's, as proxy.ts gives them ──

  onFilterReply(reply: FilterReply): void {
    if (this.isOver) {
      return;
    }
    if (this.client !== undefined) {
      this.onFilterReset(reply.details);
      return;
    }
    this.replyDetails = reply.details;
    this.facts.responseCodeDetails = reply.details;
    this.#options.note(`a reply takes the upstream's place: ${reply.status} ${reply.details}`.trimEnd());
    const isReplacement = this.facts.responseHead !== undefined;
    this.requestPassEnded = true;
    this.#responseParts = [];
    const { head, body } = replyMessage(reply, this.facts.requestHead);
    this.responsePassEnded = isReplacement;
    const isBodiless = body.length === 0 || this.facts.requestHead.method === "HEAD";
    this.facts.responseHead = head;
    if (isReplacement) {
      this.onResponseHeadersPassed(isBodiless);
      if (!isBodiless) {
        this.onResponseDataPassed(body, true);
      }
      return;
    }
    this.#chain.response.headers(0, isBodiless);
    if (!isBodiless && !this.responsePassEnded) {
      this.#chain.response.data(0, body, true);
    }
  }

  onTooLarge(code: ErrorCode): void {
    this.#options.note(`a body is larger than the buffer limit of ${this.#options.bufferLimitBytes} bytes`);
    this.onFilterReply(failureReply(code, this.facts.requestEndedAt !== 0, undefined, undefined));
  }

  onFilterReset(details: string): void {
    if (this.isOver) {
      return;
    }
    this.#options.note(`the stream is cut (${details})`);
    this.facts.responseCodeDetails = details;
    this.isReset = true;
    this.#endPasses();
    this.#finish();
  }

  #break(problem: string): void {
    this.problem = problem;
    this.#options.note(problem);
  }

  pauseRequestSource(): void {
    this.#requestPauses++;
  }
  resumeRequestSource(): void {
    this.#requestPauses--;
    this.#pump();
  }
  pauseResponseSource(): void {
    this.#responsePauses++;
  }
  resumeResponseSource(): void {
    this.#responsePauses--;
    this.#pump();
  }

  /** There are no routes here. */
  ensureRoute(): void {}
  clearRouteCache(): void {}

  onInjected(): void {}

  onPluginResumed(_pluginIndex: number, isRequest: boolean): void {
    this.#options.note(`the plugin lets the ${isRequest ? "request" : "response"} go on`);
  }

  #endPasses(): void {
    this.requestPassEnded = true;
    this.responsePassEnded = true;
  }

  #finish(): void {
    if (this.isOver) {
      return;
    }
    this.isOver = true;
    this.#endPasses();
    this.facts.endedAt = performance.now();
    this.#chain.complete();
    this.#chain.destroy();
  }
}

/** Why a message cannot be sent, for people. */
function misfit(what: string, { length }: LengthGuard, body: readonly Uint8Array[]): string {
  const bytes = body.reduce((sum, chunk) => sum + chunk.length, 0);
  return `the ${what} cannot be sent: its content-length is ${length}, its body has ${bytes} bytes; the plugin must remove the header`;
}

/** The part of a codec's stream that facts are read from. */
function downstreamOf({ head, body, trailers }: InMessage<RequestHead>, connection: ConnectionInfo): DownstreamStream {
  const nothing = (): void => {};
  return {
    head,
    connection,
    endOfRequest: body.length === 0 && trailers === undefined,
    protocol: "HTTP/1.1",
    startedAt: performance.now(),
    requestHeaderBytes: head.method.length + head.path.length + 12 + head.headers.write().length,
    responseHeaderBytes: 0,
    inform: nothing,
    respond: nothing,
    data: nothing,
    trailers: nothing,
    abort: nothing,
    closeAfter: nothing,
    pauseRequest: nothing,
    resumeRequest: nothing,
  };
}
