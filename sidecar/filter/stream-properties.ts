// The property catalogue of proxy-wasm (Envoy's attributes) over one stream's facts.
// wasm-filter.ts asks by path; the segments are joined by NUL. Values that a request does not have yet are undefined.
// Hot path for the plain names: one Map look-up and one function call.

import type { PropertyValue } from "../../plugins/property-value.ts";
import type { HeaderMap } from "../http/headers.ts";
import { HEADER_MAP_PROPERTIES, flagBits, headerProperty, hostPort, queryOf, urlPath } from "./property-values.ts";
import type { StreamInfo } from "./stream-info.ts";

type Reader = (info: StreamInfo) => PropertyValue | undefined;

const int = (value: number): PropertyValue => ({ kind: "int", value });
const text = (value: string): PropertyValue | undefined => (value === "" ? undefined : value);
const header = (map: HeaderMap | undefined, name: string): PropertyValue | undefined => map?.getJoined(name);
const DIRECTION = { unspecified: 0, inbound: 1, outbound: 2 } as const;
const wall = (ms: number): PropertyValue => ({ kind: "timestamp", ms: performance.timeOrigin + ms });
const span = (from: number, to: number): PropertyValue | undefined =>
  from === 0 || to === 0 ? undefined : { kind: "duration", ms: to - from };

const READERS = new Map<string, Reader>(
  Object.entries({
    "request.path": (i) => i.requestHead.path,
    "request.url_path": (i) => urlPath(i.requestHead.path),
    "request.query": (i) => queryOf(i.requestHead.path),
    "request.host": (i) => i.requestHead.authority,
    "request.scheme": (i) => i.requestHead.scheme,
    "request.method": (i) => i.requestHead.method,
    "request.protocol": (i) => i.protocol,
    "request.referer": (i) => header(i.requestHead.headers, "referer"),
    "request.useragent": (i) => header(i.requestHead.headers, "user-agent"),
    "request.id": (i) => header(i.requestHead.headers, "x-request-id"),
    "request.time": (i) => wall(i.startedAt),
    "request.duration": (i) => span(i.startedAt, i.endedAt),
    "request.size": (i) => int(i.requestBodyBytes),
    "request.headers_bytes": (i) => int(i.requestHeaderBytes),
    "request.total_size": (i) => int(i.requestHeaderBytes + i.requestBodyBytes),
    "response.code": (i) => (i.status === 0 ? undefined : int(i.status)),
    "response.code_details": (i) => text(i.responseCodeDetails),
    "response.flags": (i) => int(flagBits(i.responseFlags)),
    "response.grpc_status": (i) => {
      const status = i.responseTrailers?.get("grpc-status") ?? i.responseHead?.headers.get("grpc-status");
      return status === undefined ? undefined : int(Number(status));
    },
    "response.size": (i) => int(i.responseBodyBytes),
    "response.headers_bytes": (i) => int(i.responseHeaderBytes),
    "response.total_size": (i) => int(i.responseHeaderBytes + i.responseBodyBytes),
    "response.backend_latency": (i) => span(i.upstreamSentAt, i.upstreamFirstByteAt),
    "source.address": (i) => hostPort(i.connection.remoteAddress, i.connection.remotePort),
    "source.port": (i) => int(i.connection.remotePort),
    "destination.address": (i) => hostPort(i.connection.localAddress, i.connection.localPort),
    "destination.port": (i) => int(i.connection.localPort),
    "connection.id": (i) => int(i.connection.id),
    connection_id: (i) => int(i.connection.id),
    "connection.mtls": () => false,
    "upstream.address": (i) => text(i.upstreamAddress),
    "upstream.port": (i) => portOf(i.upstreamAddress),
    "upstream.local_address": (i) => text(i.upstreamLocalAddress),
    "upstream.transport_failure_reason": (i) => text(i.upstreamFailure),
    "upstream.request_attempt_count": (i) => (i.attempts === 0 ? undefined : int(i.attempts)),
    "xds.cluster_name": (i) => text(i.clusterName),
    "xds.cluster_metadata": (i) => i.clusterMetadata,
    "xds.route_name": (i) => text(i.routeName),
    "xds.route_metadata": (i) => i.routeMetadata,
    "xds.virtual_host_name": (i) => text(i.virtualHostName),
    "xds.filter_chain_name": (i) => text(i.filterChainName),
    "xds.upstream_host_metadata": (i) => i.hostMetadata,
    "xds.listener_direction": (i) => int(DIRECTION[i.trafficDirection]),
    // The names of before Envoy 1.33, which older SDKs still ask for.
    cluster_name: (i) => text(i.clusterName),
    cluster_metadata: (i) => i.clusterMetadata,
    route_name: (i) => text(i.routeName),
    route_metadata: (i) => i.routeMetadata,
    listener_direction: (i) => int(DIRECTION[i.trafficDirection]),
    upstream_host_metadata: (i) => i.hostMetadata,
  } satisfies Record<string, Reader>).map(([path, read]) => [path.replaceAll(".", "\0"), read]),
);

/** A property of a stream; undefined when it does not exist or is not known yet. `path` is the segments joined by NUL. */
export function streamProperty(info: StreamInfo, path: string, segments: readonly string[]): PropertyValue | undefined {
  const read = READERS.get(path);
  if (read !== undefined) {
    return read(info);
  }
  const stored = info.filterStateMap.get(path);
  if (stored !== undefined) {
    return stored;
  }
  const map = HEADER_MAP_PROPERTIES.get(`${segments[0]}\0${segments[1]}`);
  if (map !== undefined) {
    return headerProperty(info, map, segments.slice(2).join("\0").toLowerCase());
  }
  if (segments[0] === "filter_state" && segments.length === 2 && segments[1]?.startsWith("wasm.") === true) {
    return info.filterStateMap.get(segments[1].slice("wasm.".length));
  }
  return undefined;
}

function portOf(address: string): PropertyValue | undefined {
  const port = Number(address.slice(address.lastIndexOf(":") + 1));
  return address !== "" && Number.isInteger(port) ? int(port) : undefined;
}

/** What the plugins of one stream may store on it with proxy_set_property. */
const MAX_PROPERTIES = 256;
const MAX_PROPERTY_BYTES = 64 * 1024;

/** Stores a plugin's value on the stream; false at the paths of the stream's own facts, and when it is too much. */
export function setStreamProperty(info: StreamInfo, path: string, value: Uint8Array): boolean {
  const values = info.filterStateMap;
  const isFull = values.size >= MAX_PROPERTIES && !values.has(path);
  if (isFull || value.length > MAX_PROPERTY_BYTES || READERS.has(path)) {
    return false;
  }
  values.set(path, value);
  return true;
}
