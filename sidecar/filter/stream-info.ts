// What is known of a stream while it lives and after: the facts behind properties, access logs, spans and /traces.
// proxy.ts's stream implements it; readers never change it. Times are milliseconds of performance.now().

import type { Locality } from "../../xds/model/endpoints.ts";
import type { HeaderMap } from "../http/headers.ts";
import type { RequestHead, ResponseHead } from "../http/message.ts";
import type { ConnectionInfo } from "../http/stream.ts";
import type { FilterState } from "./filter-state.ts";

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
  /** When the request began to wait for a connection, and when the response was complete; 0 before, and without filters. */
  readonly upstreamAskedAt: number;
  readonly upstreamEndedAt: number;
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
  /** A route has been chosen; a cluster that exists has been. */
  readonly hasRoute: boolean;
  readonly hasCluster: boolean;
  /** Hosts of the chosen cluster. */
  readonly clusterEndpoints: number;
  /** Serialised envoy.config.core.v3.Metadata of what the stream met. */
  readonly listenerMetadata: Uint8Array | undefined;
  readonly filterChainMetadata: Uint8Array | undefined;
  readonly virtualHostMetadata: Uint8Array | undefined;
  readonly routeMetadata: Uint8Array | undefined;
  readonly clusterMetadata: Uint8Array | undefined;
  readonly hostMetadata: Uint8Array | undefined;
  /** Of the host's locality, and the locality; undefined without a host. */
  readonly localityMetadata: Uint8Array | undefined;
  readonly upstreamLocality: Locality | undefined;

  /** What plugins keep on the stream and on its connection. */
  readonly filterState: FilterState;
}
