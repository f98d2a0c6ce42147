// envoy.extensions.transport_sockets.tls.v3.Secret and what is in it → model, unread: files are read by xds/secrets/.
// Called by resource.ts for SDS, by bootstrap.ts for static secrets and by tls-context.ts for what stands inline.

import type {
  CertificateValidationContext,
  SubjectAltNameMatcher,
  TlsCertificate as TlsCertificateMessage,
} from "../gen/envoy/extensions/transport_sockets/tls/v3/common_pb.ts";
import {
  CertificateValidationContext_TrustChainVerification as TrustChain,
  SubjectAltNameMatcher_SanType as SanType,
} from "../gen/envoy/extensions/transport_sockets/tls/v3/common_pb.ts";
import type { Secret as SecretMessage } from "../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import type { SanMatcher, Secret, SecretContent, TlsCertificate, ValidationContext } from "../model/tls.ts";
import { quoted } from "./constraint.ts";
import { decodeDataSource } from "./data-source.ts";
import { child, item, type Findings } from "./issues.ts";
import { decodeEach, decodeStringMatcher } from "./matcher.ts";

const DEFAULT_VERIFY_DEPTH = 100;

/** Undefined when it has no type, which is then reported. */
export function decodeSecret(message: SecretMessage, path: string, findings: Findings): Secret | undefined {
  const content = decodeContent(message, path, findings);
  return content === undefined ? undefined : { name: message.name, ...content };
}

function decodeContent({ type }: SecretMessage, path: string, findings: Findings): SecretContent | undefined {
  switch (type.case) {
    case undefined:
      findings.issue(
        path,
        "no type set, one of tls_certificate, session_ticket_keys, validation_context, generic_secret is needed",
      );
      return undefined;
    case "tlsCertificate":
      return { kind: "tls_certificate", certificate: decodeTlsCertificate(type.value) };
    case "validationContext": {
      const validation = decodeValidationContext(type.value, child(path, "validation_context"), findings);
      return { kind: "validation_context", validation };
    }
    case "sessionTicketKeys":
      return { kind: "session_ticket_keys", ticketKeys: type.value.keys.flatMap((key) => decodeDataSource(key) ?? []) };
    case "genericSecret": {
      const { secret, secrets } = type.value;
      const all = [secret, ...Object.values(secrets)];
      return { kind: "generic_secret", generic: all.flatMap((each) => decodeDataSource(each) ?? []) };
    }
  }
}

export function decodeTlsCertificate(message: TlsCertificateMessage): TlsCertificate {
  return {
    certificateChain: decodeDataSource(message.certificateChain),
    privateKey: decodeDataSource(message.privateKey),
    password: decodeDataSource(message.password),
    watchedDirectory: message.watchedDirectory?.path ?? "",
  };
}

export function decodeValidationContext(
  message: CertificateValidationContext,
  path: string,
  findings: Findings,
): ValidationContext {
  const typed = decodeEach(
    message.matchTypedSubjectAltNames,
    child(path, "match_typed_subject_alt_names"),
    findings,
    decodeSanMatcher,
  );
  const untyped = decodeEach(
    message.matchSubjectAltNames,
    child(path, "match_subject_alt_names"),
    findings,
    (matcher, matcherPath): SanMatcher | undefined => {
      const decoded = decodeStringMatcher(matcher, matcherPath, findings);
      return decoded === undefined ? undefined : { sanType: "any", matcher: decoded };
    },
  );
  return {
    trustedCa: decodeDataSource(message.trustedCa),
    systemRoots: message.systemRootCerts !== undefined,
    crl: decodeDataSource(message.crl),
    watchedDirectory: message.watchedDirectory?.path ?? "",
    spkiHashes: message.verifyCertificateSpki,
    certificateHashes: message.verifyCertificateHash.map((hash, index) => {
      const digits = hash.replaceAll(":", "").toLowerCase();
      if (/^[0-9a-f]{64}$/.test(digits)) return digits;
      findings.issue(item(child(path, "verify_certificate_hash"), index), `${quoted(hash)} is not a SHA-256 in hex`);
      return digits;
    }),
    // As Envoy: the typed ones count when there are any.
    sanMatchers: typed.length > 0 ? typed : untyped,
    allowExpired: message.allowExpiredCertificate,
    acceptUntrusted: message.trustChainVerification === TrustChain.ACCEPT_UNTRUSTED,
    maxVerifyDepth: message.maxVerifyDepth ?? DEFAULT_VERIFY_DEPTH,
  };
}

const SAN_TYPES: Readonly<Record<number, SanMatcher["sanType"]>> = {
  [SanType.EMAIL]: "email",
  [SanType.DNS]: "dns",
  [SanType.URI]: "uri",
  [SanType.IP_ADDRESS]: "ip",
};

function decodeSanMatcher(message: SubjectAltNameMatcher, path: string, findings: Findings): SanMatcher | undefined {
  if (message.sanType === SanType.OTHER_NAME) {
    findings.issue(child(path, "san_type"), "OTHER_NAME is not supported; EMAIL, DNS, URI and IP_ADDRESS are");
  }
  const sanType = SAN_TYPES[message.sanType];
  if (message.matcher === undefined || sanType === undefined) return undefined;
  const matcher = decodeStringMatcher(message.matcher, child(path, "matcher"), findings);
  return matcher === undefined ? undefined : { sanType, matcher };
}

/** What is wrong with a validation context by itself, when nothing is added to it. */
export function checkValidation(validation: ValidationContext, path: string, findings: Findings): void {
  if (validation.trustedCa !== undefined || validation.systemRoots) return;
  if (validation.crl !== undefined) findings.issue(child(path, "crl"), "needs trusted_ca");
  if (validation.sanMatchers.length > 0) {
    findings.issue(
      child(path, "match_typed_subject_alt_names"),
      "needs trusted_ca: names in a certificate that anybody can make prove nothing",
    );
  }
  if (validation.allowExpired) {
    findings.issue(child(path, "allow_expired_certificate"), "needs trusted_ca, without which dates are never checked");
  }
}
