// The property catalogue of proxy-wasm (Envoy's attributes) over one stream's facts.
// wasm-filter.ts asks by path; the segments are joined by NUL. Values that a request does not have yet are undefined.
//
//   request\0path            READERS, one Map look-up and one function call: the hot path
//   xds\0route_metadata\0…   READERS by the first two segments, then partOf() step by step
//   request                  a group of attributes: parts, and no form as a whole
//   anything else            what plugins have stored, then the names of before Envoy 1.33
//
// test/integration/properties.test.ts asks Envoy for every path in every phase.

import type { DeclaredProperty } from "../../plugins/ports.ts";
import type { PropertyItem, PropertyObject, PropertyValue } from "../../plugins/property-value.ts";
import { partOf } from "../../plugins/property-value.ts";
import type { HeaderMap } from "../http/headers.ts";
import { messageOf } from "../messages/message-value.ts";
import { LOCALITY, METADATA } from "../messages/shapes.ts";
import { writeStrings } from "../messages/wire.ts";
import { stateMessage, stateValue, UNDECLARED } from "./filter-state.ts";
import {
  flagBits,
  grpcStatus,
  hostPort,
  isRequest,
  portOf,
  queryOf,
  requestFieldBytes,
  requestFields,
  requestSize,
  responseFieldBytes,
  responseFields,
  trailerFieldBytes,
  trailerFields,
  urlPath,
} from "./property-values.ts";
import type { StreamInfo } from "./stream-info.ts";

type Reader = (info: StreamInfo) => PropertyItem | undefined;

const NOTHING = new Uint8Array(0);
const DIRECTION = { unspecified: 0, inbound: 1, outbound: 2 } as const;

const int = (value: number): PropertyValue => ({ kind: "int", value });
const uint = (value: number): PropertyValue => ({ kind: "uint", value });
const intOr = (value: number | undefined): PropertyValue | undefined => (value === undefined ? undefined : int(value));
const text = (value: string): PropertyValue | undefined => (value === "" ? undefined : value);
const header = (map: HeaderMap | undefined, name: string): PropertyValue | undefined => map?.getJoined(name);
const wall = (ms: number): PropertyValue => ({ kind: "timestamp", ms: performance.timeOrigin + ms });
const span = (from: number, to: number): PropertyValue | undefined =>
  from === 0 || to === 0 ? undefined : { kind: "duration", ms: to - from };
/** Metadata of something that is there: empty when it has none. */
const metadata = (isThere: boolean, bytes: Uint8Array | undefined): PropertyValue | undefined =>
  isThere ? messageOf(METADATA, bytes ?? NOTHING) : undefined;

function locality({ upstreamLocality: place }: StreamInfo): PropertyValue | undefined {
  if (place === undefined) {
    return undefined;
  }
  const fields = [
    [1, place.region],
    [2, place.zone],
    [3, place.subZone],
  ] as const;
  return messageOf(LOCALITY, writeStrings(fields));
}

const routeName: Reader = (i) => (i.hasRoute ? i.routeName : undefined);
const routeMetadata: Reader = (i) => metadata(i.hasRoute, i.routeMetadata);
const clusterMetadata: Reader = (i) => metadata(i.hasCluster, i.clusterMetadata);
const listenerMetadata: Reader = (i) => metadata(true, i.listenerMetadata);
const listenerDirection: Reader = (i) => int(DIRECTION[i.trafficDirection]);
const hostMetadata: Reader = (i) => metadata(i.attempts > 0, i.hostMetadata);
const connectionId: Reader = (i) => uint(i.connection.id);

const READERS = new Map<string, Reader>(
  Object.entries({
    "request.path": (i) => text(i.requestHead.path),
    "request.url_path": (i) => (isRequest(i.requestHead) ? urlPath(i.requestHead.path) : undefined),
    "request.query": (i) => (isRequest(i.requestHead) ? queryOf(i.requestHead.path) : undefined),
    "request.host": (i) => text(i.requestHead.authority),
    "request.scheme": (i) => text(i.requestHead.scheme),
    "request.method": (i) => text(i.requestHead.method),
    "request.protocol": (i) => text(i.protocol),
    "request.referer": (i) => header(i.requestHead.headers, "referer"),
    "request.useragent": (i) => header(i.requestHead.headers, "user-agent"),
    "request.id": (i) => header(i.requestHead.headers, "x-request-id"),
    "request.headers": (i) => requestFields(i.requestHead),
    // Not Envoy's.
    "request.trailers": (i) => (i.requestTrailers === undefined ? undefined : trailerFields(i.requestTrailers)),
    "request.time": (i) => wall(i.startedAt),
    "request.duration": (i) => span(i.startedAt, i.endedAt),
    "request.size": (i) => intOr(requestSize(i.requestHead, i.requestBodyBytes)),
    "request.headers_bytes": (i) => int(requestFieldBytes(i.requestHead)),
    "request.total_size": (i) => int(requestFieldBytes(i.requestHead) + i.requestBodyBytes),
    "response.code": (i) => intOr(i.status === 0 ? i.responseHead?.status : i.status),
    "response.code_details": (i) => text(i.responseCodeDetails),
    "response.flags": (i) => int(flagBits(i.responseFlags)),
    "response.grpc_status": (i) => intOr(grpcStatus(i.responseHead, i.responseTrailers)),
    "response.headers": (i) => responseFields(i.responseHead),
    "response.trailers": (i) => trailerFields(i.responseTrailers),
    "response.size": (i) => int(i.responseBodyBytes),
    "response.headers_bytes": (i) => int(responseFieldBytes(i.responseHead)),
    "response.total_size": (i) =>
      int(i.responseBodyBytes + responseFieldBytes(i.responseHead) + trailerFieldBytes(i.responseTrailers)),
    "response.backend_latency": (i) => span(i.upstreamSentAt, i.upstreamEndedAt),
    "source.address": (i) => hostPort(i.connection.remoteAddress, i.connection.remotePort),
    "source.port": (i) => int(i.connection.remotePort),
    "destination.address": (i) => hostPort(i.connection.localAddress, i.connection.localPort),
    "destination.port": (i) => int(i.connection.localPort),
    "connection.id": connectionId,
    connection_id: connectionId,
    "connection.mtls": () => false,
    "connection.requested_server_name": () => "",
    "upstream.address": (i) => text(i.upstreamAddress),
    "upstream.port": (i) => intOr(portOf(i.upstreamAddress)),
    "upstream.local_address": (i) => text(i.upstreamLocalAddress),
    "upstream.locality": locality,
    "upstream.transport_failure_reason": (i) => (i.attempts === 0 ? undefined : i.upstreamFailure),
    "upstream.request_attempt_count": (i) => uint(i.attempts),
    "upstream.cx_pool_ready_duration": (i) => span(i.upstreamAskedAt, i.upstreamSentAt),
    "upstream.num_endpoints": (i) => (i.hasCluster ? uint(i.clusterEndpoints) : undefined),
    "xds.cluster_name": (i) => text(i.clusterName),
    "xds.cluster_metadata": clusterMetadata,
    "xds.route_name": routeName,
    "xds.route_metadata": routeMetadata,
    "xds.virtual_host_name": (i) => (i.hasRoute ? i.virtualHostName : undefined),
    "xds.virtual_host_metadata": (i) => metadata(i.hasRoute, i.virtualHostMetadata),
    "xds.filter_chain_name": (i) => i.filterChainName,
    "xds.upstream_host_metadata": hostMetadata,
    "xds.upstream_host_locality_metadata": (i) => metadata(i.attempts > 0, i.localityMetadata),
    "xds.listener_metadata": listenerMetadata,
    "xds.listener_direction": listenerDirection,
  } satisfies Record<string, Reader>).map(([path, read]) => [path.replaceAll(".", "\0"), read]),
);

/** The names of before Envoy 1.33, which older SDKs still ask for. A plugin may store values under these. */
const LEGACY: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ["cluster_name", (i) => text(i.clusterName)],
  ["cluster_metadata", clusterMetadata],
  ["route_name", routeName],
  ["route_metadata", routeMetadata],
  ["listener_direction", listenerDirection],
  ["listener_metadata", listenerMetadata],
  ["upstream_host_metadata", hostMetadata],
]);

const GROUPS: ReadonlySet<string> = new Set([
  "request",
  "response",
  "source",
  "destination",
  "connection",
  "upstream",
  "xds",
]);

/** A property of a stream; undefined when it does not exist or is not known yet. `path` is the segments joined by NUL. */
export function streamProperty(info: StreamInfo, path: string, segments: readonly string[]): PropertyItem | undefined {
  const read = READERS.get(path);
  if (read !== undefined) {
    return read(info);
  }
  if (segments.length === 1) {
    return root(info, path);
  }
  const attribute = READERS.get(`${segments[0]}\0${segments[1]}`);
  if (attribute !== undefined) {
    return descend(attribute(info), segments, 2);
  }
  // A path of several segments that a plugin has set; Envoy stores it and does not find it again.
  const stored = info.filterState.get(`wasm.${path}`);
  return stored === undefined ? descend(root(info, segments[0] as string), segments, 1) : stateValue(stored);
}

/** Properties that no stream is needed for. */
export type OutsideProperty = (path: string, segments: readonly string[]) => PropertyItem | undefined;

/** A property of the stream, else one from outside. */
export function propertyOf(
  info: StreamInfo,
  outside: OutsideProperty,
  path: string,
  segments: readonly string[],
): PropertyItem | undefined {
  if (path === "xds") {
    // The one group with parts of both: the node is the process's.
    const part = (name: string): PropertyItem | undefined => propertyOf(info, outside, `xds\0${name}`, ["xds", name]);
    return { kind: "object", bytes: undefined, get: part };
  }
  const value = streamProperty(info, path, segments);
  return value === undefined ? outside(path, segments) : value;
}

/** Stores a plugin's value on the stream; false when it is read-only, and when it is too much. */
export function setStreamProperty(
  info: StreamInfo,
  path: string,
  value: Uint8Array,
  declared: DeclaredProperty = UNDECLARED,
): boolean {
  return info.filterState.setProperty(path, value, declared);
}

function descend(from: PropertyItem | undefined, segments: readonly string[], start: number): PropertyItem | undefined {
  let value = from;
  for (let i = start; i < segments.length && value !== undefined; i++) {
    value = partOf(value, segments[i] as string);
  }
  return value;
}

/** What a path begins with. */
function root(info: StreamInfo, name: string): PropertyItem | undefined {
  if (GROUPS.has(name)) {
    return { kind: "object", bytes: undefined, get: (part) => READERS.get(`${name}\0${part}`)?.(info) };
  }
  switch (name) {
    case "metadata":
      return messageOf(METADATA, NOTHING);
    case "filter_state":
      return filterState(info);
    case "upstream_filter_state":
      return info.upstreamSentAt > 0 ? { kind: "object", bytes: undefined, get: () => undefined } : undefined;
    default: {
      const stored = info.filterState.get(`wasm.${name}`);
      return stored === undefined ? LEGACY.get(name)?.(info) : stateValue(stored);
    }
  }
}

function filterState(info: StreamInfo): PropertyObject {
  return {
    kind: "object",
    bytes: undefined,
    get(key) {
      const object = info.filterState.get(key);
      return object && stateMessage(object);
    },
  };
}
