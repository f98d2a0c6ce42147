// Connections that were meant for another address than the one that they arrived at: what it was, and which listener has it.
// Used by listener.ts, once for each connection of a listener that has the listener filter original_dst or use_original_dst.

import type { Interception } from "../../xds/model/listener.ts";
import type { ConnectionInfo } from "../http/stream.ts";
import type { AcceptedHandle } from "./accepted-handle.ts";
import { socketOptions } from "../socket-options.ts";

/** What a listener does with such connections. */
export interface Capture<Listener> {
  readonly interception: Interception;
  /** The other listener of a destination; undefined: there is none. */
  readonly listenerOf: (host: string, port: number) => Listener | undefined;
}

/** `info` with the client's address as the source of what goes upstream. */
export function keepSource(info: ConnectionInfo, { source }: Interception): ConnectionInfo {
  if (source === undefined || info.remoteAddress === "") {
    return info;
  }
  const { bindsPort, mark } = source;
  return { ...info, source: { host: info.remoteAddress, port: bindsPort ? info.remotePort : 0, mark } };
}

/**
 * `info` with the address that the connection was meant for as its local one. `ownPort` is the listener's: a connection that came to
 * it directly is not restored, because whoever goes on to "where it was meant to go" would come back, for ever.
 */
export function restoreDestination(
  accepted: AcceptedHandle,
  info: ConnectionInfo,
  { transparent }: Interception,
  ownPort: number,
): ConnectionInfo {
  const { localAddress, localPort } = info;
  // A rule that redirects leaves our own port; a transparent socket has the destination that was meant.
  const isOwnPort = localPort === ownPort;
  const destination =
    isOwnPort || !transparent
      ? socketOptions().originalDestination(accepted.fd, localAddress.includes(":"))
      : { host: localAddress, port: localPort };
  if (destination === undefined || (isOwnPort && destination.port === ownPort && destination.host === localAddress)) {
    return info;
  }
  return {
    ...info,
    localAddress: destination.host,
    localPort: destination.port,
    direct: { address: localAddress, port: localPort },
  };
}
