// http(s):// and oci:// code against servers on this machine: every layout, authentication, pins, and what must not happen.

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test, type TestContext } from "node:test";
import { gzipSync } from "node:zlib";
import { CodeCache, sha256Of } from "../../../sidecar/code/code-cache.ts";
import {
  cachedCode,
  fetchCode,
  type FetchContext,
  type FetchedCode,
  type RemotePluginCode,
} from "../../../sidecar/code/code-fetch.ts";
import { codeSettings } from "../../../sidecar/code/code-settings.ts";
import { parsePullSecrets, type PullSecrets } from "../../../sidecar/code/pull-secrets.ts";
import { StatsTable } from "../../../sidecar/stats/table.ts";
import { digestOf, FakeRegistry, imageManifest, TEST_CA } from "../../support/fake-registry.ts";
import { tarArchive } from "../../support/tar-archive.ts";

const MODULE = Buffer.from("\0asm\u0001\0\0\0 and more");
const SHA256 = sha256Of(MODULE);
const TAR = tarArchive([{ name: "plugin.wasm", content: MODULE }]);
const MODULE_LAYER = "application/vnd.module.wasm.content.layer.v1+wasm";
const WASM_CONFIG = "application/vnd.module.wasm.config.v1+json";
const OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
const OCI_TAR = "application/vnd.oci.image.layer.v1.tar+gzip";

function code(uri: string, parts: Partial<RemotePluginCode> = {}): RemotePluginCode {
  return {
    kind: "remote",
    uri,
    cluster: "code",
    timeoutMs: 1_000,
    sha256: SHA256,
    retries: 0,
    retryBaseMs: 1,
    retryMaxMs: 1,
    ...parts,
  };
}

function context(
  parts: Partial<FetchContext> & { folder?: string; runtime?: Record<string, string | number> } = {},
): FetchContext {
  const { folder = "", runtime = {}, ...rest } = parts;
  const stats = new StatsTable({ onDefine: () => undefined });
  return {
    settings: codeSettings(runtime, {}),
    cache: new CodeCache({ folder, maxBytes: 1_000_000, stats, onUnusable: assert.fail }),
    endpointsOf: () => undefined,
    secrets: new Map(),
    signal: AbortSignal.timeout(5_000),
    attempt: 0,
    ca: TEST_CA,
    ...rest,
  };
}

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "outrigger-fetch-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function endpointsOf(server: FakeRegistry): FetchContext["endpointsOf"] {
  return (cluster) => (cluster === "code" ? [{ host: "127.0.0.1", port: server.port }] : undefined);
}

function secretsFor(server: FakeRegistry, more: Readonly<Record<string, object>> = {}): PullSecrets {
  const parsed = parsePullSecrets(
    JSON.stringify({ auths: { [`localhost:${server.port}`]: { username: "me", password: "pw" }, ...more } }),
  );
  assert.ok(parsed.ok);
  return parsed.secrets;
}

function textOf(fetched: FetchedCode): string {
  return fetched.ok ? Buffer.from(fetched.bytes).toString() : fetched.problem.replaceAll(/:\d{4,5}\b/g, ":PORT");
}

const isModule = (fetched: FetchedCode): void => assert.equal(textOf(fetched), MODULE.toString());

suite("fetchCode() of http(s) code", () => {
  const bodies: readonly [name: string, bytes: Uint8Array][] = [
    ["a module", MODULE],
    ["a gzipped module", gzipSync(MODULE)],
    ["a tar", tarArchive([{ name: "any/name.wasm", content: MODULE }])],
    ["a gzipped tar", gzipSync(TAR)],
  ];
  for (const [name, bytes] of bodies) {
    test(`takes ${name} from a host of the cluster`, async () => {
      await using server = await FakeRegistry.start();
      server.serve("/m.wasm", bytes);
      isModule(
        await fetchCode(
          code("http://code.example/m.wasm", { sha256: sha256Of(bytes) }),
          context({ endpointsOf: endpointsOf(server) }),
        ),
      );
      assert.equal(server.seen[0]?.host, "code.example");
    });
  }

  test("speaks TLS for https, with the URI's name", async () => {
    await using server = await FakeRegistry.start("https");
    server.serve("/m.wasm", MODULE);
    isModule(await fetchCode(code("https://localhost/m.wasm"), context({ endpointsOf: endpointsOf(server) })));
    const other = await fetchCode(code("https://code.example/m.wasm"), context({ endpointsOf: endpointsOf(server) }));
    assert.match(textOf(other), /does not match certificate's altnames/);
  });

  test("goes to the next endpoint with the next attempt", async () => {
    await using server = await FakeRegistry.start();
    server.serve("/m.wasm", MODULE);
    const endpoints = [
      { host: "127.0.0.1", port: 1 },
      { host: "127.0.0.1", port: server.port },
    ];
    const at = (attempt: number): FetchContext => context({ endpointsOf: () => endpoints, attempt });
    assert.match(textOf(await fetchCode(code("http://a/m.wasm"), at(0))), /refused/);
    isModule(await fetchCode(code("http://a/m.wasm"), at(1)));
  });

  const problems: readonly [name: string, uri: string, parts: Partial<RemotePluginCode>, problem: RegExp][] = [
    [
      "another digest",
      "http://a/m.wasm",
      { sha256: "0".repeat(64) },
      /the sha256 of what came is [0-9a-f]{64}, not 0{64}$/,
    ],
    ["no cluster", "http://a/m.wasm", { cluster: "nobody" }, /^there is no cluster "nobody"$/],
    ["a 404", "http://a/none", {}, /the status 404/],
    ["an empty body", "http://a/empty", {}, /the answer is empty/],
    ["another scheme", "ftp://a/m.wasm", {}, /none of http:, https: and oci:/],
    ["no URL", "http://", {}, /none of http:, https: and oci:/],
  ];
  for (const [name, uri, parts, problem] of problems) {
    test(`says why not: ${name}`, async () => {
      await using server = await FakeRegistry.start();
      server.serve("/m.wasm", MODULE);
      server.serve("/empty", new Uint8Array());
      assert.match(textOf(await fetchCode(code(uri, parts), context({ endpointsOf: endpointsOf(server) }))), problem);
    });
  }

  test("keeps what it fetched on disk, where cachedCode() finds it without a server", async (t) => {
    const folder = folderFor(t);
    const bytes = gzipSync(MODULE);
    const wanted = code("http://a/m.wasm", { sha256: sha256Of(bytes) });
    assert.equal(await cachedCode(wanted, context({ folder })), undefined);
    {
      await using server = await FakeRegistry.start();
      server.serve("/m.wasm", bytes);
      isModule(await fetchCode(wanted, context({ folder, endpointsOf: endpointsOf(server) })));
    }
    isModule((await cachedCode(wanted, context({ folder }))) as FetchedCode);
  });

  test("refuses a decompression bomb", async () => {
    await using server = await FakeRegistry.start();
    const bytes = gzipSync(Buffer.alloc(2 * 1024 * 1024));
    server.serve("/m.wasm", bytes);
    const runtime = { "outrigger.wasm.max_module_mib": 1 };
    const fetched = await fetchCode(
      code("http://a/m.wasm", { sha256: sha256Of(bytes) }),
      context({ runtime, endpointsOf: endpointsOf(server) }),
    );
    assert.match(textOf(fetched), /decompresses to more than 1048576 bytes/);
  });
});

suite("fetchCode() of images", () => {
  const layouts: readonly [name: string, manifest: object, blob: Uint8Array][] = [
    [
      "Docker's schema 2",
      imageManifest(
        "application/vnd.docker.container.image.v1+json",
        [["application/vnd.docker.image.rootfs.diff.tar.gzip", gzipSync(TAR)]],
        "application/vnd.docker.distribution.manifest.v2+json",
      ),
      gzipSync(TAR),
    ],
    ["OCI, compat", imageManifest(OCI_CONFIG, [[OCI_TAR, gzipSync(TAR)]]), gzipSync(TAR)],
    [
      "OCI, a tar that is not compressed",
      imageManifest(OCI_CONFIG, [["application/vnd.oci.image.layer.v1.tar", TAR]]),
      TAR,
    ],
    ["an artifact", imageManifest(WASM_CONFIG, [[MODULE_LAYER, MODULE]]), MODULE],
    [
      "an artifact that describes itself",
      imageManifest(WASM_CONFIG, [
        ["application/json", Buffer.from("{}")],
        [MODULE_LAYER, MODULE],
      ]),
      MODULE,
    ],
  ];
  for (const [name, manifest, blob] of layouts) {
    test(`takes ${name}`, async () => {
      await using registry = await FakeRegistry.start();
      registry.blob("org/p", blob);
      registry.manifest("org/p", manifest, "v1");
      isModule(await fetchCode(code(registry.uri("org/p:v1")), context()));
    });
  }

  test("goes through an index to the wasm manifest, at most twice", async () => {
    await using registry = await FakeRegistry.start();
    registry.blob("p", MODULE);
    const digest = registry.manifest("p", imageManifest(WASM_CONFIG, [[MODULE_LAYER, MODULE]]));
    const index = (to: string): object => ({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.index.v1+json",
      manifests: [
        {
          mediaType: "x",
          digest: digestOf(Buffer.from("x")),
          size: 1,
          platform: { architecture: "amd64", os: "linux" },
        },
        { mediaType: "x", digest: to, size: 1, platform: { architecture: "wasm", os: "wasi" } },
      ],
    });
    const first = registry.manifest("p", index(digest), "one");
    const second = registry.manifest("p", index(first), "two");
    registry.manifest("p", index(second), "three");
    isModule(await fetchCode(code(registry.uri("p:one")), context()));
    isModule(await fetchCode(code(registry.uri("p:two")), context()));
    assert.match(textOf(await fetchCode(code(registry.uri("p:three")), context())), /an index in an index in an index/);
  });

  for (const what of ["manifest", "layer", "module"] as const) {
    test(`accepts the ${what}'s digest as sha256, and refuses any other`, async () => {
      await using registry = await FakeRegistry.start();
      const layer = gzipSync(TAR);
      registry.blob("p", layer);
      const manifest = registry.manifest("p", imageManifest(OCI_CONFIG, [[OCI_TAR, layer]]), "v1").slice(7);
      const sha256 = { manifest, layer: sha256Of(layer), module: SHA256 }[what];
      isModule(await fetchCode(code(registry.uri("p:v1"), { sha256 }), context()));
      const other = await fetchCode(code(registry.uri("p:v1"), { sha256: "1".repeat(64) }), context());
      assert.match(textOf(other), /neither is 1{64}/);
    });
  }

  test("refuses a manifest and a layer that are not what their digest says", async () => {
    await using registry = await FakeRegistry.start();
    const layer = registry.blob("p", MODULE);
    const digest = registry.manifest("p", imageManifest(WASM_CONFIG, [[MODULE_LAYER, MODULE]]), "v1");
    registry.serve(`/v2/p/blobs/${layer}`, Buffer.from(MODULE).reverse());
    assert.match(
      textOf(await fetchCode(code(registry.uri("p:v1")), context())),
      /^the layer has the digest sha256:[0-9a-f]{64}, not /,
    );
    registry.serve(`/v2/p/manifests/${digest}`, Buffer.from("{}"));
    assert.match(
      textOf(await fetchCode(code(registry.uri(`p@${digest}`)), context())),
      /^the manifest has the digest /,
    );
  });

  test("takes a pinned image from disk without a registry", async (t) => {
    const folder = folderFor(t);
    let uri = "";
    {
      await using registry = await FakeRegistry.start();
      registry.blob("p", gzipSync(TAR));
      const digest = registry.manifest("p", imageManifest(OCI_CONFIG, [[OCI_TAR, gzipSync(TAR)]]), "v1");
      uri = registry.uri(`p:v1@${digest}`);
      isModule(await fetchCode(code(uri), context({ folder })));
      assert.equal(readdirSync(folder).length, 2, "the manifest and the layer");
    }
    isModule((await cachedCode(code(uri), context({ folder }))) as FetchedCode);
    assert.equal(await cachedCode(code(uri, { sha256: "2".repeat(64) }), context({ folder })), undefined);
  });

  test("does not fetch a layer that says it is larger than allowed, nor more of it than it says", async () => {
    await using registry = await FakeRegistry.start();
    const large = {
      ...imageManifest(WASM_CONFIG, []),
      layers: [{ mediaType: MODULE_LAYER, digest: digestOf(MODULE), size: 99_000_000 }],
    };
    registry.manifest("p", large, "large");
    assert.match(
      textOf(await fetchCode(code(registry.uri("p:large")), context())),
      /99000000 bytes, at most 67108864 are allowed/,
    );
    const small = { ...large, layers: [{ mediaType: MODULE_LAYER, digest: registry.blob("p", MODULE), size: 3 }] };
    registry.manifest("p", small, "small");
    assert.match(textOf(await fetchCode(code(registry.uri("p:small")), context())), /at most 3 are allowed/);
  });

  test("says that there is no such image, and what a broken one is", async () => {
    await using registry = await FakeRegistry.start();
    assert.match(
      textOf(await fetchCode(code(registry.uri("p:none")), context())),
      /the registry answered 404: there is no such image/,
    );
    registry.blob("p", gzipSync(tarArchive([{ name: "../plugin.wasm", content: MODULE }])));
    registry.manifest(
      "p",
      imageManifest(OCI_CONFIG, [[OCI_TAR, gzipSync(tarArchive([{ name: "../plugin.wasm", content: MODULE }]))]]),
      "v1",
    );
    assert.match(textOf(await fetchCode(code(registry.uri("p:v1")), context())), /leads out of it/);
    assert.match(textOf(await fetchCode(code("oci://ghcr.io/UPPER"), context())), /Cannot parse the image reference/);
  });
});

suite("fetchCode() with a registry that asks who we are", () => {
  async function guarded(): Promise<FakeRegistry> {
    const registry = await FakeRegistry.start();
    registry.blob("p", MODULE);
    registry.manifest("p", imageManifest(WASM_CONFIG, [[MODULE_LAYER, MODULE]]), "v1");
    registry.authorization = "Bearer t0ken";
    registry.challenge = `Bearer realm="${registry.origin}/token",service="reg"`;
    return registry;
  }
  const basic = `Basic ${Buffer.from("me:pw").toString("base64")}`;
  const serveToken = (server: FakeRegistry): void => server.serve("/token", Buffer.from('{"token":"t0ken"}'));

  test("gets one token from the realm, with the pull secret, and uses it again", async () => {
    await using registry = await guarded();
    serveToken(registry);
    isModule(await fetchCode(code(registry.uri("p:v1")), context({ secrets: secretsFor(registry) })));
    const tokens = registry.seen.filter(({ path }) => path.startsWith("/token"));
    assert.deepEqual(tokens, [
      {
        path: "/token?service=reg&scope=repository%3Ap%3Apull",
        authorization: basic,
        host: `localhost:${registry.port}`,
      },
    ]);
  });

  test("gets a token without a secret, too", async () => {
    await using registry = await guarded();
    serveToken(registry);
    isModule(await fetchCode(code(registry.uri("p:v1")), context()));
    assert.deepEqual(
      registry.seen.map(({ authorization }) => authorization),
      ["", "", "Bearer t0ken", "Bearer t0ken"],
    );
  });

  test("answers Basic with the secret, and says when there is none", async () => {
    await using registry = await guarded();
    registry.authorization = basic;
    registry.challenge = 'Basic realm="x"';
    isModule(await fetchCode(code(registry.uri("p:v1")), context({ secrets: secretsFor(registry) })));
    assert.match(textOf(await fetchCode(code(registry.uri("p:v1")), context())), /there is no pull secret for it/);
  });

  test("does not give the registry's secret to a realm of another site, but that realm's own", async () => {
    await using registry = await guarded();
    await using realm = await FakeRegistry.start();
    serveToken(realm);
    registry.challenge = `Bearer realm="http://127.0.0.1:${realm.port}/token"`;
    isModule(await fetchCode(code(registry.uri("p:v1")), context({ secrets: secretsFor(registry) })));
    const own = { [`127.0.0.1:${realm.port}`]: { username: "other", password: "x" } };
    isModule(await fetchCode(code(registry.uri("p:v1")), context({ secrets: secretsFor(registry, own) })));
    const other = `Basic ${Buffer.from("other:x").toString("base64")}`;
    assert.deepEqual(
      realm.seen.map(({ authorization }) => authorization),
      ["", other],
    );
  });

  test("does not take its token along when a blob is redirected elsewhere", async () => {
    await using registry = await guarded();
    await using storage = await FakeRegistry.start();
    serveToken(registry);
    registry.redirect(`/v2/p/blobs/${digestOf(MODULE)}`, `${storage.origin}/blob?signature=x`);
    storage.serve("/blob", MODULE);
    isModule(await fetchCode(code(registry.uri("p:v1")), context()));
    assert.deepEqual(
      storage.seen.map(({ authorization, path }) => [authorization, path]),
      [["", "/blob?signature=x"]],
    );
  });

  const realms: readonly [realm: string, problem: RegExp][] = [
    ["http://169.254.169.254/token", /169.254.169.254 is link-local/],
    ["http://metadata.google.internal./token", /token/],
    ["file:///etc/passwd", /no http: or https: URL/],
    ["nonsense", /no http: or https: URL/],
    ["http://user:pw@localhost/token", /holds a user name/],
  ];
  for (const [realm, problem] of realms) {
    test(`does not ask ${realm} for a token`, async () => {
      await using registry = await guarded();
      registry.challenge = `Bearer realm="${realm}"`;
      const fetched = await fetchCode(code(registry.uri("p:v1")), context({ signal: AbortSignal.timeout(1_000) }));
      assert.equal(fetched.ok, false);
      assert.match(textOf(fetched), problem);
      assert.doesNotMatch(textOf(fetched), /user:pw/);
    });
  }

  test("does not ask twice when the token is not accepted, and takes no answer that is no token", async () => {
    await using registry = await guarded();
    registry.serve("/token", Buffer.from('{"token":"wrong"}'));
    assert.match(textOf(await fetchCode(code(registry.uri("p:v1")), context())), /401: it does not accept who we are/);
    assert.equal(registry.seen.length, 3);
    registry.serve("/token", Buffer.from('{"token":"a\\r\\nb"}'));
    assert.match(textOf(await fetchCode(code(registry.uri("p:v1")), context())), /holds no token/);
    registry.on("/token", (_, response) => response.writeHead(403).end());
    assert.match(
      textOf(await fetchCode(code(registry.uri("p:v1")), context())),
      /403: this is not allowed without a pull secret/,
    );
  });
});
