// envoy.filters.http.composite: the filter that its tree of matchers says runs in its place, or none. Made by filter-slot.ts.
// Source: Envoy's composite filter under its match delegate. The filter is made when the tree has answered: with the head of the
// request, or later, and then it sees what comes from there on.

import type { ExecuteFilter } from "../../xds/model/match-tree.ts";
import type { BodyBuffer } from "../http/body-buffer.ts";
import type { HeaderMap } from "../http/headers.ts";
import type { RequestHead, ResponseHead } from "../http/message.ts";
import { DataStatus, type FilterCallbacks, type FilterFactory, HeadersStatus } from "../filter/filter.ts";
import { type StreamFilter, TrailersStatus } from "../filter/filter.ts";
import { probabilityOf } from "../route/matchers.ts";
import type { Counter } from "../stats/scope.ts";
import type { BuiltinDeps } from "./builtin-stream.ts";
import type { MatchData } from "./match-input.ts";
import type { MatchTest } from "./match-tree.ts";
import type { StreamFacts } from "../telemetry/stream-facts.ts";

interface CompositeParts<Stream> {
  readonly test: MatchTest;
  /** What does nothing is not there. */
  readonly factories: ReadonlyMap<ExecuteFilter, FilterFactory<Stream>>;
  readonly deps: Pick<BuiltinDeps, "random" | "runtime" | "scope" | "statPrefix">;
}

export class CompositeFilterFactory<Stream extends { readonly facts: StreamFacts }> implements FilterFactory<Stream> {
  readonly name: string;
  readonly parts: CompositeParts<Stream>;
  readonly delegated: Counter;

  constructor(name: string, parts: CompositeParts<Stream>) {
    const { scope, statPrefix } = parts.deps;
    this.name = name;
    this.parts = parts;
    this.delegated = scope.counter(`${statPrefix}composite.filter_delegation_success`);
    // Envoy counts here what its filters may ask for and this one cannot give them: nothing, with those that are here.
    scope.counter(`${statPrefix}composite.filter_delegation_error`);
  }

  create(stream: Stream, callbacks: FilterCallbacks): StreamFilter {
    return new CompositeFilter(this, stream, callbacks);
  }

  /** The filter of an action, unless the dice or its own configuration have it do nothing. */
  delegate(action: ExecuteFilter, stream: Stream, callbacks: FilterCallbacks): StreamFilter | undefined {
    const { deps, factories } = this.parts;
    if (action.sample !== undefined && deps.random() >= probabilityOf(action.sample, deps.runtime())) {
      return undefined;
    }
    this.delegated.add(1);
    return factories.get(action)?.create(stream, callbacks);
  }
}

class CompositeFilter<Stream extends { readonly facts: StreamFacts }> implements StreamFilter {
  readonly #factory: CompositeFilterFactory<Stream>;
  readonly #stream: Stream;
  readonly #callbacks: FilterCallbacks;
  readonly #data: MatchData;
  #isDecided = false;
  #filter: StreamFilter | undefined = undefined;

  constructor(factory: CompositeFilterFactory<Stream>, stream: Stream, callbacks: FilterCallbacks) {
    this.#factory = factory;
    this.#stream = stream;
    this.#callbacks = callbacks;
    this.#data = {
      facts: stream.facts,
      request: undefined,
      requestTrailers: undefined,
      response: undefined,
      responseTrailers: undefined,
    };
  }

  onRequestHeaders(head: RequestHead, end: boolean): HeadersStatus {
    this.#data.request = head;
    this.#decide();
    return this.#filter?.onRequestHeaders(head, end) ?? HeadersStatus.Continue;
  }

  onRequestData(body: BodyBuffer, end: boolean): DataStatus {
    return this.#filter?.onRequestData(body, end) ?? DataStatus.Continue;
  }

  onRequestTrailers(trailers: HeaderMap): TrailersStatus {
    this.#data.requestTrailers = trailers;
    this.#decide();
    return this.#filter?.onRequestTrailers(trailers) ?? TrailersStatus.Continue;
  }

  onResponseHeaders(head: ResponseHead, end: boolean): HeadersStatus {
    this.#data.response = head;
    this.#decide();
    return this.#filter?.onResponseHeaders(head, end) ?? HeadersStatus.Continue;
  }

  onResponseData(body: BodyBuffer, end: boolean): DataStatus {
    return this.#filter?.onResponseData(body, end) ?? DataStatus.Continue;
  }

  onResponseTrailers(trailers: HeaderMap): TrailersStatus {
    this.#data.responseTrailers = trailers;
    this.#decide();
    return this.#filter?.onResponseTrailers(trailers) ?? TrailersStatus.Continue;
  }

  onComplete(): void {
    this.#filter?.onComplete();
  }

  onDestroy(): void {
    this.#filter?.onDestroy();
  }

  #decide(): void {
    if (this.#isDecided) {
      return;
    }
    const verdict = this.#factory.parts.test(this.#data);
    this.#isDecided = verdict !== "open";
    if (typeof verdict === "object") {
      this.#filter = this.#factory.delegate(verdict, this.#stream, this.#callbacks);
    }
  }
}
