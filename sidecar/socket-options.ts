// What Node.js cannot ask or set of a socket: the address that a redirected connection was meant for, and options by number.
// libc is called through node:ffi (Node.js 26.1 or newer), which is loaded only when somebody asks; nothing native is shipped.
// A call costs 2 µs: once for a connection, never for a chunk.

import type * as Ffi from "node:ffi";
import { createRequire } from "node:module";
import type { SocketOption } from "../xds/model/socket-options.ts";

export interface Destination {
  readonly host: string;
  readonly port: number;
}

const SOL_IP = 0;
const SOL_IPV6 = 41;
const SO_ORIGINAL_DST = 80;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCKADDR_IN6_BYTES = 28;
const SCRATCH_BYTES = 4096;

const SOCKADDR_IN_BYTES = 16;
const SOCK_STREAM_NONBLOCK_CLOEXEC = 0o2004001;

/** Level and name of an option. */
export type OptionName = readonly [level: number, name: number];
export const IP_TRANSPARENT: Families = { v4: [SOL_IP, 19], v6: [SOL_IPV6, 75] };
export const IP_FREEBIND: Families = { v4: [SOL_IP, 15], v6: [SOL_IPV6, 78] };
export const SO_MARK: OptionName = [1, 36];
export const SO_REUSEADDR: OptionName = [1, 2];
export const SO_REUSEPORT: OptionName = [1, 15];

interface Families {
  readonly v4: OptionName;
  readonly v6: OptionName;
}

type FfiModule = typeof Ffi;

interface Libc {
  readonly getsockopt: (fd: number, level: number, name: number, value: bigint, length: bigint) => number;
  readonly setsockopt: (fd: number, level: number, name: number, value: bigint, length: number) => number;
  readonly socket: (domain: number, type: number, protocol: number) => number;
  readonly bind: (fd: number, address: bigint, length: number) => number;
  readonly close: (fd: number) => number;
}

export class SocketOptions {
  readonly #libc: Libc;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #value: bigint;
  readonly #length: bigint;

  private constructor(ffi: FfiModule) {
    // Addresses as numbers: as pointers they cost a third more.
    const { functions } = ffi.dlopen(null, {
      getsockopt: { arguments: ["i32", "i32", "i32", "u64", "u64"], return: "i32" },
      setsockopt: { arguments: ["i32", "i32", "i32", "pointer", "u32"], return: "i32" },
      socket: { arguments: ["i32", "i32", "i32"], return: "i32" },
      bind: { arguments: ["i32", "pointer", "u32"], return: "i32" },
      close: { arguments: ["i32"], return: "i32" },
    });
    this.#libc = functions;
    // One buffer for every call, by its address: handing a Buffer over costs half as much again.
    const scratch = new ArrayBuffer(SCRATCH_BYTES);
    this.#view = new DataView(scratch);
    this.#bytes = new Uint8Array(scratch);
    this.#length = ffi.getRawPointer(scratch);
    this.#value = this.#length + 8n;
  }

  /** Throws with what is missing. */
  static load(): SocketOptions {
    let ffi: FfiModule;
    try {
      ffi = createRequire(import.meta.url)("node:ffi") as FfiModule;
    } catch {
      throw new Error("this Node.js has no node:ffi, by which sockets are asked: it needs 26.1 or newer");
    }
    return new SocketOptions(ffi);
  }

  /** Where a connection was sent before a REDIRECT rule changed that; its own address when no rule did, undefined when nobody knows. */
  originalDestination(fd: number, isIpv6: boolean): Destination | undefined {
    const view = this.#view;
    view.setUint32(0, SOCKADDR_IN6_BYTES, true);
    if (this.#libc.getsockopt(fd, isIpv6 ? SOL_IPV6 : SOL_IP, SO_ORIGINAL_DST, this.#value, this.#length) !== 0) {
      return undefined;
    }
    const family = view.getUint16(8, true);
    const port = view.getUint16(10, false);
    if (family === AF_INET) {
      const bytes = this.#bytes;
      return { host: `${bytes[12]}.${bytes[13]}.${bytes[14]}.${bytes[15]}`, port };
    }
    return family === AF_INET6 ? { host: ipv6Text(view, 16), port } : undefined;
  }

  /** A TCP socket that is not bound; its descriptor is the caller's. */
  open(isIpv6: boolean): number {
    const fd = this.#libc.socket(isIpv6 ? AF_INET6 : AF_INET, SOCK_STREAM_NONBLOCK_CLOEXEC, 0);
    if (fd < 0) {
      throw new Error("no socket could be made");
    }
    return fd;
  }

  close(fd: number): void {
    this.#libc.close(fd);
  }

  /** `host` is an IP literal of the socket's family. False when the kernel refuses. */
  bind(fd: number, { host, port }: Destination): boolean {
    const view = this.#view;
    const isIpv6 = host.includes(":");
    this.#bytes.fill(0, 8, 8 + SOCKADDR_IN6_BYTES);
    view.setUint16(8, isIpv6 ? AF_INET6 : AF_INET, true);
    view.setUint16(10, port, false);
    this.#bytes.set(addressBytes(host), isIpv6 ? 16 : 12);
    return this.#libc.bind(fd, this.#value, isIpv6 ? SOCKADDR_IN6_BYTES : SOCKADDR_IN_BYTES) === 0;
  }

  /** Sets a number, or bytes. False when the kernel refuses. */
  set(fd: number, level: number, name: number, value: number | Uint8Array): boolean {
    let length = 4;
    if (typeof value === "number") {
      this.#view.setInt32(8, value, true);
    } else {
      length = Math.min(value.length, SCRATCH_BYTES - 8);
      this.#bytes.set(value.subarray(0, length), 8);
    }
    return this.#libc.setsockopt(fd, level, name, this.#value, length) === 0;
  }
}

/** What is set on a socket of one address family. */
export function setAll(
  fd: number,
  isIpv6: boolean,
  options: readonly SocketOption[],
  state: SocketOption["state"],
): void {
  for (const { level, name, value, family } of options.filter((each) => each.state === state)) {
    if (family !== (isIpv6 ? 4 : 6) && !socketOptions().set(fd, level, name, value)) {
      throw new Error(`socket option ${level}/${name} is refused; some need CAP_NET_ADMIN`);
    }
  }
}

let loaded: SocketOptions | undefined;

/** The one of this thread. Throws with what is missing. */
export function socketOptions(): SocketOptions {
  loaded ??= SocketOptions.load();
  return loaded;
}

/** The file descriptor of a Node.js socket or server; -1 when it has none any more. */
export function descriptorOf(socket: object): number {
  const { _handle: handle } = socket as { readonly _handle?: { readonly fd?: number } | null };
  return handle?.fd ?? -1;
}

/** The short form of RFC 5952, which is how Node.js writes addresses: the longest run of zeros becomes "::". */
export function ipv6Text(view: DataView, offset: number): string {
  let start = -1;
  let longest = 1;
  for (let i = 0; i < 8;) {
    let end = i;
    while (end < 8 && view.getUint16(offset + end * 2, false) === 0) {
      end++;
    }
    if (end - i > longest) {
      start = i;
      longest = end - i;
    }
    i = end + 1;
  }
  const group = (index: number): string => view.getUint16(offset + index * 2, false).toString(16);
  const groups = (from: number, to: number): string =>
    Array.from({ length: to - from }, (_, i) => group(from + i)).join(":");
  return start < 0 ? groups(0, 8) : `${groups(0, start)}::${groups(start + longest, 8)}`;
}

/** The 4 or 16 bytes of an IP literal. */
export function addressBytes(host: string): Uint8Array {
  if (!host.includes(":")) {
    return Uint8Array.from(host.split("."), Number);
  }
  // The last 32 bits may be written as an IPv4 address.
  const text = host.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...parts) => {
    const [a, b, c, d] = parts.slice(0, 4).map(Number) as [number, number, number, number];
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
  const [head = "", tail] = text.split("::");
  const groups = (part: string): number[] =>
    part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
  const [first, last] = [groups(head), groups(tail ?? "")];
  const all = [...first, ...Array.from({ length: 8 - first.length - last.length }, () => 0), ...last];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 255]));
}
