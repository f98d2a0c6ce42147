// Modules that are no good, one in each way, in the running product: whichever way one comes, there is one clear reason, the failure
// policy applies or the previous version serves on, and nothing is stuck.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { watBytes } from "../plugins/support/specs.ts";
import { WatGuest } from "../plugins/support/wat-guest.ts";
import { bootstrap, cluster, guest, listener } from "../support/bootstrap-builder.ts";
import { FakeRegistry, imageManifest } from "../support/fake-registry.ts";
import { launchIn } from "../support/launcher.ts";
import {
  ChangingPlugin,
  filter,
  header,
  local,
  NO_DISK_CACHE,
  pluginsOf,
  remote,
  setHeader,
  sha256,
} from "../support/plugin-code-story.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";
import { startOrigin, until } from "../support/sidecar-story.ts";

const MODULE = readFileSync(guest("headers"));
const MEMORY = '(memory (export "memory") 1)';
const MARKER = '(func (export "proxy_abi_version_0_2_1"))';
const MALLOC = '(func (export "malloc") (param i32) (result i32) (i32.const 0))';
const MIB = 1024 * 1024;
const HUGE = 100 * MIB;
const ROUTES = [{ match: { prefix: "/" }, direct_response: { status: 200 } }];

function wat(fields: string): Uint8Array {
  return watBytes(`(module ${fields})`);
}

/** Name, bytes, what is said of them. */
const BAD: readonly (readonly [name: string, bytes: Uint8Array, reason: RegExp])[] = [
  ["empty", new Uint8Array(0), /not a WebAssembly module: the file is empty/],
  ["text", Buffer.from("no module"), /not a WebAssembly module: starts with 6e6f206d \(expected 0061736d\)/],
  ["cut", MODULE.subarray(0, MODULE.length / 2), /not a WebAssembly module: its sections are damaged or cut short/],
  ["component", Buffer.from([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0]), /a WebAssembly component, not a core module/],
  ["no-marker", wat(MEMORY + MALLOC), /not a Proxy-Wasm plugin: no export \\?"proxy_abi_version_0_2_1/],
  ["future", wat(`${MEMORY} ${MALLOC} (func (export "proxy_abi_version_0_9_0"))`), /unknown Proxy-Wasm ABI version/],
  ["no-memory", wat(MARKER + MALLOC), /the module has no memory/],
  ["no-allocator", wat(MEMORY + MARKER), /missing allocator/],
  [
    "types",
    wat(`${MEMORY} ${MARKER} ${MALLOC} (func (export "proxy_on_log"))`),
    /exports proxy_on_log as \(\) → nothing/,
  ],
  ["import", wat(`(import "env" "abort" (func)) ${MEMORY} ${MARKER} ${MALLOC}`), /unknown imports: env\.abort/],
  ["256-mib", wat(`(memory (export "memory") 4096) ${MARKER} ${MALLOC}`), /starts with 256 MiB of memory, more than/],
];

const folder = mkdtempSync(join(tmpdir(), "bad-modules-"));
after(() => rmSync(folder, { recursive: true }));

function path(name: string): string {
  return join(folder, `${name}.wasm`);
}

for (const [name, bytes] of BAD) writeFileSync(path(name), bytes);
writeFileSync(path("huge"), MODULE);
truncateSync(path("huge"), HUGE);
const LOCAL: readonly (readonly [name: string, reason: RegExp])[] = [
  ...BAD.map(([name, , reason]) => [name, reason] as const),
  ["huge", /104857600 bytes, at most 67108864 are allowed/],
];

/** A filter whose code is a bad file. */
function badFile(name: string): object {
  return { local: { filename: path(name) } };
}

suite("a bad module", { concurrency: 2 }, () => {
  test("in a file is named by validate, each with its place and reason", async (t) => {
    const listeners = LOCAL.map(([name]) =>
      listener(name, { routes: ROUTES, filters: [filter(badFile(name), "", { name })] }),
    );
    writeFileSync(join(folder, "b.json"), JSON.stringify(bootstrap({ listeners }), undefined, 1));
    const program = launchIn(t, folder, "validate", "-c", "b.json");
    assert.deepEqual(await program.untilEnded(), { code: 1, signal: null });
    const lines = program.stderr.all;
    assert.equal(lines.length, LOCAL.length, lines.join("\n"));
    for (const [i, [name, reason]] of LOCAL.entries()) {
      assert.match(
        lines[i] ?? "",
        /^b\.json:\d+:\d+: static_resources\.listeners\[\d+\]\..*\.local\.filename: Cannot /,
      );
      assert.ok(lines[i]?.includes(path(name)));
      assert.match(lines[i] ?? "", reason);
    }
  });

  test("in a file that is pushed is refused for its reason, and the previous one serves on", async (t) => {
    const port = await startOrigin(t, "ok");
    const changing = new ChangingPlugin("discovered");
    await using sidecar = await SidecarProcess.start((home) =>
      changing.bootstrap(home, [cluster("origin", [port])], local("headers"), setHeader("0")),
    );
    for (const [name, reason] of LOCAL) {
      changing.set(badFile(name), setHeader("bad"));
      const line = await sidecar.output.stderr.first(name, (each) => each.includes(path(name)) && reason.test(each));
      assert.match(line, /"level":"warning".*"message":"xds update refused"/);
      assert.equal(await header(sidecar.url("in")), "200 0", name);
    }
    changing.set(local("headers"), setHeader("1"));
    await until(
      "the next good one",
      () => header(sidecar.url("in")),
      (got) => got === "200 1",
    );
    assert.deepEqual(await sidecar.stop(), { code: 0, signal: null });
  });

  test("that is fetched, or cannot be, has its reason, and its failure policy applies", async () => {
    await using server = await FakeRegistry.start();
    server.serve("/m.wasm", MODULE);
    server.redirect("/loop", "/loop");
    for (const [name, bytes] of BAD) server.serve(`/${name}`, bytes);
    server.manifest(
      "p",
      imageManifest("x", [
        ["application/wasm", MODULE],
        ["a/b", Buffer.from("a")],
        ["c/d", Buffer.from("c")],
      ]),
      "three",
    );
    server.on("/announced", (_, response) => response.writeHead(200, { "content-length": HUGE }).write("\0asm"));
    server.on("/endless", (_, response) => {
      const chunk = Buffer.alloc(4 * MIB);
      const more = (): void => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on("drain", more);
      more();
    });
    server.on("/half", (_, response) => {
      response.writeHead(200, { "content-length": MODULE.length });
      response.write(MODULE.subarray(0, 1000), () => response.destroy());
    });
    server.on("/silent", () => undefined);
    // Code is known by its digest: each case has its own.
    const unlike = (name: string): string => sha256(Buffer.from(name));
    const cases: readonly (readonly [name: string, code: object, reason: RegExp])[] = [
      ...BAD.filter(([name]) => name !== "empty").map(
        ([name, bytes, reason]) => [name, remote(`http://a/${name}`, { digest: sha256(bytes) }), reason] as const,
      ),
      ["nothing", remote("http://a/empty", { digest: unlike("nothing") }), /the answer is empty/],
      ["wrong-digest", remote("http://a/m.wasm", { digest: unlike("wrong-digest") }), /the sha256 of what came is/],
      ["status", remote("http://a/none", { digest: unlike("status") }), /the answer has the status 404/],
      ["loop", remote("http://a/loop", { digest: unlike("loop") }), /more than 3 redirects/],
      [
        "announced",
        remote("http://a/announced", { digest: unlike("announced") }),
        /the answer has 104857600 bytes, at most 67108864 are allowed/,
      ],
      ["endless", remote("http://a/endless", { digest: unlike("endless") }), /the answer has more than 67108864 bytes/],
      ["half", remote("http://a/half", { digest: unlike("half") }), /the connection was cut/],
      ["silent", remote("http://a/silent", { digest: unlike("silent"), timeout: "0.3s" }), /no answer in time/],
      ["layers", remote(server.uri("p:three"), { digest: unlike("layers") }), /3 layers, 1 of them modules/],
      ["no-image", remote(server.uri("p:none"), { digest: unlike("no-image") }), /there is no such image/],
      ["gone", remote("oci://127.0.0.1:1/p:v1", { digest: unlike("gone") }), /the connection was refused/],
      ["metadata", remote("oci://169.254.169.254/p:v1", { digest: unlike("metadata") }), /link-local/],
    ];
    const listeners = cases.flatMap(([name, code]) =>
      (["FAIL_CLOSED", "FAIL_OPEN"] as const).map((policy) =>
        listener(`${name}-${policy}`, {
          routes: ROUTES,
          filters: [filter(code, setHeader("1"), { name: `${name}-${policy}`, policy })],
        }),
      ),
    );
    await using sidecar = await SidecarProcess.start(
      bootstrap({ listeners, clusters: [cluster("code", [server.port])], runtime: NO_DISK_CACHE }),
    );
    const views = await pluginsOf(sidecar);
    for (const [name, , reason] of cases) {
      assert.equal(await header(sidecar.url(`${name}-FAIL_CLOSED`)), "503 ", name);
      assert.equal(await header(sidecar.url(`${name}-FAIL_OPEN`)), "200 ", name);
      const view = views.find((each) => each["name"] === `${name}-FAIL_CLOSED`);
      assert.equal(view?.["state"], "failed", name);
      assert.match(String(view["state_reason"] ?? view["stateReason"]), reason);
      const lines = sidecar.log
        .split("\n")
        .filter((line) => line.includes(`${name}-FAIL_CLOSED`) && line.includes('"level":"error"'));
      assert.equal(lines.length, 1, `${name}: ${lines.join("\n")}`);
      assert.match(lines[0] ?? "", reason);
      assert.match(lines[0] ?? "", /its failure policy applies/);
    }
    assert.ok((await sidecar.stat("wasm.remote_load_fetch_failures")) >= 10);
    assert.deepEqual(await sidecar.stop(), { code: 0, signal: null });
  });
});

test("a module with two ABI markers has the behaviour of the first, as on Envoy", async () => {
  // Of a header that is not there 0.1.0 says Ok, and 0.2.0 NotFound: "a" and "b".
  const status = (abi: string, second: string): Uint8Array => {
    const one = new WatGuest({ abi });
    one.on(
      "proxy_on_response_headers",
      `(i32.store8 (i32.const 24) (i32.add (i32.const 97)
         (call $proxy_get_header_map_value (i32.const 2) ${one.text("x-none")} (i32.const 16) (i32.const 20))))
       (drop (call $proxy_replace_header_map_value (i32.const 2) ${one.text("x-v")} (i32.const 24) (i32.const 1)))
       (i32.const 0)`,
    );
    return watBytes(one.wat().replace(/\)$/, `(func (export "proxy_abi_version_${second}")))`));
  };
  writeFileSync(path("old-new"), status("0_1_0", "0_2_0"));
  writeFileSync(path("new-old"), status("0_2_0", "0_1_0"));
  const listeners = ["old-new", "new-old"].map((name) =>
    listener(name, { routes: ROUTES, filters: [filter(badFile(name), "", { name })] }),
  );
  await using sidecar = await SidecarProcess.start(bootstrap({ listeners }));
  assert.equal(await header(sidecar.url("old-new")), "200 a");
  assert.equal(await header(sidecar.url("new-old")), "200 b");
});
