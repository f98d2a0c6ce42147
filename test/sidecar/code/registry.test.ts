// What a registry behind TLS may not do. Layouts and authentication in general: code-fetch.test.ts.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { parseImageReference } from "../../../sidecar/code/image-reference.ts";
import { type Blob, Registry } from "../../../sidecar/code/registry.ts";
import { FakeRegistry, imageManifest, TEST_CA } from "../../support/fake-registry.ts";

function open(server: FakeRegistry, isPlain: boolean): Registry {
  const parsed = parseImageReference(server.uri("p:v1"));
  assert.ok(parsed.ok);
  const secrets = new Map([[parsed.image.registry, { username: "me", password: "pw" }]]);
  const signal = AbortSignal.timeout(5_000);
  return new Registry({ image: parsed.image, secrets, isPlain, maxBytes: 1_000, signal, ca: TEST_CA });
}

function problemOf(blob: Blob): string {
  return blob.ok ? "" : blob.problem;
}

suite("Registry over TLS", () => {
  test("gets a manifest", async () => {
    await using server = await FakeRegistry.start("https");
    server.manifest("p", imageManifest("x", []), "v1");
    assert.ok((await open(server, false).manifest("v1")).ok);
  });

  test("sends no secret to a realm that is not encrypted", async () => {
    await using server = await FakeRegistry.start("https");
    await using realm = await FakeRegistry.start();
    server.authorization = "Bearer t";
    server.challenge = `Bearer realm="${realm.origin}/token"`;
    assert.match(
      problemOf(await open(server, false).manifest("v1")),
      /token realm that is refused: .*is not encrypted/,
    );
    assert.equal(realm.seen.length, 0);
  });

  test("does not follow a redirect that leaves TLS", async () => {
    await using server = await FakeRegistry.start("https");
    await using plain = await FakeRegistry.start();
    server.redirect("/v2/p/manifests/v1", `${plain.origin}/m`);
    assert.match(problemOf(await open(server, false).manifest("v1")), /not encrypted/);
    assert.equal(plain.seen.length, 0);
  });

  test("does not fall back to no encryption", async () => {
    await using server = await FakeRegistry.start();
    server.manifest("p", imageManifest("x", []), "v1");
    assert.notEqual(problemOf(await open(server, false).manifest("v1")), "");
    assert.equal(server.seen.length, 0);
  });
});
