// The facts of one stream, filled in by proxy.ts and forward.ts while it lives. Read through StreamInfo by filters
// (properties), spans and /traces, and through the telemetry folder's StreamFacts by access logs and header values.
// Plain fields: writing one is a store. The two interfaces name some facts differently; getters serve both.

import type { Locality } from "../xds/model/endpoints.ts";
import type { LiveCluster } from "./cluster/cluster.ts";
import type { Host } from "./cluster/host.ts";
import { FilterState, originalAddressOf } from "./filter/filter-state.ts";
import type { StreamInfo } from "./filter/stream-info.ts";
import type { HeaderMap } from "./http/headers.ts";
import type { RequestHead, ResponseHead } from "./http/message.ts";
import type { ConnectionInfo, DownstreamStream } from "./http/stream.ts";
import type { RouteMatch } from "./route/route-table.ts";
import type { StreamFacts } from "./telemetry/stream-facts.ts";
import type { StreamTrace } from "./telemetry/stream-trace.ts";

/** Where the stream came in: fixed for all streams of one filter chain. */
export interface StreamOrigin {
  readonly listenerName: string;
  readonly trafficDirection: "unspecified" | "inbound" | "outbound";
  readonly filterChainName: string;
  readonly listenerMetadata: Uint8Array | undefined;
  readonly filterChainMetadata: Uint8Array | undefined;
}

/** What is known of a request when it begins. */
export type BegunRequest = Pick<
  DownstreamStream,
  "head" | "connection" | "protocol" | "startedAt" | "requestHeaderBytes" | "responseHeaderBytes"
>;

export class StreamRecord implements StreamInfo, StreamFacts {
  readonly downstream: BegunRequest;
  readonly origin: StreamOrigin;
  /** Where callbacks of plugins are noted; undefined once the stream is over. */
  trace: StreamTrace | undefined = undefined;
  responseHead: ResponseHead | undefined = undefined;
  requestTrailers: HeaderMap | undefined = undefined;
  responseTrailers: HeaderMap | undefined = undefined;
  requestBodyBytes = 0;
  responseBodyBytes = 0;
  requestEndedAt = 0;
  upstreamSentAt = 0;
  upstreamFirstByteAt = 0;
  endedAt = 0;
  status = 0;
  responseCodeDetails = "";
  responseFlags = "";
  routeName = "";
  virtualHostName = "";
  clusterName = "";
  upstreamAddress = "";
  upstreamLocalAddress = "";
  upstreamFailure = "";
  attempts = 0;
  /** The client as far as x-forwarded-for is trusted; empty means the peer itself. */
  trustedClient = "";
  /** Stored when filters run, for their properties. */
  upstreamAskedAt = 0;
  upstreamEndedAt = 0;
  /** What was chosen: their metadata is read from them when somebody asks. */
  route: RouteMatch | undefined = undefined;
  cluster: LiveCluster | undefined = undefined;
  host: Host | undefined = undefined;
  /** While a line is written before the stream's end. */
  accessLogType: string | undefined = undefined;
  /** While a body is made from it. */
  localReplyBody: string | undefined = undefined;
  #filterState: FilterState | undefined = undefined;

  constructor(downstream: BegunRequest, origin: StreamOrigin) {
    this.downstream = downstream;
    this.origin = origin;
  }

  /** Adds one of Envoy's response flag letters. */
  flag(letters: string): void {
    if (letters !== "" && !this.responseFlags.split(",").includes(letters)) {
      this.responseFlags = this.responseFlags === "" ? letters : `${this.responseFlags},${letters}`;
    }
  }

  get requestHead(): RequestHead {
    return this.downstream.head;
  }
  get request(): RequestHead {
    return this.downstream.head;
  }
  get response(): ResponseHead | undefined {
    return this.responseHead;
  }
  get connection(): ConnectionInfo {
    return this.downstream.connection;
  }
  get originalAddress(): string | undefined {
    return originalAddressOf(this.filterState);
  }
  get protocol(): string {
    return this.downstream.protocol;
  }
  get startedAt(): number {
    return this.downstream.startedAt;
  }
  get requestHeaderBytes(): number {
    return this.downstream.requestHeaderBytes;
  }
  get responseHeaderBytes(): number {
    return this.downstream.responseHeaderBytes;
  }
  get listenerName(): string {
    return this.origin.listenerName;
  }
  get trafficDirection(): "unspecified" | "inbound" | "outbound" {
    return this.origin.trafficDirection;
  }
  get filterChainName(): string {
    return this.origin.filterChainName;
  }
  get hasRoute(): boolean {
    return this.route !== undefined;
  }
  get hasCluster(): boolean {
    return this.cluster !== undefined;
  }
  get clusterEndpoints(): number {
    return this.cluster?.hostCount ?? 0;
  }
  get listenerMetadata(): Uint8Array | undefined {
    return this.origin.listenerMetadata;
  }
  get filterChainMetadata(): Uint8Array | undefined {
    return this.origin.filterChainMetadata;
  }
  get virtualHostMetadata(): Uint8Array | undefined {
    return this.route?.virtualHost.metadata;
  }
  get routeMetadata(): Uint8Array | undefined {
    return this.route?.route?.metadata;
  }
  get clusterMetadata(): Uint8Array | undefined {
    return this.cluster?.model.metadata;
  }
  get hostMetadata(): Uint8Array | undefined {
    return this.host?.metadata;
  }
  get localityMetadata(): Uint8Array | undefined {
    return this.host?.localityMetadata;
  }
  get upstreamLocality(): Locality | undefined {
    return this.host?.locality;
  }
  get filterState(): FilterState {
    return (this.#filterState ??= new FilterState(this.connection));
  }

  // What only access logs and header values ask for.
  get remoteAddress(): string {
    return this.trustedClient === "" ? this.connection.remoteAddress : this.trustedClient;
  }
  get remotePort(): number {
    return this.trustedClient === "" ? this.connection.remotePort : 0;
  }
  get requestedServerName(): string {
    return "";
  }
  get startTimeMs(): number {
    return performance.timeOrigin + this.startedAt;
  }
  get durationMs(): number | undefined {
    return since(this.startedAt, this.endedAt);
  }
  get requestDurationMs(): number | undefined {
    return since(this.startedAt, this.requestEndedAt);
  }
  get requestTxDurationMs(): number | undefined {
    return since(this.startedAt, this.upstreamSentAt);
  }
  get responseDurationMs(): number | undefined {
    return since(this.startedAt, this.upstreamFirstByteAt);
  }
  get responseTxDurationMs(): number | undefined {
    return this.upstreamFirstByteAt === 0 ? undefined : since(this.upstreamFirstByteAt, this.endedAt);
  }
  get responseCode(): number {
    return this.status;
  }
  get connectionTerminationDetails(): string {
    return "";
  }
  get bytesReceived(): number {
    return this.requestBodyBytes;
  }
  get bytesSent(): number {
    return this.responseBodyBytes;
  }
  get responseTrailerBytes(): number {
    return this.responseTrailers?.byteSize ?? 0;
  }
  get upstreamWireBytesSent(): number {
    return this.attempts === 0 ? 0 : this.requestHeaderBytes + this.requestBodyBytes;
  }
  get upstreamWireBytesReceived(): number {
    return this.upstreamFirstByteAt === 0 ? 0 : this.responseHeaderBytes + this.responseBodyBytes;
  }
  get upstreamCluster(): string {
    return this.clusterName;
  }
  get upstreamHost(): string {
    return this.upstreamAddress;
  }
  get upstreamProtocol(): string {
    return this.attempts === 0 ? "" : "HTTP/1.1";
  }
  get upstreamTransportFailureReason(): string {
    return this.upstreamFailure;
  }
  get upstreamAttempts(): number {
    return this.attempts;
  }
  get traceId(): string {
    return this.trace?.traceId ?? "";
  }
  get spanId(): string {
    return this.trace === undefined || this.trace.traceId === "" ? "" : this.trace.spanId;
  }
  get isHealthCheck(): boolean {
    return false;
  }
  get isTraced(): boolean {
    return this.trace?.sampled === true;
  }
}

function since(from: number, to: number): number | undefined {
  return to === 0 ? undefined : to - from;
}
