// istio.stats: Istio's standard metrics for HTTP (istio_requests_total, istio_request_duration_milliseconds, istio_request_bytes,
// istio_response_bytes, and the message counts of gRPC), with its labels in its order. A request is counted when it is over.
// Source: Istio's istio_stats filter. Texts in labels come from peers and clients: there are at most MAX_SERIES sets of labels
// for each filter and worker; what comes later is counted without those texts.

import type { IstioStats } from "../../../xds/model/builtin-filter.ts";
import { NODE } from "../../messages/shapes.ts";
import { messageOf } from "../../messages/message-value.ts";
import { partOf } from "../../../plugins/property-value.ts";
import { isGrpcRequest } from "../../http/local-reply.ts";
import type { FilterFactory, StreamFilter } from "../../filter/filter.ts";
import type { Counter, Gauge, Histogram } from "../../stats/scope.ts";
import { labelled } from "../../stats/tags.ts";
import type { StreamRecord } from "../../stream-record.ts";
import type { BuiltinDeps, BuiltinStream } from "../builtin-stream.ts";
import { messageCounts } from "../grpc-messages.ts";
import { PassFilter } from "../../filter/pass-filter.ts";
import { keyOf, type Labels, labelsOf, metricName, NO_SERVICE, serviceOf, UNKNOWN } from "./istio-labels.ts";
import { hostWorkload } from "./mesh-cluster.ts";
import { DOWNSTREAM_PEER, peerOf, UPSTREAM_PEER } from "./peer-metadata-filter.ts";
import { type Workload, workloadOfNode } from "./workload.ts";

const MAX_SERIES = 2_000;
interface Series {
  readonly requests: Counter | undefined;
  readonly duration: Histogram | undefined;
  readonly requestBytes: Histogram | undefined;
  readonly responseBytes: Histogram | undefined;
  readonly requestMessages: Counter | undefined;
  readonly responseMessages: Counter | undefined;
}

export class IstioStatsFilterFactory implements FilterFactory<BuiltinStream> {
  readonly name: string;
  readonly #config: IstioStats;
  readonly #deps: BuiltinDeps;
  readonly #own: Workload;
  readonly #series = new Map<string, Series>();

  constructor(name: string, config: IstioStats, deps: BuiltinDeps) {
    this.name = name;
    this.#config = config;
    this.#deps = deps;
    this.#own = workloadOfNode(deps.nodeBytes, []);
    const version = partOf(messageOf(NODE, deps.nodeBytes).get("metadata") ?? null, "ISTIO_VERSION");
    const tag = typeof version === "string" && version !== "" ? version : UNKNOWN;
    const build = deps.scope.processWide("gauge", labelled("istio_build", { component: "proxy", tag }));
    (build as Gauge | undefined)?.set(1);
  }

  create(stream: BuiltinStream): StreamFilter {
    return new IstioStatsFilter(this, stream);
  }

  count(stream: BuiltinStream): void {
    const { facts } = stream;
    const series = this.#seriesOf(stream);
    series.requests?.inc();
    series.duration?.record(Math.max(0, Math.floor(facts.endedAt - facts.startedAt)));
    series.requestBytes?.record(facts.requestHeaderBytes + facts.requestBodyBytes);
    series.responseBytes?.record(facts.responseHeaderBytes + facts.responseBodyBytes);
    const messages = messageCounts(facts);
    if (messages !== undefined) {
      series.requestMessages?.add(messages.requests);
      series.responseMessages?.add(messages.responses);
    }
  }

  #seriesOf(stream: BuiltinStream): Series {
    const { facts } = stream;
    const isServer = facts.trafficDirection === "inbound";
    const peer = isServer
      ? peerOf(stream, DOWNSTREAM_PEER)
      : (peerOf(stream, UPSTREAM_PEER) ?? hostWorkload(facts.host?.metadata));
    const service = serviceOf(facts, this.#config.usesHostHeader ? facts.requestHead.authority.slice(0, 128) : "");
    const isGrpc = isGrpcRequest(facts.requestHead);
    const ends = {
      request_protocol: isGrpc ? "grpc" : "http",
      response_code: String(facts.status),
      grpc_response_status: isGrpc ? grpcStatusOf(facts) : "",
      response_flags: facts.responseFlags === "" ? "-" : facts.responseFlags,
      connection_security_policy: isServer ? "none" : UNKNOWN,
    };
    const key = keyOf(isServer, peer, service, ends);
    const known = this.#series.get(key);
    if (known !== undefined) {
      return known;
    }
    if (this.#series.size < MAX_SERIES) {
      return this.#define(key, labelsOf(isServer, this.#own, peer, service, ends));
    }
    const common = keyOf(isServer, undefined, NO_SERVICE, ends);
    return this.#series.get(common) ?? this.#define(common, labelsOf(isServer, this.#own, undefined, NO_SERVICE, ends));
  }

  #define(key: string, labels: Labels): Series {
    const { scope } = this.#deps;
    const name = (metric: string): string | undefined => metricName(this.#config, metric, labels);
    const counter = (metric: string): Counter | undefined => optional(name(metric), (text) => scope.counter(text));
    const histogram = (metric: string): Histogram | undefined =>
      optional(name(metric), (text) => scope.histogram(text));
    const isGrpc = labels["request_protocol"] === "grpc";
    const series = {
      requests: counter("requests_total"),
      duration: histogram("request_duration_milliseconds"),
      requestBytes: histogram("request_bytes"),
      responseBytes: histogram("response_bytes"),
      requestMessages: isGrpc ? counter("request_messages_total") : undefined,
      responseMessages: isGrpc ? counter("response_messages_total") : undefined,
    };
    this.#series.set(key, series);
    return series;
  }
}

class IstioStatsFilter extends PassFilter {
  readonly #factory: IstioStatsFilterFactory;
  readonly #stream: BuiltinStream;

  constructor(factory: IstioStatsFilterFactory, stream: BuiltinStream) {
    super();
    this.#factory = factory;
    this.#stream = stream;
  }

  override onComplete(): void {
    this.#factory.count(this.#stream);
  }
}

function optional<T>(name: string | undefined, make: (name: string) => T): T | undefined {
  return name === undefined ? undefined : make(name);
}

/** From trailers, or from the head of an answer without a body; empty when there is none. */
function grpcStatusOf(facts: StreamRecord): string {
  const text = facts.responseTrailers?.get("grpc-status") ?? facts.responseHead?.headers.get("grpc-status") ?? "";
  return /^\d{1,3}$/.test(text) ? text : "";
}
