// UpstreamTlsContext and DownstreamTlsContext → model. Called by transport-socket.ts.
// Source: envoy.extensions.transport_sockets.tls.v3 and, for what is refused, Envoy's context_config_impl.cc.

import type {
  TlsParameters,
  TlsParameters_TlsProtocol as TlsProtocolValue,
} from "../gen/envoy/extensions/transport_sockets/tls/v3/common_pb.ts";
import { TlsParameters_TlsProtocol as TlsProtocol } from "../gen/envoy/extensions/transport_sockets/tls/v3/common_pb.ts";
import type { SdsSecretConfig } from "../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import type {
  CommonTlsContext,
  DownstreamTlsContext,
  UpstreamTlsContext,
} from "../gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts";
import type {
  DownstreamTls,
  SecretContent,
  SecretReference,
  TlsContext,
  TlsVersion,
  UpstreamTls,
} from "../model/tls.ts";
import { decodeConfigSource } from "./config-source.ts";
import { quoted } from "./constraint.ts";
import { child, item, type Findings } from "./issues.ts";
import { checkValidation, decodeTlsCertificate, decodeValidationContext } from "./secret.ts";

/** Names that BoringSSL knows, which are OpenSSL's too. Suites of TLS 1.3 cannot be chosen, as in Envoy. */
const CIPHERS: ReadonlySet<string> = new Set(
  (
    "ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 " +
    "ECDHE-RSA-AES256-GCM-SHA384 ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-CHACHA20-POLY1305 " +
    "ECDHE-ECDSA-AES128-SHA ECDHE-RSA-AES128-SHA ECDHE-ECDSA-AES256-SHA ECDHE-RSA-AES256-SHA " +
    "ECDHE-ECDSA-AES128-SHA256 ECDHE-RSA-AES128-SHA256 AES128-GCM-SHA256 AES256-GCM-SHA384 AES128-SHA AES256-SHA"
  ).split(" "),
);

/** BoringSSL's names of signature schemes, each with that of the scheme. */
const SIGNATURES: ReadonlyMap<string, string> = new Map([
  ...(
    "rsa_pkcs1_sha1 rsa_pkcs1_sha256 rsa_pkcs1_sha256_legacy rsa_pkcs1_sha384 rsa_pkcs1_sha512 ecdsa_sha1 ecdsa_secp256r1_sha256 " +
    "ecdsa_secp384r1_sha384 ecdsa_secp521r1_sha512 rsa_pss_rsae_sha256 rsa_pss_rsae_sha384 rsa_pss_rsae_sha512 ed25519 " +
    "mldsa44 mldsa65 mldsa87"
  )
    .split(" ")
    .map((name): [string, string] => [name, name]),
  ...["1", "256", "384", "512"].map((hash): [string, string] => [`RSA+SHA${hash}`, `rsa_pkcs1_sha${hash}`]),
  ...["256", "384", "512"].flatMap((hash): [string, string][] => [
    [`PSS+SHA${hash}`, `rsa_pss_rsae_sha${hash}`],
    [`RSA-PSS+SHA${hash}`, `rsa_pss_rsae_sha${hash}`],
  ]),
  ["ECDSA+SHA1", "ecdsa_sha1"],
  ["ECDSA+SHA256", "ecdsa_secp256r1_sha256"],
  ["ECDSA+SHA384", "ecdsa_secp384r1_sha384"],
  ["ECDSA+SHA512", "ecdsa_secp521r1_sha512"],
]);

const CURVES: ReadonlySet<string> = new Set(["X25519", "P-256", "P-384", "P-521", "X25519MLKEM768"]);

export function decodeUpstreamTls(message: UpstreamTlsContext, path: string, findings: Findings): UpstreamTls {
  const commonPath = child(path, "common_tls_context");
  const common = decodeCommon(message.commonTlsContext, commonPath, findings);
  if (common.certificates.length + common.certificateSecrets.length > 1) {
    findings.issue(commonPath, "has several certificates; a client has one");
  }
  const { validation, validationSecret } = common;
  if (message.autoSniSanValidation && validation?.trustedCa === undefined && validationSecret === undefined) {
    findings.issue(child(path, "auto_sni_san_validation"), "needs trusted_ca in a validation context");
  }
  return {
    ...common,
    sni: message.sni,
    autoHostSni: message.autoHostSni,
    autoSanValidation: message.autoSniSanValidation,
  };
}

export function decodeDownstreamTls(message: DownstreamTlsContext, path: string, findings: Findings): DownstreamTls {
  const commonPath = child(path, "common_tls_context");
  const common = decodeCommon(message.commonTlsContext, commonPath, findings);
  if (common.certificates.length + common.certificateSecrets.length === 0) {
    findings.issue(commonPath, "has no certificate; a server needs one");
  }
  const keys = message.sessionTicketKeysType;
  const ticketKeysSecret =
    keys.case === "sessionTicketKeysSdsSecretConfig"
      ? decodeReference(
          keys.value,
          "session_ticket_keys",
          child(path, "session_ticket_keys_sds_secret_config"),
          findings,
        )
      : undefined;
  return { ...common, ticketKeysSecret };
}

function decodeCommon(message: CommonTlsContext | undefined, path: string, findings: Findings): TlsContext {
  const secretsPath = child(path, "tls_certificate_sds_secret_configs");
  return {
    ...decodeParameters(message?.tlsParams, child(path, "tls_params"), findings),
    alpnProtocols: decodeAlpn(message?.alpnProtocols ?? [], child(path, "alpn_protocols"), findings),
    certificates: message?.tlsCertificates.map(decodeTlsCertificate) ?? [],
    certificateSecrets:
      message?.tlsCertificateSdsSecretConfigs.map((config, index) =>
        decodeReference(config, "tls_certificate", item(secretsPath, index), findings),
      ) ?? [],
    ...decodeValidation(message, path, findings),
  };
}

function decodeValidation(
  message: CommonTlsContext | undefined,
  path: string,
  findings: Findings,
): Pick<TlsContext, "validation" | "validationSecret"> {
  const type = message?.validationContextType;
  switch (type?.case) {
    case "validationContext": {
      const innerPath = child(path, "validation_context");
      const validation = decodeValidationContext(type.value, innerPath, findings);
      checkValidation(validation, innerPath, findings);
      return { validation, validationSecret: undefined };
    }
    case "validationContextSdsSecretConfig": {
      const innerPath = child(path, "validation_context_sds_secret_config");
      const validationSecret = decodeReference(type.value, "validation_context", innerPath, findings);
      return { validation: undefined, validationSecret };
    }
    case "combinedValidationContext": {
      const innerPath = child(path, "combined_validation_context");
      const { defaultValidationContext: given, validationContextSdsSecretConfig: config } = type.value;
      const validation =
        given === undefined
          ? undefined
          : decodeValidationContext(given, child(innerPath, "default_validation_context"), findings);
      const secretPath = child(innerPath, "validation_context_sds_secret_config");
      const validationSecret =
        config === undefined ? undefined : decodeReference(config, "validation_context", secretPath, findings);
      return { validation, validationSecret };
    }
    // The table of fields refuses the last two.
    case undefined:
    case "validationContextCertificateProvider":
    case "validationContextCertificateProviderInstance":
      return { validation: undefined, validationSecret: undefined };
  }
}

function decodeReference(
  message: SdsSecretConfig,
  kind: SecretContent["kind"],
  path: string,
  findings: Findings,
): SecretReference {
  const source = decodeConfigSource(message.sdsConfig, child(path, "sds_config"), findings);
  return shared({ name: message.name, kind, source });
}

/** In a mesh thousands of clusters name the same two secrets: they share the objects, here and in what workers get. */
const references = new Map<string, SecretReference>();
const MAX_SHARED = 1_024;

function shared(reference: SecretReference): SecretReference {
  const key = JSON.stringify(reference);
  const known = references.get(key);
  if (known !== undefined) return known;
  if (references.size >= MAX_SHARED) references.clear();
  references.set(key, reference);
  return reference;
}

const VERSIONS: Readonly<Record<TlsProtocolValue, TlsVersion | undefined>> = {
  [TlsProtocol.TLS_AUTO]: undefined,
  [TlsProtocol.TLSv1_0]: "TLSv1",
  [TlsProtocol.TLSv1_1]: "TLSv1.1",
  [TlsProtocol.TLSv1_2]: "TLSv1.2",
  [TlsProtocol.TLSv1_3]: "TLSv1.3",
};

type Parameters = Pick<
  TlsContext,
  "minTlsVersion" | "maxTlsVersion" | "cipherSuites" | "ecdhCurves" | "signatureAlgorithms"
>;

function decodeParameters(message: TlsParameters | undefined, path: string, findings: Findings): Parameters {
  return {
    minTlsVersion: message === undefined ? undefined : VERSIONS[message.tlsMinimumProtocolVersion],
    maxTlsVersion: message === undefined ? undefined : VERSIONS[message.tlsMaximumProtocolVersion],
    // "[A|B]" is a group of equal preference.
    cipherSuites: (message?.cipherSuites ?? []).flatMap((entry, index) => {
      const names = entry.replace(/^\[(.*)\]$/, "$1").split("|");
      for (const name of names) {
        if (CIPHERS.has(name)) continue;
        findings.issue(item(child(path, "cipher_suites"), index), `${quoted(name)} is no known cipher suite`);
      }
      return names;
    }),
    ecdhCurves: (message?.ecdhCurves ?? []).map((name, index) => {
      if (!CURVES.has(name)) {
        findings.issue(
          item(child(path, "ecdh_curves"), index),
          `${quoted(name)} is not one of ${[...CURVES].join(", ")}`,
        );
      }
      return name;
    }),
    signatureAlgorithms: decodeSignatures(
      message?.signatureAlgorithms ?? [],
      child(path, "signature_algorithms"),
      findings,
    ),
  };
}

/** In TLS a name has its length in one byte. Envoy joins all with commas and takes them apart again, so one entry may have several. */
function decodeAlpn(given: readonly string[], path: string, findings: Findings): readonly string[] {
  const joined = given.join(",");
  const names = joined === "" ? [] : joined.split(",");
  for (const name of names) {
    const length = Buffer.byteLength(name);
    if (length === 0 || length > 255) {
      findings.issue(path, `${quoted(name)} is ${length} bytes long, must be 1 to 255`);
    }
  }
  return names;
}

/** Envoy joins all with colons, so one entry may have several. */
function decodeSignatures(given: readonly string[], path: string, findings: Findings): readonly string[] {
  const joined = given.join(":");
  const names = joined === "" ? [] : joined.split(":");
  const seen = new Set<string>();
  for (const name of names) {
    const scheme = SIGNATURES.get(name);
    if (scheme === undefined)
      findings.issue(path, `${quoted(name)} is not one of ${[...SIGNATURES.keys()].join(", ")}`);
    else if (seen.has(scheme)) findings.issue(path, `${quoted(name)} is named twice`);
    seen.add(scheme ?? "");
  }
  return names;
}
