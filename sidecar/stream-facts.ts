// The facts of one stream, filled in by proxy.ts and forward.ts while it lives. Read through StreamInfo by filters
// (properties), access logs, spans and /traces. Plain fields: writing one is a store.

import type { StreamInfo } from "./filter/stream-info.ts";
import type { HeaderMap } from "./http/headers.ts";
import type { RequestHead, ResponseHead } from "./http/message.ts";
import type { ConnectionInfo, DownstreamStream } from "./http/stream.ts";

/** Where the stream came in: fixed for all streams of one filter chain. */
export interface StreamOrigin {
  readonly listenerName: string;
  readonly trafficDirection: "unspecified" | "inbound" | "outbound";
  readonly filterChainName: string;
}

export class StreamFacts implements StreamInfo {
  readonly downstream: DownstreamStream;
  readonly origin: StreamOrigin;
  responseHead: ResponseHead | undefined = undefined;
  requestTrailers: HeaderMap | undefined = undefined;
  responseTrailers: HeaderMap | undefined = undefined;
  requestBodyBytes = 0;
  responseBodyBytes = 0;
  requestEndedAt = 0;
  upstreamSentAt = 0;
  upstreamFirstByteAt = 0;
  responseStartedAt = 0;
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
  routeMetadata: Uint8Array | undefined = undefined;
  clusterMetadata: Uint8Array | undefined = undefined;
  hostMetadata: Uint8Array | undefined = undefined;
  #filterState: Map<string, Uint8Array> | undefined = undefined;

  constructor(downstream: DownstreamStream, origin: StreamOrigin) {
    this.downstream = downstream;
    this.origin = origin;
  }

  get requestHead(): RequestHead {
    return this.downstream.head;
  }
  get connection(): ConnectionInfo {
    return this.downstream.connection;
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
  get filterState(): Map<string, Uint8Array> {
    return (this.#filterState ??= new Map());
  }

  /** Adds one of Envoy's response flag letters. */
  flag(letters: string): void {
    if (letters !== "" && !this.responseFlags.split(",").includes(letters)) {
      this.responseFlags = this.responseFlags === "" ? letters : `${this.responseFlags},${letters}`;
    }
  }
}
