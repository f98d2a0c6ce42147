/** The built guests are there, valid, described, and import only what a host has (but for the one made not to). */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";

const folder = import.meta.dirname;
const sources = [...readdirSync(join(folder, "rust")), ...readdirSync(join(folder, "wat"))]
  .map((file) => basename(file).replace(/\.(rs|wat)$/, ""))
  .filter((name) => name !== "raw" && name !== "conformance")
  .sort();
const built = readdirSync(join(folder, "wasm")).map((file) => file.replace(/\.wasm$/, ""));

test("every guest's source has its built module, and every module its source", () => {
  assert.deepEqual(built.sort(), sources);
});

test("every guest has a row in the README", () => {
  const readme = readFileSync(join(folder, "README.md"), "utf8");
  assert.deepEqual(
    sources.filter((name) => !readme.includes(`\`${name}\``)),
    [],
  );
});

test("every guest is a valid module that imports from env and WASI only", async () => {
  for (const name of built) {
    const module = await WebAssembly.compile(readFileSync(join(folder, "wasm", `${name}.wasm`)));
    for (const { module: from } of WebAssembly.Module.imports(module)) {
      assert.match(from, /^(env|wasi_snapshot_preview1)$/, name);
    }
    const exported = WebAssembly.Module.exports(module).map((one) => one.name);
    const isPlugin = exported.some((one) => one.startsWith("proxy_abi_version_"));
    assert.equal(isPlugin, name !== "no-abi", name);
  }
});
