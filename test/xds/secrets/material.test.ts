// What a secret comes to, and what is said of one that cannot be used; whether Envoy refuses the same.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import type { DataSource } from "../../../xds/model/plugin-config.ts";
import type { Secret } from "../../../xds/model/tls.ts";
import { loadSecret } from "../../../xds/secrets/material.ts";
import { CertificateAuthority, encryptedKey } from "../../support/certificates.ts";
import { ENVOY_MISSING, findEnvoy } from "../../support/envoy-binary.ts";

const directory = mkdtempSync(join(tmpdir(), "outrigger-material-"));
after(() => rmSync(directory, { recursive: true }));

const authority = new CertificateAuthority();
const one = authority.issue({ commonName: "one", dns: ["one.test"] });
const two = authority.issue({ commonName: "two" });

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const CHAIN = file("one.pem", one.certificate);
const KEY = file("one.key", one.key);
const OTHER = file("two.key", two.key);
const LOCKED = file("locked.key", encryptedKey(one.key, "sesame"));
const JUNK = file("junk.pem", "junk");
const EMPTY = file("empty.pem", "");
const CA = file("ca.pem", authority.certificate);
const BROKEN = file("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");

const at = (path: string): DataSource => ({ kind: "file", path });

function problem(secret: Omit<Extract<Secret, { kind: "tls_certificate" }>, "name"> | Secret): string {
  const loaded = loadSecret({ name: "s", ...secret }, { KEY: one.key });
  return loaded.ok ? "" : loaded.problem.replaceAll(`${directory}/`, "");
}

function pair(chain: string | undefined, key: string | undefined, password = ""): string {
  return problem({
    kind: "tls_certificate",
    certificate: {
      certificateChain: chain === undefined ? undefined : at(chain),
      privateKey: key === undefined ? undefined : at(key),
      password: password === "" ? undefined : { kind: "bytes", bytes: Buffer.from(password) },
      watchedDirectory: "",
    },
  });
}

/** Chain, key, password, what we say; the files as Envoy gets them. */
const PAIRS: readonly (readonly [name: string, string | undefined, string | undefined, string, string])[] = [
  ["a pair that fits", CHAIN, KEY, "", ""],
  [
    "a key of another certificate",
    CHAIN,
    OTHER,
    "",
    "the private key in two.key is not the key of the certificate in one.pem",
  ],
  ["an encrypted key", CHAIN, LOCKED, "sesame", ""],
  [
    "an encrypted key without its password",
    CHAIN,
    LOCKED,
    "",
    "the private key in locked.key is encrypted, and there is no password",
  ],
  [
    "an encrypted key with another password",
    CHAIN,
    LOCKED,
    "x",
    "the private key in locked.key cannot be used: the password is wrong",
  ],
  ["no key", CHAIN, undefined, "", "the private key is not set"],
  ["no chain", undefined, KEY, "", "the certificate chain is not set"],
  ["a chain that is no PEM", JUNK, KEY, "", "there is no PEM certificate in the certificate chain, junk.pem"],
  [
    "a chain whose PEM holds nothing",
    BROKEN,
    KEY,
    "",
    "the certificate in the certificate chain, broken.pem, does not parse: asn1 encoding routines::wrong tag",
  ],
  [
    "a key that is no PEM",
    CHAIN,
    JUNK,
    "",
    "the private key in junk.pem cannot be used: it is no PEM key of a known kind",
  ],
  ["an empty file", CHAIN, EMPTY, "", "the private key cannot be read: empty.pem is empty"],
  [
    "a file that is not there",
    "/does/not/exist",
    KEY,
    "",
    "the certificate chain cannot be read: /does/not/exist cannot be read: the file does not exist",
  ],
  ["a directory", "/", KEY, "", "the certificate chain cannot be read: / is no file"],
];

suite("loadSecret() of a certificate", () => {
  for (const [name, chain, key, password, expected] of PAIRS) {
    test(name, () => assert.equal(pair(chain, key, password), expected));
  }

  test("takes data of the environment", () => {
    const certificate = {
      certificateChain: at(CHAIN),
      privateKey: { kind: "environment", variable: "KEY" } as const,
      password: undefined,
      watchedDirectory: "",
    };
    assert.equal(problem({ kind: "tls_certificate", certificate }), "");
    const missing = { ...certificate, privateKey: { kind: "environment", variable: "NONE" } as const };
    assert.equal(
      problem({ kind: "tls_certificate", certificate: missing }),
      "the private key cannot be read: the environment has no NONE",
    );
  });
});

const BARE = {
  trustedCa: undefined,
  systemRoots: false,
  crl: undefined,
  watchedDirectory: "",
  spkiHashes: [],
  certificateHashes: [],
  sanMatchers: [],
  allowExpired: false,
  acceptUntrusted: false,
  maxVerifyDepth: 100,
};

test("loadSecret() of authorities finds each certificate of a bundle, and says which is broken", () => {
  const bundle = (text: string) =>
    loadSecret(
      {
        name: "s",
        kind: "validation_context",
        validation: { ...BARE, trustedCa: { kind: "bytes", bytes: Buffer.from(text) } },
      },
      {},
    );
  const two = bundle(`# comment\n${authority.certificate}${one.certificate}`);
  assert.ok(two.ok && two.value.kind === "validation_context");
  assert.equal(two.value.validation.authoritiesPem?.length, 2);
  const broken = bundle(`${authority.certificate}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`);
  assert.ok(!broken.ok);
  assert.match(broken.problem, /^certificate 2 of 2 in the trusted CA certificates, <inline>, does not parse/);
  assert.equal(
    problem({ name: "s", kind: "validation_context", validation: { ...BARE, trustedCa: at(JUNK) } }),
    "there is no PEM certificate in the trusted CA certificates, junk.pem",
  );
  assert.equal(
    problem({ name: "s", kind: "validation_context", validation: { ...BARE, trustedCa: at(CA), crl: at(JUNK) } }),
    "junk.pem has no PEM revocation list",
  );
});

test("loadSecret() of session ticket keys wants 80 bytes each", () => {
  const keys = (length: number): Secret => ({
    name: "s",
    kind: "session_ticket_keys",
    ticketKeys: [{ kind: "bytes", bytes: Buffer.alloc(length, 1) }],
  });
  assert.equal(problem(keys(80)), "");
  assert.equal(problem(keys(79)), "a session ticket key has 80 bytes, <inline> has 79");
});

const envoy = findEnvoy();

suite("Envoy refuses the same certificates", { skip: envoy === undefined ? ENVOY_MISSING : false }, () => {
  for (const [name, chain, key, password, expected] of PAIRS) {
    test(name, () => {
      const fields = [
        ...(chain === undefined ? [] : [`certificate_chain: {filename: ${chain}}`]),
        ...(key === undefined ? [] : [`private_key: {filename: ${key}}`]),
        ...(password === "" ? [] : [`password: {inline_string: ${password}}`]),
      ];
      const type = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
      const context = `{"@type": ${type}, common_tls_context: {tls_certificates: [{${fields.join(", ")}}]}}`;
      const yaml = `static_resources: {clusters: [{name: c, transport_socket: {name: tls, typed_config: ${context}}}]}`;
      const path = file("bootstrap.yaml", yaml);
      const run = () => execFileSync(envoy ?? "", ["--mode", "validate", "-c", path, "-l", "off"], { stdio: "pipe" });
      if (expected === "") run();
      else assert.throws(run);
    });
  }
});

test("loadSecret() takes hostile data in a time that grows with its length only", () => {
  const validation = (text: string) => ({ ...BARE, trustedCa: { kind: "bytes", bytes: Buffer.from(text) } as const });
  const load = (text: string) => problem({ name: "s", kind: "validation_context", validation: validation(text) });
  const begin = "-----BEGIN CERTIFICATE-----\n";
  assert.match(load(begin.repeat(140_000)), /no PEM certificate/);
  assert.match(load(`${begin}-----END CERTIFICATE-----\n`.repeat(2_001)), /more than 2000 certificates/);
  assert.match(load("x".repeat(4 * 1024 * 1024 + 1)), /more than 4194304 bytes/);
});
