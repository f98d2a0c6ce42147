// Whether a server's certificate is good for a TLS context: its chain, its dates, its names, its pins. The handshake is
// over, but not a byte of ours has been sent. Called by handshake.ts. Source: Envoy's default_validator.cc.

import type { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { createHash } from "node:crypto";
import { alternativeNames, dnsNameMatches, matchesName } from "./alternative-names.ts";
import type { FoundCertificate, LoadedValidation } from "./material.ts";

/** What a finished handshake says of the peer. */
export type Peer = Readonly<{
  /** Undefined: the peer sent none. */
  certificate: X509Certificate | undefined;
  /** OpenSSL's verdict on the chain, such as `CERT_HAS_EXPIRED`; undefined when it is good. */
  chainError: string | undefined;
}>;

export type PeerRules = Readonly<{
  validation: LoadedValidation | undefined;
  /** The certificate must be for this name; empty: any. */
  mustName: string;
  /** The system's, when the context asks for them. */
  systemRoots: readonly X509Certificate[];
}>;

/** Problems of dates, which `allow_expired_certificate` forgives. */
const DATE_ERRORS: ReadonlySet<string> = new Set(["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"]);

/** Certificates in a chain are not followed further than this. */
const MAX_CHAIN = 100;

/** Why the peer is not taken, for people; undefined when it is. */
export function peerProblem({ certificate, chainError }: Peer, rules: PeerRules): string | undefined {
  const { validation, mustName } = rules;
  // As in Envoy: without a validation context nobody is asked, and ACCEPT_UNTRUSTED takes everybody.
  if (validation === undefined || validation.context.acceptUntrusted) return undefined;
  if (certificate === undefined) return "the server sent no certificate";
  const { context, authoritiesPem } = validation;
  if (authoritiesPem !== undefined || context.systemRoots) {
    const problem = chainProblem(certificate, chainError, validation, rules.systemRoots);
    if (problem !== undefined) return problem;
  }
  return nameProblem(certificate, validation, mustName) ?? pinProblem(certificate, validation);
}

function chainProblem(
  certificate: X509Certificate,
  chainError: string | undefined,
  { context, authorities }: LoadedValidation,
  systemRoots: readonly X509Certificate[],
): string | undefined {
  const chain = chainOf(certificate);
  const trusted = new Set(authorities.map((found: FoundCertificate) => found.certificate.fingerprint256));
  // What the peer has sent of the trusted one does not count twice.
  const between = chain.slice(1).filter((each) => !trusted.has(each.fingerprint256) && !each.checkIssued(each));
  const depth = trusted.has(certificate.fingerprint256) ? 0 : between.length + 1;
  if (depth > context.maxVerifyDepth) {
    return `there are ${depth} certificates above the server's, the trusted one included, and max_verify_depth is ${context.maxVerifyDepth}`;
  }
  if (chainError === undefined) return undefined;
  if (context.allowExpired && DATE_ERRORS.has(chainError)) {
    // OpenSSL names the last problem only: that the chain leads to an authority must be seen by itself.
    const roots = [...authorities.map((found: FoundCertificate) => found.certificate), ...systemRoots];
    if (leadsTo(chain, roots)) return undefined;
  }
  return `the server's certificate is not trusted: ${CHAIN_PROBLEMS[chainError] ?? chainError}`;
}

const CHAIN_PROBLEMS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "it has expired",
  CERT_NOT_YET_VALID: "it is not valid yet",
  CERT_REVOKED: "it was revoked",
  DEPTH_ZERO_SELF_SIGNED_CERT: "it is self-signed, and not one of trusted_ca",
  SELF_SIGNED_CERT_IN_CHAIN: "its authority is not one of trusted_ca",
  UNABLE_TO_GET_ISSUER_CERT: "its authority is not one of trusted_ca",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its authority is not one of trusted_ca",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its authority is not one of trusted_ca",
  UNABLE_TO_GET_CRL: "there is no revocation list of its authority",
};

function chainOf(certificate: X509Certificate): X509Certificate[] {
  const chain: X509Certificate[] = [];
  for (let each: X509Certificate | undefined = certificate; each !== undefined; each = each.issuerCertificate) {
    const previous = chain.at(-1);
    if (chain.length >= MAX_CHAIN || previous?.fingerprint256 === each.fingerprint256) break;
    chain.push(each);
  }
  return chain;
}

/** Whether each certificate is signed by the next one, up to one of `roots`. */
function leadsTo(chain: readonly X509Certificate[], roots: readonly X509Certificate[]): boolean {
  for (const [index, certificate] of chain.entries()) {
    const isRoot = roots.some(({ fingerprint256 }) => fingerprint256 === certificate.fingerprint256);
    if (isRoot || roots.some((root) => isIssuedBy(certificate, root))) return true;
    const next = chain[index + 1];
    if (next === undefined || !next.ca || !isIssuedBy(certificate, next)) return false;
  }
  return false;
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function nameProblem(
  certificate: X509Certificate,
  { context }: LoadedValidation,
  mustName: string,
): string | undefined {
  const { sanMatchers } = context;
  if (sanMatchers.length === 0 && mustName === "") return undefined;
  const names = alternativeNames(certificate);
  const has = names.length === 0 ? "it has no names" : `it is for ${names.map(({ name }) => name).join(", ")}`;
  if (sanMatchers.length > 0 && !names.some((name) => sanMatchers.some((matcher) => matchesName(matcher, name)))) {
    return `the server's certificate has none of the names that are asked for: ${has}`;
  }
  if (mustName === "") return undefined;
  const kind = isIP(mustName) === 0 ? "dns" : "ip";
  const isNamed = names.some(
    (each) => each.kind === kind && (kind === "dns" ? dnsNameMatches(each.name, mustName) : each.name === mustName),
  );
  return isNamed ? undefined : `the server's certificate is not for ${JSON.stringify(mustName)}: ${has}`;
}

function pinProblem(certificate: X509Certificate, { context }: LoadedValidation): string | undefined {
  const { certificateHashes, spkiHashes } = context;
  if (certificateHashes.length + spkiHashes.length === 0) return undefined;
  const hash = certificate.fingerprint256.replaceAll(":", "").toLowerCase();
  const key = certificate.publicKey.export({ type: "spki", format: "der" });
  const spki = createHash("sha256").update(key).digest("base64");
  if (certificateHashes.includes(hash) || spkiHashes.includes(spki)) return undefined;
  return "the server's certificate is none of those that are pinned by hash";
}
