// Where plugins' code comes from and how it changes, with the real process: fetched code is part of warming, a failure has one
// clear reason and the policy applies, and a change serves old and new side by side until the old is done.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { suite, test } from "node:test";
import { bootstrap, cluster, guest, listener } from "../support/bootstrap-builder.ts";
import { FakeRegistry, imageManifest } from "../support/fake-registry.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";
import { until } from "../support/sidecar-story.ts";

const MODULE = readFileSync(guest("headers"));
const TYPE = "type.googleapis.com/envoy";
const OFF = { "outrigger.wasm.code_cache_dir": "" };

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function remote(uri: string, digest = sha256(MODULE), retries = 0): object {
  const http_uri = { uri, cluster: "code", timeout: "5s" };
  const retry_policy = { num_retries: retries, retry_back_off: { base_interval: "0.01s" } };
  return { remote: { http_uri, sha256: digest, retry_policy } };
}

interface FilterParts {
  readonly policy?: string;
  readonly name?: string;
  readonly vm?: object;
}

/** The guest `headers` (or another), which sets `x-v: VALUE` on responses. */
function plugin(
  code: object,
  value: string,
  { policy = "FAIL_CLOSED", name = "p", vm = {} }: FilterParts = {},
): object {
  const configuration = { "@type": "type.googleapis.com/google.protobuf.StringValue", value };
  return {
    "@type": `${TYPE}.extensions.filters.http.wasm.v3.Wasm`,
    config: {
      name,
      failure_policy: policy,
      configuration,
      vm_config: { vm_id: name, runtime: "envoy.wasm.runtime.v8", code, ...vm },
    },
  };
}

function filter(code: object, value: string, parts: FilterParts = {}): object {
  return { name: parts.name ?? "p", typed_config: plugin(code, value, parts) };
}

const setHeader = (value: string): string => `response replace x-v ${value}`;
const local = (name: string): object => ({ local: { filename: guest(name) } });

/** An upstream that answers `/hold` when the test says so. */
async function origin(t: { after(run: () => void): void }): Promise<{ port: number; held: ServerResponse[] }> {
  const held: ServerResponse[] = [];
  const server = createServer((request, response) => {
    if (request.url === "/hold") {
      held.push(response);
    } else {
      response.end("ok");
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, held };
}

async function header(url: string): Promise<string> {
  const answer = await fetch(url);
  await answer.text();
  return `${answer.status} ${answer.headers.get("x-v") ?? ""}`;
}

interface PluginsAnswer {
  readonly plugins: readonly Record<string, unknown>[];
}

async function pluginsOf(sidecar: SidecarProcess): Promise<readonly Record<string, unknown>[]> {
  const answer = await sidecar.adminJson<PluginsAnswer | readonly Record<string, unknown>[]>("/plugins");
  return "plugins" in answer ? answer.plugins : answer;
}

suite("fetched plugin code", { concurrency: 2 }, () => {
  test("is part of warming: /ready waits and says for what, other listeners serve, then the plugin runs", async (t) => {
    const upstream = await origin(t);
    await using server = await FakeRegistry.start();
    const waiting = Promise.withResolvers<ServerResponse>();
    server.on("/m.wasm", (_, response) => waiting.resolve(response));
    const listeners = [
      listener("fetched", { filters: [filter(remote("http://code.example/m.wasm"), setHeader("1"))] }),
      listener("plain"),
    ];
    const clusters = [cluster("origin", [upstream.port]), cluster("code", [server.port])];
    await using sidecar = await SidecarProcess.start(bootstrap({ listeners, clusters, runtime: OFF }), {
      untilReady: false,
    });
    const response = await waiting.promise;
    const ready = await sidecar.admin("/ready");
    assert.equal(ready.status, 503);
    assert.match(ready.text, /listeners fetched: waiting for a plugin's code/);
    await until(
      "the plain listener",
      () => sidecar.admin("/listeners"),
      ({ text }) => text.includes("plain::"),
    );
    await sidecar.learnPorts();
    await until(
      "an answer of the plain listener",
      () => header(sidecar.url("plain")),
      (got) => got === "200 ",
    );
    assert.equal((await pluginsOf(sidecar))[0]?.["state"], "loading");
    response.end(MODULE);
    await sidecar.untilReady();
    assert.equal(await header(sidecar.url("fetched")), "200 1");
    const [view] = await pluginsOf(sidecar);
    assert.equal(view?.["digest"], sha256(MODULE));
    assert.equal(view["source"], "http://code.example/m.wasm");
    const stat = (name: string): Promise<number> => sidecar.stat(`wasm.remote_load_${name}`);
    assert.deepEqual(
      [
        await stat("cache_misses"),
        await stat("fetch_successes"),
        await stat("cache_entries"),
        await stat("fetch_failures"),
      ],
      [1, 1, 1, 0],
    );
  });

  test("that cannot be had has one clear reason, its policy applies, and nothing is stuck", async (t) => {
    const upstream = await origin(t);
    await using server = await FakeRegistry.start();
    server.serve("/m.wasm", MODULE);
    server.redirect("/loop", "/loop");
    const text = Buffer.from("no module");
    server.serve("/text", text);
    const cut = MODULE.subarray(0, 200);
    server.serve("/cut", cut);
    server.manifest(
      "p",
      imageManifest("x", [
        ["application/wasm", MODULE],
        ["a/b", text],
        ["c/d", text],
      ]),
      "three",
    );
    const cases: readonly [name: string, code: object, reason: RegExp][] = [
      ["wrong-digest", remote("http://a/m.wasm", "0".repeat(64)), /the sha256 of what came is/],
      ["status", remote("http://a/none", "1".repeat(64)), /the answer has the status 404/],
      ["loop", remote("http://a/loop", "2".repeat(64)), /more than 3 redirects/],
      ["text", remote("http://a/text", sha256(text)), /not a WebAssembly module: starts with/],
      ["cut", remote("http://a/cut", sha256(cut)), /damaged or cut short/],
      ["layers", remote(server.uri("p:three"), "3".repeat(64)), /3 layers, 1 of them modules/],
      ["no-image", remote(server.uri("p:none"), "4".repeat(64)), /there is no such image/],
      ["gone", remote("oci://127.0.0.1:1/p:v1", "5".repeat(64)), /the connection was refused/],
      ["metadata", remote("oci://169.254.169.254/p:v1", "6".repeat(64)), /link-local/],
    ];
    const listeners = cases.flatMap(([name, code]) => [
      listener(`${name}-closed`, { filters: [filter(code, setHeader("1"), { name: `${name}-c` })] }),
      listener(`${name}-open`, { filters: [filter(code, setHeader("1"), { name: `${name}-o`, policy: "FAIL_OPEN" })] }),
    ]);
    const clusters = [cluster("origin", [upstream.port]), cluster("code", [server.port])];
    await using sidecar = await SidecarProcess.start(bootstrap({ listeners, clusters, runtime: OFF }));
    const views = await pluginsOf(sidecar);
    for (const [name, , reason] of cases) {
      assert.equal(await header(sidecar.url(`${name}-closed`)), "503 ", name);
      assert.equal(await header(sidecar.url(`${name}-open`)), "200 ", name);
      const view = views.find((each) => each["name"] === `${name}-c`);
      assert.equal(view?.["state"], "failed", name);
      assert.match(String(view["state_reason"] ?? view["stateReason"]), reason);
      const lines = sidecar.log
        .split("\n")
        .filter((line) => line.includes(`${name}-closed`) && line.includes('"level":"error"'));
      assert.equal(lines.length, 1, `${name}: ${lines.join("\n")}`);
      assert.match(lines[0] ?? "", reason);
      assert.match(lines[0] ?? "", /its failure policy applies/);
    }
    assert.ok((await sidecar.stat("wasm.remote_load_fetch_failures")) >= 7);
    assert.deepEqual(await sidecar.stop(), { code: 0, signal: null });
  });

  test("is retried by its policy, and found on disk by the next process", async (t) => {
    const upstream = await origin(t);
    await using server = await FakeRegistry.start();
    let failures = 2;
    server.on("/m.wasm", (_, response) => (failures-- > 0 ? response.writeHead(500).end() : response.end(MODULE)));
    const parts = (folder: string): object =>
      bootstrap({
        listeners: [
          listener("in", { filters: [filter(remote("http://a/m.wasm", sha256(MODULE), 2), setHeader("1"))] }),
        ],
        clusters: [cluster("origin", [upstream.port]), cluster("code", [server.port])],
        runtime: { "outrigger.wasm.code_cache_dir": join(folder, "cache") },
      });
    await using first = await SidecarProcess.start(parts);
    assert.equal(await header(first.url("in")), "200 1");
    assert.equal(server.seen.length, 3);
    await using second = await SidecarProcess.start(parts(first.folder));
    assert.equal(await header(second.url("in")), "200 1");
    assert.equal(server.seen.length, 3, "nothing was fetched again");
    assert.equal(await second.stat("outrigger_wasm_code_cache_hits_total"), 1);
  });
});

/** LDS or ECDS from a file that the test replaces. */
class ChangingPlugin {
  readonly #kind: "listener" | "discovered";
  #version = 0;
  #folder = "";

  constructor(kind: "listener" | "discovered") {
    this.#kind = kind;
  }

  bootstrap(folder: string, clusters: readonly object[], code: object, value: string): object {
    this.#folder = folder;
    this.set(code, value);
    const source = (file: string): object => ({
      path_config_source: { path: join(folder, file) },
      resource_api_version: "V3",
    });
    const type_urls = [`${TYPE}.extensions.filters.http.wasm.v3.Wasm`];
    const discovered = { name: "p", config_discovery: { config_source: source("plugins.json"), type_urls } };
    return bootstrap({
      clusters,
      runtime: OFF,
      ...(this.#kind === "listener"
        ? { more: { dynamic_resources: { lds_config: source("listeners.json") } } }
        : { listeners: [listener("in", { filters: [discovered] })] }),
    });
  }

  set(code: object, value: string): void {
    const resource =
      this.#kind === "listener"
        ? { "@type": `${TYPE}.config.listener.v3.Listener`, ...listener("in", { filters: [filter(code, value)] }) }
        : { "@type": `${TYPE}.config.core.v3.TypedExtensionConfig`, name: "p", typed_config: plugin(code, value) };
    const file = join(this.#folder, this.#kind === "listener" ? "listeners.json" : "plugins.json");
    writeFileSync(`${file}.new`, JSON.stringify({ version_info: String(++this.#version), resources: [resource] }));
    renameSync(`${file}.new`, file);
  }
}

for (const kind of ["listener", "discovered"] as const) {
  suite(`a plugin's change (${kind})`, { concurrency: 2 }, () => {
    const seen = (sidecar: SidecarProcess, expected: string): Promise<string> =>
      until(
        `an answer "${expected}"`,
        () => header(sidecar.url("in")),
        (got) => got === expected,
      );

    test("serves new streams by the new one, finishes the old streams on the old one, and then frees that", async (t) => {
      const upstream = await origin(t);
      const changing = new ChangingPlugin(kind);
      await using sidecar = await SidecarProcess.start((folder) =>
        changing.bootstrap(folder, [cluster("origin", [upstream.port])], local("headers"), setHeader("1")),
      );
      assert.equal(await header(sidecar.url("in")), "200 1");
      const old = header(sidecar.url("in", "/hold")).catch(String);
      await until(
        "the held request",
        () => upstream.held.length,
        (count) => count === 1,
      );
      changing.set(local("headers"), setHeader("2"));
      await seen(sidecar, "200 2");
      const states = async (): Promise<string> =>
        (await pluginsOf(sidecar))
          .map((view) => String(view["state"]))
          .toSorted()
          .join();
      assert.equal(await states(), "disposed,running", "both are there");
      upstream.held[0]?.end("held");
      assert.equal(await old, "200 1");
      assert.equal(await until("one plugin", states, (text) => text === "running"), "running");
    });

    test("of the module, too, takes new streams to the new module", async (t) => {
      const upstream = await origin(t);
      await using server = await FakeRegistry.start();
      const changing = new ChangingPlugin(kind);
      const clusters = [cluster("origin", [upstream.port]), cluster("code", [server.port])];
      await using sidecar = await SidecarProcess.start((folder) =>
        changing.bootstrap(folder, clusters, local("headers"), setHeader("1")),
      );
      assert.equal(await header(sidecar.url("in")), "200 1");
      // While the new code is on its way the old one serves; the wrong code never comes into use.
      const waiting = Promise.withResolvers<ServerResponse>();
      const other = readFileSync(guest("refuse"));
      server.on("/m.wasm", (_, response) => waiting.resolve(response));
      changing.set(remote("http://a/m.wasm", sha256(other)), "hello");
      const response = await waiting.promise;
      assert.equal(await header(sidecar.url("in")), "200 1");
      response.end(other);
      await until(
        "the new module",
        () => fetch(sidecar.url("in")),
        ({ headers }) => headers.get("x-configuration") === "hello",
      );
      changing.set(remote("http://a/none", "1".repeat(64)), "other");
      await sidecar.output.stderr.first("the reason", (line) => line.includes("the answer has the status 404"));
      const answer = await fetch(sidecar.url("in"));
      assert.equal(answer.headers.get("x-configuration"), "hello");
      assert.match(sidecar.log, /the previous one serves on/);
    });

    test("to one that does not start leaves the old one serving and says why, until one starts again", async (t) => {
      const upstream = await origin(t);
      const changing = new ChangingPlugin(kind);
      await using sidecar = await SidecarProcess.start((folder) =>
        changing.bootstrap(folder, [cluster("origin", [upstream.port])], local("refuse"), "one"),
      );
      const configuration = async (): Promise<string | null> =>
        (await fetch(sidecar.url("in"))).headers.get("x-configuration");
      assert.equal(await configuration(), "one");
      changing.set(local("refuse"), "refuse this");
      const [view] = await until(
        "the reason in /plugins",
        () => pluginsOf(sidecar),
        ([each]) => /newer version/.test(JSON.stringify(each)),
      );
      assert.match(JSON.stringify(view), /"state":"running".*proxy_on_configure/);
      assert.equal(await configuration(), "one");
      await until(
        "the reason in the log",
        () => sidecar.log,
        (log) => /refused: the callback answered false; it logged: plugin configuration refused/.test(log),
      );
      changing.set(local("refuse"), "two");
      await until("the next version", configuration, (got) => got === "two");
      const [after] = await until(
        "nothing to say",
        () => pluginsOf(sidecar),
        ([each]) => !/newer version/.test(JSON.stringify(each)),
      );
      assert.equal(after?.["state"], "running");
    });

    test("again and again under load fails no request and mixes no configurations", async (t) => {
      const upstream = await origin(t);
      const changing = new ChangingPlugin(kind);
      await using sidecar = await SidecarProcess.start((folder) =>
        changing.bootstrap(folder, [cluster("origin", [upstream.port])], local("headers"), setHeader("0-0")),
      );
      const value = (n: number): string => `response replace x-v ${n}\nresponse replace x-w ${n}`;
      const got = new Set<string>();
      let isOver = false;
      const load = Array.from({ length: 4 }, async () => {
        while (!isOver) {
          const { status, headers } = await fetch(sidecar.url("in"));
          const [v, w] = [headers.get("x-v"), headers.get("x-w") ?? "0-0"];
          got.add(status === 200 && (v === w || v === "0-0") ? "good" : `${status} ${v} ${w}`);
        }
      });
      for (let n = 1; n <= 15; n++) {
        changing.set(local("headers"), value(n));
        await seen(sidecar, `200 ${n}`);
      }
      isOver = true;
      await Promise.all(load);
      assert.deepEqual([...got], ["good"]);
      await until(
        "one plugin",
        () => pluginsOf(sidecar),
        (views) => views.length === 1,
      );
    });
  });
}
