// The one canonical form of a request's path, which routing, plugins and the upstream all see.
// Called by listener/request-head.ts. Envoy's order: fragment, escaped slashes, dot segments, slashes.
// The parser lets only visible ASCII through. RFC 3986 §5.2.4, RFC 9112 §3.2; Envoy's PathUtil.

export interface PathOptions {
  readonly normalizePath: boolean;
  readonly mergeSlashes: boolean;
  readonly escapedSlashes: "keep_unchanged" | "reject_request" | "unescape_and_redirect" | "unescape_and_forward";
}

/** What became of a path; `redirect` asks the client to come back with the canonical one. */
export interface CanonicalPath {
  readonly kind: "forward" | "redirect" | "reject";
  readonly path: string;
}

const REJECTED: CanonicalPath = { kind: "reject", path: "" };
const ESCAPED_SLASH = /%2f|%5c/i;
const ESCAPED_SLASHES = /%(2f|5c)/gi;
const SLASHES = /\/{2,}/g;
const NEEDS_NORMALIZING = /[%\\"<>`{}^|]|\/\./;
const ESCAPE = /%([0-9a-fA-F]{2})/g;
const UNRESERVED = /[-._~0-9A-Za-z]/;
const DOTS_WITH_PARAMETERS = /^\.\.?;/;
const NOT_IN_PATH = /["<>`{}^|]/g;

/** True when `path` (origin form with its query) is canonical as it is: the usual case. */
export function isCanonical(path: string, options: PathOptions): boolean {
  return (
    !path.includes("#") &&
    !options.normalizePath &&
    !options.mergeSlashes &&
    options.escapedSlashes === "keep_unchanged"
  );
}

/** Brings `path`, which begins with `/`, into canonical form. The query is never changed. */
export function canonicalPath(path: string, options: PathOptions): CanonicalPath {
  if (path.includes("#")) {
    return REJECTED;
  }
  const mark = path.indexOf("?");
  const query = mark < 0 ? "" : path.slice(mark);
  let plain = mark < 0 ? path : path.slice(0, mark);
  let kind: CanonicalPath["kind"] = "forward";
  if (options.escapedSlashes !== "keep_unchanged" && ESCAPED_SLASH.test(plain)) {
    if (options.escapedSlashes === "reject_request") {
      return REJECTED;
    }
    kind = options.escapedSlashes === "unescape_and_redirect" ? "redirect" : "forward";
    plain = plain.replace(ESCAPED_SLASHES, (_all, code: string) => (code === "2f" || code === "2F" ? "/" : "\\"));
  }
  if (options.normalizePath && NEEDS_NORMALIZING.test(plain)) {
    const normal = normalize(plain);
    if (normal === undefined) {
      return REJECTED;
    }
    plain = normal;
  }
  if (options.mergeSlashes) {
    plain = plain.replace(SLASHES, "/");
  }
  return { kind, path: plain + query };
}

/** Escapes as the URL standard has it, backslashes, dot segments. Undefined when an escaped NUL hides in it. */
function normalize(plain: string): string | undefined {
  if (plain.includes("%00")) {
    return undefined;
  }
  const decoded = plain
    .replaceAll("\\", "/")
    .replace(ESCAPE, (all, code: string) => {
      const char = String.fromCharCode(Number.parseInt(code, 16));
      return UNRESERVED.test(char) ? char : all;
    })
    .replace(NOT_IN_PATH, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  return removeDotSegments(decoded);
}

/**
 * RFC 3986 §5.2.4 for an absolute path. Empty segments stay: they are merged only where that is asked for. Servers that
 * know parameters of segments take `..;x` for `..`, so it is that here, as in Envoy; but here however its dots are written.
 */
function removeDotSegments(path: string): string {
  const output: string[] = [];
  const segments = path.slice(1).split("/");
  for (const [index, written] of segments.entries()) {
    const isLast = index === segments.length - 1;
    const segment = DOTS_WITH_PARAMETERS.test(written) ? written.slice(0, written.indexOf(";")) : written;
    if (segment === "..") {
      output.pop();
    }
    if (segment === "." || segment === "..") {
      if (isLast) {
        output.push("");
      }
    } else {
      output.push(segment);
    }
  }
  return `/${output.join("/")}`;
}

/** A request target that is a URI (RFC 9112 §3.2.2). */
export interface AbsoluteTarget {
  /** Lower case. */
  readonly scheme: string;
  readonly authority: string;
  /** Origin form with its query; `/` when the URI has no path. */
  readonly path: string;
}

const ABSOLUTE = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#]+)(.*)$/;

/** Undefined when `target` is no URI with an authority. */
export function parseAbsoluteTarget(target: string): AbsoluteTarget | undefined {
  const match = ABSOLUTE.exec(target);
  if (match === null) {
    return undefined;
  }
  const rest = match[3] as string;
  return {
    scheme: (match[1] as string).toLowerCase(),
    authority: match[2] as string,
    path: rest.startsWith("/") ? rest : `/${rest}`,
  };
}
