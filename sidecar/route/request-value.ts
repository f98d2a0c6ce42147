// Reads one header of a request head by its lower-case name, pseudo-headers and `host` included, as Envoy's matchers and
// format strings name them. Hot path: allocates nothing but the joined text of a repeated field.

import type { RequestHead } from "../http/message.ts";

/** All values of `name` joined by a comma; undefined when absent. An empty `:path` (CONNECT) counts as absent. */
export function requestValue(head: RequestHead, name: string): string | undefined {
  switch (name) {
    case ":method":
      return head.method;
    case ":path":
      return head.path === "" ? undefined : head.path;
    case ":authority":
    case "host":
      return head.authority === "" ? undefined : head.authority;
    case ":scheme":
      return head.scheme === "" ? undefined : head.scheme;
    default:
      return head.headers.getJoined(name);
  }
}

/** Where the query or fragment of `path` begins; its length when there is none. */
export function pathEnd(path: string): number {
  const query = path.indexOf("?");
  const fragment = path.indexOf("#");
  if (query < 0) {
    return fragment < 0 ? path.length : fragment;
  }
  return fragment >= 0 && fragment < query ? fragment : query;
}

/** Configuration text as it stands on the wire: UTF-8 bytes as latin1 characters (see http/headers.ts). */
export function wireText(text: string): string {
  for (let at = 0; at < text.length; at++) {
    if (text.charCodeAt(at) > 127) {
      return Buffer.from(text, "utf8").toString("latin1");
    }
  }
  return text;
}
