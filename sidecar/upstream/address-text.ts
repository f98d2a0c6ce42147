// How an upstream address is written in logs, spans, statistics and /clusters.

import { isIPv4, isIPv6 } from "node:net";
import type { Address } from "../../xds/model/address.ts";

/** `1.2.3.4:80`, `[::1]:80`, or the path of a Unix socket. */
export function addressText(address: Address): string {
  if (address.kind === "pipe") {
    return address.path;
  }
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** Of `1.2.3.4:80` or `[::1]:80`; undefined when it is neither. */
export function parseAddress(text: string): { readonly host: string; readonly port: number } | undefined {
  const colon = text.lastIndexOf(":");
  const bracketed = text.slice(0, Math.max(colon, 0));
  const digits = text.slice(colon + 1);
  const isV6 = bracketed.startsWith("[") && bracketed.endsWith("]");
  const host = isV6 ? bracketed.slice(1, -1) : bracketed;
  const isAddress = isV6 ? isIPv6(host) && !host.includes("%") : isIPv4(host);
  const port = /^\d{1,5}$/.test(digits) ? Number(digits) : 65_536;
  return isAddress && port <= 65_535 ? { host, port } : undefined;
}
