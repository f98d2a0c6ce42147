import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { sha256Of } from "../../../sidecar/code/code-cache.ts";
import { type CodeLoaderDeps, type CodeResult, PluginCodeLoader } from "../../../sidecar/code/code-loader.ts";
import { StatsTable } from "../../../sidecar/stats/table.ts";
import type { PluginCode, PluginConfig } from "../../../xds/model/plugin-config.ts";
import { examplePlugin, guest } from "../../support/bootstrap-builder.ts";
import { unmeterableModule } from "../../plugins/support/unmeterable-module.ts";
import { FakeRegistry, imageManifest } from "../../support/fake-registry.ts";

const FILE = guest("headers");
const MODULE = readFileSync(FILE);
const SHA256 = sha256Of(MODULE);

function plugin(code: PluginCode, parts: Partial<PluginConfig> = {}): PluginConfig {
  return {
    name: "p",
    rootId: "",
    vmId: "",
    code,
    vmConfiguration: new Uint8Array(),
    configuration: new Uint8Array(),
    failurePolicy: "closed",
    failOpenDeprecated: false,
    reloadBackoffMs: 1_000,
    hostEnvironmentKeys: [],
    environment: {},
    allowedCapabilities: undefined,
    allowOnHeadersStopIteration: false,
    nackOnCodeCacheMiss: false,
    ...parts,
  };
}

function remote(uri: string, sha256 = SHA256): PluginCode {
  return { kind: "remote", uri, cluster: "code", timeoutMs: 2_000, sha256, retries: 0, retryBaseMs: 1, retryMaxMs: 1 };
}

function loader(parts: Partial<CodeLoaderDeps> = {}, runtime: Record<string, string | number> = {}): PluginCodeLoader {
  return new PluginCodeLoader({
    environment: {},
    settings: () => ({ "outrigger.wasm.code_cache_dir": "", ...runtime }),
    stats: new StatsTable({ onDefine: () => undefined }),
    endpointsOf: () => undefined,
    ...parts,
  });
}

function endpoint(server: FakeRegistry): CodeLoaderDeps["endpointsOf"] {
  return () => [{ host: "127.0.0.1", port: server.port }];
}

function textOf(result: CodeResult): string {
  return result.ok ? result.module.digest : result.problem;
}

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "outrigger-loader-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

suite("PluginCodeLoader.load()", () => {
  test("takes a file, bytes and an environment variable", async () => {
    const code = loader({ environment: { MODULE: MODULE.toString("latin1") } });
    assert.equal(textOf(await code.load(plugin({ kind: "file", path: FILE }))), SHA256);
    assert.equal(textOf(await code.load(plugin({ kind: "bytes", bytes: MODULE }))), SHA256);
    assert.equal(textOf(await code.load(plugin({ kind: "environment", variable: "MODULE" }))), SHA256);
  });

  test("compiles equal code once, whatever its source", async () => {
    await using server = await FakeRegistry.start();
    server.serve("/m.wasm", MODULE);
    const code = loader({ endpointsOf: endpoint(server) });
    const results = await Promise.all([
      code.load(plugin({ kind: "file", path: FILE })),
      code.load(plugin(remote("http://a/m.wasm"), { name: "q" })),
      code.load(plugin({ kind: "bytes", bytes: MODULE })),
    ]);
    const modules = new Set(results.map((result) => (result.ok ? result.module : result.problem)));
    assert.equal(modules.size, 1);
  });

  test("compiles anew for another memory limit", async () => {
    const code = loader({}, { "outrigger.wasm.plugin.small.memory_mib": 4 });
    const [a, b] = [
      await code.load(plugin({ kind: "file", path: FILE })),
      await code.load(plugin({ kind: "file", path: FILE }, { name: "small" })),
    ];
    assert.ok(a.ok && b.ok);
    assert.deepEqual([a.module.maximumMemoryPages, b.module.maximumMemoryPages], [2_048, 64]);
  });

  const problems: readonly [name: string, code: PluginCode, problem: RegExp][] = [
    [
      "no file",
      { kind: "file", path: "/none/x.wasm" },
      /^Cannot read the module "\/none\/x.wasm": there is no such file$/,
    ],
    ["a folder", { kind: "file", path: import.meta.dirname }, /it is a folder$/],
    ["no variable", { kind: "environment", variable: "NONE" }, /the environment variable "NONE" is not set$/],
    [
      "a file that is no module",
      { kind: "file", path: import.meta.filename },
      /^Cannot load the module of plugin "p" \(".*"\): not a WebAssembly module/,
    ],
    [
      "bytes that are no module",
      { kind: "bytes", bytes: new Uint8Array() },
      /^Cannot load the module of plugin "p": .*empty$/,
    ],
    [
      "another scheme",
      remote("ftp://a/b"),
      /^Cannot fetch the module of plugin "p" from "ftp:\/\/a\/b": its scheme is none of/,
    ],
    [
      "no cluster",
      remote("http://a/b"),
      /^Cannot fetch the module of plugin "p" from "http:\/\/a\/b": there is no cluster "code"$/,
    ],
  ];
  for (const [name, code, problem] of problems) {
    test(`says why not: ${name}`, async () => {
      const result = textOf(await loader().load(plugin(code)));
      assert.match(result, problem);
      assert.doesNotMatch(result, /\n/);
    });
  }

  test("takes the metered code that an earlier start has kept, for the same module under the same limit", async (t) => {
    const keys = { "outrigger.wasm.code_cache_dir": folderFor(t) };
    const stats = new StatsTable({ onDefine: () => undefined });
    const counts = (): number[] =>
      ["hits", "misses"].map((name) => stats.counter(`outrigger_wasm_code_cache_metered_${name}_total`).value);
    const code = plugin({ kind: "file", path: examplePlugin("go") });
    const first = await loader({ stats }, keys).load(code);
    const kept = (): string[] =>
      readdirSync(keys["outrigger.wasm.code_cache_dir"]).filter((name) => !name.startsWith("."));
    for (let turns = 0; kept().length === 0 && turns < 2_000; turns++) {
      await delay(5);
    }
    const second = await loader({ stats }, keys).load(code);
    assert.deepEqual(counts(), [1, 1]);
    assert.equal(textOf(second), textOf(first));
    assert.ok(first.ok && second.ok);
    assert.deepEqual(WebAssembly.Module.exports(second.module.module), WebAssembly.Module.exports(first.module.module));
    await loader({ stats }, { ...keys, "outrigger.wasm.memory_mib": 64 }).load(code);
    assert.deepEqual(counts(), [1, 2]);
  });

  test("names the runtime keys with which code that cannot be metered loads, and loads it with them", async () => {
    const code: PluginCode = { kind: "bytes", bytes: unmeterableModule() };
    assert.match(
      textOf(await loader().load(plugin(code))),
      /^Cannot load the module of plugin "p": the module cannot be metered: .*; with the runtime keys outrigger\.wasm\.plugin\.p\.fuel_per_callback and outrigger\.wasm\.plugin\.p\.start_fuel both 0 it loads without a limit/,
    );
    const keys = { "outrigger.wasm.plugin.p.fuel_per_callback": 0, "outrigger.wasm.plugin.p.start_fuel": 0 };
    assert.ok((await loader({}, keys).load(plugin(code))).ok);
  });

  test("does not read a module that is larger than allowed", async (t) => {
    const path = join(folderFor(t), "large.wasm");
    writeFileSync(path, Buffer.alloc(1024 * 1024 + 1));
    const small = loader({}, { "outrigger.wasm.max_module_mib": 1 });
    assert.match(
      textOf(await small.load(plugin({ kind: "file", path }))),
      /1048577 bytes, at most 1048576 are allowed/,
    );
    assert.match(textOf(await small.load(plugin({ kind: "bytes", bytes: readFileSync(path) }))), /at most 1048576/);
  });

  test("keeps fetched code in the folder that the runtime names", async (t) => {
    const runtime = { "outrigger.wasm.code_cache_dir": folderFor(t) };
    {
      await using server = await FakeRegistry.start();
      server.serve("/m.wasm", MODULE);
      assert.equal(
        textOf(await loader({ endpointsOf: endpoint(server) }, runtime).load(plugin(remote("http://a/m.wasm")))),
        SHA256,
      );
    }
    assert.equal(textOf(await loader({}, runtime).load(plugin(remote("http://a/m.wasm")))), SHA256, "another process");
  });

  const auth = Buffer.from("me:pw").toString("base64");
  const secret = (server: FakeRegistry): string =>
    JSON.stringify({ auths: { [`localhost:${server.port}`]: { auth } } });
  const places: readonly [
    name: string,
    place: (
      text: string,
      folder: string,
    ) => readonly [Partial<CodeLoaderDeps>, Record<string, string>, Record<string, string>],
  ][] = [
    ["the environment", (text) => [{ environment: { OUTRIGGER_PULL_SECRETS: text } }, {}, {}]],
    [
      "DOCKER_CONFIG",
      (text, folder) => (
        writeFileSync(join(folder, "config.json"), text),
        [{ environment: { DOCKER_CONFIG: folder } }, {}, {}]
      ),
    ],
    [
      "a file of the runtime's",
      (text, folder) => (
        writeFileSync(join(folder, "s"), text),
        [{}, { "outrigger.wasm.pull_secrets_file": join(folder, "s") }, {}]
      ),
    ],
    [
      "the plugin's own configuration, as Istio sends it",
      (text) => [{}, {}, { ISTIO_META_WASM_IMAGE_PULL_SECRET: text }],
    ],
  ];
  for (const [name, place] of places) {
    test(`pulls an image with the secret from ${name}`, async (t) => {
      await using registry = await FakeRegistry.start();
      registry.blob("p", MODULE);
      registry.manifest("p", imageManifest("x", [["application/wasm", MODULE]]), "v1");
      [registry.authorization, registry.challenge] = [`Basic ${auth}`, "Basic"];
      const [deps, runtime, environment] = place(secret(registry), folderFor(t));
      const code = loader(deps, runtime);
      const pulled = plugin(remote(registry.uri("p:v1")), { environment: { ...environment, MINE: "1" } });
      assert.equal(textOf(await code.load(pulled)), SHA256);
      assert.deepEqual(code.environmentOf(pulled), { MINE: "1" }, "the guest does not see the secret");
    });
  }
});

suite("PluginCodeLoader.problemOf()", () => {
  test("refuses local code that does not load, and accepts remote code without waiting for it", async () => {
    await using server = await FakeRegistry.start();
    const code = loader({ endpointsOf: endpoint(server) });
    assert.match((await code.problemOf(plugin({ kind: "file", path: "/none" }))) ?? "", /no such file/);
    assert.equal(await code.problemOf(plugin({ kind: "file", path: FILE })), undefined);
    assert.equal(await code.problemOf(plugin(remote("http://a/m.wasm"))), undefined);
    assert.equal(server.seen.length, 0);
  });

  test("with nack_on_code_cache_miss refuses code that is not at hand, fetches it, and accepts it the next time", async () => {
    await using server = await FakeRegistry.start();
    server.serve("/m.wasm", MODULE);
    const code = loader({ endpointsOf: endpoint(server) });
    const config = (): PluginConfig => plugin(remote("http://a/m.wasm"), { nackOnCodeCacheMiss: true });
    assert.match(
      (await code.problemOf(config())) ?? "",
      /not in the code cache yet; it is being fetched from http:\/\/a\/m.wasm$/,
    );
    assert.equal(textOf(await code.load(config())), SHA256, "the fetch that the refusal began");
    assert.equal(await code.problemOf(config()), undefined);
    assert.equal(server.seen.length, 1);
  });

  test("with nack_on_code_cache_miss says why the fetch failed, for as long as that is remembered", async () => {
    await using server = await FakeRegistry.start();
    const code = loader({ endpointsOf: endpoint(server) });
    const config = (): PluginConfig => plugin(remote("http://a/none"), { nackOnCodeCacheMiss: true });
    await code.problemOf(config());
    await code.load(config());
    assert.match((await code.problemOf(config())) ?? "", /the answer has the status 404$/);
  });
});
