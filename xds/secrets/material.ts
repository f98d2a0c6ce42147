// Certificates, keys and authorities, read and proven: PEM parses, the key is the certificate's. What fails is said for
// people, with the file's name. Called by keyring.ts for secrets and by tls-material.ts for what stands in a TLS context.
// Source of the rules: Envoy's tls_certificate_config_impl.cc and context_impl.cc.

import { createPrivateKey, X509Certificate } from "node:crypto";
import type { KeyObject } from "node:crypto";
import type { DataSource } from "../model/plugin-config.ts";
import type { Secret, TlsCertificate, ValidationContext } from "../model/tls.ts";
import { describeData, readData } from "./read-data.ts";
import type { Environment } from "./read-data.ts";

/** One certificate of a chain or of the authorities, with where it was found. */
export type FoundCertificate = Readonly<{ certificate: X509Certificate; path: string }>;

export type LoadedCertificate = Readonly<{
  /** PEM; the peer's own first. */
  chainPem: string;
  /** PEM, not encrypted. */
  keyPem: string;
  chain: readonly FoundCertificate[];
}>;

export type LoadedValidation = Readonly<{
  context: ValidationContext;
  /** PEM of each authority; undefined when the context names none. */
  authoritiesPem: readonly string[] | undefined;
  authorities: readonly FoundCertificate[];
  crlPem: string | undefined;
}>;

export type LoadedSecret =
  | Readonly<{ kind: "tls_certificate"; certificate: LoadedCertificate }>
  | Readonly<{ kind: "validation_context"; validation: LoadedValidation }>
  | Readonly<{ kind: "session_ticket_keys" | "generic_secret" }>;

export type Loaded<T> = Readonly<{ ok: true; value: T }> | Readonly<{ ok: false; problem: string }>;

/** Session ticket keys have this length, as Envoy demands. */
const TICKET_KEY_BYTES = 80;
/** Certificates in one file beyond this are refused. */
const MAX_CERTIFICATES = 2_000;

export function loadSecret(secret: Secret, environment: Environment): Loaded<LoadedSecret> {
  switch (secret.kind) {
    case "tls_certificate":
      return map(loadCertificate(secret.certificate, environment), (certificate) => ({
        kind: secret.kind,
        certificate,
      }));
    case "validation_context":
      return map(loadValidation(secret.validation, environment), (validation) => ({ kind: secret.kind, validation }));
    case "session_ticket_keys":
      for (const key of secret.ticketKeys) {
        const read = readData(key, environment);
        if (!read.ok) return read;
        if (read.bytes.length !== TICKET_KEY_BYTES) {
          const problem = `a session ticket key has ${TICKET_KEY_BYTES} bytes, ${describeData(key)} has ${read.bytes.length}`;
          return { ok: false, problem };
        }
      }
      return { ok: true, value: { kind: secret.kind } };
    case "generic_secret":
      for (const source of secret.generic) {
        const read = readData(source, environment);
        if (!read.ok) return read;
      }
      return { ok: true, value: { kind: secret.kind } };
  }
}

export function loadCertificate(certificate: TlsCertificate, environment: Environment): Loaded<LoadedCertificate> {
  const { certificateChain, privateKey, password } = certificate;
  if (certificateChain === undefined) return { ok: false, problem: "the certificate chain is not set" };
  if (privateKey === undefined) return { ok: false, problem: "the private key is not set" };
  const chain = loadCertificates(certificateChain, environment, "certificate chain");
  if (!chain.ok) return chain;
  const key = loadKey(privateKey, password, environment);
  if (!key.ok) return key;
  const [leaf] = chain.value;
  if (leaf === undefined || !leaf.certificate.checkPrivateKey(key.value)) {
    const names = `${describeData(privateKey)} is not the key of the certificate in ${describeData(certificateChain)}`;
    return { ok: false, problem: `the private key in ${names}` };
  }
  const chainPem = pemOf(chain.value).join("");
  const keyPem = key.value.export({ type: "pkcs8", format: "pem" }).toString();
  return { ok: true, value: { chainPem, keyPem, chain: chain.value } };
}

export function loadValidation(context: ValidationContext, environment: Environment): Loaded<LoadedValidation> {
  let crlPem: string | undefined;
  if (context.crl !== undefined) {
    const read = readData(context.crl, environment);
    if (!read.ok) return { ok: false, problem: `the revocation list cannot be used: ${read.problem}` };
    crlPem = read.bytes.toString("latin1");
    if (!crlPem.includes("-----BEGIN X509 CRL-----")) {
      return { ok: false, problem: `${describeData(context.crl)} has no PEM revocation list` };
    }
  }
  if (context.trustedCa === undefined) {
    return { ok: true, value: { context, authoritiesPem: undefined, authorities: [], crlPem } };
  }
  const authorities = loadCertificates(context.trustedCa, environment, "trusted CA certificates");
  if (!authorities.ok) return authorities;
  return {
    ok: true,
    value: { context, authoritiesPem: pemOf(authorities.value), authorities: authorities.value, crlPem },
  };
}

function loadCertificates(
  source: DataSource,
  environment: Environment,
  what: string,
): Loaded<readonly FoundCertificate[]> {
  const read = readData(source, environment);
  const path = describeData(source);
  if (!read.ok) return { ok: false, problem: `the ${what} cannot be read: ${read.problem}` };
  const blocks = pemBlocks(read.bytes.toString("latin1"));
  if (blocks.length === 0) return { ok: false, problem: `there is no PEM certificate in the ${what}, ${path}` };
  if (blocks.length > MAX_CERTIFICATES) {
    return { ok: false, problem: `there are more than ${MAX_CERTIFICATES} certificates in the ${what}, ${path}` };
  }
  const found: FoundCertificate[] = [];
  for (const [index, block] of blocks.entries()) {
    try {
      found.push({ certificate: new X509Certificate(block), path });
    } catch (error) {
      const place = blocks.length === 1 ? "the certificate" : `certificate ${index + 1} of ${blocks.length}`;
      return { ok: false, problem: `${place} in the ${what}, ${path}, does not parse: ${reasonOf(error)}` };
    }
  }
  return { ok: true, value: found };
}

const BEGIN = "-----BEGIN CERTIFICATE-----";
const END = "-----END CERTIFICATE-----";

/** Every certificate in the text, up to one more than are taken; what stands between them is comment. */
function pemBlocks(text: string): string[] {
  const blocks: string[] = [];
  let begin = text.indexOf(BEGIN);
  while (begin >= 0 && blocks.length <= MAX_CERTIFICATES) {
    const end = text.indexOf(END, begin);
    if (end < 0) break;
    blocks.push(text.slice(begin, end + END.length));
    begin = text.indexOf(BEGIN, end);
  }
  return blocks;
}

function loadKey(source: DataSource, password: DataSource | undefined, environment: Environment): Loaded<KeyObject> {
  const read = readData(source, environment);
  if (!read.ok) return { ok: false, problem: `the private key cannot be read: ${read.problem}` };
  const secret = password === undefined ? undefined : readData(password, environment);
  if (secret?.ok === false) return { ok: false, problem: `the password cannot be read: ${secret.problem}` };
  if (secret === undefined && read.bytes.includes("ENCRYPTED")) {
    return { ok: false, problem: `the private key in ${describeData(source)} is encrypted, and there is no password` };
  }
  try {
    const passphrase = secret === undefined ? {} : { passphrase: secret.bytes };
    return { ok: true, value: createPrivateKey({ key: read.bytes, format: "pem", ...passphrase }) };
  } catch (error) {
    return { ok: false, problem: `the private key in ${describeData(source)} cannot be used: ${reasonOf(error)}` };
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ERR_OSSL_BAD_DECRYPT: "the password is wrong",
  ERR_OSSL_UNSUPPORTED: "it is no PEM key of a known kind",
  ERR_OSSL_PEM_NO_START_LINE: "it is no PEM",
};

/** OpenSSL's reason without its numbers. Never the data. */
function reasonOf(error: unknown): string {
  const { code = "", message } = error as NodeJS.ErrnoException;
  return REASONS[code] ?? message.replace(/^error:[0-9A-F]+:/, "");
}

function pemOf(certificates: readonly FoundCertificate[]): string[] {
  return certificates.map(({ certificate }) => certificate.toString());
}

function map<T, U>(loaded: Loaded<T>, make: (value: T) => U): Loaded<U> {
  return loaded.ok ? { ok: true, value: make(loaded.value) } : loaded;
}

/** Files that a secret names, and the directories in which a change means that they changed. */
export function secretFiles(secret: Secret): readonly { readonly path: string; readonly directory: string }[] {
  const [sources, directory] = sourcesOf(secret);
  return sources.flatMap((source) => (source?.kind === "file" ? [{ path: source.path, directory }] : []));
}

function sourcesOf(secret: Secret): [readonly (DataSource | undefined)[], string] {
  switch (secret.kind) {
    case "tls_certificate": {
      const { certificateChain, privateKey, password, watchedDirectory } = secret.certificate;
      return [[certificateChain, privateKey, password], watchedDirectory];
    }
    case "validation_context": {
      const { trustedCa, crl, watchedDirectory } = secret.validation;
      return [[trustedCa, crl], watchedDirectory];
    }
    case "session_ticket_keys":
      return [secret.ticketKeys, ""];
    case "generic_secret":
      return [secret.generic, ""];
  }
}
