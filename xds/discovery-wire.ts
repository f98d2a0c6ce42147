// The discovery messages as protobuf bytes: the client encodes requests and decodes responses, the control plane the
// other way round. With node-identity.ts the only transport code that touches generated types. Decoding never throws:
// bytes of a peer that do not parse are a result. Source: envoy/service/discovery/v3/discovery.proto.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { JsonObject } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import type {
  DeltaRequest,
  DiscoveryRequest,
  DiscoveryResponse,
  ErrorDetail,
  Variant,
  WireResource,
} from "./discovery-messages.ts";
import type { Node } from "./gen/envoy/config/core/v3/base_pb.ts";
import { NodeSchema } from "./gen/envoy/config/core/v3/base_pb.ts";
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
  ResourceSchema,
} from "./gen/envoy/service/discovery/v3/discovery_pb.ts";
import type { Resource } from "./gen/envoy/service/discovery/v3/discovery_pb.ts";
import { RESOURCE_WRAPPER_TYPE } from "./type-urls.ts";

/** What a request says about its sender; empty strings where it says nothing. `metadata` is that of the node, as JSON. */
export type NodeInfo = Readonly<{
  id: string;
  cluster: string;
  userAgent: string;
  locality: Readonly<{ region: string; zone: string; subZone: string }>;
  metadata: JsonObject;
}>;

export type ReceivedRequest = Readonly<{ request: DiscoveryRequest; node: NodeInfo | undefined }>;

export type Parsed<T> = Readonly<{ ok: true; value: T }> | Readonly<{ ok: false; problem: string }>;

/** Reads a serialised Node once, to be attached to requests. Throws when the bytes, which are our own, do not parse. */
export function parseNode(nodeBytes: Uint8Array): Node {
  return fromBinary(NodeSchema, nodeBytes);
}

export function encodeRequest(request: DiscoveryRequest, node: Node): Uint8Array {
  const common = {
    typeUrl: request.typeUrl,
    responseNonce: request.nonce,
    ...(request.withNode ? { node } : {}),
    ...(request.error === undefined ? {} : { errorDetail: { ...request.error } }),
  };
  if (request.kind === "sotw") {
    const message = { ...common, versionInfo: request.version, resourceNames: [...request.names] };
    return toBinary(DiscoveryRequestSchema, create(DiscoveryRequestSchema, message));
  }
  const message = create(DeltaDiscoveryRequestSchema, {
    ...common,
    resourceNamesSubscribe: [...request.subscribe],
    resourceNamesUnsubscribe: [...request.unsubscribe],
    initialResourceVersions: Object.fromEntries(request.initialVersions),
  });
  return toBinary(DeltaDiscoveryRequestSchema, message);
}

export function decodeRequest(variant: Variant, bytes: Uint8Array): Parsed<ReceivedRequest> {
  return parse(() => (variant === "sotw" ? decodeSotwRequest(bytes) : decodeDeltaRequest(bytes)));
}

function decodeSotwRequest(bytes: Uint8Array): ReceivedRequest {
  const message = fromBinary(DiscoveryRequestSchema, bytes);
  const request: DiscoveryRequest = {
    kind: "sotw",
    typeUrl: message.typeUrl,
    version: message.versionInfo,
    nonce: message.responseNonce,
    names: message.resourceNames,
    error: errorOf(message.errorDetail),
    withNode: message.node !== undefined,
  };
  return { request, node: nodeInfo(message.node) };
}

function decodeDeltaRequest(bytes: Uint8Array): ReceivedRequest {
  const message = fromBinary(DeltaDiscoveryRequestSchema, bytes);
  const request: DeltaRequest = {
    kind: "delta",
    typeUrl: message.typeUrl,
    subscribe: message.resourceNamesSubscribe,
    unsubscribe: message.resourceNamesUnsubscribe,
    initialVersions: new Map(Object.entries(message.initialResourceVersions)),
    nonce: message.responseNonce,
    error: errorOf(message.errorDetail),
    withNode: message.node !== undefined,
  };
  return { request, node: nodeInfo(message.node) };
}

/**
 * What comes before the bytes of a resource in a response, by resource. A control plane sends one resource to many clients, and fields of
 * a message may follow each other in any order: a response is these, each with its resource's bytes, and its small fields behind them.
 * So the bytes, which may be many, are copied once for each response.
 */
const heads = { sotw: new WeakMap<WireResource, Uint8Array>(), delta: new WeakMap<WireResource, Uint8Array>() };
/** Field 2, of a length: DiscoveryResponse.resources, DeltaDiscoveryResponse.resources, Resource.resource and Any.value. */
const FIELD_2 = 0x12;
/** Any.type_url. */
const TYPE_URL = 0x0a;
const NO_BYTES = new Uint8Array();

export function encodeResponse(response: DiscoveryResponse): Uint8Array {
  const { typeUrl, nonce, kind } = response;
  const controlPlane = { identifier: response.controlPlane };
  const fields: Uint8Array[] = [];
  for (const resource of response.resources) fields.push(headOf(kind, resource), resource.bytes ?? NO_BYTES);
  if (kind === "sotw") {
    const message = { versionInfo: response.version, typeUrl, nonce, controlPlane };
    fields.push(toBinary(DiscoveryResponseSchema, create(DiscoveryResponseSchema, message)));
  } else {
    const rest = { systemVersionInfo: response.version, removedResources: [...response.removed], typeUrl, nonce };
    const message = create(DeltaDiscoveryResponseSchema, { ...rest, controlPlane });
    fields.push(toBinary(DeltaDiscoveryResponseSchema, message));
  }
  return joined(fields);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}

/** A response's field for a resource, up to the resource's bytes. */
function headOf(variant: Variant, resource: WireResource): Uint8Array {
  let head = heads[variant].get(resource);
  if (head === undefined) {
    const more = resource.bytes?.length ?? 0;
    if (variant === "delta") head = joined(lengthDelimited(FIELD_2, wrapperHead(resource), more));
    else if (needsWrapper(resource)) head = joined(anyHead(RESOURCE_WRAPPER_TYPE, wrapperHead(resource), more));
    else head = joined(anyHead(resource.typeUrl, [], more));
    heads[variant].set(resource, head);
  }
  return head;
}

/** A Resource, up to the bytes of the resource in it. */
function wrapperHead(resource: WireResource): Uint8Array[] {
  const { aliases, bytes, name, ttlMs, typeUrl, version } = resource;
  const small = create(ResourceSchema, {
    name,
    version,
    ...(aliases === undefined ? {} : { aliases: [...aliases] }),
    ...(ttlMs === undefined ? {} : { ttl: durationOf(ttlMs) }),
  });
  return [toBinary(ResourceSchema, small), ...(bytes === undefined ? [] : anyHead(typeUrl, [], bytes.length))];
}

/** Field 2 with an Any whose value is these parts and `more` bytes that follow. An encoder leaves out what is empty. */
function anyHead(typeUrl: string, parts: readonly Uint8Array[], more: number): Uint8Array[] {
  const type = typeUrl === "" ? [] : lengthDelimited(TYPE_URL, [Buffer.from(typeUrl)], 0);
  const isEmpty = more === 0 && parts.every(({ length }) => length === 0);
  const value = isEmpty ? [] : lengthDelimited(FIELD_2, parts, more);
  return lengthDelimited(FIELD_2, [...type, ...value], more);
}

/** A field of these parts and of `more` bytes that follow. */
function lengthDelimited(tag: number, parts: readonly Uint8Array[], more: number): Uint8Array[] {
  const length = parts.reduce((sum, part) => sum + part.length, more);
  return [Uint8Array.from([tag, ...varint(length)]), ...parts];
}

function varint(number: number): number[] {
  const bytes: number[] = [];
  let rest = number;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 0x80);
  bytes.push(rest);
  return bytes;
}

/**
 * Resources and removed names of one response. Two bytes on the wire make an object of some hundred bytes, so that a
 * response within the limit of bytes could still fill the memory; a mesh of 10,000 services has some 50,000 resources.
 */
const MAX_FIELDS = 500_000;

/** Whether a message has more than `most` fields at its top level; one that does not parse is left to the parser. */
export function hasMoreFields(bytes: Uint8Array, most: number): boolean {
  let offset = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; offset < bytes.length; scale *= 128) {
      const byte = bytes[offset++] ?? 0;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    return value;
  };
  for (let count = 0; offset < bytes.length; count++) {
    if (count === most) return true;
    const wireType = varint() % 8;
    const length = wireType === 0 || wireType === 2 ? varint() : 0;
    if (wireType === 1) offset += 8;
    else if (wireType === 2) offset += length;
    else if (wireType === 5) offset += 4;
  }
  return false;
}

/** The resources' bytes are views into `bytes`: keep a copy of those that live on. */
export function decodeResponse(variant: Variant, bytes: Uint8Array): Parsed<DiscoveryResponse> {
  if (hasMoreFields(bytes, MAX_FIELDS)) return { ok: false, problem: `it has more than ${MAX_FIELDS} resources` };
  return parse(() => (variant === "sotw" ? decodeSotwResponse(bytes) : decodeDeltaResponse(bytes)));
}

function decodeSotwResponse(bytes: Uint8Array): DiscoveryResponse {
  const message = fromBinary(DiscoveryResponseSchema, bytes);
  return {
    kind: "sotw",
    typeUrl: message.typeUrl,
    version: message.versionInfo,
    nonce: message.nonce,
    resources: message.resources.map((any) => {
      // With `xds.config.resource-in-sotw` a server may wrap each resource to give it a name and a TTL.
      if (any.typeUrl === RESOURCE_WRAPPER_TYPE) return wireResource(fromBinary(ResourceSchema, any.value));
      return { name: "", version: "", typeUrl: any.typeUrl, bytes: any.value, ttlMs: undefined };
    }),
    controlPlane: message.controlPlane?.identifier ?? "",
  };
}

function decodeDeltaResponse(bytes: Uint8Array): DiscoveryResponse {
  const message = fromBinary(DeltaDiscoveryResponseSchema, bytes);
  return {
    kind: "delta",
    typeUrl: message.typeUrl,
    version: message.systemVersionInfo,
    nonce: message.nonce,
    resources: message.resources.map(wireResource),
    removed: message.removedResources,
    controlPlane: message.controlPlane?.identifier ?? "",
  };
}

function wireResource(resource: Resource): WireResource {
  return {
    name: resource.name === "" ? (resource.resourceName?.name ?? "") : resource.name,
    version: resource.version,
    typeUrl: resource.resource?.typeUrl ?? "",
    bytes: resource.resource?.value,
    ttlMs: resource.ttl === undefined ? undefined : millisecondsOf(resource.ttl),
    ...(resource.aliases.length === 0 ? {} : { aliases: resource.aliases }),
  };
}

export function parse<T>(decode: () => T): Parsed<T> {
  try {
    return { ok: true, value: decode() };
  } catch (error) {
    return { ok: false, problem: error instanceof Error ? error.message : String(error) };
  }
}

function errorOf(status: { code: number; message: string } | undefined): ErrorDetail | undefined {
  return status === undefined ? undefined : { code: status.code, message: status.message };
}

function nodeInfo(node: Node | undefined): NodeInfo | undefined {
  if (node === undefined) return undefined;
  const version = node.userAgentVersionType.case === "userAgentVersion" ? node.userAgentVersionType.value : "";
  const userAgent = version === "" ? node.userAgentName : `${node.userAgentName}/${version}`;
  const { region = "", zone = "", subZone = "" } = node.locality ?? {};
  const locality = { region, zone, subZone };
  return { id: node.id, cluster: node.cluster, userAgent, locality, metadata: node.metadata ?? {} };
}

/** In a state-of-the-world response only a wrapper has room for a time to live, and for no content. */
function needsWrapper(resource: WireResource): boolean {
  return resource.bytes === undefined || resource.ttlMs !== undefined;
}

function millisecondsOf(duration: Duration): number {
  return Number(duration.seconds) * 1000 + Math.trunc(duration.nanos / 1_000_000);
}

function durationOf(milliseconds: number) {
  return { seconds: BigInt(Math.trunc(milliseconds / 1000)), nanos: Math.trunc(milliseconds % 1000) * 1_000_000 };
}
