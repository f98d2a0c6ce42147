// What the READMEs promise about the repository itself: each dependency has its reason, each verb its row, and every path
// and link leads somewhere.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { helpText } from "../sidecar/cli/verbs.ts";

const ROOT = join(import.meta.dirname, "..");
const READMES = [
  "README.md",
  "deploy/README.md",
  "sidecar/README.md",
  "test/README.md",
  "plugins/README.md",
  "plugins/testing/README.md",
  "xds/server/README.md",
];
const readme = readFileSync(join(ROOT, "README.md"), "utf8");

test("README.md says why each dependency is there", () => {
  const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as Record<string, object | undefined>;
  const names = ["dependencies", "optionalDependencies", "devDependencies"].flatMap((kind) =>
    Object.keys(manifest[kind] ?? {}),
  );
  assert.ok(names.length > 20);
  const rows = readme.split("\n").filter((line) => line.startsWith("| `"));
  assert.deepEqual(
    names.filter((name) => !rows.some((row) => row.includes(`\`${name}\``))),
    [],
  );
});

test("README.md names every verb", () => {
  const verbs = helpText().matchAll(/^ {2}([a-z-]+) /gm);
  const missing = Array.from(verbs, ([, verb]) => verb).filter((verb) => !readme.includes(`\`outrigger ${verb}`));
  assert.deepEqual(missing, []);
});

for (const file of READMES) {
  test(`links and paths of ${file} lead somewhere`, () => {
    const text = readFileSync(join(ROOT, file), "utf8");
    const links = Array.from(text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g), ([, path]) =>
      join(dirname(file), path ?? ""),
    );
    const paths = Array.from(text.matchAll(/\b(?:sidecar|xds|plugins|test|deploy)\/[\w./-]*\w/g), ([path]) => path);
    const broken = [...links, ...paths].filter(
      (path) => !existsSync(join(ROOT, path)) && !existsSync(join(ROOT, `${path}.ts`)),
    );
    assert.deepEqual(broken, []);
  });
}

test("links into xds/FIELDS.md name its headings", () => {
  const fields = readFileSync(join(ROOT, "xds/FIELDS.md"), "utf8");
  const headings = Array.from(fields.matchAll(/^## (.+)$/gm), ([, text]) =>
    (text ?? "").toLowerCase().replaceAll(" ", "-"),
  );
  const wanted = Array.from(readme.matchAll(/xds\/FIELDS\.md#([\w-]+)/g), ([, anchor]) => anchor ?? "");
  assert.ok(wanted.length > 0);
  assert.deepEqual(
    wanted.filter((anchor) => !headings.includes(anchor)),
    [],
  );
});
