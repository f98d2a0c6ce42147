// Socket options of a listener, which Node.js knows little of: a socket that is bound by libc and handed to a server, and options that
// can be set on a server that listens. Used by listener.ts for listeners that have any.

import type { ListenOptions, Server } from "node:net";
import type { TcpAddress } from "../../xds/model/address.ts";
import type { Interception } from "../../xds/model/listener.ts";
import {
  descriptorOf,
  IP_FREEBIND,
  IP_TRANSPARENT,
  type OptionName,
  setAll,
  SO_REUSEADDR,
  SO_REUSEPORT,
  socketOptions,
} from "../socket-options.ts";

/** Whether something must be set before or when the socket is bound. */
export function needsOwnSocket({ freebind, socketOptions: options }: Interception): boolean {
  return freebind || options.some(({ state }) => state !== "listening");
}

/** What `listen` takes for a socket that is bound already. Throws with what is refused. */
export function boundSocket(
  { host, port }: TcpAddress,
  { freebind, socketOptions: options }: Interception,
  { reusePort, backlog }: { readonly reusePort: boolean; readonly backlog: number },
): ListenOptions {
  const os = socketOptions();
  const isIpv6 = host.includes(":");
  const fd = os.open(isIpv6);
  try {
    os.set(fd, ...SO_REUSEADDR, 1);
    if (reusePort) {
      os.set(fd, ...SO_REUSEPORT, 1);
    }
    if (freebind) {
      ensure(os.set(fd, ...(isIpv6 ? IP_FREEBIND.v6 : IP_FREEBIND.v4), 1), "freebind is refused");
    }
    setAll(fd, isIpv6, options, "prebind");
    ensure(os.bind(fd, { host, port }), "the kernel refuses to bind it: is it in use, or of another machine?");
    setAll(fd, isIpv6, options, "bound");
    // The server closes it.
    return { fd, backlog, exclusive: true } as ListenOptions;
  } catch (error) {
    os.close(fd);
    throw error;
  }
}

/** Sets what can wait until the server listens. Throws with what is refused. */
export function setListening(
  server: Server,
  { host }: TcpAddress,
  { transparent, socketOptions: options }: Interception,
): void {
  const isIpv6 = host.includes(":");
  const fd = descriptorOf(server);
  if (transparent) {
    // A socket for both versions needs both; one for IPv4 has no IPv6 option.
    const names: readonly OptionName[] = isIpv6 ? [IP_TRANSPARENT.v4, IP_TRANSPARENT.v6] : [IP_TRANSPARENT.v4];
    const areSet = names.every((name) => socketOptions().set(fd, ...name, 1));
    ensure(areSet, "transparent is refused: it needs CAP_NET_ADMIN");
  }
  setAll(fd, isIpv6, options, "listening");
}

function ensure(isDone: boolean, problem: string): void {
  if (!isDone) {
    throw new Error(problem);
  }
}
