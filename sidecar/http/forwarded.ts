// What a proxy tells each side about the other: x-forwarded-*, x-envoy-*, x-request-id, via; server and date on responses.
// And whom it believes: Envoy's ConnectionManagerUtility::mutateRequestHeaders, checked field by field against Envoy 1.40.
// Called once for each request before its filters run and once for each response before it is written. Hot path.
//
// "Edge": `use_remote_address` is set and the client is not internal. Internal is only who `internal_address_config` names;
// without it nobody is.

import { BlockList, isIP } from "node:net";
import { networkInterfaces } from "node:os";
import type { HttpConnectionManager } from "../../xds/model/listener.ts";
import { RandomSource, uuidText } from "../random-id.ts";
import { dateField } from "./date-field.ts";
import type { HeaderMap } from "./headers.ts";
import { stripResponseFields } from "./hop-by-hop.ts";
import type { RequestHead, ResponseHead } from "./message.ts";
import type { ConnectionInfo } from "./stream.ts";

export interface ForwardedOptions {
  readonly useRemoteAddress: boolean;
  readonly xffNumTrustedHops: number;
  readonly skipXffAppend: boolean;
  readonly internal: BlockList | undefined;
  readonly generateRequestId: boolean;
  readonly preserveExternalRequestId: boolean;
  readonly via: string;
  /** What few connection managers ask for; undefined: nothing of it. */
  readonly extras: ForwardedExtras | undefined;
  /** What stands in x-forwarded-for for a client on loopback: an address of this machine that others can reach. */
  readonly localAddress: string;
}

export interface ForwardedExtras {
  readonly appendsPort: boolean;
  /** Empty: the scheme is as it came. */
  readonly scheme: string;
  /** Whom upstreams are told the request comes from; undefined: nobody. */
  readonly node: NodeNames | undefined;
}

/** The proxy's own names. */
export interface NodeNames {
  readonly id: string;
  readonly cluster: string;
}

const NAMELESS: NodeNames = { id: "", cluster: "" };

/** Compiles a connection manager's fields. */
export function forwardedOptions(
  manager: HttpConnectionManager,
  node = NAMELESS,
  localAddress = machineAddress(),
): ForwardedOptions {
  let internal: BlockList | undefined;
  for (const range of manager.internalAddressCidrs) {
    internal ??= new BlockList();
    internal.addSubnet(range.address, range.prefixLength, isIP(range.address) === 6 ? "ipv6" : "ipv4");
  }
  return {
    useRemoteAddress: manager.useRemoteAddress,
    xffNumTrustedHops: manager.xffNumTrustedHops,
    skipXffAppend: manager.skipXffAppend,
    internal,
    generateRequestId: manager.generateRequestId,
    preserveExternalRequestId: manager.preserveExternalRequestId,
    via: manager.via,
    extras: extrasOf(manager, node),
    localAddress,
  };
}

function extrasOf(manager: HttpConnectionManager, node: NodeNames): ForwardedExtras | undefined {
  const { addUserAgent, appendXForwardedPort: appendsPort, schemeToOverwrite: scheme } = manager;
  return addUserAgent || appendsPort || scheme !== ""
    ? { appendsPort, scheme, node: addUserAgent ? node : undefined }
    : undefined;
}

// Only requests from inside may steer the proxy by these.
const INTERNAL_ONLY: readonly string[] = [
  "x-envoy-retry-on",
  "x-envoy-retry-grpc-on",
  "x-envoy-max-retries",
  "x-envoy-retriable-status-codes",
  "x-envoy-retriable-header-names",
  "x-envoy-hedge-on-per-try-timeout",
  "x-envoy-upstream-alt-stat-name",
  "x-envoy-upstream-rq-timeout-ms",
  "x-envoy-upstream-rq-per-try-timeout-ms",
  "x-envoy-upstream-rq-timeout-alt-response",
  "x-envoy-upstream-stream-duration-ms",
  "x-envoy-expected-rq-timeout-ms",
  "x-envoy-force-trace",
  "x-envoy-ip-tags",
];

/** Besides those, what nobody at the edge may claim. */
const NOT_FROM_THE_EDGE: readonly string[] = [
  "x-envoy-decorator-operation",
  "x-envoy-downstream-service-cluster",
  "x-envoy-downstream-service-node",
  "x-envoy-original-path",
  "x-envoy-original-host",
];

/** Sets and cleans the request's fields. Returns whether the request is internal. */
export function mutateRequestHeaders(
  head: RequestHead,
  connection: ConnectionInfo,
  options: ForwardedOptions,
): boolean {
  const { headers } = head;
  const hadForwardedFor = headers.has("x-forwarded-for");
  const isInternal = options.internal !== undefined && isFromInside(headers, connection, options, hadForwardedFor);
  const isEdge = options.useRemoteAddress && !isInternal;
  const client = isEdge ? trustedClient(headers, connection, options) : "";
  if (options.useRemoteAddress) {
    if (!options.skipXffAppend) {
      appendForwardedFor(headers, connection, options);
    }
    if (options.xffNumTrustedHops === 0) {
      headers.set("x-forwarded-proto", head.scheme);
    }
  }
  setScheme(head);
  if (headers.hasPrefix("x-envoy-")) {
    cleanEnvoyFields(headers, isInternal, isEdge);
  }
  if (options.extras !== undefined) {
    applyExtras(head, connection, options, options.extras);
  }
  if (isInternal) {
    headers.set("x-envoy-internal", "true");
  }
  headers.remove("x-forwarded-client-cert");
  if (options.via !== "") {
    appendTo(headers, "via", options.via, ", ");
  }
  if (isEdge && isIP(client) !== 0) {
    headers.set("x-envoy-external-address", client);
  }
  if (options.generateRequestId) {
    setRequestId(headers, isEdge && !options.preserveExternalRequestId);
  }
  return isInternal;
}

function applyExtras(
  head: RequestHead,
  { localPort }: ConnectionInfo,
  { useRemoteAddress, xffNumTrustedHops }: ForwardedOptions,
  { appendsPort, scheme, node }: ForwardedExtras,
): void {
  const { headers } = head;
  // A trusted proxy in front knows better which port the client called.
  const isOverwritten = useRemoteAddress && xffNumTrustedHops === 0;
  if (appendsPort && (isOverwritten || !headers.has("x-forwarded-port"))) {
    headers.set("x-forwarded-port", String(localPort));
  }
  if (scheme !== "") {
    head.scheme = scheme;
    headers.set("x-forwarded-proto", scheme);
  }
  if (node !== undefined) {
    headers.set("x-envoy-downstream-service-cluster", node.cluster);
    if ((headers.get("user-agent") ?? "") === "") {
      headers.set("user-agent", node.cluster);
    }
    if (node.id !== "") {
      headers.set("x-envoy-downstream-service-node", node.id);
    }
  }
}

/**
 * The client's address as far as x-forwarded-for can be trusted; call it before `mutateRequestHeaders` appends to it.
 * Falls back to the peer's.
 */
export function trustedClient(headers: HeaderMap, connection: ConnectionInfo, options: ForwardedOptions): string {
  const hops = options.useRemoteAddress ? options.xffNumTrustedHops - 1 : options.xffNumTrustedHops;
  return (hops < 0 ? undefined : addressFromEnd(headers, hops)) ?? connection.remoteAddress;
}

// Envoy: there must be exactly one address in x-forwarded-for, ours included, and it must be an internal one.
function isFromInside(
  headers: HeaderMap,
  connection: ConnectionInfo,
  options: ForwardedOptions,
  hadForwardedFor: boolean,
): boolean {
  if (options.useRemoteAddress) {
    return !hadForwardedFor && contains(options.internal, connection.remoteAddress);
  }
  const list = headers.getJoined("x-forwarded-for");
  if (list === undefined || list.includes(",") || options.xffNumTrustedHops > 0) {
    return false;
  }
  return contains(options.internal, list.trim());
}

function contains(list: BlockList | undefined, address: string): boolean {
  const family = isIP(address);
  return list !== undefined && family !== 0 && list.check(address, family === 6 ? "ipv6" : "ipv4");
}

/** The address that stands `skip` places before the last in x-forwarded-for; undefined when there is no valid one. */
function addressFromEnd(headers: HeaderMap, skip: number): string | undefined {
  const list = headers.getJoined("x-forwarded-for")?.split(",");
  const address = list?.[list.length - 1 - skip]?.trim();
  return address !== undefined && isIP(address) !== 0 ? address : undefined;
}

function appendForwardedFor(headers: HeaderMap, connection: ConnectionInfo, options: ForwardedOptions): void {
  const peer = connection.remoteAddress;
  if (peer === "") {
    // A Unix socket: there is no address to tell.
    return;
  }
  appendTo(headers, "x-forwarded-for", isLoopback(peer) ? options.localAddress : peer, ",");
}

function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.");
}

function appendTo(headers: HeaderMap, name: string, value: string, separator: string): void {
  const before = headers.getJoined(name);
  headers.set(name, before === undefined || before === "" ? value : before + separator + value);
}

// The scheme of the request is what a trusted peer says it was, else that of the connection.
function setScheme(head: RequestHead): void {
  const { headers } = head;
  const index = headers.indexOf("x-forwarded-proto");
  if (index < 0) {
    headers.add("x-forwarded-proto", head.scheme);
    return;
  }
  const claimed = headers.valueAt(index).toLowerCase();
  if (claimed === "http" || claimed === "https") {
    head.scheme = claimed;
  }
}

function cleanEnvoyFields(headers: HeaderMap, isInternal: boolean, isEdge: boolean): void {
  headers.remove("x-envoy-internal");
  if (isInternal) {
    return;
  }
  for (const name of INTERNAL_ONLY) {
    headers.remove(name);
  }
  if (isEdge) {
    for (const name of NOT_FROM_THE_EDGE) {
      headers.remove(name);
    }
  }
}

function setRequestId(headers: HeaderMap, always: boolean): void {
  const index = headers.indexOf("x-request-id");
  if (index < 0) {
    headers.add("x-request-id", uuidText(random));
  } else if (always) {
    headers.set("x-request-id", uuidText(random));
  }
}

/** Fields of the connection manager that finish a response. */
export type ResponseFieldOptions = Pick<
  HttpConnectionManager,
  "serverName" | "serverHeader" | "via" | "alwaysSetRequestIdInResponse"
>;

/** Takes hop-by-hop fields off a response and adds Server, Date, Via and, where asked for, the request's id. */
export function finishResponseHeaders(head: ResponseHead, request: RequestHead, options: ResponseFieldOptions): void {
  const { headers } = head;
  if (head.status !== 101) {
    stripResponseFields(headers);
  }
  if (options.alwaysSetRequestIdInResponse) {
    const id = request.headers.get("x-request-id");
    if (id !== undefined) {
      headers.set("x-request-id", id);
    }
  }
  if (options.via !== "") {
    appendTo(headers, "via", options.via, ", ");
  }
  if (!headers.has("date")) {
    headers.add("date", dateField(Date.now()));
  }
  if (options.serverHeader !== "pass_through") {
    if (options.serverHeader === "overwrite") {
      headers.set("server", options.serverName);
    } else if (!headers.has("server")) {
      headers.add("server", options.serverName);
    }
  }
}

/** Request ids name requests and keep no secret. */
const random = new RandomSource();

let ownAddress = "";

/** The first address of this machine that is not loopback, IPv4 before IPv6, as Envoy's local address. */
function machineAddress(): string {
  if (ownAddress === "") {
    const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    const outward = all.filter((entry) => !entry.internal);
    ownAddress = (outward.find((entry) => entry.family === "IPv4") ?? outward[0])?.address ?? "127.0.0.1";
  }
  return ownAddress;
}
