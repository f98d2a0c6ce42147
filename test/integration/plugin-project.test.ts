// `outrigger plugin test`: a plugin author's own project, anywhere on the disk, with the test API found by its name.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { suite, test, type TestContext } from "node:test";
import { launch } from "../support/launcher.ts";

const PLUGIN = join(import.meta.dirname, "../../plugins/examples/rust/plugin.wasm");

const GOOD = `
import assert from "node:assert/strict";
import { test } from "node:test";
import { loadPlugin } from "outrigger/plugins/testing";
test("adds its header", () => {
  using plugin = loadPlugin(${JSON.stringify(PLUGIN)}, { configuration: { headers: [{ name: "x-a", value: "b" }] } });
  assert.equal(plugin.request().respond().response.headers.get("x-a"), "b");
});
`;
const BAD = `import { test } from "node:test"; test("is bad", (): void => { throw new Error("as it should"); });`;

function project(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "plugin-project-"));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

async function run(
  t: TestContext,
  ...argv: readonly string[]
): Promise<{ code: number | null; out: string; err: string }> {
  const launched = launch(t, "plugin", "test", ...argv);
  const { code } = await launched.untilEnded();
  return { code, out: launched.stdout.all.join("\n"), err: launched.stderr.all.join("\n") };
}

suite("plugin test", { concurrency: 2 }, () => {
  test("runs a folder's tests with the test API, and not those of packages", async (t) => {
    const folder = project(t, { "plugin.test.mjs": GOOD, "node_modules/x/a.test.js": BAD });
    const { code, out } = await run(t, folder);
    assert.equal(code, 0, out);
    assert.match(out, /✔ adds its header/);
    assert.match(out, /pass 1$/m);
  });

  test("ends with 1 when a test fails, TypeScript or not", async (t) => {
    const folder = project(t, { "plugin.test.mjs": GOOD, "test/b.test.ts": BAD });
    const { code, out } = await run(t, folder, "--reporter", "tap");
    assert.equal(code, 1);
    assert.match(out, /^not ok \d - is bad$/m);
    assert.match(out, /^ok \d - adds its header$/m);
  });

  test("ends with 1 when there is nothing to run, with 2 for wrong usage", async (t) => {
    const folder = project(t, { "readme.txt": "" });
    assert.deepEqual(await run(t, folder).then(({ code, err }) => [code, err]), [
      1,
      `outrigger plugin test: no tests in ${folder}`,
    ]);
    assert.deepEqual((await run(t, join(folder, "gone"))).code, 1);
    assert.deepEqual((await run(t, folder, folder)).code, 2);
  });
});
