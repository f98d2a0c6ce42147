// Variants of TLS contexts, secrets and the credentials of control planes, one field each.

import { readFileSync } from "node:fs";
import { TYPE, type Row } from "./variant-row.ts";

const TLS_FILES = new URL("../../fixtures/tls/", import.meta.url);
const inline = (file: string) => JSON.stringify(readFileSync(new URL(file, TLS_FILES), "utf8"));

const CHAIN = `certificate_chain: {inline_string: ${inline("localhost.pem")}}`;
const PAIR = `{${CHAIN}, private_key: {inline_string: ${inline("localhost.key")}}}`;
/** It is its own authority. */
const CA = `trusted_ca: {inline_string: ${inline("localhost.pem")}}`;
const NOT_HERE = "outrigger does not have that yet";

const common = (text: string) => `common_tls_context: {${text}}`;
const validation = (text: string) => common(`validation_context: {${text}}`);

export const UPSTREAM_TLS: readonly Row[] = [
  ["sni: x"],
  [`sni: ${"x".repeat(256)}`, "is 256 bytes"],
  [common(`tls_certificates: [${PAIR}]`)],
  [common("tls_certificates: [{}]")],
  [common(`tls_certificates: [${PAIR}, ${PAIR}]`), "several certificates"],
  [common(`tls_certificates: [${PAIR}], tls_certificate_sds_secret_configs: [{name: s}]`), "several certificates"],
  [common("tls_certificate_provider_instance: {instance_name: x}"), "certificate providers", NOT_HERE],
  ["auto_sni_san_validation: true, common_tls_context: {validation_context: {}}", "needs trusted_ca"],
  [`auto_sni_san_validation: true, ${validation(CA)}`],
  [`auto_sni_san_validation: true, ${validation("system_root_certs: {}")}`, "needs trusted_ca"],
  [common("alpn_protocols: [h2, http/1.1]")],
  [common('alpn_protocols: ["h2,http/1.1"]')],
  [common(`alpn_protocols: [${"a".repeat(255)}]`)],
  [common(`alpn_protocols: [${"a".repeat(256)}]`), "is 256 bytes long"],
  [common('alpn_protocols: ["h2,"]'), "is 0 bytes long"],
  [common("tls_params: {signature_algorithms: [ecdsa_secp256r1_sha256, RSA+SHA256]}")],
  [common('tls_params: {signature_algorithms: ["PSS+SHA256:ed25519"]}')],
  [common("tls_params: {signature_algorithms: [NOPE]}"), '"NOPE" is not one of rsa_pkcs1_sha1'],
  [common("tls_params: {signature_algorithms: [RSA+SHA256, rsa_pkcs1_sha256]}"), "is named twice"],
  [common("tls_params: {tls_minimum_protocol_version: TLSv1_2, tls_maximum_protocol_version: TLSv1_3}")],
  [common('tls_params: {cipher_suites: [ECDHE-RSA-AES128-GCM-SHA256, "[AES128-SHA|AES256-SHA]"]}')],
  [common("tls_params: {cipher_suites: [NOPE]}"), "no known cipher suite"],
  [common("tls_params: {ecdh_curves: [X25519, P-256]}")],
  [common("tls_params: {ecdh_curves: [NOPE]}"), "is not one of"],
  [validation(CA)],
  [validation("system_root_certs: {}")],
  [validation("trust_chain_verification: ACCEPT_UNTRUSTED")],
  [validation("match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: x}}]"), "needs trusted_ca"],
  [validation("match_subject_alt_names: [{exact: x}]"), "needs trusted_ca"],
  [validation(`${CA}, match_typed_subject_alt_names: [{san_type: URI, matcher: {prefix: "spiffe://a/"}}]`)],
  [validation(`${CA}, match_typed_subject_alt_names: [{san_type: URI}]`), "matcher: is required"],
  [validation(`${CA}, match_typed_subject_alt_names: [{matcher: {exact: x}}]`), "san_type"],
  [validation(`${CA}, match_typed_subject_alt_names: [{san_type: DNS, matcher: {safe_regex: {regex: "("}}}]`), "RE2"],
  [validation(`${CA}, match_typed_subject_alt_names: [{san_type: OTHER_NAME, matcher: {exact: x}}]`), "OTHER_NAME"],
  [
    validation(`${CA}, match_typed_subject_alt_names: [{san_type: OTHER_NAME, oid: "1.2.3", matcher: {exact: x}}]`),
    "OTHER_NAME",
    NOT_HERE,
  ],
  [validation("allow_expired_certificate: true"), "needs trusted_ca"],
  [validation("crl: {inline_string: x}"), "needs trusted_ca"],
  [validation(`verify_certificate_hash: [${"ab".repeat(32)}]`)],
  [validation(`verify_certificate_hash: ["${Array(32).fill("ab").join(":")}"]`)],
  [validation(`verify_certificate_hash: [${"zz".repeat(32)}]`), "is not a SHA-256"],
  [validation("verify_certificate_hash: [ab]"), "verify_certificate_hash"],
  [validation("verify_certificate_spki: [ab]"), "verify_certificate_spki"],
  [validation(`${CA}, max_verify_depth: 101`), "max_verify_depth"],
  [`auto_sni_san_validation: true, ${validation(CA)}`],
  ["auto_sni_san_validation: true", "needs trusted_ca in a validation context"],
];

export const SECRETS: readonly Row[] = [
  ["{name: s, generic_secret: {secret: {inline_string: x}}}"],
  ["{name: s, generic_secret: {}}"],
  [`{name: s, validation_context: {${CA}}}`],
  [`{name: s, tls_certificate: ${PAIR}}`],
  ["{name: s, tls_certificate: {certificate_chain: {inline_string: junk}}}"],
  ["{name: s}", "no type set"],
  ["{name: s, session_ticket_keys: {}}", "keys"],
  [
    "{name: s, generic_secret: {secret: {inline_string: x}}}, {name: s, generic_secret: {secret: {inline_string: x}}}",
    "already the name",
  ],
];

export const ADS_SERVICES: readonly Row[] = [
  ["google_grpc: {target_uri: 127.0.0.1:1, stat_prefix: x}"],
  ["google_grpc: {target_uri: 127.0.0.1:1}", "stat_prefix"],
  [google(`channel_credentials: {ssl_credentials: {root_certs: {inline_string: ${inline("localhost.pem")}}}}`)],
  [google("channel_credentials: {ssl_credentials: {}}")],
  [google("channel_credentials: {local_credentials: {}}")],
  [google("channel_credentials: {}"), "no credential_specifier set"],
  [google("channel_credentials: {google_default: {}}"), "Google's default", NOT_HERE],
  [google("call_credentials: [{access_token: abc}]")],
  [google("call_credentials: [{}]"), "no credential_specifier set"],
  [google("call_credentials: [{google_iam: {authorization_token: a, authority_selector: b}}]")],
  [google("call_credentials: [{google_compute_engine: {}}]"), "metadata service", NOT_HERE],
  [
    google(
      `credentials_factory_name: envoy.grpc_credentials.file_based_metadata, call_credentials: [{from_plugin: {name: f, typed_config: {"@type": ${TYPE}envoy.config.grpc_credential.v3.FileBasedMetadataConfig, secret_data: {filename: /does/not/exist}}}}]`,
    ),
  ],
  [google("credentials_factory_name: made.up"), "made.up"],
  ["envoy_grpc: {cluster_name: local}, initial_metadata: [{key: ':path', value: x}]", "may not be set"],
  ["envoy_grpc: {cluster_name: local}, initial_metadata: [{key: host, value: x}]", "may not be set"],
  ["envoy_grpc: {cluster_name: local}, initial_metadata: [{key: x-bin, raw_value: AAE=}]"],
  [
    "envoy_grpc: {cluster_name: local, retry_policy: {retry_back_off: {base_interval: 10s, max_interval: 1s}}}",
    "must be at least base_interval",
  ],
];

function google(fields: string): string {
  return `google_grpc: {target_uri: 127.0.0.1:1, stat_prefix: x, ${fields}}`;
}
