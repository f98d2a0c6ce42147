// Requests that a browser makes for another site: whoever reads a page must not change what runs on this machine. For
// the sidecar's admin port and the control plane's.

import type { IncomingMessage } from "node:http";
import { textReply } from "./reply.ts";
import type { AdminReply } from "./reply.ts";

/**
 * What a browser sends on behalf of another site: a form or script there (Origin, Sec-Fetch-Site), or a name that its
 * owner points at loopback (Host). Tools send none of these, or an address. Undefined: it may be answered.
 */
export function foreignRefusal(request: IncomingMessage, isLoopback: boolean): AdminReply | undefined {
  const host = request.headers.host ?? "";
  const { origin } = request.headers;
  const site = request.headers["sec-fetch-site"];
  const isForeign =
    site === "cross-site" ||
    (origin !== undefined && origin.replace(/^https?:\/\//, "") !== host) ||
    (isLoopback && !isLocalName(host));
  return isForeign ? textReply("Requests from other sites are not allowed.\n", 403) : undefined;
}

export function isLoopbackHost(host: string): boolean {
  return /^(?:127\.|\[?::1\]?$|localhost$)/.test(host);
}

/** An IP address, `localhost`, or nothing. */
function isLocalName(host: string): boolean {
  return host === "" || /^(?:localhost|[^:]*\.localhost|[\d.]+|\[[\da-fA-F:.]+\])(?::\d+)?$/.test(host);
}
