// What a TLS context demands of a control plane. Every server is a real one of gRPC.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { suite, test } from "node:test";
import {
  address,
  authority,
  client,
  inline,
  overCluster,
  refusal,
  server,
  serverCertificate,
  serverCredentials,
  SPIFFE,
  stranger,
  TRUSTED_CA as CA,
} from "../support/control-plane-tls.ts";

suite("a control plane with TLS", () => {
  const validation = (text: string) => `common_tls_context: { validation_context: { ${text} } }`;
  const names = (type: string, matcher: string) =>
    validation(`${CA}, match_typed_subject_alt_names: [{ san_type: ${type}, matcher: ${matcher} }]`);
  const { fingerprint256 } = new X509Certificate(serverCertificate.certificate);

  const ACCEPTED: readonly (readonly [name: string, context: string])[] = [
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
  for (const [name, context] of ACCEPTED) {
    test(`is taken ${name}`, async (t) => {
      const { plane, port } = await server(t, serverCredentials(serverCertificate));
      client(t, overCluster(address(port), context));
      const stream = await plane.nextStream();
      assert.equal((await stream.next()).node?.id, "n");
    });
  }

  const REFUSED: readonly (readonly [name: string, context: string, reason: RegExp])[] = [
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
      /TLS: /,
    ],
  ];
  for (const [name, context, reason] of REFUSED) {
    test(`is refused ${name}, with the reason`, async (t) => {
      const { plane, port } = await server(t, serverCredentials(serverCertificate));
      assert.match(await refusal(t, overCluster(address(port), context)), reason);
      assert.equal(plane.streams.all.length, 0);
    });
  }

  test("is refused when its certificate is over, unless that is allowed", async (t) => {
    const day = 86_400_000;
    const over = { from: new Date(Date.now() - 2 * day), to: new Date(Date.now() - day) };
    const old = serverCredentials(authority.issue({ commonName: "old" }, over));
    const { plane, port } = await server(t, old);
    assert.match(await refusal(t, overCluster(address(port), validation(CA))), /not trusted: it has expired/);
    client(t, overCluster(address(port), validation(`${CA}, allow_expired_certificate: true`)));
    await (await plane.nextStream()).next();
    const foreign = validation(`trusted_ca: ${inline(stranger.certificate)}, allow_expired_certificate: true`);
    assert.match(await refusal(t, overCluster(address(port), foreign)), /not trusted/);
  });

  test("is refused when it speaks no TLS", async (t) => {
    const { port } = await server(t);
    assert.match(await refusal(t, overCluster(address(port), validation(CA))), /TLS: /);
  });
});
