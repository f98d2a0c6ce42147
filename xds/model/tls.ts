// Secrets and TLS settings in the proxy's words. Source: envoy.extensions.transport_sockets.tls.v3.
// Decoded by xds/decode/secret.ts and tls-context.ts; xds/secrets/ reads what they name. Types only.

import type { ConfigSource } from "./config-source.ts";
import type { StringMatcher } from "./matcher.ts";
import type { DataSource } from "./plugin-config.ts";

/** A certificate with its key; both PEM. */
export interface TlsCertificate {
  readonly certificateChain: DataSource | undefined;
  readonly privateKey: DataSource | undefined;
  /** Of an encrypted key. */
  readonly password: DataSource | undefined;
  /** Directory whose changes mean that the files changed; empty means the directory of each file. */
  readonly watchedDirectory: string;
}

export interface SanMatcher {
  readonly sanType: "email" | "dns" | "uri" | "ip" | "any";
  readonly matcher: StringMatcher;
}

/** How a peer's certificate is judged. */
export interface ValidationContext {
  /** PEM; undefined means that the chain is not verified, unless `systemRoots`. */
  readonly trustedCa: DataSource | undefined;
  readonly systemRoots: boolean;
  /** PEM. */
  readonly crl: DataSource | undefined;
  readonly watchedDirectory: string;
  /** Base64 of the SHA-256 of the public key. One that fits, here or in `certificateHashes`, is enough. */
  readonly spkiHashes: readonly string[];
  /** SHA-256 of the certificate, lower-case hex without colons. */
  readonly certificateHashes: readonly string[];
  /** One that fits is enough; none means that names do not matter. */
  readonly sanMatchers: readonly SanMatcher[];
  readonly allowExpired: boolean;
  readonly acceptUntrusted: boolean;
  /** Certificates above the peer's own, the trusted one included; Envoy's default 100. */
  readonly maxVerifyDepth: number;
}

export type SecretContent =
  | { readonly kind: "tls_certificate"; readonly certificate: TlsCertificate }
  | { readonly kind: "validation_context"; readonly validation: ValidationContext }
  | { readonly kind: "session_ticket_keys"; readonly ticketKeys: readonly DataSource[] }
  | { readonly kind: "generic_secret"; readonly generic: readonly DataSource[] };

export type Secret = SecretContent & { readonly name: string };

/** A secret by name: discovered, or one of the bootstrap's static secrets. */
export interface SecretReference {
  readonly name: string;
  readonly kind: SecretContent["kind"];
  readonly source: ConfigSource | undefined;
}

export type TlsVersion = "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3";

/** What both sides of a connection can say. */
export interface TlsContext {
  readonly minTlsVersion: TlsVersion | undefined;
  readonly maxTlsVersion: TlsVersion | undefined;
  /** OpenSSL's names; empty means the default. */
  readonly cipherSuites: readonly string[];
  readonly ecdhCurves: readonly string[];
  readonly signatureAlgorithms: readonly string[];
  readonly alpnProtocols: readonly string[];
  readonly certificates: readonly TlsCertificate[];
  readonly certificateSecrets: readonly SecretReference[];
  /** What stands in the configuration itself; what the secret says is added to it. */
  readonly validation: ValidationContext | undefined;
  readonly validationSecret: SecretReference | undefined;
}

export interface UpstreamTls extends TlsContext {
  /** Empty sends none. */
  readonly sni: string;
  /** Send the endpoint's hostname instead. */
  readonly autoHostSni: boolean;
  /** The certificate must be for the name that was sent. */
  readonly autoSanValidation: boolean;
}

export interface DownstreamTls extends TlsContext {
  readonly ticketKeysSecret: SecretReference | undefined;
}
