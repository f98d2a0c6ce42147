// From what the parser read to the request that routing, plugins and the upstream see: version, method, target, Host,
// hop-by-hop fields, Expect. Called by connection.ts for each head. Hot path: an ordinary request takes none of the branches
// that make strings. RFC 9112 §3, RFC 9110 §7.2, §7.6; Envoy where those leave a choice.

import { FIELD, listHasToken } from "../http/h1-fields.ts";
import type { H1Parser } from "../http/h1-parser.ts";
import { isAuthority, stripAuthority } from "../http/authority.ts";
import type { HeaderMap } from "../http/headers.ts";
import { restoreUpgrade, stripRequestFields } from "../http/hop-by-hop.ts";
import { RequestHead } from "../http/message.ts";
import { canonicalPath, isCanonical, parseAbsoluteTarget } from "../http/path.ts";
import type { ConnectionOptions } from "./connection-options.ts";
import { redirectTo, REJECTION, type Rejection } from "./rejection.ts";

const METHODS: ReadonlySet<string> = new Set(
  (
    "ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MOVE M-SEARCH NOTIFY " +
    "OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND UNLINK UNLOCK " +
    "UNSUBSCRIBE"
  ).split(" "),
);

const STRIPS_NOTHING = 0;

/** Makes heads for one connection. Its results lie in its fields, so that a request costs one object. */
export class RequestReader {
  /** The client waits for 100 before it sends the body, and the proxy answers that itself. */
  expectsContinue = false;
  /** The configured upgrade that the request asks for, or empty. */
  upgrade = "";
  readonly #options: ConnectionOptions;
  readonly #localPort: number;
  readonly #scheme: string;
  // Host of the last request: clients repeat it, so its check need not be.
  #lastHost = "";
  #lastAuthority = "";

  constructor(options: ConnectionOptions, localPort: number, isTls: boolean) {
    this.#options = options;
    this.#localPort = localPort;
    this.#scheme = isTls ? "https" : "http";
  }

  /** Reads the parser's head, whose map it takes over and changes. */
  read(parser: H1Parser): RequestHead | Rejection {
    const options = this.#options;
    const { method, headers } = parser;
    const fields = parser.fields;
    if (parser.minorVersion === 0 && !options.acceptHttp10) {
      return REJECTION.version;
    }
    if (method !== "GET" && !METHODS.has(method) && !options.allowCustomMethods) {
      return REJECTION.method;
    }
    if (options.headersWithUnderscores !== "allow" && !this.#handleUnderscores(headers)) {
      return REJECTION.underscore;
    }
    const head = this.#target(method, parser.target, headers, fields, parser.minorVersion);
    if (head instanceof RequestHead) {
      this.#connectionFields(headers, fields, parser.minorVersion);
    }
    return head;
  }

  #target(method: string, target: string, headers: HeaderMap, fields: number, minor: number): RequestHead | Rejection {
    if (method === "CONNECT") {
      return REJECTION.connect;
    }
    const isOrigin = target.charCodeAt(0) === 0x2f;
    let path = target;
    let authority: string | undefined;
    if (!isOrigin && !(method === "OPTIONS" && target === "*")) {
      const absolute = this.#absolute(target);
      if ("status" in absolute) {
        return absolute;
      }
      path = absolute.path;
      authority = absolute.authority;
    }
    const host = this.#authority(headers, fields, minor, authority);
    if (typeof host !== "string") {
      return host;
    }
    if (path !== "*" && !isCanonical(path, this.#options)) {
      const canonical = canonicalPath(path, this.#options);
      if (canonical.kind !== "forward") {
        return this.#notForwarded(canonical.kind, canonical.path);
      }
      path = canonical.path;
    }
    return new RequestHead(method, path, host, this.#scheme, headers);
  }

  #notForwarded(kind: "redirect" | "reject", path: string): Rejection {
    const { stats } = this.#options;
    if (kind === "redirect") {
      stats.rqRedirectedWithNormalizedPath.inc();
      return redirectTo(path);
    }
    stats.rqFailedPathNormalization.inc();
    return REJECTION.path;
  }

  #absolute(target: string): { authority: string; path: string } | Rejection {
    const absolute = this.#options.allowAbsoluteUrl ? parseAbsoluteTarget(target) : undefined;
    if (absolute === undefined) {
      this.#options.stats.rqNonRelativePath.inc();
      return REJECTION.invalidUrl;
    }
    if (absolute.scheme === "https" && this.#scheme === "http") {
      return REJECTION.httpsOnPlaintext;
    }
    return absolute.scheme === "http" || absolute.scheme === "https" ? absolute : REJECTION.invalidScheme;
  }

  // RFC 9112 §3.2: the authority of an absolute target replaces Host.
  #authority(headers: HeaderMap, fields: number, minor: number, absolute: string | undefined): string | Rejection {
    let host = absolute;
    const index = (fields & FIELD.host) === 0 ? -1 : headers.indexOf("host");
    if (host === undefined) {
      if (index >= 0) {
        host = headers.valueAt(index);
        if (host === this.#lastHost && host !== "") {
          if (host !== this.#lastAuthority) {
            headers.setAt(index, this.#lastAuthority);
          }
          return this.#lastAuthority;
        }
      } else if (minor === 0 && this.#options.defaultHostForHttp10 !== "") {
        host = this.#options.defaultHostForHttp10;
      } else {
        return REJECTION.missingHost;
      }
    }
    if (!isAuthority(host)) {
      return REJECTION.invalidAuthority;
    }
    const authority = this.#stripped(host);
    if (index < 0) {
      headers.add("host", authority);
    } else if (headers.valueAt(index) !== authority) {
      headers.setAt(index, authority);
    }
    if (absolute === undefined) {
      this.#lastHost = host;
      this.#lastAuthority = authority;
    }
    return authority;
  }

  #stripped(host: string): string {
    const { stripAnyHostPort, stripMatchingHostPort, stripTrailingHostDot } = this.#options;
    return stripAnyHostPort || stripMatchingHostPort || stripTrailingHostDot
      ? stripAuthority(host, this.#options, this.#localPort)
      : host;
  }

  #connectionFields(headers: HeaderMap, fields: number, minor: number): void {
    this.expectsContinue = false;
    this.upgrade = "";
    if (fields === FIELD.host || fields === STRIPS_NOTHING) {
      return;
    }
    const upgrade = stripRequestFields(headers, fields);
    if (upgrade !== "" && minor === 1 && this.#options.upgrades.has(upgrade.toLowerCase())) {
      this.upgrade = upgrade;
      restoreUpgrade(headers, upgrade);
    }
    if ((fields & FIELD.expect) !== 0 && minor === 1 && !this.#options.proxy100Continue) {
      this.expectsContinue = listHasToken(headers.get("expect") ?? "", "100-continue");
      if (this.expectsContinue) {
        headers.remove("expect");
      }
    }
  }

  /** False when the request must be refused. */
  #handleUnderscores(headers: HeaderMap): boolean {
    const { headersWithUnderscores, stats } = this.#options;
    for (let index = headers.size - 1; index >= 0; index--) {
      if (headers.nameAt(index).includes("_")) {
        if (headersWithUnderscores === "reject_request") {
          stats.requestsRejectedWithUnderscores.inc();
          return false;
        }
        stats.droppedHeadersWithUnderscores.inc();
        headers.removeAt(index);
      }
    }
    return true;
  }
}
