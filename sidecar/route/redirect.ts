// The Location of a redirecting route, built as Envoy builds it. Compiled once; the proxy calls it for each redirect.
// Source: envoy.config.route.v3.RedirectAction; Envoy's RouteEntryImplBase::newUri.

import type { RequestHead } from "../http/message.ts";
import type { PathMatcher, RedirectAction } from "../../xds/model/route.ts";
import { wireText } from "./request-value.ts";
import { compilePathRewrite, rewritePath } from "./rewrite.ts";

export interface Redirect {
  readonly status: number;
  /**
   * Safe to write as a field value: control characters and spaces of a hostile request are percent-encoded.
   * Call it once, before response header mutations: as in Envoy a rewrite also changes the request's own path, which
   * they and access logs see, and leaves the old one in x-envoy-original-path unless that is suppressed.
   */
  location(head: RequestHead, suppressEnvoyHeaders?: boolean): string;
}

/** The answer of a virtual host with `require_tls`. */
export const TLS_REDIRECT: RedirectAction = {
  kind: "redirect",
  status: 301,
  httpsRedirect: true,
  schemeRedirect: "",
  hostRedirect: "",
  portRedirect: 0,
  pathRedirect: "",
  prefixRewrite: "",
  regexRewrite: undefined,
  stripQuery: false,
};

export function compileRedirect(action: RedirectAction, matcher: PathMatcher, problems: string[]): Redirect {
  const rewrite = compilePathRewrite(action, matcher, problems);
  const scheme = action.httpsRedirect ? "https" : wireText(action.schemeRedirect);
  const host = wireText(action.hostRedirect);
  const port = action.portRedirect === 0 ? "" : `:${action.portRedirect}`;
  const fixedPath = wireText(action.pathRedirect);
  const fixedPathHasQuery = fixedPath.includes("?");

  const pathOf = (target: string): string => {
    if (fixedPath === "") {
      return target;
    }
    const query = target.indexOf("?");
    return fixedPathHasQuery || query < 0 ? fixedPath : fixedPath + target.slice(query);
  };

  return {
    status: action.status,
    location(head, suppressEnvoyHeaders = false) {
      if (rewrite !== undefined) {
        rewritePath(head, rewrite, suppressEnvoyHeaders);
      }
      const finalScheme = scheme === "" ? head.scheme : scheme;
      let path = pathOf(head.path);
      // A query in path_redirect itself is meant, and stays.
      const query = action.stripQuery && !fixedPathHasQuery ? path.indexOf("?") : -1;
      path = query < 0 ? path : path.slice(0, query);
      const finalHost = host === "" ? requestHost(head, finalScheme, port !== "") : host;
      return escaped(`${finalScheme}://${finalHost}${port}${path}`);
    },
  };
}

/** The request's host; its port goes when another takes its place or it was only the old scheme's default. */
function requestHost(head: RequestHead, scheme: string, hasNewPort: boolean): string {
  const host = head.authority;
  const colon = host.startsWith("[") ? host.lastIndexOf("]:") + 1 : host.lastIndexOf(":");
  if (colon <= 0) {
    return host;
  }
  const port = host.slice(colon);
  const before = head.headers.get("x-forwarded-proto") ?? head.scheme;
  const isOldDefault =
    scheme !== before && ((before === "https" && port === ":443") || (before === "http" && port === ":80"));
  return hasNewPort || isOldDefault ? host.slice(0, colon) : host;
}

function escaped(uri: string): string {
  return uri.replaceAll(
    // oxlint-disable-next-line no-control-regex -- control characters are what it looks for
    /[\x00-\x20\x7f]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}
