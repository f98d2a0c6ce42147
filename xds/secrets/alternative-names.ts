// The names in a certificate (its subject alternative names), and whether one fits a matcher. Used to judge peers and by
// /certs. Source: Envoy's san_matcher.cc; RFC 6125 for wildcards.

import type { X509Certificate } from "node:crypto";
import { SocketAddress } from "node:net";
import { matchesWholly } from "../decode/regex.ts";
import type { StringMatcher } from "../model/matcher.ts";
import type { SanMatcher } from "../model/tls.ts";

export type AlternativeName = Readonly<{ kind: "dns" | "uri" | "ip" | "email"; name: string }>;

/** Node's words for the kinds, before the colon. */
const KINDS: Readonly<Record<string, AlternativeName["kind"]>> = {
  DNS: "dns",
  URI: "uri",
  "IP Address": "ip",
  email: "email",
};

/** `DNS:a, URI:b`; a name with odd characters is quoted as JSON, so that it cannot pretend to be two. */
const ENTRY = /([^:,]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/y;

export function alternativeNames(certificate: X509Certificate): AlternativeName[] {
  const text = certificate.subjectAltName ?? "";
  const names: AlternativeName[] = [];
  ENTRY.lastIndex = 0;
  for (let match = ENTRY.exec(text); match !== null; match = ENTRY.exec(text)) {
    const [, label = "", value = ""] = match;
    const kind = KINDS[label];
    const name = value.startsWith('"') ? (JSON.parse(value) as string) : value;
    if (kind !== undefined) names.push({ kind, name: kind === "ip" ? canonicalIp(name) : name });
    if (ENTRY.lastIndex >= text.length) break;
  }
  return names;
}

/** `0:0:0:0:0:0:0:1` → `::1`. */
function canonicalIp(text: string): string {
  if (!text.includes(":")) return text;
  return new SocketAddress({ address: text, family: "ipv6" }).address;
}

export function matchesName({ sanType, matcher }: SanMatcher, { kind, name }: AlternativeName): boolean {
  if (sanType !== "any" && sanType !== kind) return false;
  if (kind === "dns" && matcher.kind === "exact") return dnsNameMatches(name, matcher.value);
  return matchesText(matcher, name);
}

/** Whether a name in a certificate, which may begin with `*.`, is for `host`. */
export function dnsNameMatches(pattern: string, host: string): boolean {
  const [given, wanted] = [pattern.toLowerCase(), host.toLowerCase()];
  if (given === wanted) return true;
  const dot = wanted.indexOf(".");
  return given.startsWith("*.") && dot > 0 && given.slice(1) === wanted.slice(dot) && given.lastIndexOf(".") > 1;
}

function matchesText({ kind, value, ignoreCase }: StringMatcher, text: string): boolean {
  if (kind === "regex") return matchesWholly(value, text);
  const [given, wanted] = ignoreCase ? [text.toLowerCase(), value.toLowerCase()] : [text, value];
  switch (kind) {
    case "exact":
      return given === wanted;
    case "prefix":
      return given.startsWith(wanted);
    case "suffix":
      return given.endsWith(wanted);
    case "contains":
      return given.includes(wanted);
  }
}
