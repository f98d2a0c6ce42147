// What a TLS context demands of a control plane. Every server is a real one of gRPC.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { CertificateAuthority } from "../support/certificates.ts";
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
  stranger,
  TRUSTED_CA as CA,
} from "../support/control-plane-tls.ts";
import { ACCEPTED, REFUSED, validation } from "../support/peer-rows.ts";

suite("a control plane with TLS", () => {
  for (const [name, context] of ACCEPTED) {
    test(`is taken ${name}`, async (t) => {
      const { plane, port } = await server(t, serverCredentials(serverCertificate));
      client(t, overCluster(address(port), context));
      const stream = await plane.nextStream();
      assert.equal((await stream.next()).node?.id, "n");
    });
  }

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

  test("may have as many certificates above its own as max_verify_depth says", async (t) => {
    const between = new CertificateAuthority("between", authority);
    const issued = between.issue({ commonName: "server" });
    const chain = { certificate: issued.certificate + between.certificate, key: issued.key };
    const { plane, port } = await server(t, serverCredentials(chain));
    const depth = (limit: number) => overCluster(address(port), validation(`${CA}, max_verify_depth: ${limit}`));
    assert.match(await refusal(t, depth(1)), /there are 2 certificates above the server's, the trusted one included/);
    client(t, depth(2));
    await (await plane.nextStream()).next();
    // What is trusted need not be a root.
    client(
      t,
      overCluster(address(port), validation(`trusted_ca: ${inline(between.certificate)}, max_verify_depth: 1`)),
    );
    await (await plane.nextStream()).next();
  });

  test("is refused when it speaks no TLS", async (t) => {
    const { port } = await server(t);
    assert.match(await refusal(t, overCluster(address(port), validation(CA))), /TLS: the server does not speak TLS$/);
  });
});
