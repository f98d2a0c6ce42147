// Name, attributes and status of a request's span. Sources: OpenTelemetry's stable HTTP conventions, Envoy's
// HttpTracerUtility (upstream_cluster, response_flags, guid:x-request-id …). Used by span-encoder.ts.

import type { StreamInfo } from "../filter/stream-info.ts";
import { AttributeKey, SPAN_ATTRIBUTES } from "./otlp-writer.ts";
import type { OtlpWriter } from "./otlp-writer.ts";
import { CONNECTION_METHOD, type StreamTrace } from "./stream-trace.ts";

/** Longest other text in characters: a header value can be 60 KiB. */
const MAX_TEXT_LENGTH = 4096;
/** Custom tags end here, in bytes of one span: the same long header can be asked for many times. */
const MAX_SPAN_BYTES = 512 * 1024;
/** Keys of custom tags that are kept encoded; they come from configuration. */
const MAX_TAG_KEYS = 256;
const KNOWN_METHODS = new Set([
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "DELETE",
  "CONNECT",
  "OPTIONS",
  "TRACE",
  "PATCH",
  "QUERY",
]);
/** Query keys that the conventions want hidden: signatures of storage services. */
const SECRET_QUERY = /(^|&)(AWSAccessKeyId|Signature|sig|X-Goog-Signature)=[^&]*/g;

const KEY = {
  method: new AttributeKey("http.request.method"),
  methodOriginal: new AttributeKey("http.request.method_original"),
  status: new AttributeKey("http.response.status_code"),
  errorType: new AttributeKey("error.type"),
  route: new AttributeKey("http.route"),
  userAgent: new AttributeKey("user_agent.original"),
  resendCount: new AttributeKey("http.request.resend_count"),
  urlFull: new AttributeKey("url.full"),
  urlPath: new AttributeKey("url.path"),
  urlScheme: new AttributeKey("url.scheme"),
  urlQuery: new AttributeKey("url.query"),
  serverAddress: new AttributeKey("server.address"),
  serverPort: new AttributeKey("server.port"),
  transport: new AttributeKey("network.transport"),
  protocolVersion: new AttributeKey("network.protocol.version"),
  peerAddress: new AttributeKey("network.peer.address"),
  peerPort: new AttributeKey("network.peer.port"),
  clientAddress: new AttributeKey("client.address"),
  component: new AttributeKey("component"),
  nodeId: new AttributeKey("node_id"),
  upstreamCluster: new AttributeKey("upstream_cluster"),
  upstreamClusterName: new AttributeKey("upstream_cluster.name"),
  upstreamAddress: new AttributeKey("upstream_address"),
  responseFlags: new AttributeKey("response_flags"),
  requestId: new AttributeKey("guid:x-request-id"),
  requestSize: new AttributeKey("request_size"),
  responseSize: new AttributeKey("response_size"),
};
const tagKeys = new Map<string, AttributeKey>();

/** Inbound and unspecified listeners serve; outbound listeners are the application's client. */
export function isClientSpan(info: StreamInfo): boolean {
  return info.trafficDirection === "outbound";
}

/** The operation that a route or the caller names, else `METHOD route`, or `METHOD` alone: never the raw path. */
export function spanName(trace: StreamTrace): string {
  if (trace.method === CONNECTION_METHOD) {
    return CONNECTION_METHOD;
  }
  if (trace.operation !== "") {
    return trace.operation.slice(0, MAX_TEXT_LENGTH);
  }
  const known = KNOWN_METHODS.has(trace.method) ? trace.method : "HTTP";
  return trace.routeName === "" ? known : `${known} ${trace.routeName}`;
}

/** What went wrong, for error.type; empty when nothing did. */
export function errorType(trace: StreamTrace, info: StreamInfo): string {
  const { status } = trace;
  if (trace.method === CONNECTION_METHOD) {
    return trace.responseFlags;
  }
  if (status === 0) {
    return trace.responseDetails || "no_response";
  }
  return status >= (isClientSpan(info) ? 400 : 500) ? String(status) : "";
}

export function writeRequestAttributes(to: OtlpWriter, trace: StreamTrace, info: StreamInfo, nodeId: string): void {
  const start = to.at;
  const { method, status } = trace;
  if (method === CONNECTION_METHOD) {
    put(to, KEY.transport, "tcp");
  } else {
    writeMethod(to, method);
    writeUrl(to, trace, isClientSpan(info));
  }
  writePeers(to, trace, info);
  if (status > 0) {
    to.numberAttribute(SPAN_ATTRIBUTES, KEY.status, status);
  }
  put(to, KEY.errorType, errorType(trace, info));
  put(to, KEY.route, trace.routeName);
  put(to, KEY.userAgent, info.requestHead.headers.get("user-agent") ?? "");
  if (info.attempts > 1) {
    to.numberAttribute(SPAN_ATTRIBUTES, KEY.resendCount, info.attempts - 1);
  }
  put(to, KEY.component, "proxy");
  put(to, KEY.nodeId, nodeId);
  put(to, KEY.upstreamCluster, trace.clusterName);
  put(to, KEY.upstreamClusterName, trace.clusterName);
  put(to, KEY.upstreamAddress, trace.upstreamAddress);
  put(to, KEY.responseFlags, trace.responseFlags || "-");
  put(to, KEY.requestId, trace.requestId);
  to.numberAttribute(SPAN_ATTRIBUTES, KEY.requestSize, info.requestBodyBytes);
  to.numberAttribute(SPAN_ATTRIBUTES, KEY.responseSize, info.responseBodyBytes);
  const { tags } = trace;
  for (let i = 0; i + 1 < tags.length && to.at - start < MAX_SPAN_BYTES; i += 2) {
    put(to, tagKey(tags[i] as string), tags[i + 1] as string);
  }
}

function writeMethod(to: OtlpWriter, method: string): void {
  if (KNOWN_METHODS.has(method)) {
    put(to, KEY.method, method);
  } else {
    put(to, KEY.method, "_OTHER");
    put(to, KEY.methodOriginal, method);
  }
}

function writeUrl(to: OtlpWriter, trace: StreamTrace, isClient: boolean): void {
  const { path: target, scheme, authority, maxPathLength } = trace;
  const question = target.indexOf("?");
  const path = question < 0 ? target : target.slice(0, question);
  const query = question < 0 ? "" : target.slice(question + 1).replace(SECRET_QUERY, "$1$2=REDACTED");
  if (isClient) {
    const full = `${scheme}://${authority}${path}${query === "" ? "" : "?"}${query}`;
    put(to, KEY.urlFull, full.slice(0, maxPathLength + scheme.length + 3 + authority.length));
  } else {
    put(to, KEY.urlPath, path.slice(0, maxPathLength));
    put(to, KEY.urlScheme, scheme);
    put(to, KEY.urlQuery, query.slice(0, maxPathLength));
  }
  writeServer(to, authority, scheme);
}

/** server.address and server.port from `host[:port]`. */
export function writeServer(to: OtlpWriter, authority: string, scheme: string): void {
  if (authority === "") {
    return;
  }
  const colon = portColon(authority);
  const host = colon < 0 ? authority : authority.slice(0, colon);
  put(to, KEY.serverAddress, unbracketed(host));
  const port = colon < 0 ? (scheme === "https" ? 443 : 80) : Number(authority.slice(colon + 1));
  to.numberAttribute(SPAN_ATTRIBUTES, KEY.serverPort, port);
}

/** Where the colon before a port stands in `host[:port]`; -1 when there is no port. */
function portColon(authority: string): number {
  const colon = authority.lastIndexOf(":");
  const hostEnd = authority.startsWith("[") ? authority.indexOf("]") + 1 : authority.indexOf(":");
  return colon > 0 && colon === hostEnd && /^\d{1,5}$/.test(authority.slice(colon + 1)) ? colon : -1;
}

function writePeers(to: OtlpWriter, trace: StreamTrace, info: StreamInfo): void {
  const { protocol, connection } = info;
  put(to, KEY.protocolVersion, protocol.startsWith("HTTP/") ? protocol.slice(5) : "");
  if (isClientSpan(info)) {
    const upstream = trace.upstreamAddress;
    const colon = upstream.lastIndexOf(":");
    if (colon > 0) {
      put(to, KEY.peerAddress, unbracketed(upstream.slice(0, colon)));
      to.numberAttribute(SPAN_ATTRIBUTES, KEY.peerPort, Number(upstream.slice(colon + 1)));
    }
    return;
  }
  put(to, KEY.clientAddress, connection.remoteAddress);
  put(to, KEY.peerAddress, connection.remoteAddress);
  to.numberAttribute(SPAN_ATTRIBUTES, KEY.peerPort, connection.remotePort);
}

function unbracketed(host: string): string {
  return host.startsWith("[") ? host.replace(/^\[|\]$/g, "") : host;
}

function tagKey(name: string): AttributeKey {
  let key = tagKeys.get(name);
  if (key === undefined) {
    key = new AttributeKey(name);
    if (tagKeys.size < MAX_TAG_KEYS) {
      tagKeys.set(name, key);
    }
  }
  return key;
}

function put(to: OtlpWriter, key: AttributeKey, value: string): void {
  if (value !== "") {
    const text = value.length > MAX_TEXT_LENGTH ? value.slice(0, MAX_TEXT_LENGTH) : value;
    to.textAttribute(SPAN_ATTRIBUTES, key, text);
  }
}
