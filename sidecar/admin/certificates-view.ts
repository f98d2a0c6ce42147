// GET /certs: envoy.admin.v3.Certificates as JSON. Pure.

import type { CertificateView, ContextCertificates } from "../../xds/secrets/certificate-views.ts";
import type { JsonObject } from "./ports.ts";

/** Envoy's names of the kinds; it shows no others. */
const KINDS: Readonly<Record<string, string>> = { dns: "dns", uri: "uri", ip: "ip_address" };

const DAY_MS = 86_400_000;

/** `now` is ms since the epoch. */
export function certificatesJson(contexts: readonly ContextCertificates[], now: number): JsonObject {
  const shown = contexts.filter(({ authorities, chain }) => authorities.length + chain.length > 0);
  return {
    certificates: shown.map(({ authorities, chain }) => ({
      ca_cert: authorities.map((view) => certificateJson(view, now)),
      cert_chain: chain.map((view) => certificateJson(view, now)),
    })),
  };
}

function certificateJson(
  { path, serialNumber, names, validFrom, expiresAt }: CertificateView,
  now: number,
): JsonObject {
  return {
    path,
    serial_number: serialNumber,
    subject_alt_names: names.flatMap(({ kind, name }) => {
      const field = KINDS[kind];
      return field === undefined ? [] : [{ [field]: name }];
    }),
    // A 64-bit number, which proto3 JSON writes as a text; none is left of one that is over.
    days_until_expiration: String(Math.max(0, Math.floor((expiresAt - now) / DAY_MS))),
    valid_from: time(validFrom),
    expiration_time: time(expiresAt),
  };
}

/** Proto3 JSON has no fraction where it is zero. */
function time(ms: number): string {
  return new Date(ms).toISOString().replace(".000Z", "Z");
}
