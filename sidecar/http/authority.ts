// The authority of a request: what may stand in Host, and the forms in which it is routed. RFC 3986 §3.2, RFC 9110 §7.2.
// No userinfo: it has no meaning in a request and has been used to confuse peers about the host.

const AUTHORITY = /^(?:\[[0-9A-Fa-f:.]+(?:%25[-0-9A-Za-z._~]+)?\]|[-A-Za-z0-9._~%!$&'()*+,;=]*)(?::[0-9]{0,5})?$/;

/** True for `host`, `host:port`, an IP literal in brackets, and the empty authority. */
export function isAuthority(text: string): boolean {
  return AUTHORITY.test(text);
}

export interface AuthorityOptions {
  /** Envoy's `strip_matching_host_port`: only when it is the listener's port. */
  readonly stripMatchingHostPort: boolean;
  readonly stripAnyHostPort: boolean;
  readonly stripTrailingHostDot: boolean;
}

/** Applies Envoy's host options to a valid authority; `localPort` is the listener's. */
export function stripAuthority(authority: string, options: AuthorityOptions, localPort: number): string {
  const colon = authority.lastIndexOf(":");
  const hasPort = colon >= 0 && !authority.endsWith("]");
  let host = hasPort ? authority.slice(0, colon) : authority;
  let port = hasPort ? authority.slice(colon) : "";
  if (options.stripTrailingHostDot && host.endsWith(".")) {
    host = host.slice(0, -1);
  }
  if (options.stripAnyHostPort || (options.stripMatchingHostPort && port === `:${localPort}`)) {
    port = "";
  }
  return host + port;
}
