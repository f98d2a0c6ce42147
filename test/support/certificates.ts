// Makes X.509 certificates for tests: an authority, and what it signs, with the names, the URI and the dates that a test
// wants. EC keys (P-256), signed by ECDSA with SHA-256. Source: RFC 5280; DER by hand, because Node.js signs but does not
// write certificates.

import { createPrivateKey, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { isIPv4 } from "node:net";

export type CertificateNames = Readonly<{
  commonName: string;
  dns?: readonly string[];
  uris?: readonly string[];
  ips?: readonly string[];
  emails?: readonly string[];
}>;

export type CertificateDates = Readonly<{ from?: Date; to?: Date }>;

/** A certificate with its key; `certificate` and `key` are PEM. */
export type Issued = Readonly<{ certificate: string; key: string }>;

export class CertificateAuthority {
  readonly #name: Buffer;
  readonly #key: KeyObject;
  /** Its own certificate, PEM. */
  readonly certificate: string;

  /** Without `issuer` it signs itself. */
  constructor(commonName = "test authority", issuer?: CertificateAuthority) {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    this.#key = privateKey;
    this.#name = distinguishedName(commonName);
    const extensions = [
      extension("2.5.29.19", sequence(Buffer.from([0x01, 0x01, 0xff])), true),
      // keyCertSign, cRLSign.
      extension("2.5.29.15", Buffer.from([0x03, 0x02, 0x01, 0x06]), true),
    ];
    this.certificate = (issuer ?? this).#sign(this.#name, publicKey, extensions, {});
  }

  issue(names: CertificateNames, dates: CertificateDates = {}): Issued {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const alternatives = alternativeNames(names);
    const extensions = alternatives.length === 0 ? [] : [extension("2.5.29.17", sequence(...alternatives))];
    const certificate = this.#sign(distinguishedName(names.commonName), publicKey, extensions, dates);
    return { certificate, key: pemKey(privateKey) };
  }

  #sign(subject: Buffer, publicKey: KeyObject, extensions: readonly Buffer[], dates: CertificateDates): string {
    const hour = 3_600_000;
    const algorithm = sequence(objectId("1.2.840.10045.4.3.2"));
    const serial = randomBytes(9);
    serial[0] = 0x01;
    const from = dates.from ?? new Date(Date.now() - hour);
    const body = sequence(
      element(0xa0, integer(Buffer.from([2]))),
      integer(serial),
      algorithm,
      this.#name,
      sequence(time(from), time(dates.to ?? new Date(Date.now() + 24 * hour))),
      subject,
      publicKey.export({ type: "spki", format: "der" }),
      ...(extensions.length === 0 ? [] : [element(0xa3, sequence(...extensions))]),
    );
    const signature = sign("sha256", body, this.#key);
    return pem("CERTIFICATE", sequence(body, algorithm, bits(signature)));
  }
}

function alternativeNames({ dns = [], uris = [], ips = [], emails = [] }: CertificateNames): Buffer[] {
  return [
    ...emails.map((name) => element(0x81, Buffer.from(name))),
    ...dns.map((name) => element(0x82, Buffer.from(name))),
    ...uris.map((name) => element(0x86, Buffer.from(name))),
    ...ips.map((ip) => element(0x87, ipBytes(ip))),
  ];
}

function ipBytes(ip: string): Buffer {
  if (isIPv4(ip)) return Buffer.from(ip.split(".").map(Number));
  // "::1" and the like: one "::" at the front.
  const groups = ip.split("::")[1]?.split(":") ?? [];
  const bytes = Buffer.alloc(16);
  groups.forEach((group, index) => bytes.writeUInt16BE(Number.parseInt(group, 16), 16 - 2 * (groups.length - index)));
  return bytes;
}

function pemKey(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}

/** The same key, encrypted with a password. */
export function encryptedKey(key: string, passphrase: string): string {
  return createPrivateKey(key).export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase }).toString();
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

function distinguishedName(commonName: string): Buffer {
  return sequence(element(0x31, sequence(objectId("2.5.4.3"), element(0x0c, Buffer.from(commonName)))));
}

function extension(id: string, value: Buffer, isCritical = false): Buffer {
  const critical = isCritical ? [Buffer.from([0x01, 0x01, 0xff])] : [];
  return sequence(objectId(id), ...critical, element(0x04, value));
}

/** GeneralizedTime, `YYYYMMDDHHMMSSZ`; UTCTime before 2050, as the RFC demands. */
function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/\..*|[-:T]/g, "");
  return date.getUTCFullYear() < 2050
    ? element(0x17, Buffer.from(`${digits.slice(2)}Z`))
    : element(0x18, Buffer.from(`${digits}Z`));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return element(0x30, Buffer.concat(parts));
}

function bits(bytes: Buffer): Buffer {
  return element(0x03, Buffer.concat([Buffer.from([0]), bytes]));
}

function integer(bytes: Buffer): Buffer {
  return element(0x02, bytes);
}

function objectId(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split(".").map(Number);
  const bytes = [first * 40 + second];
  for (const part of rest) {
    const groups = [part & 0x7f];
    for (let left = part >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return element(0x06, Buffer.from(bytes));
}

function element(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const head =
    length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), content]);
}
