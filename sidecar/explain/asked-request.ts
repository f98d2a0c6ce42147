// From a question to the head that routes see, by the way that a request takes: bytes, the codec, its checks of target and Host, and the
// fields that the proxy sets. And to the listener and filter chain that its connection would get.

import { Buffer } from "node:buffer";
import type { Address } from "../../xds/model/address.ts";
import type { FilterChain, HttpConnectionManager, Listener } from "../../xds/model/listener.ts";
import { forwardedOptions, mutateRequestHeaders } from "../http/forwarded.ts";
import { H1Parser } from "../http/h1-parser.ts";
import { isFieldName, isFieldValue } from "../http/headers.ts";
import { RequestHead } from "../http/message.ts";
import type { ConnectionInfo } from "../http/stream.ts";
import { connectionOptions } from "../listener/connection-options.ts";
import { downstreamStats } from "../listener/downstream-stats.ts";
import { selectFilterChain } from "../listener/filter-chain-match.ts";
import { RequestReader } from "../listener/request-head.ts";
import { rejectionOf } from "../listener/rejection.ts";
import { StatsTable } from "../stats/table.ts";
import { addressText } from "../upstream/address-text.ts";
import type { Question } from "./explanation.ts";

/** A question that makes sense. */
export interface AskedRequest {
  readonly url: URL;
  readonly bytes: Uint8Array;
}

/** Spaces and control characters, which would end the request line. */
const NOT_IN_A_URL = /[^!-~\u00a0-\u{10ffff}]/u;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** The request's head as a client would send it; a text says what is wrong with the question. */
export function askedRequest({ method, url: given, headers }: Question): AskedRequest | string {
  if (!TOKEN.test(method)) {
    return `"${method}" is no method`;
  }
  const text = given.startsWith("/") ? `http://localhost${given}` : given.includes("://") ? given : `http://${given}`;
  const url = URL.parse(text);
  if (url === null || NOT_IN_A_URL.test(given) || (url.protocol !== "http:" && url.protocol !== "https:")) {
    return `"${given}" is no URL: must be http://HOST[:PORT]/PATH, or a path`;
  }
  // The path as it was written: URL would make `/a/../b` canonical, which is the proxy's business.
  const [, path = ""] = /^https?:\/\/[^/?#]*([^#]*)/i.exec(text) ?? [];
  const target = path.startsWith("/") ? path : `/${path}`;
  const fields: string[] = [];
  let hasHost = false;
  for (const header of headers) {
    const colon = header.indexOf(":", 1);
    const name = header.slice(0, Math.max(0, colon)).trim();
    const value = header.slice(colon + 1).trim();
    if (colon < 0 || !isFieldName(name) || !isFieldValue(value)) {
      return `header "${header}" must be NAME: VALUE`;
    }
    hasHost ||= name.toLowerCase() === "host";
    fields.push(`${name}: ${value}\r\n`);
  }
  if (!hasHost) {
    fields.unshift(`Host: ${url.host}\r\n`);
  }
  return { url, bytes: Buffer.from(`${method} ${target} HTTP/1.1\r\n${fields.join("")}\r\n`) };
}

export interface Entry {
  readonly listener: Listener;
  readonly why: string;
}

/** The listener that is meant; a text says why it is not known which. */
export function entryOf(listeners: readonly Listener[], { listener: name }: Question, url: URL): Entry | string {
  const names = listeners.map((each) => each.name).slice(0, 20);
  const known = names.length === 0 ? "there are no listeners" : `there are ${names.join(", ")}`;
  if (name !== "") {
    const named = listeners.find((each) => each.name === name);
    return named === undefined ? `no listener "${name}"; ${known}` : { listener: named, why: "as asked" };
  }
  const port = url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
  const atPort = listeners.filter(({ address, additionalAddresses }) =>
    [address, ...additionalAddresses].some((each) => each.kind === "tcp" && each.port === port),
  );
  const [first, second] = atPort;
  if (first !== undefined && second === undefined) {
    return { listener: first, why: `it has the URL's port ${port}` };
  }
  const [only] = listeners;
  if (only !== undefined && listeners.length === 1) {
    return { listener: only, why: "it is the only one" };
  }
  const problem = first === undefined ? `no listener has port ${port}` : `several listeners have port ${port}`;
  return `${problem}; name one with --listener: ${known}`;
}

export function connectionTo({ address }: Listener, from: string): ConnectionInfo {
  const local = ownAddress(address);
  return { id: 0, remoteAddress: from, remotePort: 0, ...local, direct: undefined, source: undefined };
}

function ownAddress(address: Address): { readonly localAddress: string; readonly localPort: number } {
  if (address.kind !== "tcp") {
    return { localAddress: addressText(address), localPort: 0 };
  }
  const { host, port } = address;
  return { localAddress: host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host, localPort: port };
}

/** The filter chain of such a connection. */
export function chainFor(
  { filterChains, defaultFilterChain }: Listener,
  connection: ConnectionInfo,
): { readonly chain: FilterChain; readonly why: string } | undefined {
  const chosen = selectFilterChain(
    filterChains.map((chain) => ({ chain, match: chain.match })),
    connection,
  );
  if (chosen !== undefined) {
    const count = filterChains.length;
    const place = filterChains.indexOf(chosen) + 1;
    return { chain: chosen, why: count === 1 ? "the only one" : `the most specific match, ${place} of ${count}` };
  }
  return defaultFilterChain && { chain: defaultFilterChain, why: "the default one, because no other matches" };
}

/** What the codec of a connection manager makes of the request; a text says why it refuses it. */
export function headOf(
  { bytes }: AskedRequest,
  manager: HttpConnectionManager,
  listener: Listener,
  connection: ConnectionInfo,
): RequestHead | string {
  const stats = downstreamStats(new StatsTable({ onDefine: () => undefined }), "explain");
  const handler = {
    onStream: (): never => {
      throw new Error("an explanation opens no stream");
    },
    rejectionReply: () => undefined,
  };
  const options = connectionOptions(manager, listener.perConnectionBufferLimitBytes, stats, handler);
  let isComplete = false;
  const sink = {
    onHead: () => {
      isComplete = true;
    },
    onBody: () => undefined,
    onTrailers: () => undefined,
  };
  const parser = new H1Parser("request", sink, options.limits);
  const buffer = Buffer.from(bytes);
  parser.execute(buffer, 0, buffer.length);
  if (parser.failure !== undefined || !isComplete) {
    const refused = parser.failure && rejectionOf(parser.failure);
    return refused === undefined
      ? "the head is not complete"
      : `${refused.status} ${refused.details}: ${refused.message}`;
  }
  const head = new RequestReader(options, connection.localPort, false).read(parser);
  if (!(head instanceof RequestHead)) {
    const { status, details, message, location } = head;
    return location === "" ? `${status} ${details}: ${message}` : `${status} to ${location}, the canonical path`;
  }
  mutateRequestHeaders(head, connection, forwardedOptions(manager));
  return head;
}
