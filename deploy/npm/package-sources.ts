// npm runs it before it packs (`strip`) and after it (`restore`): Node.js does not strip types of what is in node_modules, so the
// packed file has JavaScript and declarations where the repository has TypeScript. They stand beside their sources for as long as npm
// packs, so every path in the program is the same in both; package.json's exports name them for as long. What a running sidecar loads
// is joined to a few files (bundle.ts).

import { spawnSync } from "node:child_process";
import { globSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundle, namesJavaScript, removeParts } from "./bundle.ts";

const ROOT = join(import.meta.dirname, "../..");
const SOURCES = ["sidecar/**/*.ts", "plugins/**/*.ts", "xds/**/*.ts"];
const MANIFEST = join(ROOT, "package.json");
const EXPORTED = /^(\s*"\.\/[^"]*": "\.\/[^"]*)\.(ts|js)"/gm;

function sources(): string[] {
  return globSync(SOURCES, { cwd: ROOT }).filter((path) => !path.includes("node_modules/") && !path.endsWith(".d.ts"));
}

async function strip(): Promise<number> {
  const compiler = join(ROOT, "node_modules/.bin/tsc");
  const compiled = spawnSync(compiler, ["-p", join(import.meta.dirname, "tsconfig.json")], { stdio: "inherit" });
  if (compiled.status !== 0) {
    console.error(`package-sources: ${compiled.error?.message ?? "the compiler failed"}`);
    restore();
    return 1;
  }
  for (const path of sources()) {
    const file = join(ROOT, path.replace(/\.ts$/, ".js"));
    const text = readIfThere(file);
    if (text?.includes("import.meta.url") === true) {
      writeFileSync(file, namesJavaScript(text));
    }
  }
  writeExports("js");
  try {
    await bundle(ROOT);
  } catch (error) {
    console.error(`package-sources: ${error instanceof Error ? error.message : String(error)}`);
    restore();
    return 1;
  }
  return 0;
}

function restore(): number {
  removeParts(ROOT);
  for (const path of sources()) {
    for (const extension of [".js", ".d.ts"]) {
      rmSync(join(ROOT, path.replace(/\.ts$/, extension)), { force: true });
    }
  }
  writeExports("ts");
  return 0;
}

function writeExports(extension: "ts" | "js"): void {
  const text = readFileSync(MANIFEST, "utf8");
  const changed = text.replaceAll(EXPORTED, `$1.${extension}"`);
  if (changed !== text) {
    writeFileSync(MANIFEST, changed);
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

const [mode] = process.argv.slice(2);
if (mode === "strip" || mode === "restore") {
  process.exitCode = mode === "strip" ? await strip() : restore();
} else {
  console.error("usage: package-sources.ts strip|restore");
  process.exitCode = 2;
}
