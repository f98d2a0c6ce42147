// Which fields have an effect: TLS and secrets. Keys of `accepted` and `refused` are field names, with what happens instead.
// Read by fields.ts; a test fails when a reachable field has no row here.

import type { MessageRows } from "../fields.ts";

const TLS = "envoy.extensions.transport_sockets.tls.v3";
const PROVIDERS = "certificate providers are not supported; use secrets";
const NO_LISTENERS = "connections to listeners are not served by TLS yet";

export const TLS_ROWS: Readonly<Record<string, MessageRows>> = {
  [`${TLS}.Secret`]: {
    supported: "name tls_certificate session_ticket_keys validation_context generic_secret",
  },
  [`${TLS}.TlsCertificate`]: {
    supported: "certificate_chain private_key password watched_directory",
    accepted: {
      ocsp_staple: "nothing is stapled",
      signed_certificate_timestamp: "nothing is stapled",
      tls_params: "the context's parameters count",
    },
    refused: {
      pkcs12: "use certificate_chain and private_key",
      private_key_provider: "keys are files or inline; use private_key",
    },
  },
  [`${TLS}.CertificateValidationContext`]: {
    supported:
      "trusted_ca system_root_certs watched_directory verify_certificate_spki verify_certificate_hash match_typed_subject_alt_names match_subject_alt_names crl allow_expired_certificate trust_chain_verification max_verify_depth",
    accepted: {
      require_signed_certificate_timestamp: "has no reader in Envoy either",
      only_verify_leaf_cert_crl: "a revocation list must cover the whole chain",
      suppress_client_ca_list: NO_LISTENERS,
    },
    refused: {
      ca_certificate_provider_instance: PROVIDERS,
      custom_validator_config: "this extension point is not supported",
    },
  },
  [`${TLS}.CertificateValidationContext.SystemRootCerts`]: {
    supported: "",
  },
  [`${TLS}.SubjectAltNameMatcher`]: {
    supported: "san_type matcher",
    refused: {
      oid: "OTHER_NAME is not supported",
    },
  },
  [`${TLS}.TlsSessionTicketKeys`]: {
    supported: "keys",
  },
  [`${TLS}.GenericSecret`]: {
    supported: "secret secrets",
  },
  [`${TLS}.SdsSecretConfig`]: {
    supported: "name sds_config",
  },
  [`${TLS}.UpstreamTlsContext`]: {
    supported: "common_tls_context sni auto_host_sni auto_sni_san_validation",
    accepted: {
      allow_renegotiation: "connections are never renegotiated",
      max_session_keys: "sessions are not resumed",
      enforce_rsa_key_usage: "the TLS library decides",
    },
  },
  [`${TLS}.DownstreamTlsContext`]: {
    supported: "common_tls_context session_ticket_keys_sds_secret_config",
    accepted: {
      require_client_certificate: NO_LISTENERS,
      require_sni: NO_LISTENERS,
      session_ticket_keys: NO_LISTENERS,
      disable_stateless_session_resumption: NO_LISTENERS,
      disable_stateful_session_resumption: NO_LISTENERS,
      session_timeout: NO_LISTENERS,
      ocsp_staple_policy: NO_LISTENERS,
      full_scan_certs_on_sni_mismatch: NO_LISTENERS,
      prefer_client_ciphers: NO_LISTENERS,
    },
  },
  [`${TLS}.CommonTlsContext`]: {
    supported:
      "tls_params tls_certificates tls_certificate_sds_secret_configs validation_context validation_context_sds_secret_config combined_validation_context alpn_protocols",
    accepted: {
      key_log: "keys are not logged",
    },
    refused: {
      tls_certificate_provider_instance: PROVIDERS,
      custom_tls_certificate_selector: "this extension point is not supported",
      tls_certificate_certificate_provider: PROVIDERS,
      tls_certificate_certificate_provider_instance: PROVIDERS,
      validation_context_certificate_provider: PROVIDERS,
      validation_context_certificate_provider_instance: PROVIDERS,
      custom_handshaker: "this extension point is not supported",
    },
  },
  [`${TLS}.CommonTlsContext.CombinedCertificateValidationContext`]: {
    supported: "default_validation_context validation_context_sds_secret_config",
    refused: {
      validation_context_certificate_provider: PROVIDERS,
      validation_context_certificate_provider_instance: PROVIDERS,
    },
  },
  [`${TLS}.TlsParameters`]: {
    supported:
      "tls_minimum_protocol_version tls_maximum_protocol_version cipher_suites ecdh_curves signature_algorithms",
    refused: {
      compliance_policies: "choose versions, cipher_suites and ecdh_curves yourself",
    },
  },
};
