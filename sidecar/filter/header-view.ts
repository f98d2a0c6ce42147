// How a plugin sees the heads of a stream: pseudo-headers first, then the fields, names in lower case, no Host.
// Made by wasm-filter.ts, one for each map that a plugin asks for. Hot path: `get` and `add` allocate nothing of their own.
// Names lose their case only in the plugin's eyes: what it does not touch goes out as it came in, what it writes as it
// wrote it.

import type { HeaderAccess } from "../../plugins/ports.ts";
import type { HeaderMap } from "../http/headers.ts";
import type { RequestHead, ResponseHead } from "../http/message.ts";

const COLON = 58;
const REQUEST_PSEUDO = [":authority", ":path", ":method", ":scheme"] as const;

/** Which is the authority and no field of its own to a plugin, however it is spelled. */
function isHost(name: string): boolean {
  return name.length === 4 && name.toLowerCase() === "host";
}

/** Map 0: the request's head. A pseudo-header that a plugin removes keeps its value: without it no request can go on. */
export class RequestHeaderView implements HeaderAccess {
  readonly head: RequestHead;

  constructor(head: RequestHead) {
    this.head = head;
  }

  get size(): number {
    const headers = this.head.headers;
    return REQUEST_PSEUDO.length + headers.size - (headers.has("host") ? 1 : 0);
  }

  nameAt(index: number): string {
    const pseudo = REQUEST_PSEUDO[index];
    return pseudo ?? this.head.headers.nameAt(this.#field(index)).toLowerCase();
  }

  valueAt(index: number): string {
    const pseudo = REQUEST_PSEUDO[index];
    return pseudo === undefined ? this.head.headers.valueAt(this.#field(index)) : (this.get(pseudo) ?? "");
  }

  get(name: string): string | undefined {
    if (name.charCodeAt(0) !== COLON) {
      return name === "host" ? this.head.authority : this.head.headers.get(name);
    }
    switch (name) {
      case ":path":
        return this.head.path;
      case ":method":
        return this.head.method;
      case ":authority":
        return this.head.authority;
      case ":scheme":
        return this.head.scheme;
      default:
        return undefined;
    }
  }

  add(name: string, value: string): void {
    if (name.charCodeAt(0) === COLON || isHost(name)) {
      this.replace(name, value);
    } else {
      this.head.headers.add(name, value);
    }
  }

  replace(name: string, value: string): boolean {
    if (isHost(name)) {
      this.head.setAuthority(value);
      return true;
    }
    if (name.charCodeAt(0) !== COLON) {
      return this.head.headers.replace(name, value);
    }
    switch (name.toLowerCase()) {
      case ":path":
        this.head.path = value;
        break;
      case ":method":
        this.head.method = value;
        break;
      case ":scheme":
        this.head.scheme = value;
        break;
      case ":authority":
        this.head.setAuthority(value);
    }
    return true;
  }

  remove(name: string): boolean {
    return name.charCodeAt(0) !== COLON && !isHost(name) && this.head.headers.remove(name) > 0;
  }

  replaceAll(pairs: readonly string[]): void {
    this.head.headers.clear();
    this.head.headers.add("Host", this.head.authority);
    for (let i = 0; i < pairs.length; i += 2) {
      this.add(pairs[i] as string, pairs[i + 1] as string);
    }
  }

  /** Index among the fields of entry `index`, past the pseudo-headers and past Host. */
  #field(index: number): number {
    const field = index - REQUEST_PSEUDO.length;
    const host = this.head.headers.indexOf("host");
    return host >= 0 && field >= host ? field + 1 : field;
  }
}

/** Map 2: the response's head. Writing `:status` changes the status; a status that is none leaves it as it is. */
export class ResponseHeaderView implements HeaderAccess {
  readonly head: ResponseHead;

  constructor(head: ResponseHead) {
    this.head = head;
  }

  get size(): number {
    return this.head.headers.size + 1;
  }

  nameAt(index: number): string {
    return index === 0 ? ":status" : this.head.headers.nameAt(index - 1).toLowerCase();
  }

  valueAt(index: number): string {
    return index === 0 ? String(this.head.status) : this.head.headers.valueAt(index - 1);
  }

  get(name: string): string | undefined {
    return name.charCodeAt(0) === COLON
      ? name === ":status"
        ? String(this.head.status)
        : undefined
      : this.head.headers.get(name);
  }

  add(name: string, value: string): void {
    if (name.charCodeAt(0) === COLON) {
      this.replace(name, value);
    } else {
      this.head.headers.add(name, value);
    }
  }

  replace(name: string, value: string): boolean {
    if (name.charCodeAt(0) !== COLON) {
      return this.head.headers.replace(name, value);
    }
    const status = Number(value);
    if (name === ":status" && Number.isInteger(status) && status >= 200 && status <= 599) {
      this.head.status = status;
      this.head.reason = "";
    }
    return true;
  }

  remove(name: string): boolean {
    return name.charCodeAt(0) !== COLON && this.head.headers.remove(name) > 0;
  }

  replaceAll(pairs: readonly string[]): void {
    this.head.headers.clear();
    for (let i = 0; i < pairs.length; i += 2) {
      this.add(pairs[i] as string, pairs[i + 1] as string);
    }
  }
}

/** Maps 1 and 3: trailers, which have no pseudo-headers. */
export class TrailerView implements HeaderAccess {
  readonly trailers: HeaderMap;

  constructor(trailers: HeaderMap) {
    this.trailers = trailers;
  }

  get size(): number {
    return this.trailers.size;
  }

  nameAt(index: number): string {
    return this.trailers.nameAt(index).toLowerCase();
  }

  valueAt(index: number): string {
    return this.trailers.valueAt(index);
  }

  get(name: string): string | undefined {
    return this.trailers.get(name);
  }

  add(name: string, value: string): void {
    if (name.charCodeAt(0) !== COLON) {
      this.trailers.add(name, value);
    }
  }

  replace(name: string, value: string): boolean {
    return name.charCodeAt(0) !== COLON && this.trailers.replace(name, value);
  }

  remove(name: string): boolean {
    return this.trailers.remove(name) > 0;
  }

  replaceAll(pairs: readonly string[]): void {
    this.trailers.clear();
    for (let i = 0; i < pairs.length; i += 2) {
      this.add(pairs[i] as string, pairs[i + 1] as string);
    }
  }
}
