// What `npm pack` makes, installed into an empty folder: it runs as JavaScript, with nothing of the repository, and its exports can be
// imported; and the image's steps, run without a builder. Packing changes the tree for as long as it lasts, so that is a copy.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { copyCleanTree } from "../support/clean-tree.ts";
import { folderWith, Launched, launchProgram } from "../support/launcher.ts";
import { launcherFlags } from "../support/launcher-flags.ts";
import { freePort } from "../support/sidecar-story.ts";

const ROOT = join(import.meta.dirname, "../..");
const NODE_FOLDER = join(ROOT, "node_modules/.bin");
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
      "sidecar/cli/demo.js",
      "plugins/metering/revision.js",
      "plugins/testing/index.d.ts",
      "plugins/examples/go/plugin.wasm",
      "LICENSE",
    ]) {
      assert.ok(paths.includes(path), path);
    }
    assert.ok(((packed.files.find(({ path }) => path === "outrigger")?.mode ?? 0) & 0o111) === 0o111);
    assert.ok(packed.size < MAX_PACKED_BYTES, `${packed.size} bytes`);
  });

  test("has what a running sidecar loads in a few files", () => {
    const parts = packed.files.filter(({ path }) => /^sidecar\/part-[a-z]+-(?:[a-z]+|[A-Z\d]+)\.js$/.test(path));
    assert.ok(parts.length > 10 && parts.length < 100, `${parts.length} parts`);
    const main = packed.files.find(({ path }) => path === "sidecar/main.js");
    const worker = packed.files.find(({ path }) => path === "sidecar/worker.js") as { size?: number } | undefined;
    assert.ok(main !== undefined && (worker?.size ?? 0) > 20_000, JSON.stringify(worker));
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
    // Without a compile cache, which the first start would fill.
    const env = {
      HOME: home,
      XDG_CACHE_HOME: home,
      NODE_COMPILE_CACHE: "/dev/null/none",
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
      const answer = await answerOf(demo, `http://127.0.0.1:${ports.get("listener")}/`);
      assert.equal(answer.headers.get("x-go-wasm"), "APISIX");
      const traces = await (await fetch(`http://127.0.0.1:${ports.get("admin")}/traces`)).text();
      assert.match(traces, /proxy_on_response_headers/);
      // Its terminal is closed: it ends as at SIGTERM.
      assert.deepEqual(await demo.end("SIGHUP"), { code: 0, signal: null });
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

// The image: registries cannot be reached here, so the Dockerfile is read, and what it runs is run.

interface Instruction {
  readonly name: string;
  readonly text: string;
}

function dockerfile(): Instruction[] {
  const text = readFileSync(join(ROOT, "Dockerfile"), "utf8")
    .replaceAll(/^#.*\n/gm, "")
    .replaceAll(/\\\n\s*/g, "");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => ({ name: line.slice(0, line.indexOf(" ")), text: line.slice(line.indexOf(" ") + 1) }));
}

suite("the image", { skip }, () => {
  const instructions = dockerfile();
  const last = instructions.slice(instructions.findLastIndex(({ name }) => name === "FROM"));
  const of = (name: string, all: readonly Instruction[] = last): string[] =>
    all.flatMap((each) => (each.name === name ? [each.text] : []));
  const entry = JSON.parse(of("ENTRYPOINT")[0] ?? "[]") as string[];
  const root = folderWith(owner, {});
  const home = join(root, "opt/outrigger");
  const node = join(root, "node");
  const asUser = process.getuid?.() === 0 ? { uid: 1337, gid: 1337 } : {};

  test("needs no shell and no privilege to run", () => {
    assert.deepEqual(of("USER"), ["1337:1337"]);
    assert.deepEqual(of("CMD"), ['["--help"]']);
    assert.match(of("HEALTHCHECK")[0] ?? "", /CMD \["\/usr\/local\/bin\/node"/);
    assert.equal(entry[0], "/usr/local/bin/node");
    for (const label of ["title", "description", "licenses", "version", "revision"]) {
      assert.match(of("LABEL")[0] ?? "", new RegExp(`org\\.opencontainers\\.image\\.${label}=`));
    }
  });

  test("starts Node.js with the flags of the launcher", () => {
    assert.deepEqual(entry.slice(1, -1), launcherFlags("run"));
  });

  test("is made of what the build is given", () => {
    const copied = of("COPY", instructions).filter((text) => !text.startsWith("--from") && !text.startsWith(". "));
    const given = readFileSync(join(ROOT, ".dockerignore"), "utf8")
      .split("\n")
      .flatMap((line) => (line.startsWith("!") ? [line.slice(1)] : []));
    for (const path of copied.flatMap((text) => text.split(" ").slice(0, -1))) {
      assert.ok(existsSync(join(ROOT, path)), path);
      assert.ok(
        given.some((each) => path === each || path.startsWith(`${each}/`)),
        path,
      );
    }
    const packedFiles = (JSON.parse(manifest) as { files: string[] }).files;
    for (const path of packedFiles) {
      assert.ok(
        given.some((each) => path === each || path.startsWith(`${each}/`)),
        path,
      );
    }
  });

  test("has steps that run", () => {
    const [, install] =
      of("RUN", instructions)
        .map((step) => /^sh \/build\/(\S+) \/ /.exec(step))
        .filter((found) => found !== null)[0] ?? [];
    assert.equal(install, "install.sh");
    const path = `${NODE_FOLDER}:${process.env["PATH"] ?? ""}`;
    const args = [
      join(ROOT, "deploy/image/install.sh"),
      root,
      join(tree, packed.filename),
      join(ROOT, "package-lock.json"),
    ];
    const done = spawnSync("sh", args, { env: { ...process.env, PATH: path }, encoding: "utf8" });
    assert.equal(done.status, 0, done.stderr);
    copyFileSync(realpathSync(join(NODE_FOLDER, "node")), node);
    chmodSync(root, 0o755);
    // What a sidecar loads is joined to a few files (deploy/npm/bundle.ts).
    const cached = readdirSync(join(home, "compile-cache"), { recursive: true }).length;
    assert.ok(cached > 30 && cached < 200, `${cached} files`);
  });

  test("runs as uid 1337, where it can write nothing, out of the compile cache", async (t) => {
    const bootstrap = join(root, "bootstrap.json");
    const port = await freePort();
    writeFileSync(
      bootstrap,
      JSON.stringify({ admin: { address: { socket_address: { address: "127.0.0.1", port_value: port } } } }),
    );
    const before = readdirSync(home, { recursive: true }).length;
    const env = {
      PATH: "",
      HOME: "/nonexistent",
      XDG_CACHE_HOME: "/nonexistent",
      NODE_COMPILE_CACHE: join(home, "compile-cache"),
      NODE_DEBUG_NATIVE: "COMPILE_CACHE",
    };
    const main = entry.slice(1).map((argument) => argument.replace(/^\/opt/, join(root, "opt")));
    const child = spawn(node, [...main, "run", "-c", bootstrap], {
      ...asUser,
      cwd: "/",
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const sidecar = new Launched(child);
    t.after(() => sidecar.end("SIGKILL"));
    const ready = await answerOf(sidecar, `http://127.0.0.1:${port}/ready`);
    assert.equal(await ready.text(), "LIVE\n");
    const accepted = sidecar.stderr.all.flatMap(
      (line) => /V8 code cache for ESM \S*\/sidecar\/(\S+\.js) was accepted/.exec(line)?.[1] ?? [],
    );
    assert.deepEqual(
      ["main.js", "worker.js", "part-main-serving.js"].filter((name) => !accepted.includes(name)),
      [],
    );
    // Without a control plane and spans nothing of gRPC is loaded.
    assert.ok(accepted.length < 15, accepted.join(", "));
    const withGrpc = accepted.filter((name) =>
      readFileSync(join(home, "sidecar", name), "utf8").includes("/grpc-js/build/"),
    );
    assert.deepEqual(withGrpc, []);
    const check = (): number | null =>
      spawnSync(node, [join(home, "deploy/image/healthcheck.js"), `127.0.0.1:${port}`], asUser).status;
    assert.equal(check(), 0);
    assert.deepEqual(await sidecar.end(), { code: 0, signal: null });
    assert.equal(check(), 1);
    assert.equal(readdirSync(home, { recursive: true }).length, before);
    const hook = spawnSync(node, [join(home, "deploy/image/outrigger.js"), "--version"], {
      ...asUser,
      env,
      encoding: "utf8",
    });
    assert.match(hook.stdout, /^outrigger \d/m);
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
