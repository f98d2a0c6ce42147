// Path and host rewrites of a forwarding route, compiled once; the proxy applies them just before it forwards.
// Source: envoy.config.route.v3.RouteAction (prefix_rewrite, regex_rewrite, host_rewrite_*, append_x_forwarded_host).
// Whatever comes out is checked: a rewrite never puts a control character or a space into the target or the authority.

import type { RequestHead } from "../http/message.ts";
import type { RegexRewrite } from "../../xds/model/matcher.ts";
import type { ForwardAction, PathMatcher } from "../../xds/model/route.ts";
import type { Groups } from "./re2-engine.ts";
import { compileSearch } from "./regex.ts";
import { pathEnd, wireText } from "./request-value.ts";

/** Rewrites a path without its query. */
export type TextRewrite = (text: string) => string;

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const UNSAFE = /[\x00-\x20\x7f]/;

export interface PathRewriteConfig {
  readonly prefixRewrite: string;
  readonly regexRewrite: RegexRewrite | undefined;
}

/** New target for a request of a route; its query stays. undefined when the route rewrites nothing. */
export function compilePathRewrite(
  config: PathRewriteConfig,
  matcher: PathMatcher,
  problems: string[],
): TextRewrite | undefined {
  if (config.prefixRewrite !== "") {
    const prefix = wireText(config.prefixRewrite);
    // What the route matched goes: the prefix, or for other matchers the whole path.
    const isPrefix = matcher.kind === "prefix" || matcher.kind === "path_separated_prefix";
    const matched = isPrefix ? wireText(matcher.value).length : Number.MAX_SAFE_INTEGER;
    return (target) => {
      const end = pathEnd(target);
      return guarded(prefix + target.slice(Math.min(matched, end)), target);
    };
  }
  if (config.regexRewrite === undefined) {
    return undefined;
  }
  const rewrite = compileRegexRewrite(config.regexRewrite, problems);
  return (
    rewrite &&
    ((target) => {
      const end = pathEnd(target);
      return guarded(rewrite(target.slice(0, end)) + target.slice(end), target);
    })
  );
}

/** RE2's GlobalReplace: every match, but no empty match right after another one. undefined when it cannot be compiled. */
export function compileRegexRewrite(config: RegexRewrite, problems: string[]): TextRewrite | undefined {
  const compiled = compileSearch(config.regex);
  if (!compiled.ok) {
    problems.push(compiled.problem);
    return undefined;
  }
  const { regex } = compiled;
  const pieces = substitutionPieces(wireText(config.substitution));
  const replacement = (groups: Groups) => substituted(pieces, groups);
  return (text) => regex.replaceAll(text, replacement);
}

/** Literal text, or the number of a group. */
type SubstitutionPiece = string | number;

function substitutionPieces(substitution: string): readonly SubstitutionPiece[] {
  const pieces: SubstitutionPiece[] = [];
  let literal = "";
  for (let at = 0; at < substitution.length; at++) {
    const char = substitution.charAt(at);
    const next = substitution.charAt(at + 1);
    if (char === "\\" && next >= "0" && next <= "9") {
      pieces.push(literal, Number(next));
      literal = "";
      at++;
    } else if (char === "\\" && next === "\\") {
      literal += "\\";
      at++;
    } else {
      literal += char;
    }
  }
  pieces.push(literal);
  return pieces;
}

function substituted(pieces: readonly SubstitutionPiece[], groups: Groups): string {
  let text = "";
  for (const piece of pieces) {
    text += typeof piece === "string" ? piece : (groups[piece] ?? "");
  }
  return text;
}

function guarded(rewritten: string, original: string): string {
  return UNSAFE.test(rewritten) ? original : rewritten;
}

/** The authority that a request goes out with, or undefined to leave it; `auto` is up to the proxy, which knows the host. */
export type HostRewriteRule = (head: RequestHead) => string | undefined;

/** undefined when the route has no rule, or has `auto_host_rewrite`. */
export function compileHostRewrite(action: ForwardAction, problems: string[]): HostRewriteRule | undefined {
  const rule = action.hostRewrite;
  switch (rule?.kind) {
    case "literal": {
      const host = wireText(rule.value);
      return () => host;
    }
    case "header": {
      const name = rule.header.toLowerCase();
      return (head) => head.headers.get(name) || undefined;
    }
    case "path_regex": {
      const rewrite = compileRegexRewrite(rule.rewrite, problems);
      return rewrite && ((head) => rewrite(head.path.slice(0, pathEnd(head.path))));
    }
    case "auto":
    case undefined:
      return undefined;
  }
}

/** What a route and one of its clusters do to host and path. */
export interface RequestRewrite {
  readonly pathRewrite: TextRewrite | undefined;
  /** Host of the weighted cluster; empty means none. */
  readonly weightedHost: string;
  readonly hostRewrite: HostRewriteRule | undefined;
  readonly isAutoHost: boolean;
  readonly appendXForwardedHost: boolean;
}

/**
 * Rewrites host and path of a request that is about to be forwarded, after its header mutations, in Envoy's order: the
 * weighted cluster's host (noted nowhere), then the route's, which sees the path as it was and leaves the old one in
 * x-envoy-original-host, then the path.
 * `upstreamHostname` is for `auto_host_rewrite`; empty when the upstream host has no name.
 */
export function rewriteRequest(
  head: RequestHead,
  rewrite: RequestRewrite,
  upstreamHostname: string,
  suppressEnvoyHeaders: boolean,
): void {
  rewriteHost(head, rewrite.weightedHost, false);
  const host = rewrite.isAutoHost ? upstreamHostname : (rewrite.hostRewrite?.(head) ?? "");
  if (!suppressEnvoyHeaders && host !== "" && head.authority !== "" && !UNSAFE.test(host)) {
    head.headers.set("x-envoy-original-host", head.authority);
  }
  rewriteHost(head, host, rewrite.appendXForwardedHost);
  if (rewrite.pathRewrite !== undefined) {
    rewritePath(head, rewrite.pathRewrite, suppressEnvoyHeaders);
  }
}

/** Sets the target; `x-envoy-original-path` then keeps the one that the client sent. */
export function rewritePath(head: RequestHead, rewrite: TextRewrite, suppressEnvoyHeaders: boolean): void {
  if (head.path === "") {
    return;
  }
  const rewritten = rewrite(head.path);
  if (!suppressEnvoyHeaders) {
    head.headers.set("x-envoy-original-path", head.path);
  }
  head.path = rewritten.startsWith("/") || head.path === "*" ? rewritten : `/${rewritten}`;
}

/**
 * Sets the authority. With `appendXForwardedHost` the old one goes to the end of `x-forwarded-host` unless it is there.
 * A host that could not be one is ignored.
 */
export function rewriteHost(head: RequestHead, host: string, appendXForwardedHost: boolean): void {
  if (host === "" || UNSAFE.test(host)) {
    return;
  }
  if (appendXForwardedHost && head.authority !== "") {
    const before = head.headers.getJoined("x-forwarded-host");
    const last = before?.slice(before.lastIndexOf(",") + 1).trim();
    if (last !== head.authority) {
      head.headers.set("x-forwarded-host", before ? `${before},${head.authority}` : head.authority);
    }
  }
  head.setAuthority(host);
}
