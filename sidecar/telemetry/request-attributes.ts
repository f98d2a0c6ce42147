// Name, attributes and status of a request's span, from its record. Sources: OpenTelemetry's stable HTTP conventions,
// Envoy's HttpTracerUtility (upstream_cluster, response_flags, guid:x-request-id …). Used by hook-spans.ts. Pure.

import { Field, RequestText, TraceText } from "./span-record.ts";
import type { RecordView } from "./span-record.ts";

export type AttributeValue = string | number | boolean;

/** Longest url.path, url.query and url.full in characters: Envoy's default for max_path_tag_length. */
const MAX_PATH_LENGTH = 256;
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

/** Inbound and unspecified listeners serve; outbound listeners are the application's client. */
export function isClientSpan(record: RecordView): boolean {
  return record.field(Field.Direction) === 2;
}

/** `METHOD route`, or `METHOD` alone: never the raw path. */
export function spanName(record: RecordView): string {
  const method = record.text(RequestText.Method);
  const known = KNOWN_METHODS.has(method) ? method : "HTTP";
  const route = record.text(RequestText.RouteName);
  return route === "" ? known : `${known} ${route}`;
}

/** What went wrong, for error.type; empty when nothing did. */
export function errorType(record: RecordView): string {
  const status = record.field(Field.Status);
  if (status === 0) {
    return record.text(RequestText.Details) || "no_response";
  }
  return status >= (isClientSpan(record) ? 400 : 500) ? String(status) : "";
}

export function requestAttributes(record: RecordView, nodeId: string): Record<string, AttributeValue> {
  const method = record.text(RequestText.Method);
  const attributes: Record<string, AttributeValue> = {
    "http.request.method": KNOWN_METHODS.has(method) ? method : "_OTHER",
  };
  if (attributes["http.request.method"] === "_OTHER") {
    attributes["http.request.method_original"] = method;
  }
  addUrl(record, attributes);
  addPeers(record, attributes);
  const status = record.field(Field.Status);
  if (status > 0) {
    attributes["http.response.status_code"] = status;
  }
  const error = errorType(record);
  if (error !== "") {
    attributes["error.type"] = error;
  }
  put(attributes, "http.route", record.text(RequestText.RouteName));
  put(attributes, "user_agent.original", record.text(RequestText.UserAgent));
  const attempts = record.field(Field.Attempts);
  if (attempts > 1) {
    attributes["http.request.resend_count"] = attempts - 1;
  }
  addEnvoyTags(record, attributes, nodeId);
  for (let i = 0; i + 1 < record.tags.length; i += 2) {
    attributes[record.tags[i] as string] = record.tags[i + 1] as string;
  }
  return attributes;
}

function addUrl(record: RecordView, attributes: Record<string, AttributeValue>): void {
  const target = record.text(RequestText.Path);
  const scheme = record.text(RequestText.Scheme);
  const authority = record.text(RequestText.Authority);
  const question = target.indexOf("?");
  const path = question < 0 ? target : target.slice(0, question);
  const query = question < 0 ? "" : target.slice(question + 1).replace(SECRET_QUERY, "$1$2=REDACTED");
  if (isClientSpan(record)) {
    const full = `${scheme}://${authority}${path}${query === "" ? "" : "?"}${query}`;
    attributes["url.full"] = full.slice(0, MAX_PATH_LENGTH + scheme.length + 3 + authority.length);
  } else {
    attributes["url.path"] = path.slice(0, MAX_PATH_LENGTH);
    attributes["url.scheme"] = scheme;
    put(attributes, "url.query", query.slice(0, MAX_PATH_LENGTH));
  }
  addServer(attributes, authority, scheme);
}

/** server.address and server.port from `host[:port]`. */
export function addServer(attributes: Record<string, AttributeValue>, authority: string, scheme: string): void {
  if (authority === "") {
    return;
  }
  const found = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(authority);
  attributes["server.address"] = (found?.[1] ?? authority).replace(/^\[|\]$/g, "");
  attributes["server.port"] = found?.[2] === undefined ? (scheme === "https" ? 443 : 80) : Number(found[2]);
}

function addPeers(record: RecordView, attributes: Record<string, AttributeValue>): void {
  const protocol = record.text(RequestText.Protocol);
  put(attributes, "network.protocol.version", protocol.startsWith("HTTP/") ? protocol.slice(5) : "");
  const upstream = record.text(RequestText.UpstreamAddress);
  if (isClientSpan(record)) {
    const colon = upstream.lastIndexOf(":");
    if (colon > 0) {
      attributes["network.peer.address"] = upstream.slice(0, colon).replace(/^\[|\]$/g, "");
      attributes["network.peer.port"] = Number(upstream.slice(colon + 1));
    }
    return;
  }
  const remote = record.text(RequestText.RemoteAddress);
  put(attributes, "client.address", remote);
  put(attributes, "network.peer.address", remote);
  attributes["network.peer.port"] = record.field(Field.RemotePort);
}

function addEnvoyTags(record: RecordView, attributes: Record<string, AttributeValue>, nodeId: string): void {
  attributes["component"] = "proxy";
  put(attributes, "node_id", nodeId);
  const cluster = record.text(RequestText.ClusterName);
  put(attributes, "upstream_cluster", cluster);
  put(attributes, "upstream_cluster.name", cluster);
  put(attributes, "upstream_address", record.text(RequestText.UpstreamAddress));
  attributes["response_flags"] = record.text(RequestText.ResponseFlags) || "-";
  put(attributes, "guid:x-request-id", record.text(RequestText.RequestId));
  attributes["request_size"] = record.field(Field.RequestBytes);
  attributes["response_size"] = record.field(Field.ResponseBytes);
}

function put(attributes: Record<string, AttributeValue>, name: string, value: string): void {
  if (value !== "") {
    attributes[name] = value;
  }
}

/** The parent's span id as it came in; empty for a trace that begins here. */
export function parentIdOf(record: RecordView): string {
  return record.text(TraceText.ParentId);
}
