// Builds the facts of one finished stream for tests of format strings, access logs and header values.

import type { DeclaredProperty } from "../../../plugins/ports.ts";
import { FilterState, UNDECLARED } from "../../../sidecar/filter/filter-state.ts";
import { HeaderMap } from "../../../sidecar/http/headers.ts";
import { RequestHead, ResponseHead } from "../../../sidecar/http/message.ts";
import type { StreamFacts } from "../../../sidecar/telemetry/stream-facts.ts";

/** 2026-01-31T12:34:56.789Z in `startedAt`, whatever the clock of this process began with. */
export const START_MS = Date.UTC(2026, 0, 31, 12, 34, 56, 789);

export function buildRequest(headers: Readonly<Record<string, string>> = {}): RequestHead {
  return new RequestHead("GET", "/p?q", "a.test", "http", HeaderMap.from(Object.entries(headers)));
}

export function buildResponse(status: number, headers: Readonly<Record<string, string>> = {}): ResponseHead {
  return new ResponseHead(status, "", HeaderMap.from(Object.entries(headers)));
}

const connection = {
  id: 7,
  remoteAddress: "10.0.0.9",
  remotePort: 4444,
  localAddress: "10.0.0.1",
  localPort: 80,
  direct: undefined,
  source: undefined,
};

export function buildFacts(more: Partial<StreamFacts> = {}): StreamFacts {
  const startedAt = START_MS - performance.timeOrigin;
  return {
    connection,
    protocol: "HTTP/1.1",
    listenerName: "listener",
    trafficDirection: "inbound",
    filterChainName: "chain",
    requestHead: buildRequest(),
    responseHead: buildResponse(200),
    requestTrailers: undefined,
    responseTrailers: undefined,
    requestBodyBytes: 11,
    responseBodyBytes: 22,
    requestHeaderBytes: 100,
    responseHeaderBytes: 50,
    startedAt,
    requestEndedAt: startedAt + 1.5,
    upstreamSentAt: startedAt + 2.5,
    upstreamFirstByteAt: startedAt + 4,
    endedAt: startedAt + 9.9,
    status: 200,
    responseCodeDetails: "via_upstream",
    responseFlags: "",
    routeName: "route",
    virtualHostName: "vhost",
    clusterName: "cluster",
    upstreamAddress: "10.1.0.1:8080",
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
    remoteAddress: "203.0.113.7",
    remotePort: 0,
    requestedServerName: "",
    connectionTerminationDetails: "",
    traceId: "",
    spanId: "",
    isTraced: false,
    isHealthCheck: false,
    ...more,
  };
}

/** Filter state as a plugin's proxy_set_property leaves it: `declared` as the plugin declared the property. */
export function stateOf(
  key: string,
  value: string | Uint8Array,
  declared: Partial<DeclaredProperty> = {},
): FilterState {
  const state = new FilterState(connection);
  const bytes = Buffer.from(value);
  if (key.startsWith("wasm.")) {
    state.setProperty(key.slice("wasm.".length), bytes, { ...UNDECLARED, ...declared });
  } else {
    state.setObject(key, bytes, "request", "text");
  }
  return state;
}
