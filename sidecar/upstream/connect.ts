// Dials one upstream address: a socket that reads into the worker's shared buffer and is on its way when this returns.
// Called by connection.ts and the TCP proxy, which own the socket, its deadline and its errors.

import { Socket } from "node:net";
import type { SocketConstructorOpts } from "node:net";

import type { Address, TcpAddress } from "../../xds/model/address.ts";
import type { BindConfig, BindSource } from "../../xds/model/socket-options.ts";
import type { UpstreamSource } from "../http/stream.ts";
import { IP_FREEBIND, IP_TRANSPARENT, setAll, SO_MARK, SO_REUSEADDR, socketOptions } from "../socket-options.ts";

export interface DialOptions {
  readonly readBuffer: Buffer;
  /** Bytes of unsent data from which `write` asks for a pause. */
  readonly bufferLimitBytes: number;
  /** `bytes` have been read into the start of `readBuffer`; they are there until the call returns. */
  readonly onRead: (bytes: number) => boolean;
  /** The socket stays open for writing when the upstream has shut its side. */
  readonly allowHalfOpen?: boolean;
  /** Idle milliseconds before TCP probes the upstream; undefined: it does not. */
  readonly keepAliveMs: number | undefined;
  /** Where the connection comes from; undefined: the kernel chooses. */
  readonly bind: BindConfig | undefined;
  /** The client's address, which counts before `bind`. */
  readonly source: UpstreamSource | undefined;
}

type Settings = SocketConstructorOpts & { readonly highWaterMark: number };

/** Reading begins with the connection; `address.host` must be an IP literal, so no resolver is asked. */
export function dial(address: Address, options: DialOptions): Socket {
  const settings: Settings = {
    onread: { buffer: options.readBuffer, callback: options.onRead },
    noDelay: true,
    highWaterMark: options.bufferLimitBytes,
    allowHalfOpen: options.allowHalfOpen === true,
    ...(options.keepAliveMs === undefined ? {} : { keepAlive: true, keepAliveInitialDelay: options.keepAliveMs }),
  };
  if (address.kind === "tcp" && (options.bind !== undefined || options.source !== undefined)) {
    return dialFrom(address, options, settings);
  }
  const socket = new Socket(settings);
  if (address.kind === "pipe") {
    socket.connect({ path: address.path });
  } else {
    socket.connect({ host: address.host, port: address.port });
  }
  return socket;
}

function dialFrom({ host, port }: TcpAddress, { bind, source }: DialOptions, settings: Settings): Socket {
  const isIpv6 = host.includes(":");
  const from = source !== undefined && source.host.includes(":") === isIpv6 ? source : undefined;
  const bound = bind?.sources.find((each) => each.host.includes(":") === isIpv6);
  if (from === undefined && (bound === undefined || (bound.options.length === 0 && !bound.freebind))) {
    const socket = new Socket(settings);
    const place = bound === undefined ? {} : { localAddress: bound.host };
    socket.connect({
      host,
      port,
      ...place,
      ...(bound !== undefined && bound.port > 0 ? { localPort: bound.port } : {}),
    });
    return socket;
  }
  try {
    const fd = from === undefined ? openBound(bound as BindSource) : openTransparent(from);
    const socket = new Socket({ ...settings, fd, manualStart: true } as SocketConstructorOpts);
    socket.connect({ host, port });
    return socket;
  } catch (error) {
    // Told as a failure to connect, which it is.
    return new Socket(settings).destroy(error instanceof Error ? error : new Error(String(error)));
  }
}

/** A socket bound as the cluster says, with options that Node.js does not know. */
function openBound({ host, port, freebind, options }: BindSource): number {
  return opened({ host, port }, (fd, isIpv6) => {
    if (freebind && !socketOptions().set(fd, ...(isIpv6 ? IP_FREEBIND.v6 : IP_FREEBIND.v4), 1)) {
      throw new Error("freebind is refused");
    }
    setAll(fd, isIpv6, options, "prebind");
    return () => setAll(fd, isIpv6, options, "bound");
  });
}

/** A socket that has the client's address. */
function openTransparent({ host, port, mark }: UpstreamSource): number {
  return opened({ host, port }, (fd, isIpv6) => {
    const os = socketOptions();
    const isTransparent = os.set(fd, ...(isIpv6 ? IP_TRANSPARENT.v6 : IP_TRANSPARENT.v4), 1);
    if (!isTransparent || (mark !== 0 && !os.set(fd, ...SO_MARK, mark))) {
      throw new Error("the client's address cannot be kept: original_src needs CAP_NET_ADMIN");
    }
    return () => undefined;
  });
}

function opened(
  address: { readonly host: string; readonly port: number },
  prepare: (fd: number, isIpv6: boolean) => () => void,
): number {
  const os = socketOptions();
  const isIpv6 = address.host.includes(":");
  const fd = os.open(isIpv6);
  try {
    os.set(fd, ...SO_REUSEADDR, 1);
    const onBound = prepare(fd, isIpv6);
    if (!os.bind(fd, address)) {
      throw new Error(`cannot connect from ${address.host}: the kernel refuses to bind it`);
    }
    onBound();
    return fd;
  } catch (error) {
    os.close(fd);
    throw error;
  }
}
