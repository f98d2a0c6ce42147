// Who a client is by its certificate: the SPIFFE id in it. TLS has verified the certificate; here it is only read. Pure.
// Source: SPIFFE X509-SVID, section 2: one URI, and a certificate with several URIs is to be refused.

import { X509Certificate } from "node:crypto";

const MAX_ID_BYTES = 2_048;

/** The SPIFFE id of a certificate in DER, as a list of none or one. */
export function spiffeIdsOf(certificate: Uint8Array | undefined): readonly string[] {
  if (certificate === undefined) return [];
  let names: string | undefined;
  try {
    names = new X509Certificate(certificate).subjectAltName;
  } catch {
    return [];
  }
  const uris = alternativeNames(names ?? "").filter(({ kind }) => kind === "URI");
  const [first] = uris;
  if (uris.length !== 1 || first === undefined) return [];
  const { value } = first;
  return value.startsWith("spiffe://") && value.length <= MAX_ID_BYTES ? [value] : [];
}

/** Node's text `DNS:a, URI:b`, in which a value with a comma or a quote is a JSON string. */
function alternativeNames(text: string): { kind: string; value: string }[] {
  return Array.from(text.matchAll(/(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,"]*)/g), ([, kind = "", raw = ""]) => {
    return { kind, value: raw.startsWith('"') ? String(JSON.parse(raw)) : raw };
  });
}
