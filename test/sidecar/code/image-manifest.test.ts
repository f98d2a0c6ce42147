import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { chooseFromManifest } from "../../../sidecar/code/image-manifest.ts";

const A = `sha256:${"a".repeat(64)}`;
const B = `sha256:${"b".repeat(64)}`;
const MODULE = "application/vnd.module.wasm.content.layer.v1+wasm";
const DOCKER = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const OCI_TAR = "application/vnd.oci.image.layer.v1.tar+gzip";
const WASM_CONFIG = "application/vnd.module.wasm.config.v1+json";

function layer(mediaType: string, digest = A): object {
  return { mediaType, digest, size: 3 };
}

function choose(value: unknown): ReturnType<typeof chooseFromManifest> {
  return chooseFromManifest(Buffer.from(typeof value === "string" ? value : JSON.stringify(value)));
}

function image(layers: unknown, config: unknown = { mediaType: "application/vnd.oci.image.config.v1+json" }): object {
  return { schemaVersion: 2, config, layers };
}

suite("chooseFromManifest()", () => {
  const layouts: readonly [name: string, manifest: object, digest: string, packing: string][] = [
    ["Docker's layer", image([layer(DOCKER)]), A, "tar"],
    ["the last of several tar layers", image([layer(OCI_TAR, B), layer(OCI_TAR)]), A, "tar"],
    ["an OCI artifact", image([layer(MODULE)], { mediaType: WASM_CONFIG }), A, "module"],
    ["an artifact with a describing layer", image([layer("application/json", B), layer(MODULE)]), A, "module"],
    [
      "the CNCF's artifact",
      image([layer("application/wasm")], { mediaType: "application/vnd.wasm.config.v0+json" }),
      A,
      "module",
    ],
  ];
  for (const [name, manifest, digest, packing] of layouts) {
    test(`takes ${name}`, () => {
      const chosen = choose(manifest);
      assert.ok(chosen.kind === "layer", JSON.stringify(chosen));
      assert.deepEqual([chosen.layer.digest, chosen.packing], [digest, packing]);
    });
  }

  const platforms: readonly [name: string, manifests: readonly object[], digest: string][] = [
    [
      "wasm",
      [
        { ...layer("x"), platform: { architecture: "amd64", os: "linux" } },
        { ...layer("x", B), platform: { architecture: "wasm", os: "wasip1" } },
      ],
      B,
    ],
    [
      "wasi",
      [
        { ...layer("x"), platform: { architecture: "amd64", os: "linux" } },
        { ...layer("x", B), platform: { os: "wasi" } },
      ],
      B,
    ],
    ["none that fits", [layer("x"), layer("x", B)], A],
  ];
  for (const [name, manifests, digest] of platforms) {
    test(`picks from an index by platform: ${name}`, () => {
      const chosen = choose({ schemaVersion: 2, manifests });
      assert.ok(chosen.kind === "manifest");
      assert.equal(chosen.manifest.digest, digest);
    });
  }

  const refused: readonly [name: string, manifest: unknown, problem: RegExp][] = [
    ["no JSON", "{", /not JSON/],
    ["a list", [], /not a JSON object/],
    ["schema 1", { schemaVersion: 1, fsLayers: [] }, /schemaVersion is 1/],
    ["neither", { schemaVersion: 2 }, /neither layers nor manifests/],
    ["both", { schemaVersion: 2, layers: [], manifests: [] }, /index, too/],
    ["no layer", image([]), /0 layers/],
    ["three layers around a module", image([layer(MODULE), layer("a/b"), layer("c/d")]), /3 layers, 1 of them modules/],
    ["two modules", image([layer(MODULE), layer(MODULE, B)]), /2 of them modules/],
    ["a module's config without module", image([layer(OCI_TAR)], { mediaType: WASM_CONFIG }), /0 of them modules/],
    ["another last layer", image([layer("text/plain")]), /"text\/plain", which holds no module/],
    ["a digest that is none", image([layer(MODULE, "sha256:../../x")]), /without a media type/],
    ["a negative size", image([{ mediaType: MODULE, digest: A, size: -1 }]), /without a media type/],
    ["too many layers", image(Array.from({ length: 129 }, () => layer(OCI_TAR))), /129 layers/],
    [
      "too many manifests",
      { schemaVersion: 2, manifests: Array.from({ length: 257 }, () => layer("x")) },
      /257 manifests/,
    ],
    ["an empty index", { schemaVersion: 2, manifests: [] }, /0 manifests/],
  ];
  for (const [name, manifest, problem] of refused) {
    test(`refuses ${name}`, () => {
      const chosen = choose(manifest);
      assert.ok(chosen.kind === "problem");
      assert.match(chosen.problem, problem);
    });
  }

  test("answers for any JSON, and what it chooses has a digest", () => {
    const descriptor = fc.record({
      mediaType: fc.oneof(fc.constantFrom(MODULE, DOCKER, OCI_TAR), fc.string()),
      digest: fc.oneof(fc.constantFrom(A, B), fc.string()),
      size: fc.oneof(fc.nat(), fc.double()),
      platform: fc.oneof(fc.jsonValue(), fc.record({ architecture: fc.constant("wasm") })),
    });
    const manifest = fc.record(
      {
        schemaVersion: fc.constant(2),
        config: fc.oneof(fc.jsonValue(), fc.record({ mediaType: fc.constantFrom(WASM_CONFIG, "x") })),
        layers: fc.array(fc.oneof(descriptor, fc.jsonValue()), { maxLength: 4 }),
        manifests: fc.array(fc.oneof(descriptor, fc.jsonValue()), { maxLength: 4 }),
      },
      { requiredKeys: ["schemaVersion"] },
    );
    fc.assert(
      fc.property(fc.oneof(manifest, fc.jsonValue()), (value) => {
        const chosen = choose(JSON.stringify(value));
        const digest =
          chosen.kind === "layer" ? chosen.layer.digest : chosen.kind === "manifest" ? chosen.manifest.digest : A;
        assert.match(digest, /^sha256:[0-9a-f]{64}$/);
      }),
    );
  });

  test("answers for any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => assert.equal(chooseFromManifest(bytes).kind, "problem")),
    );
  });
});
