// A filter behind a tree of matchers (ExtensionWithMatcher): what the tree says of a stream decides whether the stream passes the
// filter by. Made by http-filters.ts, for plugins and for filters of the proxy's own alike.
// Source: DelegatingStreamFilter in Envoy's match_delegate/config.cc. The tree is asked with each head and each trailers that come
// to the filter, until it has answered; the filter is there all the while, and learns of the end of a stream in any case.

import { DataStatus, type FilterCallbacks, type FilterFactory, HeadersStatus } from "../filter/filter.ts";
import { type StreamFilter, TrailersStatus } from "../filter/filter.ts";
import type { BodyBuffer } from "../http/body-buffer.ts";
import type { HeaderMap } from "../http/headers.ts";
import type { RequestHead, ResponseHead } from "../http/message.ts";
import type { StreamFacts } from "../telemetry/stream-facts.ts";
import type { MatchTree } from "../../xds/model/match-tree.ts";
import type { MatchData } from "./match-input.ts";
import { compileMatchTree, type Environment, type MatchTest } from "./match-tree.ts";

export class MatchedFilterFactory<Stream extends { readonly facts: StreamFacts }> implements FilterFactory<Stream> {
  readonly name: string;
  readonly #inner: FilterFactory<Stream>;
  readonly #test: MatchTest;

  constructor(inner: FilterFactory<Stream>, tree: MatchTree, environment: Environment) {
    this.name = inner.name;
    this.#inner = inner;
    this.#test = compileMatchTree(tree, environment);
  }

  create(stream: Stream, callbacks: FilterCallbacks): StreamFilter | undefined {
    const inner = this.#inner.create(stream, callbacks);
    return inner === undefined ? undefined : new MatchedFilter(inner, this.#test, stream.facts);
  }
}

class MatchedFilter implements StreamFilter {
  readonly #inner: StreamFilter;
  readonly #test: MatchTest;
  readonly #data: MatchData;
  #isDecided = false;
  #isSkipped = false;

  constructor(inner: StreamFilter, test: MatchTest, facts: StreamFacts) {
    this.#data = {
      facts,
      request: undefined,
      requestTrailers: undefined,
      response: undefined,
      responseTrailers: undefined,
    };
    this.#inner = inner;
    this.#test = test;
  }

  onRequestHeaders(head: RequestHead, end: boolean): HeadersStatus {
    this.#data.request = head;
    return this.#skips() ? HeadersStatus.Continue : this.#inner.onRequestHeaders(head, end);
  }

  onRequestData(body: BodyBuffer, end: boolean): DataStatus {
    return this.#isSkipped ? DataStatus.Continue : this.#inner.onRequestData(body, end);
  }

  onRequestTrailers(trailers: HeaderMap): TrailersStatus {
    this.#data.requestTrailers = trailers;
    return this.#skips() ? TrailersStatus.Continue : this.#inner.onRequestTrailers(trailers);
  }

  onResponseHeaders(head: ResponseHead, end: boolean): HeadersStatus {
    this.#data.response = head;
    return this.#skips() ? HeadersStatus.Continue : this.#inner.onResponseHeaders(head, end);
  }

  onResponseData(body: BodyBuffer, end: boolean): DataStatus {
    return this.#isSkipped ? DataStatus.Continue : this.#inner.onResponseData(body, end);
  }

  onResponseTrailers(trailers: HeaderMap): TrailersStatus {
    this.#data.responseTrailers = trailers;
    return this.#skips() ? TrailersStatus.Continue : this.#inner.onResponseTrailers(trailers);
  }

  onComplete(): void {
    this.#inner.onComplete();
  }

  onDestroy(): void {
    this.#inner.onDestroy();
  }

  #skips(): boolean {
    if (!this.#isDecided) {
      const verdict = this.#test(this.#data);
      this.#isDecided = verdict !== "open";
      this.#isSkipped = verdict === "skip";
    }
    return this.#isSkipped;
  }
}
