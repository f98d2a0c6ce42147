import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { imageText, parseImageReference } from "../../../sidecar/code/image-reference.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;

suite("parseImageReference()", () => {
  const good: readonly [uri: string, registry: string, repository: string, tag: string, digest: string][] = [
    ["oci://ghcr.io/org/plugin:1.2", "ghcr.io", "org/plugin", "1.2", ""],
    ["ghcr.io/org/plugin", "ghcr.io", "org/plugin", "latest", ""],
    [`oci://localhost:5000/a@${DIGEST}`, "localhost:5000", "a", "", DIGEST],
    [`oci://Registry.Example/a/b_c/d--e:v1@${DIGEST}`, "registry.example", "a/b_c/d--e", "v1", DIGEST],
    ["oci://[::1]:5000/a:b", "[::1]:5000", "a", "b", ""],
    ["oci://plugin:3", "docker.io", "library/plugin", "3", ""],
    ["oci://org/plugin", "docker.io", "org/plugin", "latest", ""],
    ["oci://index.docker.io/org/plugin", "docker.io", "org/plugin", "latest", ""],
    ["oci://localhost/a", "localhost", "a", "latest", ""],
  ];
  for (const [uri, registry, repository, tag, digest] of good) {
    test(`takes ${uri} apart`, () => {
      const parsed = parseImageReference(uri);
      assert.ok(parsed.ok, parsed.ok ? "" : parsed.problem);
      const { image } = parsed;
      assert.deepEqual(
        [image.registry, image.repository, image.tag, image.digest],
        [registry, repository, tag, digest],
      );
    });
  }

  const bad: readonly [uri: string, problem: RegExp][] = [
    ["oci://", /no repository name/],
    ["oci://ghcr.io/", /no repository name/],
    ["oci://ghcr.io/Org/x", /lower-case/],
    ["oci://ghcr.io/a/../b", /no repository name/],
    ["oci://ghcr.io//b", /no repository name/],
    ["oci://ghcr.io/a:", /no tag/],
    ["oci://ghcr.io/a:b/c?x=y", /no tag/],
    ["oci://ghcr.io/a@sha256:abc", /digest/],
    [`oci://ghcr.io/a@sha512:${"a".repeat(128)}`, /digest/],
    [`oci://ghcr.io/a@${DIGEST}@${DIGEST}`, /more than one/],
    ["oci://ghcr.io:99999/a", /no registry host/],
    ["oci://user:pw@ghcr.io/a", /digest/],
    ["oci://gh cr.io/a", /no registry host/],
    [`oci://ghcr.io/${"a".repeat(2_000)}`, /at most 1024/],
  ];
  for (const [uri, problem] of bad) {
    test(`refuses ${uri.slice(0, 60)}`, () => {
      const parsed = parseImageReference(uri);
      assert.ok(!parsed.ok);
      assert.match(parsed.problem, problem);
    });
  }

  test("Docker Hub answers at another host than pull secrets name", () => {
    const parsed = parseImageReference("oci://docker.io/org/plugin");
    assert.ok(parsed.ok);
    assert.equal(parsed.image.authority, "registry-1.docker.io");
  });

  test("what it accepts it reads the same again from imageText(), whatever was given", () => {
    const piece = fc.constantFrom(
      "a",
      "B",
      ".",
      "/",
      ":",
      "@",
      "-",
      "_",
      "5000",
      "localhost",
      "ghcr.io",
      DIGEST,
      "[",
      "]",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(piece, { maxLength: 12 }).map((all) => all.join("")),
          fc.string(),
        ),
        (text) => {
          const parsed = parseImageReference(`oci://${text}`);
          if (parsed.ok) {
            const again = parseImageReference(imageText(parsed.image));
            assert.deepEqual(again, parsed);
            // Whatever was given, the URL that is made of it leads to the registry and nowhere else.
            const url = new URL(`https://${parsed.image.authority}/v2/${parsed.image.repository}/manifests/x`);
            assert.equal(url.pathname, `/v2/${parsed.image.repository}/manifests/x`);
            assert.equal(url.username + url.password + url.search + url.hash, "");
          }
        },
      ),
    );
  });
});
