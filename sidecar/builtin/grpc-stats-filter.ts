// envoy.filters.http.grpc_stats: statistics of gRPC by cluster, and by method where the configuration names them.
// Source: Envoy's grpc_stats_filter.cc and its gRPC context. A request that is not gRPC has no filter, whatever is answered.

import type { GrpcStats } from "../../xds/model/builtin-filter.ts";
import type { BodyBuffer } from "../http/body-buffer.ts";
import type { HeaderMap } from "../http/headers.ts";
import { isGrpcRequest } from "../http/local-reply.ts";
import type { RequestHead, ResponseHead } from "../http/message.ts";
import { DataStatus, type FilterFactory, HeadersStatus, type StreamFilter, TrailersStatus } from "../filter/filter.ts";
import type { BuiltinDeps, BuiltinStream } from "./builtin-stream.ts";
import { GrpcMessageCounter, keepMessageCounts } from "./grpc-messages.ts";
import { PassFilter } from "../filter/pass-filter.ts";

/** Methods with statistics of their own, where all have them: a path is whatever a client sends. */
const MAX_METHODS = 1_000;
const STATE = "envoy.filters.http.grpc_stats";
const METHOD = /^\/([^/?]+)\/([^/?]+)(?:\?|$)/;

export class GrpcStatsFilterFactory implements FilterFactory<BuiltinStream> {
  readonly name: string;
  readonly config: GrpcStats;
  readonly deps: BuiltinDeps;
  readonly #allowed: ReadonlySet<string>;
  readonly #met = new Set<string>();

  constructor(name: string, config: GrpcStats, deps: BuiltinDeps) {
    this.name = name;
    this.config = config;
    this.deps = deps;
    this.#allowed = new Set(config.methods);
  }

  create(stream: BuiltinStream): StreamFilter | undefined {
    return isGrpcRequest(stream.facts.requestHead) ? new GrpcStatsFilter(this, stream) : undefined;
  }

  /** What stands before a statistic's name; undefined: such a request has none. */
  prefixOf(stream: BuiltinStream): string | undefined {
    stream.ensureRoute();
    const { cluster, requestHead } = stream.facts;
    const found = METHOD.exec(requestHead.path);
    if (cluster === undefined || found === null) {
      return undefined;
    }
    const [, service = "", method = ""] = found;
    const grpc = `cluster.${cluster.model.statName}.grpc.`;
    const { allMethods, replacesDots } = this.config;
    const isNamed = allMethods ? this.#hasRoom(`${service}/${method}`) : this.#allowed.has(`${service}/${method}`);
    return isNamed ? `${grpc}${replacesDots ? service.replaceAll(".", "_") : service}.${method}.` : grpc;
  }

  #hasRoom(method: string): boolean {
    if (this.#met.size >= MAX_METHODS && !this.#met.has(method)) {
      return false;
    }
    this.#met.add(method);
    return true;
  }
}

class GrpcStatsFilter extends PassFilter {
  readonly #factory: GrpcStatsFilterFactory;
  readonly #stream: BuiltinStream;
  readonly #requests = new GrpcMessageCounter();
  readonly #responses = new GrpcMessageCounter();
  #prefix: string | undefined = undefined;
  #isGrpcResponse = false;

  constructor(factory: GrpcStatsFilterFactory, stream: BuiltinStream) {
    super();
    this.#factory = factory;
    this.#stream = stream;
  }

  override onRequestHeaders(_head: RequestHead, _end: boolean): HeadersStatus {
    this.#prefix = this.#factory.prefixOf(this.#stream);
    return HeadersStatus.Continue;
  }

  override onRequestData(body: BodyBuffer, _end: boolean): DataStatus {
    this.#count(this.#requests, body, "request_message_count");
    return DataStatus.Continue;
  }

  override onResponseHeaders({ headers, status }: ResponseHead, end: boolean): HeadersStatus {
    const type = headers.get("content-type") ?? "";
    this.#isGrpcResponse = end ? headers.has("grpc-status") : status === 200 && type.startsWith("application/grpc");
    this.#countStatus(headers);
    return HeadersStatus.Continue;
  }

  override onResponseData(body: BodyBuffer, _end: boolean): DataStatus {
    if (this.#isGrpcResponse) {
      this.#count(this.#responses, body, "response_message_count");
    }
    return DataStatus.Continue;
  }

  override onResponseTrailers(trailers: HeaderMap): TrailersStatus {
    this.#countStatus(trailers);
    return TrailersStatus.Continue;
  }

  override onComplete(): void {
    const counts = { requests: this.#requests.count, responses: this.#responses.count };
    if (this.#factory.config.emitsState && counts.requests + counts.responses > 0) {
      const { facts } = this.#stream;
      keepMessageCounts(facts, counts);
      const text = Buffer.from(`${counts.requests},${counts.responses}`);
      facts.filterState.setObject(STATE, text, "filter_chain", "plain");
    }
  }

  #count(counter: GrpcMessageCounter, body: BodyBuffer, name: string): void {
    const before = counter.count;
    counter.push(body.view());
    if (counter.count > before && this.#prefix !== undefined) {
      this.#factory.deps.scope.counter(this.#prefix + name).add(counter.count - before);
    }
  }

  #countStatus(headers: HeaderMap): void {
    const status = headers.get("grpc-status");
    if (status === undefined || this.#prefix === undefined) {
      return;
    }
    const { scope } = this.#factory.deps;
    // An upstream can answer with anything; numbers of two digits are bounded.
    if (/^\d{1,2}$/.test(status)) {
      scope.counter(this.#prefix + status).inc();
    }
    scope.counter(`${this.#prefix}${status === "0" ? "success" : "failure"}`).inc();
    scope.counter(`${this.#prefix}total`).inc();
  }
}
