// What is known of a stream while it lives and after: the facts behind properties, access logs, spans and /traces.
// proxy.ts's stream implements it; readers never change it. Times are milliseconds of performance.now().

import type { HeaderMap } from "../http/headers.ts";
import type { RequestHead, ResponseHead } from "../http/message.ts";
import type { ConnectionInfo } from "../http/stream.ts";

export interface StreamInfo {
  readonly connection: ConnectionInfo;
  readonly protocol: string;
  readonly listenerName: string;
  readonly trafficDirection: "unspecified" | "inbound" | "outbound";
  readonly filterChainName: string;

  readonly requestHead: RequestHead;
  readonly responseHead: ResponseHead | undefined;
  readonly requestTrailers: HeaderMap | undefined;
  readonly responseTrailers: HeaderMap | undefined;
  readonly requestBodyBytes: number;
  readonly responseBodyBytes: number;
  readonly requestHeaderBytes: number;
  readonly responseHeaderBytes: number;

  readonly startedAt: number;
  /** When the request had been read to its end; 0 before. */
  readonly requestEndedAt: number;
  /** When the request's head went upstream, and when the response's head came; 0 before. */
  readonly upstreamSentAt: number;
  readonly upstreamFirstByteAt: number;
  /** When the stream was over; 0 before. */
  readonly endedAt: number;

  /** Status sent to the client; 0 when none was. */
  readonly status: number;
  readonly responseCodeDetails: string;
  /** Envoy's response flag letters, joined by commas; empty for none. */
  readonly responseFlags: string;

  readonly routeName: string;
  readonly virtualHostName: string;
  readonly clusterName: string;
  readonly upstreamAddress: string;
  readonly upstreamLocalAddress: string;
  readonly upstreamFailure: string;
  readonly attempts: number;
  readonly routeMetadata: Uint8Array | undefined;
  readonly clusterMetadata: Uint8Array | undefined;
  readonly hostMetadata: Uint8Array | undefined;

  /** Values that plugins set, by property path. */
  readonly filterStateMap: Map<string, Uint8Array>;
}
