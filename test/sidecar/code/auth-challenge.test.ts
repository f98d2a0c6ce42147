import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { isSameSite, parseChallenge } from "../../../sidecar/code/auth-challenge.ts";

suite("parseChallenge()", () => {
  const realm = "https://auth.example/token";
  const cases: readonly [header: string, expected: object | undefined][] = [
    [
      `Bearer realm="${realm}",service="r",scope="repository:a/b:pull"`,
      { kind: "bearer", realm, service: "r", scope: "repository:a/b:pull" },
    ],
    [`bearer  scope="a,b" , realm = "${realm}"`, { kind: "bearer", realm, service: "", scope: "a,b" }],
    [`Bearer realm=${realm}`, { kind: "bearer", realm, service: "", scope: "" }],
    [`Basic realm="x", Bearer realm="${realm}"`, { kind: "bearer", realm, service: "", scope: "" }],
    [`Bearer realm="${realm}",realm="https://evil"`, { kind: "bearer", realm, service: "", scope: "" }],
    ['Basic realm="x"', { kind: "basic" }],
    ["Basic", { kind: "basic" }],
    ["Digest x=y", undefined],
    ["Bearer service=x", undefined],
    ["", undefined],
    [`Bearer realm="${"x".repeat(5_000)}"`, undefined],
  ];
  for (const [header, expected] of cases) {
    test(`reads ${header.slice(0, 70)}`, () => assert.deepEqual(parseChallenge(header), expected));
  }

  test("answers for any header", () => {
    fc.assert(fc.property(fc.string(), (text) => void parseChallenge(`Bearer ${text}`)));
  });
});

suite("isSameSite()", () => {
  const cases: readonly [registry: string, realm: string, same: boolean][] = [
    ["ghcr.io", "ghcr.io", true],
    ["registry-1.docker.io", "auth.docker.io", true],
    ["registry.gitlab.com", "gitlab.com", true],
    ["localhost", "localhost", true],
    ["ghcr.io", "evil.io", false],
    ["registry.example.co.uk", "evil.co.uk", false],
    ["registry.example.co.uk", "auth.example.co.uk", true],
    ["10.0.0.1", "10.0.0.2", false],
    ["10.0.0.1", "11.0.0.1", false],
    ["registry", "auth", false],
    ["a.docker.io", "docker.io.evil.com", false],
  ];
  for (const [registry, realm, same] of cases) {
    test(`${registry} and ${realm}: ${same}`, () => assert.equal(isSameSite(registry, realm), same));
  }
});
