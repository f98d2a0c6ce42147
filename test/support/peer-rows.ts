// What a TLS context can demand of a server whose certificate is control-plane-tls.ts's `serverCertificate`, and the verdict.
// Given to our own handshake, and to Envoy's.

import { createHash, X509Certificate } from "node:crypto";
import { inline, serverCertificate, SPIFFE, stranger, TRUSTED_CA as CA } from "./control-plane-tls.ts";

/** A context that demands this of the server. */
export const validation = (text: string) => `common_tls_context: { validation_context: { ${text} } }`;
const names = (type: string, matcher: string) =>
  validation(`${CA}, match_typed_subject_alt_names: [{ san_type: ${type}, matcher: ${matcher} }]`);
const { fingerprint256, publicKey } = new X509Certificate(serverCertificate.certificate);
const spki = createHash("sha256")
  .update(publicKey.export({ type: "spki", format: "der" }))
  .digest("base64");

/** The server is taken. */
export const ACCEPTED: readonly (readonly [name: string, context: string])[] = [
  ["whose authority is trusted", validation(CA)],
  ["when nothing is demanded, as Envoy does", "sni: xds.test"],
  ["whose URI is matched", names("URI", `{ exact: "${SPIFFE}" }`)],
  [
    "whose URI is matched by an expression",
    names("URI", `{ safe_regex: { regex: "spiffe://[a-z.]+/ns/istio-system/.*" } }`),
  ],
  ["whose DNS name is matched", names("DNS", "{ exact: XDS.test }")],
  ["whose address is matched", names("IP_ADDRESS", "{ exact: 127.0.0.1 }")],
  ["whose name is the one that was sent", `sni: xds.test, auto_sni_san_validation: true, ${validation(CA)}`],
  [
    "one of whose names is matched by one of several",
    validation(
      `${CA}, match_typed_subject_alt_names: [{ san_type: URI, matcher: { exact: x } }, { san_type: DNS, matcher: { suffix: .test } }]`,
    ),
  ],
  ["whose name is matched without its kind", validation(`${CA}, match_subject_alt_names: [{ contains: istio }]`)],
  ["whose chain has nothing in between", validation(`${CA}, max_verify_depth: 1`)],
  ["that is pinned by its key", validation(`verify_certificate_spki: ["${spki}"]`)],
  [
    "that is pinned by its key, when the pinned hash is another",
    validation(`verify_certificate_spki: ["${spki}"], verify_certificate_hash: [${"ab".repeat(32)}]`),
  ],
  ["that is pinned by hash", validation(`verify_certificate_hash: ["${fingerprint256}"]`)],
  [
    "of a stranger, when untrusted ones are accepted",
    validation(`trusted_ca: ${inline(stranger.certificate)}, trust_chain_verification: ACCEPT_UNTRUSTED`),
  ],
  [
    "with chosen versions and suites",
    `common_tls_context: { tls_params: { tls_minimum_protocol_version: TLSv1_2, tls_maximum_protocol_version: TLSv1_2, cipher_suites: [ECDHE-ECDSA-AES128-GCM-SHA256], ecdh_curves: [P-256] }, validation_context: { ${CA} } }`,
  ],
];

/** The server is refused, with the reason that we give. */
export const REFUSED: readonly (readonly [name: string, context: string, reason: RegExp])[] = [
  [
    "whose key is not the pinned one",
    validation(`verify_certificate_spki: ["${"A".repeat(43)}="]`),
    /none of those that are pinned/,
  ],
  [
    "whose name is not the one that was sent, as an address",
    `sni: 127.0.0.2, auto_sni_san_validation: true, ${validation(CA)}`,
    /is not for "127.0.0.2"/,
  ],
  [
    "whose authority is another",
    validation(`trusted_ca: ${inline(stranger.certificate)}`),
    /certificate is not trusted: its authority is not one of trusted_ca/,
  ],
  [
    "whose names do not fit",
    names("DNS", "{ exact: other.test }"),
    /none of the names that are asked for: it is for xds.test, spiffe:.*, 127.0.0.1/,
  ],
  ["whose name is of another kind", names("DNS", `{ exact: "${SPIFFE}" }`), /none of the names/],
  [
    "that is not for the name that was sent",
    `sni: y.test, auto_sni_san_validation: true, ${validation(CA)}`,
    /is not for "y.test"/,
  ],
  [
    "that is not the pinned one",
    validation(`${CA}, verify_certificate_hash: [${"ab".repeat(32)}]`),
    /none of those that are pinned/,
  ],
  [
    "that wants another version",
    "common_tls_context: { tls_params: { tls_maximum_protocol_version: TLSv1_1 } }",
    /TLS: there is no version of TLS that both speak$/,
  ],
];
