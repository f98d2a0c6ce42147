// Pseudo-headers and fields under one roof, by Envoy's names (`:path`, `:authority` …): what matchers, header rules, access
// logs and plugins mean by a header. The codecs and heads keep them apart; `host` and `:authority` are one and the same.

import type { RequestHead, ResponseHead } from "./message.ts";

const COLON = 58;

/** The value of `name` (lower case); several lines of one name joined by commas, as Envoy sees them. */
export function requestField(head: RequestHead, name: string): string | undefined {
  if (name.charCodeAt(0) !== COLON) {
    return name === "host" ? head.authority : head.headers.getJoined(name);
  }
  switch (name) {
    case ":method":
      return head.method;
    case ":path":
      return head.path;
    case ":authority":
      return head.authority;
    case ":scheme":
      return head.scheme;
    default:
      return undefined;
  }
}

/** Sets `name` (lower case) to one value. False for a pseudo-header that requests do not have. */
export function setRequestField(head: RequestHead, name: string, value: string): boolean {
  switch (name) {
    case ":method":
      head.method = value;
      return true;
    case ":path":
      head.path = value;
      return true;
    case ":authority":
    case "host":
      head.setAuthority(value);
      return true;
    case ":scheme":
      head.scheme = value;
      return true;
    default:
      if (name.charCodeAt(0) === COLON) {
        return false;
      }
      head.headers.set(name, value);
      return true;
  }
}

/** The value of `name` (lower case) in a response. */
export function responseField(head: ResponseHead, name: string): string | undefined {
  return name === ":status" ? String(head.status) : head.headers.getJoined(name);
}

/** Sets `name` (lower case) to one value. False for a pseudo-header other than `:status`, or a status that is none. */
export function setResponseField(head: ResponseHead, name: string, value: string): boolean {
  if (name.charCodeAt(0) !== COLON) {
    head.headers.set(name, value);
    return true;
  }
  if (name !== ":status" || !/^[1-9][0-9]{2}$/.test(value)) {
    return false;
  }
  if (head.status !== Number(value)) {
    head.status = Number(value);
    // The phrase was that of another status.
    head.reason = "";
  }
  return true;
}
