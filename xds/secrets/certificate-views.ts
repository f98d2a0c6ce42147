// The certificates in use, for /certs: for each TLS context its authority and its own. Pure.
// Source: envoy.admin.v3.Certificates and Envoy's context_impl.cc (the first authority, the peer's own certificate).

import { alternativeNames } from "./alternative-names.ts";
import type { AlternativeName } from "./alternative-names.ts";
import type { FoundCertificate } from "./material.ts";
import type { TlsMaterial } from "./tls-material.ts";

export type CertificateView = Readonly<{
  /** Where it was found: a file's path, or `<inline>`. */
  path: string;
  /** Lower-case hex. */
  serialNumber: string;
  /** As `CN=name`. */
  subject: string;
  names: readonly AlternativeName[];
  /** Ms since the epoch. */
  validFrom: number;
  expiresAt: number;
}>;

export type ContextCertificates = Readonly<{
  authorities: readonly CertificateView[];
  chain: readonly CertificateView[];
}>;

export function contextCertificates({ certificate, validation }: TlsMaterial): ContextCertificates {
  return {
    authorities: (validation?.authorities ?? []).slice(0, 1).map(viewOf),
    chain: (certificate?.chain ?? []).slice(0, 1).map(viewOf),
  };
}

function viewOf({ certificate, path }: FoundCertificate): CertificateView {
  return {
    path,
    serialNumber: certificate.serialNumber.toLowerCase(),
    subject: certificate.subject,
    names: alternativeNames(certificate),
    validFrom: Date.parse(certificate.validFrom),
    expiresAt: Date.parse(certificate.validTo),
  };
}
