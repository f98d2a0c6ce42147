// The verb `plugin inspect`: files, images and URLs; text and JSON; exit codes.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test, type TestContext } from "node:test";
import { pluginVerb } from "../../../../sidecar/cli/plugin.ts";
import { guest } from "../../../support/bootstrap-builder.ts";
import { printed } from "../../../support/cli-printer.ts";
import { FakeRegistry, imageManifest } from "../../../support/fake-registry.ts";

const EXAMPLE = "plugins/examples/cpp/plugin.wasm";
const MODULE = readFileSync(EXAMPLE);

async function inspect(
  ...argv: readonly string[]
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const { io, out, err } = printed({ HOME: "/nowhere" });
  const code = await pluginVerb.run(["inspect", ...argv], io);
  return { code, out: out(), err: err() };
}

function file(t: TestContext, bytes: Uint8Array): string {
  const folder = mkdtempSync(join(tmpdir(), "inspect-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "plugin.wasm");
  writeFileSync(path, bytes);
  return path;
}

suite("plugin inspect", () => {
  test("prints what a plugin is, and ends with 0", async () => {
    const { code, out, err } = await inspect(EXAMPLE);
    assert.deepEqual([code, err], [0, ""]);
    const lines = out.split("\n");
    assert.equal(lines[0], `${EXAMPLE}: would load`);
    for (const line of [
      "ABI           0.2.1",
      "memory        starts with 128 KiB, declares no maximum, gets at most 128 MiB",
      "table         1 entries, declares at most 1, gets at most 1",
      "can           change headers",
      "  env.proxy_log                       (i32, i32, i32) → i32",
      "  proxy_on_configure         (i32, i32) → i32",
    ]) {
      assert.ok(lines.includes(line), `${line} in\n${out}`);
    }
  });

  test("marks imports and callbacks that the host does not have", async (t) => {
    const { out } = await inspect(guest("unknown-import"));
    assert.match(out, /: would load, with 2 warnings\n/);
    assert.match(out, /^ {2}env\.proxy_no_such_function {2}\(i32\) → i32 {2}UNKNOWN: answers unimplemented$/m);
    const { code, out: text } = await inspect(file(t, MODULE.subarray(0, 700)));
    assert.equal(code, 1);
    assert.match(text, /: would not load\nproblem +not a WebAssembly module: .*cut short: the code section at byte/);
  });

  test("--json has everything, and ends with 1 when the module would not load", async () => {
    const { code, out } = await inspect(guest("no-abi"), "--json");
    const report = JSON.parse(out) as Record<string, unknown>;
    assert.equal(code, 1);
    assert.deepEqual([report["loads"], report["abi"], report["allocator"]], [false, null, "malloc"]);
    assert.match(String((report["problems"] as unknown[])[0]), /^not a Proxy-Wasm plugin/);
    assert.deepEqual(report["memory"], { initial_bytes: 65536, maximum_bytes: null, limit_bytes: 134217728 });
    assert.deepEqual((report["callbacks"] as unknown[])[0], {
      name: "proxy_on_request_headers",
      type: "(i32, i32, i32) → i32",
      is_called: true,
      does_nothing: true,
      result: 0,
      is_own: null,
    });
  });

  test("takes the memory limit that the sidecar would have", async () => {
    const { code, out } = await inspect(EXAMPLE, "--memory-mib", "16");
    assert.equal(code, 0);
    assert.match(out, /gets at most 16 MiB/);
  });

  test("shows a hostile name without writing it to the terminal", async (t) => {
    const name = "\u001b[2Jx";
    const section = Buffer.concat([Buffer.from([0, name.length + 1, name.length]), Buffer.from(name)]);
    const { out } = await inspect(file(t, Buffer.concat([MODULE, section])));
    assert.match(out, /^custom +\\x1b\[2Jx \(6 bytes\)$/m);
  });

  test("fetches an image and a URL as the sidecar does", async () => {
    await using server = await FakeRegistry.start();
    server.blob("p", MODULE);
    server.manifest("p", imageManifest("x", [["application/wasm", MODULE]]), "v1");
    server.serve("/plugin.wasm", MODULE);
    const place = server.uri("p:v1");
    const image = await inspect(place);
    assert.equal(image.err, "");
    assert.equal(image.out.split("\n")[0], `${place}: would load`);
    const url = await inspect(`${server.origin}/plugin.wasm`);
    assert.equal(url.code, 0);
    assert.equal(url.out.split("\n").slice(1).join(), image.out.split("\n").slice(1).join());
  });

  test("says in one line what cannot be had, and ends with 1", async () => {
    await using server = await FakeRegistry.start();
    const cases: readonly (readonly [place: string, problem: RegExp])[] = [
      ["nowhere.wasm", /cannot read "nowhere\.wasm": there is no such file\n$/],
      ["plugins", /cannot read "plugins": it is a folder\n$/],
      [`${server.origin}/none`, /cannot fetch "http:.*": the answer has the status 404\n$/],
      [server.uri("p:v1"), /there is no such image\n$/],
      ["oci://127.0.0.1:1/p", /the connection was refused\n$/],
      ["http://169.254.169.254/p", /link-local/],
      ["ftp://a/p", /its scheme is none of http:, https: and oci:\n$/],
    ];
    for (const [place, problem] of cases) {
      const { code, out, err } = await inspect(place);
      assert.deepEqual([code, out], [1, ""], place);
      assert.match(err, /^outrigger plugin inspect: [^\n]+\n$/);
      assert.match(err, problem);
    }
  });

  test("without a module, with two, or with a flag that is none is wrong usage", async () => {
    for (const argv of [[], ["a", "b"], ["--jsom", "a"]]) {
      const { code, err } = await inspect(...argv);
      assert.equal(code, 2);
      assert.match(err, /^outrigger plugin inspect: .*\nTry "outrigger help plugin inspect"\.\n$/);
    }
  });
});
