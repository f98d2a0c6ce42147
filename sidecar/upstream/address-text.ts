// How an upstream address is written in logs, spans, statistics and /clusters.

import type { Address } from "../../xds/model/address.ts";

/** `1.2.3.4:80`, `[::1]:80`, or the path of a Unix socket. */
export function addressText(address: Address): string {
  if (address.kind === "pipe") {
    return address.path;
  }
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
