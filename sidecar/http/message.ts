// The heads of a request and of a response, as every codec makes them and every filter, route and plugin sees them.
// Pseudo-headers (`:method`, `:path`, `:authority`, `:scheme`, `:status`) are fields of these objects, not of the HeaderMap;
// `pseudo-headers.ts` presents both together where Envoy's words do (matchers, plugins, access logs).

import { HeaderMap } from "./headers.ts";

/** A request's head. `path` is the canonical origin-form target that routing, plugins and the upstream all see. */
export class RequestHead {
  method: string;
  /** Origin form with its query, `*` for OPTIONS, or empty for CONNECT. */
  path: string;
  /** Host and optional port. Change it with `setAuthority`, which keeps the Host field in step. */
  authority: string;
  scheme: string;
  readonly headers: HeaderMap;

  constructor(method: string, path: string, authority: string, scheme: string, headers: HeaderMap) {
    this.method = method;
    this.path = path;
    this.authority = authority;
    this.scheme = scheme;
    this.headers = headers;
  }

  setAuthority(authority: string): void {
    this.authority = authority;
    this.headers.set("Host", authority);
  }
}

/** A response's head; `reason` is what the upstream sent, empty when there was none. */
export class ResponseHead {
  status: number;
  reason: string;
  readonly headers: HeaderMap;

  constructor(status: number, reason: string, headers: HeaderMap = new HeaderMap()) {
    this.status = status;
    this.reason = reason;
    this.headers = headers;
  }
}
