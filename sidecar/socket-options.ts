// What Node.js cannot ask or set of a socket: the address that a redirected connection was meant for, and options by number.
// libc is called through node:ffi (Node.js 26.1 or newer), which is loaded only when somebody asks; nothing native is shipped.
// A call costs 2 µs: once for a connection, never for a chunk.

import type * as Ffi from "node:ffi";
import { createRequire } from "node:module";

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

export const IP_TRANSPARENT = { v4: [SOL_IP, 19], v6: [SOL_IPV6, 75] } as const;
export const IP_FREEBIND = { v4: [SOL_IP, 15], v6: [SOL_IPV6, 78] } as const;

type FfiModule = typeof Ffi;

interface Libc {
  readonly getsockopt: (fd: number, level: number, name: number, value: bigint, length: bigint) => number;
  readonly setsockopt: (fd: number, level: number, name: number, value: bigint, length: number) => number;
}

export class SocketOptions {
  readonly #libc: Libc;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #value: bigint;
  readonly #length: bigint;

  private constructor(ffi: FfiModule) {
    const { functions } = ffi.dlopen(null, {
      getsockopt: { arguments: ["i32", "i32", "i32", "pointer", "pointer"], return: "i32" },
      setsockopt: { arguments: ["i32", "i32", "i32", "pointer", "u32"], return: "i32" },
    });
    this.#libc = functions;
    // One buffer for every call: making one each time, or handing a Buffer over, costs half as much again.
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
