// Fields that belong to one connection and are not passed on (RFC 9110 §7.6.1). The codecs make their own.
// Called by listener/request-head.ts for requests, by the proxy for responses. Hot path: most heads have none of them, and
// the parser has already said so by bits of `FIELD`.

import { FIELD, HOP_BY_HOP, listHasToken } from "./h1-fields.ts";
import type { HeaderMap } from "./headers.ts";

// A peer may not have these removed by naming them in Connection: framing and routing stand on them.
const PROTECTED = new Set([
  "host",
  "content-length",
  "transfer-encoding",
  "te",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-forwarded-client-cert",
  "forwarded",
]);

/**
 * Removes from a request's map everything hop-by-hop: Connection and what it names, Keep-Alive, Proxy-Connection, Upgrade,
 * Transfer-Encoding, TE but for `trailers`. `fields` are the parser's bits. Returns the upgrade that was asked for, or "".
 * Connection cannot name Host, framing or forwarding fields: such names are passed over.
 */
export function stripRequestFields(headers: HeaderMap, fields: number): string {
  if ((fields & HOP_BY_HOP) === 0) {
    return "";
  }
  const nominated = (fields & FIELD.connection) === 0 ? "" : (headers.getJoined("connection") ?? "");
  let upgrade = "";
  if ((fields & FIELD.upgrade) !== 0) {
    upgrade = listHasToken(nominated, "upgrade") ? (headers.getJoined("upgrade") ?? "") : "";
    headers.remove("upgrade");
  }
  if ((fields & FIELD.te) !== 0) {
    const sendsTrailers = listHasToken(withoutParameters(headers.getJoined("te") ?? ""), "trailers");
    if (sendsTrailers) {
      headers.set("te", "trailers");
    } else {
      headers.remove("te");
    }
  }
  stripCommon(headers, nominated);
  return upgrade;
}

/** Removes hop-by-hop fields from the map of a response that switches no protocol. */
export function stripResponseFields(headers: HeaderMap): void {
  const index = headers.indexOf("connection");
  if (index >= 0) {
    stripCommon(headers, headers.getJoined("connection") ?? "");
  } else {
    removeField(headers, "keep-alive");
    removeField(headers, "proxy-connection");
    removeField(headers, "transfer-encoding");
  }
  removeField(headers, "upgrade");
}

/** Removes from a trailer section what may not stand there: connection fields. Framing fields the parser refuses. */
export function stripTrailerFields(trailers: HeaderMap): void {
  for (const name of ["connection", "keep-alive", "proxy-connection", "te", "upgrade", "trailer"]) {
    trailers.remove(name);
  }
}

function stripCommon(headers: HeaderMap, nominated: string): void {
  if (nominated !== "") {
    for (const part of nominated.split(",")) {
      const name = part.trim().toLowerCase();
      if (name !== "" && !PROTECTED.has(name)) {
        headers.remove(name);
      }
    }
  }
  headers.remove("connection");
  headers.remove("keep-alive");
  headers.remove("proxy-connection");
  headers.remove("transfer-encoding");
}

function removeField(headers: HeaderMap, name: string): void {
  if (headers.indexOf(name) >= 0) {
    headers.remove(name);
  }
}

function withoutParameters(list: string): string {
  return list.includes(";") ? list.replace(/;[^,]*/g, "") : list;
}

/** Puts an upgrade back that is configured, so that it reaches the upstream. */
export function restoreUpgrade(headers: HeaderMap, upgrade: string): void {
  headers.set("connection", "upgrade");
  headers.set("upgrade", upgrade);
}
