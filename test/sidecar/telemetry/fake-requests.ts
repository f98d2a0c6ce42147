// Requests and callbacks that never were: plain objects for the telemetry tests and the span bench.

import { FilterState } from "../../../sidecar/filter/filter-state.ts";
import type { HookRecord } from "../../../plugins/observer.ts";
import type { PluginIdentity, StreamAccess } from "../../../plugins/ports.ts";
import type { StreamInfo } from "../../../sidecar/filter/stream-info.ts";
import { HeaderMap } from "../../../sidecar/http/headers.ts";
import { RequestHead } from "../../../sidecar/http/message.ts";
import { RandomSource } from "../../../sidecar/random-id.ts";
import { RequestTracing } from "../../../sidecar/telemetry/request-tracing.ts";
import type { EnvironmentTracing } from "../../../sidecar/telemetry/request-tracing.ts";
import { samplingFromEnvironment } from "../../../sidecar/telemetry/sampling.ts";
import type { SpanBatch } from "../../../sidecar/telemetry/span-batch.ts";
import type { StreamTrace } from "../../../sidecar/telemetry/stream-trace.ts";
import { TraceRecorder } from "../../../sidecar/telemetry/trace-recorder.ts";
import type { Tracing } from "../../../xds/model/tracing.ts";

export const PLUGIN: PluginIdentity = {
  index: 0,
  name: "custom-response-header",
  rootId: "root",
  vmId: "vm",
  digest: "d".repeat(64),
  abiVersion: "0.2.1",
};

export const ENVIRONMENT: EnvironmentTracing = { exports: true, policy: samplingFromEnvironment({}), variables: {} };

/** A stream as a plugin sees it; only its identity matters here. */
export function fakeStream(): StreamAccess {
  return Object.create(null) as StreamAccess;
}

export function fakeHook(fields: Partial<HookRecord>): HookRecord {
  return {
    plugin: PLUGIN,
    stream: undefined,
    connection: undefined,
    callback: 6,
    contextId: 7,
    startedAt: 1001,
    endedAt: 1001.5,
    first: 0,
    second: 1,
    third: 0,
    fourth: 0,
    result: 0,
    action: 0,
    endOfStream: 1,
    hostCalls: 3,
    headersAdded: 0,
    headersReplaced: 0,
    headersRemoved: 0,
    bodyBytes: -1,
    fuel: -1,
    fault: undefined,
    callTokens: [],
    answeredToken: 0,
    effectiveStream: undefined,
    ...fields,
  };
}

export function fakeHead(headers: readonly (readonly [string, string])[] = [], path = "/orders/7?q=1"): RequestHead {
  return new RequestHead("GET", path, "shop.example:8443", "http", HeaderMap.from(headers));
}

const connection = {
  id: 1,
  remoteAddress: "10.0.0.9",
  remotePort: 40000,
  localAddress: "10.0.0.1",
  localPort: 9080,
  direct: undefined,
  source: undefined,
};

export function fakeInfo(head: RequestHead, fields: Partial<StreamInfo> = {}): StreamInfo {
  return {
    connection,
    protocol: "HTTP/1.1",
    listenerName: "in",
    trafficDirection: "inbound",
    filterChainName: "default",
    requestHead: head,
    responseHead: undefined,
    requestTrailers: undefined,
    responseTrailers: undefined,
    requestBodyBytes: 12,
    responseBodyBytes: 34,
    requestHeaderBytes: 200,
    responseHeaderBytes: 100,
    startedAt: 1000,
    requestEndedAt: 1000,
    upstreamSentAt: 1002,
    upstreamFirstByteAt: 1005,
    endedAt: 1010,
    status: 200,
    responseCodeDetails: "via_upstream",
    responseFlags: "",
    routeName: "orders",
    virtualHostName: "shop",
    clusterName: "web",
    upstreamAddress: "10.0.0.2:80",
    upstreamLocalAddress: "10.0.0.1:55555",
    upstreamFailure: "",
    attempts: 1,
    hasRoute: true,
    hasCluster: true,
    clusterEndpoints: 1,
    listenerMetadata: undefined,
    filterChainMetadata: undefined,
    virtualHostMetadata: undefined,
    routeMetadata: undefined,
    clusterMetadata: undefined,
    hostMetadata: undefined,
    localityMetadata: undefined,
    upstreamLocality: undefined,
    upstreamAskedAt: 0,
    upstreamEndedAt: 0,
    filterState: new FilterState(connection),
    ...fields,
  };
}

export function fakeTracing(fields: Partial<Tracing> = {}): Tracing {
  return {
    clientSampling: 100,
    randomSampling: 100,
    overallSampling: 100,
    verbose: false,
    maxPathTagLength: 256,
    customTags: [],
    spawnUpstreamSpan: false,
    provider: undefined,
    ...fields,
  };
}

/** A recorder whose batches are collected, and whose streams are found in a map. */
export class RecorderBench {
  readonly batches: SpanBatch[] = [];
  readonly streams = new Map<StreamAccess, StreamTrace>();
  readonly random = new RandomSource();
  dropped = 0;
  readonly recorder: TraceRecorder;
  #scheduled: (() => void)[] = [];

  constructor(ringSize = 4, maxBatches = 16) {
    this.recorder = new TraceRecorder({
      ringSize,
      maxBatches,
      random: this.random,
      nodeId: "node-1",
      post: (batch) => this.batches.push(structuredClone(batch)),
      dropped: { inc: () => this.dropped++, add: () => undefined, value: 0 },
      traceOf: (stream) => this.streams.get(stream as StreamAccess),
      schedule: (run) => this.#scheduled.push(run),
    });
  }

  tracing(tracing: Tracing | undefined = fakeTracing(), environment = ENVIRONMENT): RequestTracing {
    return new RequestTracing(this.recorder, this.random, tracing, environment);
  }

  /** Runs what was scheduled. */
  tick(): void {
    const scheduled = this.#scheduled;
    this.#scheduled = [];
    for (const run of scheduled) {
      run();
    }
  }
}
