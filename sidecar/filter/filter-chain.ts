// The filters of one stream, both directions. proxy.ts makes one for a stream that has filters and feeds it both messages;
// what comes out at the end of each pass returns to proxy.ts through ChainOwner.
// The response pass has the filters in reverse order. Rules of stopping and resuming: filter-pass.ts.

import type { BodyBuffer } from "../http/body-buffer.ts";
import { HeaderMap } from "../http/headers.ts";
import type { RequestHead, ResponseHead } from "../http/message.ts";
import type {
  DataStatus,
  FilterCallbacks,
  FilterFactory,
  FilterReply,
  HeadersStatus,
  StreamFilter,
  TrailersStatus,
} from "./filter.ts";
import { FilterPass, type PassPort } from "./filter-pass.ts";
import { Stage } from "./stage.ts";

/** The message parts that filters see. */
export interface ChainFacts {
  readonly requestHead: RequestHead;
  readonly responseHead: ResponseHead | undefined;
  requestTrailers: HeaderMap | undefined;
  responseTrailers: HeaderMap | undefined;
}

/** What the chain needs of its stream. */
export interface ChainOwner {
  readonly facts: ChainFacts;
  /** No more filter may see the request: it was answered, cut, or is over. */
  readonly requestPassEnded: boolean;
  readonly responsePassEnded: boolean;

  onRequestHeadersPassed(end: boolean): void;
  onRequestDataPassed(chunk: Uint8Array, end: boolean): void;
  onRequestTrailersPassed(): void;
  onResponseHeadersPassed(end: boolean): void;
  onResponseDataPassed(chunk: Uint8Array, end: boolean): void;
  onResponseTrailersPassed(): void;
  onFilterReply(reply: FilterReply): void;
  onFilterReset(details: string): void;
  /** A filter holds more than the buffer limit. */
  onTooLarge(code: "request_payload_too_large" | "response_payload_too_large"): void;
  pauseRequestSource(): void;
  resumeRequestSource(): void;
  pauseResponseSource(): void;
  resumeResponseSource(): void;
  clearRouteCache(): void;
  /** A filter sends body on by itself: the stream is not idle. */
  onInjected(): void;
}

export class FilterChain {
  readonly request: FilterPass;
  readonly response: FilterPass;
  readonly #filters: StreamFilter[] = [];

  constructor(
    factories: readonly FilterFactory<ChainOwner>[],
    owner: ChainOwner,
    limits: { requestBytes: number; responseBytes: number },
  ) {
    for (const factory of factories) {
      const filter = factory.create(owner, new FilterHandle(this, owner, this.#filters.length));
      if (filter !== undefined) {
        this.#filters.push(filter);
      }
    }
    // Mapped, not pushed: an empty array that is pushed onto makes room for sixteen.
    const requestStages = this.#filters.map(stageOf);
    const responseStages = this.#filters.map(stageOf);
    responseStages.reverse();
    this.request = new FilterPass(requestStages, new RequestPort(owner), limits.requestBytes);
    this.response = new FilterPass(responseStages, new ResponsePort(owner), limits.responseBytes);
  }

  get size(): number {
    return this.#filters.length;
  }

  complete(): void {
    for (const filter of this.#filters) {
      filter.onComplete();
    }
  }

  destroy(): void {
    for (const filter of this.#filters) {
      filter.onDestroy();
    }
  }
}

function stageOf(filter: StreamFilter): Stage {
  return new Stage(filter);
}

class RequestPort implements PassPort {
  readonly #owner: ChainOwner;
  constructor(owner: ChainOwner) {
    this.#owner = owner;
  }
  get ended(): boolean {
    return this.#owner.requestPassEnded;
  }
  callHeaders(stage: Stage, end: boolean): HeadersStatus {
    return stage.filter.onRequestHeaders(this.#owner.facts.requestHead, end);
  }
  callData(stage: Stage, body: BodyBuffer, end: boolean): DataStatus {
    return stage.filter.onRequestData(body, end);
  }
  callTrailers(stage: Stage): TrailersStatus {
    return stage.filter.onRequestTrailers(this.#owner.facts.requestTrailers as HeaderMap);
  }
  forwardHeaders(end: boolean): void {
    this.#owner.onRequestHeadersPassed(end);
  }
  forwardData(chunk: Uint8Array, end: boolean): void {
    this.#owner.onRequestDataPassed(chunk, end);
  }
  forwardTrailers(): void {
    this.#owner.onRequestTrailersPassed();
  }
  overflow(): void {
    this.#owner.onTooLarge("request_payload_too_large");
  }
  pauseSource(): void {
    this.#owner.pauseRequestSource();
  }
  resumeSource(): void {
    this.#owner.resumeRequestSource();
  }
}

class ResponsePort implements PassPort {
  readonly #owner: ChainOwner;
  constructor(owner: ChainOwner) {
    this.#owner = owner;
  }
  get ended(): boolean {
    return this.#owner.responsePassEnded;
  }
  callHeaders(stage: Stage, end: boolean): HeadersStatus {
    return stage.filter.onResponseHeaders(this.#owner.facts.responseHead as ResponseHead, end);
  }
  callData(stage: Stage, body: BodyBuffer, end: boolean): DataStatus {
    return stage.filter.onResponseData(body, end);
  }
  callTrailers(stage: Stage): TrailersStatus {
    return stage.filter.onResponseTrailers(this.#owner.facts.responseTrailers as HeaderMap);
  }
  forwardHeaders(end: boolean): void {
    this.#owner.onResponseHeadersPassed(end);
  }
  forwardData(chunk: Uint8Array, end: boolean): void {
    this.#owner.onResponseDataPassed(chunk, end);
  }
  forwardTrailers(): void {
    this.#owner.onResponseTrailersPassed();
  }
  overflow(): void {
    this.#owner.onTooLarge("response_payload_too_large");
  }
  pauseSource(): void {
    this.#owner.pauseResponseSource();
  }
  resumeSource(): void {
    this.#owner.resumeResponseSource();
  }
}

/** One filter's view of its stream. */
class FilterHandle implements FilterCallbacks {
  readonly #chain: FilterChain;
  readonly #owner: ChainOwner;
  readonly #index: number;

  constructor(chain: FilterChain, owner: ChainOwner, index: number) {
    this.#chain = chain;
    this.#owner = owner;
    this.#index = index;
  }

  get #requestStage(): Stage {
    return this.#chain.request.stages[this.#index] as Stage;
  }

  get #responseStage(): Stage {
    return this.#chain.response.stages[this.#chain.size - 1 - this.#index] as Stage;
  }

  continueRequest(): void {
    if (!this.#owner.requestPassEnded) {
      this.#chain.request.continueFrom(this.#index);
    }
  }

  continueResponse(): void {
    if (!this.#owner.responsePassEnded) {
      this.#chain.response.continueFrom(this.#chain.size - 1 - this.#index);
    }
  }

  sendLocalReply(reply: FilterReply): void {
    this.#owner.onFilterReply(reply);
  }

  resetStream(details: string): void {
    this.#owner.onFilterReset(details);
  }

  heldRequestBody(): BodyBuffer | undefined {
    const stage = this.#requestStage;
    return stage.bodyArrived ? stage.body : undefined;
  }

  heldResponseBody(): BodyBuffer | undefined {
    const stage = this.#responseStage;
    return stage.bodyArrived ? stage.body : undefined;
  }

  requestTrailers(create: boolean): HeaderMap | undefined {
    if (this.#owner.facts.requestTrailers === undefined && create && this.#chain.request.lastDataCall) {
      this.#owner.facts.requestTrailers = emptyTrailers(this.#chain.request);
    }
    return this.#owner.facts.requestTrailers;
  }

  responseTrailers(create: boolean): HeaderMap | undefined {
    if (this.#owner.facts.responseTrailers === undefined && create && this.#chain.response.lastDataCall) {
      this.#owner.facts.responseTrailers = emptyTrailers(this.#chain.response);
    }
    return this.#owner.facts.responseTrailers;
  }

  requestHeadersForwarded(): boolean {
    return this.#requestStage.headersForwarded;
  }

  responseHeadersForwarded(): boolean {
    return this.#responseStage.headersForwarded;
  }

  clearRouteCache(): void {
    this.#owner.clearRouteCache();
  }

  injectResponse(chunk: Uint8Array, end: boolean): void {
    if (!this.#owner.responsePassEnded) {
      this.#owner.onInjected();
      this.#chain.response.data(this.#chain.size - this.#index, chunk, end);
    }
  }

  pauseResponse(): void {
    this.#owner.pauseResponseSource();
  }

  resumeResponse(): void {
    this.#owner.resumeResponseSource();
  }
}

function emptyTrailers(pass: FilterPass): HeaderMap {
  pass.trailersAdded = true;
  return new HeaderMap();
}
