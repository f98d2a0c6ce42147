// The webhook's certificates, as OpenSSL reads them and as TLS clients take them.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { suite, test } from "node:test";
import { connect, createServer } from "node:tls";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { expiryMs, fits, issueServing, makeAuthority, renewalTimeMs } from "../../../sidecar/webhook/certificate.ts";
import { integer, objectId, octets, time } from "../../../sidecar/webhook/der.ts";

const NAMES = ["outrigger-webhook.outrigger-system.svc", "localhost", "127.0.0.1"];
const NOW = Date.now();

suite("certificate", () => {
  const authority = makeAuthority("outrigger webhook", NOW);
  const serving = issueServing(authority, NAMES, NOW);

  test("OpenSSL reads what was meant", () => {
    const ca = new X509Certificate(authority.certificate);
    const leaf = new X509Certificate(serving.certificate);
    assert.equal(ca.ca, true);
    assert.equal(leaf.ca, false);
    assert.equal(leaf.issuer, "CN=outrigger webhook");
    assert.equal(leaf.subject, `CN=${NAMES[0]}`);
    assert.equal(leaf.subjectAltName, `DNS:${NAMES[0]}, DNS:localhost, IP Address:127.0.0.1`);
    assert.deepEqual(leaf.keyUsage, ["1.3.6.1.5.5.7.3.1"]);
    assert.ok(leaf.checkIssued(ca) && leaf.verify(ca.publicKey));
    assert.notEqual(leaf.serialNumber, ca.serialNumber);
    assert.equal(leaf.serialNumber.length, 32);
  });

  test("a TLS client that trusts the authority alone takes it, by name and by address", async () => {
    const server = createServer({ cert: serving.certificate, key: serving.key }, (socket) => socket.end("hello"));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    try {
      for (const servername of [NAMES[0] as string, "localhost"]) {
        const client = connect({ port, host: "127.0.0.1", servername, ca: authority.certificate });
        await once(client, "secureConnect");
        assert.equal(client.authorized, true);
        client.destroy();
      }
      const stranger = connect({
        port,
        host: "127.0.0.1",
        servername: "localhost",
        ca: makeAuthority("x", NOW).certificate,
      });
      const [error] = (await once(stranger, "error")) as [NodeJS.ErrnoException];
      assert.match(String(error.code), /SELF_SIGNED|UNABLE_TO_VERIFY|SIGNATURE/);
    } finally {
      server.close();
    }
  });

  test("it is renewed when two thirds of its life are over", () => {
    const day = 86_400_000;
    const renewal = renewalTimeMs(serving.certificate) - NOW;
    assert.ok(renewal > 59 * day && renewal < 61 * day, String(renewal / day));
    assert.ok(Math.abs(expiryMs(serving.certificate) - NOW - 90 * day) < 2_000);
    assert.ok(Number.isNaN(renewalTimeMs("nonsense")));
  });

  test("fits() wants key, issuer and every name", () => {
    assert.equal(fits(serving, authority.certificate, NAMES), true);
    assert.equal(fits(serving, authority.certificate, ["elsewhere.svc"]), false);
    assert.equal(fits({ ...serving, key: authority.key }, authority.certificate, NAMES), false);
    assert.equal(fits(serving, makeAuthority("outrigger webhook", NOW).certificate, NAMES), false);
    assert.equal(fits({ certificate: "x", key: "y" }, authority.certificate, NAMES), false);
  });

  test("an authority that outlives 2049 says so in four digits", () => {
    const late = new X509Certificate(makeAuthority("late", Date.parse("2045-01-01T00:00:00Z")).certificate);
    assert.match(late.validTo, /2054/);
    assert.match(late.validFrom, /2044/);
  });
});

suite("der", () => {
  const cases = [
    { name: "a number whose first bit is set", bytes: integer(Buffer.from([0x80])), hex: "02020080" },
    { name: "a number with zeros before it", bytes: integer(Buffer.from([0, 0, 5])), hex: "020105" },
    { name: "an object id with a long part", bytes: objectId("1.2.840.10045.4.3.2"), hex: "06082a8648ce3d040302" },
    { name: "128 bytes", bytes: octets(Buffer.alloc(128)).subarray(0, 3), hex: "048180" },
    { name: "256 bytes", bytes: octets(Buffer.alloc(256)).subarray(0, 4), hex: "04820100" },
    {
      name: "a time",
      bytes: time(new Date("2026-11-28T18:00:01.5Z")),
      hex: `170d${Buffer.from("261128180001Z").toString("hex")}`,
    },
  ];
  for (const { name, bytes, hex } of cases) {
    test(name, () => assert.equal(bytes.toString("hex"), hex));
  }
});
