// The facts of one proxied TCP connection, filled in by tcp-connection.ts while it lives; read by access logs and plugins'
// properties through the interfaces of HTTP streams. What only HTTP has is empty or 0.

import type { Locality } from "../../xds/model/endpoints.ts";
import type { LiveCluster } from "../cluster/cluster.ts";
import type { Host } from "../cluster/host.ts";
import { FilterState, originalAddressOf } from "../filter/filter-state.ts";
import { HeaderMap } from "../http/headers.ts";
import { RequestHead } from "../http/message.ts";
import type { ConnectionInfo } from "../http/stream.ts";
import type { StreamFacts } from "../telemetry/stream-facts.ts";
import type { StreamTrace } from "../telemetry/stream-trace.ts";

/** Where the connection came in: fixed for all connections of one filter chain. */
export interface ConnectionOrigin {
  readonly listenerName: string;
  readonly trafficDirection: "unspecified" | "inbound" | "outbound";
  readonly filterChainName: string;
  readonly listenerMetadata: Uint8Array | undefined;
  readonly filterChainMetadata: Uint8Array | undefined;
}

/** What a line of the access log is for, by Envoy's names. */
export type TcpLogType = "TcpConnectionStart" | "TcpUpstreamConnected" | "TcpPeriodic" | "TcpConnectionEnd" | "NotSet";

const NO_HEAD = new RequestHead("", "", "", "", new HeaderMap());

export class TcpRecord implements StreamFacts {
  readonly connection: ConnectionInfo;
  readonly startedAt: number;
  readonly #origin: ConnectionOrigin;
  accessLogType: TcpLogType = "TcpConnectionEnd";
  /** Of an HTTP connection, in a listener's log. */
  protocol = "";
  responseCodeDetails = "";
  /** Bytes from the client and to it. */
  requestBodyBytes = 0;
  responseBodyBytes = 0;
  upstreamAskedAt = 0;
  upstreamSentAt = 0;
  upstreamFirstByteAt = 0;
  endedAt = 0;
  /** Where callbacks of plugins are noted; undefined without plugins, and once the connection is over. */
  trace: StreamTrace | undefined = undefined;
  responseFlags = "";
  clusterName = "";
  upstreamAddress = "";
  upstreamLocalAddress = "";
  upstreamFailure = "";
  connectionTerminationDetails = "";
  attempts = 0;
  cluster: LiveCluster | undefined = undefined;
  host: Host | undefined = undefined;
  #filterState: FilterState | undefined = undefined;

  constructor(connection: ConnectionInfo, startedAt: number, origin: ConnectionOrigin) {
    this.connection = connection;
    this.startedAt = startedAt;
    this.#origin = origin;
  }

  /** Adds one of Envoy's response flag letters. */
  flag(letters: string): void {
    if (!this.responseFlags.split(",").includes(letters)) {
      this.responseFlags = this.responseFlags === "" ? letters : `${this.responseFlags},${letters}`;
    }
  }

  get listenerName(): string {
    return this.#origin.listenerName;
  }
  get trafficDirection(): ConnectionOrigin["trafficDirection"] {
    return this.#origin.trafficDirection;
  }
  get filterChainName(): string {
    return this.#origin.filterChainName;
  }
  get originalAddress(): string | undefined {
    return originalAddressOf(this.filterState);
  }
  get remoteAddress(): string {
    return this.connection.remoteAddress;
  }
  get remotePort(): number {
    return this.connection.remotePort;
  }
  get hasCluster(): boolean {
    return this.cluster !== undefined;
  }
  get clusterEndpoints(): number {
    return this.cluster?.hostCount ?? 0;
  }
  get listenerMetadata(): Uint8Array | undefined {
    return this.#origin.listenerMetadata;
  }
  get filterChainMetadata(): Uint8Array | undefined {
    return this.#origin.filterChainMetadata;
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

  // What only HTTP has.
  readonly requestHead = NO_HEAD;
  readonly responseHead = undefined;
  readonly requestTrailers = undefined;
  readonly responseTrailers = undefined;
  readonly requestHeaderBytes = 0;
  readonly responseHeaderBytes = 0;
  readonly requestEndedAt = 0;
  readonly status = 0;
  readonly routeName = "";
  readonly virtualHostName = "";
  readonly hasRoute = false;
  readonly virtualHostMetadata = undefined;
  readonly routeMetadata = undefined;
  readonly upstreamEndedAt = 0;
  readonly requestedServerName = "";
  readonly traceId = "";
  readonly spanId = "";
  readonly isTraced = false;
  readonly isHealthCheck = false;
}
