// WWW-Authenticate → where to get a token. Pure; called by registry.ts. Source: RFC 9110 §11.6.1 and the distribution
// specification's token authentication. Also who may be given a registry's password.

export type AuthChallenge =
  | { readonly kind: "basic" }
  | { readonly kind: "bearer"; readonly realm: string; readonly service: string; readonly scope: string };

const MAX_CHALLENGE_CHARS = 4_096;
const PARAMETER = /([a-z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))/gi;

/** The challenge to answer, Bearer before Basic; undefined when there is none that is known. */
export function parseChallenge(header: string): AuthChallenge | undefined {
  if (header.length > MAX_CHALLENGE_CHARS) {
    return undefined;
  }
  const bearer = /(?:^|,)\s*bearer\s+/i.exec(header);
  if (bearer !== null) {
    const parameters = new Map<string, string>();
    for (const [, name = "", quoted, token] of header.slice(bearer.index + bearer[0].length).matchAll(PARAMETER)) {
      const key = name.toLowerCase();
      if (!parameters.has(key)) {
        parameters.set(key, quoted?.replace(/\\(.)/g, "$1") ?? token ?? "");
      }
    }
    const realm = parameters.get("realm") ?? "";
    return realm === ""
      ? undefined
      : { kind: "bearer", realm, service: parameters.get("service") ?? "", scope: parameters.get("scope") ?? "" };
  }
  return /(?:^|,)\s*basic(?:\s|$)/i.test(header) ? { kind: "basic" } : undefined;
}

/**
 * Whether the password of `registry` may go to `realm` (host names): to the same host, or to one of the same site, as
 * `auth.docker.io` is to `registry-1.docker.io`. Any other realm needs a secret of its own.
 */
export function isSameSite(registry: string, realm: string): boolean {
  return registry === realm || (siteOf(registry) === siteOf(realm) && siteOf(registry) !== "");
}

/** The last two labels, or three under suffixes like `co.uk`; "" for addresses and single labels. */
function siteOf(host: string): string {
  const labels = host.toLowerCase().split(".");
  const [second = "", top = ""] = labels.slice(-2);
  if (labels.length < 2 || /^\d*$/.test(top) || host.startsWith("[")) {
    return "";
  }
  const needed = top.length === 2 && second.length <= 3 ? 3 : 2;
  return labels.length < needed ? "" : labels.slice(-needed).join(".");
}
