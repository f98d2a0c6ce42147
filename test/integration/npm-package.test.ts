// What `npm pack` makes, installed into an empty folder: it runs as JavaScript, with nothing of the repository, and its exports can be
// imported. Packing changes the tree for as long as it lasts, so that is a copy.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { copyCleanTree } from "../support/clean-tree.ts";
import { folderWith, type Launched, launchProgram } from "../support/launcher.ts";
import { freePort } from "../support/sidecar-story.ts";

const NODE_FOLDER = join(import.meta.dirname, "../../node_modules/.bin");
const START_DEADLINE_MS = 60_000;
const MAX_PACKED_BYTES = 4 * 1024 * 1024;
/** npm's ways to say that the registry cannot be reached. */
const OFFLINE = /ENOTFOUND|ENOTCACHED|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH/;

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly files: readonly { readonly path: string; readonly mode: number }[];
}

function npm(
  cwd: string,
  ...args: readonly string[]
): { readonly status: number | null; readonly out: string; readonly err: string } {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const done = spawnSync("npm", [...args, "--no-audit", "--no-fund", "--no-update-notifier"], {
    cwd,
    env,
    encoding: "utf8",
  });
  return { status: done.status, out: done.stdout, err: done.stderr };
}

const owner = { after };
const tree = folderWith(owner, {});
copyCleanTree(tree);
const manifest = readFileSync(join(tree, "package.json"), "utf8");
const packing = npm(tree, "pack", "--json");
assert.equal(packing.status, 0, packing.err);
const packed = (JSON.parse(packing.out.slice(packing.out.indexOf("["))) as Packed[])[0];
assert.ok(packed !== undefined);

const empty = folderWith(owner, { "package.json": '{"name":"empty","private":true,"type":"module"}' });
// Without the Node.js that the package brings: this one is on PATH.
const installing = npm(
  empty,
  "install",
  "--prefer-offline",
  "--ignore-scripts",
  "--omit=optional",
  join(tree, packed.filename),
);
const skip = OFFLINE.test(installing.err) ? "the npm registry cannot be reached" : false;

suite("the packed npm file", () => {
  test("has JavaScript and declarations, and neither sources nor tests", () => {
    const paths = packed.files.map(({ path }) => path);
    const sources = paths.filter((path) => /(?<!\.d)\.ts$/.test(path) && !path.startsWith("plugins/templates/"));
    assert.deepEqual(sources, []);
    assert.deepEqual(
      paths.filter((path) => /^(?:test|\.ci|node_modules)\//.test(path)),
      [],
    );
    for (const path of [
      "sidecar/main.js",
      "sidecar/worker.js",
      "plugins/testing/index.d.ts",
      "plugins/examples/go/plugin.wasm",
      "LICENSE",
    ]) {
      assert.ok(paths.includes(path), path);
    }
    assert.ok(((packed.files.find(({ path }) => path === "outrigger")?.mode ?? 0) & 0o111) === 0o111);
    assert.ok(packed.size < MAX_PACKED_BYTES, `${packed.size} bytes`);
  });

  test("leaves the tree that it was made from as it was", () => {
    assert.equal(readFileSync(join(tree, "package.json"), "utf8"), manifest);
    assert.deepEqual(
      globSync(["sidecar/**/*.js", "plugins/*/*.d.ts", "xds/**/*.js"], { cwd: tree, exclude: ["plugins/examples"] }),
      [],
    );
  });

  suite("installed into an empty folder", { skip }, () => {
    const program = join(empty, "node_modules/.bin/outrigger");
    const home = join(empty, "home");
    mkdirSync(home);
    const env = {
      HOME: home,
      XDG_CACHE_HOME: home,
      NODE_COMPILE_CACHE: "",
      PATH: `${NODE_FOLDER}:${process.env["PATH"] ?? ""}`,
    };
    const start = (t: Parameters<typeof launchProgram>[0], ...args: readonly string[]): Launched =>
      launchProgram(t, program, args, empty, env);

    test("was installed", () => assert.equal(installing.status, 0, installing.err));

    test("tells its version and checks a configuration", async (t) => {
      const version = start(t, "--version");
      assert.equal((await version.untilEnded()).code, 0);
      assert.deepEqual(version.stdout.all, [`outrigger ${(JSON.parse(manifest) as { version: string }).version}`]);
      const file = "node_modules/outrigger/deploy/demo/sidecar.yaml";
      assert.equal((await start(t, "validate", "-c", file).untilEnded()).code, 0);
    });

    test("runs the demo", async (t) => {
      const ports = new Map<string, number>();
      for (const name of ["app", "control-plane", "listener", "admin"]) {
        ports.set(name, await freePort());
      }
      const demo = start(t, "demo", ...[...ports].flatMap(([name, port]) => [`--${name}-port`, String(port)]));
      // The first start fills the compile cache before it starts for good.
      const answer = await answerOf(demo, `http://127.0.0.1:${ports.get("listener")}/`);
      assert.equal(answer.headers.get("x-go-wasm"), "APISIX");
      const traces = await (await fetch(`http://127.0.0.1:${ports.get("admin")}/traces`)).text();
      assert.match(traces, /proxy_on_response_headers/);
      assert.deepEqual(await demo.end(), { code: 0, signal: null });
    });

    test("lets others import the test API and the control plane", async (t) => {
      writeFileSync(
        join(empty, "uses.js"),
        `import { loadPlugin } from "outrigger/plugins/testing";
         import { createControlPlane } from "outrigger/xds/server";
         console.log(typeof loadPlugin, typeof createControlPlane);`,
      );
      const uses = launchProgram(t, join(NODE_FOLDER, "node"), ["uses.js"], empty);
      assert.equal((await uses.untilEnded()).code, 0);
      assert.deepEqual(uses.stdout.all, ["function function"]);
    });
  });
});

/** The first good answer. */
async function answerOf(server: Launched, url: string): Promise<Response> {
  const deadline = Date.now() + START_DEADLINE_MS;
  for (;;) {
    const answer = await fetch(url).catch(() => undefined);
    if (answer?.ok === true) {
      return answer;
    }
    assert.ok(!server.hasEnded && Date.now() < deadline, server.stderr.all.join("\n"));
    await delay(50);
  }
}
