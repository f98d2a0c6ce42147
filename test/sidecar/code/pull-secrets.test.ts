import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { parsePullSecrets } from "../../../sidecar/code/pull-secrets.ts";

function secretsOf(value: unknown): object {
  const parsed = parsePullSecrets(JSON.stringify(value));
  assert.ok(parsed.ok);
  return Object.fromEntries(parsed.secrets);
}

suite("parsePullSecrets()", () => {
  const auth = Buffer.from("me:a:b").toString("base64");

  test("reads auths by host, whatever scheme and path they are written with", () => {
    const auths = {
      "ghcr.io": { auth },
      "https://index.docker.io/v1/": { auth },
      "http://LOCALHOST:5000": { username: "u", password: "p" },
    };
    const me = { username: "me", password: "a:b" };
    assert.deepEqual(secretsOf({ auths }), {
      "ghcr.io": me,
      "docker.io": me,
      "localhost:5000": { username: "u", password: "p" },
    });
  });

  test("reads the older form without auths", () => {
    assert.deepEqual(secretsOf({ "ghcr.io": { auth } }), { "ghcr.io": { username: "me", password: "a:b" } });
  });

  test("leaves out entries without a user", () => {
    assert.deepEqual(secretsOf({ auths: { a: {}, b: { auth: "x" }, c: 1, d: { username: "", password: "p" } } }), {});
  });

  test("never quotes what it could not read", () => {
    const parsed = parsePullSecrets('{"auths": "hunter2');
    assert.deepEqual(parsed, { ok: false, problem: "not JSON" });
    assert.deepEqual(parsePullSecrets('["hunter2"]'), { ok: false, problem: 'no object "auths"' });
  });

  test("answers for any JSON", () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => void parsePullSecrets(JSON.stringify({ auths: value }))));
  });
});
