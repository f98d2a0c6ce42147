// The verb `plugin new`: the projects that it makes are whole and pinned as the examples are, build, and pass their tests. Go and
// Rust are built by `npm run templates`, which takes a minute.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, suite, test } from "node:test";
import { promisify } from "node:util";
import { pluginVerb } from "../../../../sidecar/cli/plugin.ts";
import { LANGUAGES, projectFiles } from "../../../../sidecar/cli/plugin/project-files.ts";
import { printed } from "../../../support/cli-printer.ts";

const ROOT = join(import.meta.dirname, "../../../..");
const OUTRIGGER = join(ROOT, "outrigger");
const folder = mkdtempSync(join(tmpdir(), "plugin-new-"));
after(() => rmSync(folder, { recursive: true }));

async function make(
  ...argv: readonly string[]
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const { io, out, err } = printed();
  const code = await pluginVerb.run(["new", ...argv], io);
  return { code, out: out(), err: err() };
}

suite("plugin new", () => {
  for (const lang of LANGUAGES) {
    test(`makes a ${lang} project, with nothing left to fill in`, async () => {
      const dir = join(folder, `whole-${lang}`);
      const { code, out, err } = await make("my-plugin", "--lang", lang, "--dir", dir);
      assert.deepEqual([code, err], [0, ""]);
      assert.match(out, new RegExp(`^Made ${dir}, a plugin \\(${lang}\\)\\.`));
      const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
      const paths = files.map((entry) => join(entry.parentPath, entry.name).slice(dir.length + 1));
      for (const path of [".gitignore", "Makefile", "README.md", "outrigger.yaml", "plugin.test.ts"]) {
        assert.ok(paths.includes(path), path);
      }
      for (const path of paths)
        assert.doesNotMatch(readFileSync(join(dir, path), "utf8"), /\{\{(?:name|outrigger)\}\}/, path);
      assert.match(readFileSync(join(dir, "Makefile"), "utf8"), /^OUTRIGGER \?= .*\/outrigger'\)$/m);
      assert.match(readFileSync(join(dir, "plugin.test.ts"), "utf8"), /"x-my-plugin"/);
    });
  }

  test("pins what the examples pin", () => {
    const pins: readonly (readonly [path: string, pin: RegExp])[] = [
      ["go/go.mod", /proxy-wasm-go-sdk v\S+/],
      ["go/go.sum", /proxy-wasm-go-sdk v\S+ h1:\S+/],
      ["rust/Cargo.toml", /proxy-wasm = "=\S+"/],
      ["rust/Cargo.lock", /name = "proxy-wasm"\nversion = "\S+"/],
      ["assemblyscript/package.json", /"@solo-io\/proxy-runtime": "\S+"/],
      ["assemblyscript/package.json", /"assemblyscript": "\S+"/],
      ["assemblyscript/package-lock.json", /"node_modules\/binaryen": \{\s+"version": "\S+"/],
      ["assemblyscript/shim/rt/index-full.ts", /^[^]*$/],
      ["assemblyscript/shim/bindings/wasi_unstable.ts", /^[^]*$/],
    ];
    for (const [path, pin] of pins) {
      const [template, example] = ["templates", "examples"].map(
        (each) => pin.exec(readFileSync(join(ROOT, "plugins", each, path), "utf8"))?.[0],
      );
      assert.ok(template !== undefined, path);
      assert.equal(template, example, path);
    }
  });

  test("keeps Cargo.lock as cargo would write it, whatever the name", () => {
    for (const name of ["a", "zz", "log-2"]) {
      const lock = projectFiles("rust", { name, outrigger: "/o" }).get("Cargo.lock") ?? "";
      const names = Array.from(lock.matchAll(/^name = "(.*)"$/gm), ([, each]) => each ?? "");
      assert.deepEqual(names, names.toSorted());
      assert.ok(names.includes(name) && names.length > 5);
    }
  });

  test("quotes the launcher's path for make and the shell", () => {
    const makefile = projectFiles("go", { name: "p", outrigger: "/it's $HOME/outrigger" }).get("Makefile") ?? "";
    assert.match(makefile, /echo '\/it'\\''s \$\$HOME\/outrigger'\)/);
  });

  test("leaves alone what is there, and makes no folder where there is none", async () => {
    const dir = join(folder, "mine");
    mkdirSync(dir);
    writeFileSync(join(dir, "main.go"), "mine");
    const taken = await make("p", "--lang", "go", "--dir", dir);
    assert.equal(taken.code, 1);
    assert.equal(taken.err, `outrigger plugin new: cannot make the folder "${dir}": it is there already\n`);
    assert.deepEqual([readdirSync(dir), readFileSync(join(dir, "main.go"), "utf8")], [["main.go"], "mine"]);
    const lost = await make("p", "--lang", "go", "--dir", join(folder, "none/p"));
    assert.match(lost.err, /the folder that it would be in is not there\n$/);
  });

  test("takes names that every toolchain takes, and no others", async () => {
    const bad = [
      "",
      "Plugin",
      "my_plugin",
      "-a",
      "a-",
      "a--b",
      "9a",
      "../a",
      "a/b",
      "a b",
      "fn",
      "proxy-wasm",
      "a".repeat(51),
    ];
    for (const name of bad) {
      const { code, err } = await make(name, "--lang", "rust", "--dir", join(folder, "bad"));
      assert.equal(code, 2, name);
      assert.match(err, /is no name|unknown flag -a/, name);
    }
    assert.ok(!readdirSync(folder).includes("bad"));
    for (const argv of [[], ["a"], ["a", "b", "--lang", "go"], ["a", "--lang", "perl"]]) {
      assert.equal((await make(...argv)).code, 2);
    }
  });
});

const run = promisify(execFile);

/** Runs a program in the project as its author does; what it prints. */
async function inProject(dir: string, program: string, ...args: readonly string[]): Promise<string> {
  const env: NodeJS.ProcessEnv = { ...process.env, OUTRIGGER };
  delete env["NODE_TEST_CONTEXT"];
  const { stdout } = await run(program, args, { cwd: dir, env });
  return stdout;
}

/** The first of these programs that is on PATH. */
function findProgram(...names: readonly string[]): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((each) => !each.includes("node_modules"));
  return names.find((name) => folders.some((each) => readdirOf(each).includes(name)));
}

function readdirOf(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

suite("a project that plugin new made builds, and its test passes", () => {
  test("in AssemblyScript, with the repository's compiler", async () => {
    const dir = join(folder, "as");
    assert.equal((await make("my-plugin", "--lang", "assemblyscript", "--dir", dir)).code, 0);
    mkdirSync(join(dir, "node_modules"));
    for (const name of ["@solo-io", "assemblyscript", "binaryen", "long"]) {
      symlinkSync(join(ROOT, "node_modules", name), join(dir, "node_modules", name));
    }
    const asc = join(ROOT, "node_modules/assemblyscript/bin/asc.js");
    await run(
      process.execPath,
      [asc, "assembly/index.ts", "--config", "asconfig.json", "--optimizeLevel", "0", "--shrinkLevel", "0"],
      { cwd: dir },
    );
    assert.match(await inProject(dir, OUTRIGGER, "plugin", "test", "."), /^ℹ pass 3$/m);
  });

  const compiler = findProgram("clang++-19", "clang++", "clang++-20", "clang++-18", "clang++-17", "clang++-16");
  const missing = compiler === undefined ? "clang++" : findProgram("make") === undefined ? "make" : undefined;
  test("in C++, by make test", { skip: missing === undefined ? false : `no ${missing} on PATH` }, async () => {
    const dir = join(folder, "cpp");
    assert.equal((await make("my-plugin", "--lang", "cpp", "--dir", dir)).code, 0);
    assert.match(await inProject(dir, "make", "-e", "test"), /^ℹ pass 3$/m);
  });
});
