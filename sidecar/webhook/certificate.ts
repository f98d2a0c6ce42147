// Certificates of the webhook: an authority of its own and what it issues for the webhook's service (X.509, RFC 5280; ECDSA on P-256). Made
// here because the packages that make certificates bring twenty others, or RSA in JavaScript; OpenSSL, by node:crypto, signs and checks.

import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  X509Certificate,
} from "node:crypto";
import { isIPv4 } from "node:net";
import { bits, integer, objectId, octets, retagged, sequence, set, tagged, text, time, truth } from "./der.ts";

/** PEM texts. */
export interface KeyedCertificate {
  readonly certificate: string;
  readonly key: string;
}

const DAY_MS = 86_400_000;
export const AUTHORITY_DAYS = 3_650;
export const SERVING_DAYS = 90;
/** A clock that is behind must not refuse what was made just now. */
const BACKDATED_MS = DAY_MS / 24;

export function makeAuthority(name: string, nowMs: number): KeyedCertificate {
  const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const certificate = build({
    subject: name,
    issuer: name,
    days: AUTHORITY_DAYS,
    nowMs,
    publicKey: keys.publicKey.export({ type: "spki", format: "der" }),
    signingKey: keys.privateKey,
    extensions: [
      extension("2.5.29.19", true, sequence(truth())),
      // keyCertSign and cRLSign.
      extension("2.5.29.15", true, bits(Buffer.from([0x06]), 1)),
    ],
    issuerPublicKey: keys.publicKey.export({ type: "spki", format: "der" }),
  });
  return { certificate, key: keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString() };
}

/** A serving certificate for `names` (DNS names and IPv4 addresses), signed by `authority`. */
export function issueServing(authority: KeyedCertificate, names: readonly string[], nowMs: number): KeyedCertificate {
  const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const signingKey = createPrivateKey(authority.key);
  const certificate = build({
    subject: names[0] ?? "webhook",
    issuer: commonName(new X509Certificate(authority.certificate)),
    days: SERVING_DAYS,
    nowMs,
    publicKey: keys.publicKey.export({ type: "spki", format: "der" }),
    signingKey,
    extensions: [
      extension("2.5.29.19", true, sequence()),
      // digitalSignature.
      extension("2.5.29.15", true, bits(Buffer.from([0x80]), 7)),
      // serverAuth.
      extension("2.5.29.37", false, sequence(objectId("1.3.6.1.5.5.7.3.1"))),
      extension("2.5.29.17", false, sequence(...names.map(alternativeName))),
    ],
    issuerPublicKey: createPublicKey(signingKey).export({ type: "spki", format: "der" }),
  });
  return { certificate, key: keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString() };
}

/** When two thirds of its life are over, in ms; NaN of what is no certificate. */
export function renewalTimeMs(certificate: string): number {
  const { validFrom, validTo } = readCertificate(certificate) ?? {};
  const [from, to] = [Date.parse(validFrom ?? ""), Date.parse(validTo ?? "")];
  return from + ((to - from) * 2) / 3;
}

export function expiryMs(certificate: string): number {
  return Date.parse(readCertificate(certificate)?.validTo ?? "");
}

/** Whether `serving` is signed by `authority`, has `key`, and is for every one of `names`. */
export function fits(serving: KeyedCertificate, authority: string, names: readonly string[]): boolean {
  const certificate = readCertificate(serving.certificate);
  const issuer = readCertificate(authority);
  if (certificate === undefined || issuer === undefined) {
    return false;
  }
  try {
    return (
      certificate.checkPrivateKey(createPrivateKey(serving.key)) &&
      certificate.verify(issuer.publicKey) &&
      names.every((name) => (isIPv4(name) ? certificate.checkIP(name) : certificate.checkHost(name)) !== undefined)
    );
  } catch {
    return false;
  }
}

export function readCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

interface Parts {
  readonly subject: string;
  readonly issuer: string;
  readonly days: number;
  readonly nowMs: number;
  readonly publicKey: Buffer;
  readonly issuerPublicKey: Buffer;
  readonly signingKey: ReturnType<typeof createPrivateKey>;
  readonly extensions: readonly Buffer[];
}

function build(parts: Parts): string {
  // ecdsa-with-SHA256.
  const algorithm = sequence(objectId("1.2.840.10045.4.3.2"));
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  const body = sequence(
    tagged(0, integer(Buffer.from([2]))),
    integer(serial),
    algorithm,
    distinguishedName(parts.issuer),
    sequence(time(new Date(parts.nowMs - BACKDATED_MS)), time(new Date(parts.nowMs + parts.days * DAY_MS))),
    distinguishedName(parts.subject),
    parts.publicKey,
    tagged(
      3,
      sequence(
        ...parts.extensions,
        extension("2.5.29.14", false, octets(keyId(parts.publicKey))),
        extension("2.5.29.35", false, sequence(retagged(0, keyId(parts.issuerPublicKey)))),
      ),
    ),
  );
  const certificate = sequence(body, algorithm, bits(sign("sha256", body, parts.signingKey)));
  const lines = certificate.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

/** Any number that names the key; SHA-1 of it is the custom. */
function keyId(publicKey: Buffer): Buffer {
  return createHash("sha1").update(publicKey).digest();
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(objectId(id), ...(critical ? [truth()] : []), octets(value));
}

/** One commonName, which may have at most 64 characters. */
function distinguishedName(name: string): Buffer {
  return sequence(set(sequence(objectId("2.5.4.3"), text(name.slice(0, 64)))));
}

function commonName(certificate: X509Certificate): string {
  return /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? "";
}

function alternativeName(name: string): Buffer {
  return isIPv4(name)
    ? retagged(7, Buffer.from(name.split(".").map(Number)))
    : retagged(2, Buffer.from(name, "latin1"));
}
