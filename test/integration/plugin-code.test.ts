// Where plugins' code comes from and how it changes, with the real process: fetched code is part of warming, a failure has one
// clear reason and the policy applies, and a change serves old and new side by side until the old is done.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { suite, test } from "node:test";
import { bootstrap, cluster, guest, listener } from "../support/bootstrap-builder.ts";
import { FakeRegistry } from "../support/fake-registry.ts";
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
import { until } from "../support/sidecar-story.ts";

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

const MODULE = readFileSync(guest("headers"));

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
    await using sidecar = await SidecarProcess.start(bootstrap({ listeners, clusters, runtime: NO_DISK_CACHE }), {
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

  test("is retried by its policy, and found on disk by the next process", async (t) => {
    const upstream = await origin(t);
    await using server = await FakeRegistry.start();
    let failures = 2;
    server.on("/m.wasm", (_, response) => (failures-- > 0 ? response.writeHead(500).end() : response.end(MODULE)));
    const parts = (folder: string): object =>
      bootstrap({
        listeners: [listener("in", { filters: [filter(remote("http://a/m.wasm", { retries: 2 }), setHeader("1"))] })],
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

for (const kind of ["listener", "discovered"] as const) {
  // One process for all of it: each change is one more.
  test(`a plugin's change (${kind})`, async (t) => {
    const upstream = await origin(t);
    await using server = await FakeRegistry.start();
    const changing = new ChangingPlugin(kind);
    const clusters = [cluster("origin", [upstream.port]), cluster("code", [server.port])];
    await using sidecar = await SidecarProcess.start((folder) =>
      changing.bootstrap(folder, clusters, local("headers"), setHeader("1")),
    );
    const seen = (expected: string): Promise<string> =>
      until(
        `an answer "${expected}"`,
        () => header(sidecar.url("in")),
        (got) => got === expected,
      );

    await t.test(
      "serves new streams by the new one, finishes the old ones on the old one, and then frees that",
      async () => {
        assert.equal(await header(sidecar.url("in")), "200 1");
        const old = header(sidecar.url("in", "/hold")).catch(String);
        await until(
          "the held request",
          () => upstream.held.length,
          (count) => count === 1,
        );
        changing.set(local("headers"), setHeader("2"));
        await seen("200 2");
        const states = async (): Promise<string> =>
          (await pluginsOf(sidecar))
            .map((view) => String(view["state"]))
            .toSorted()
            .join();
        assert.equal(await states(), "disposed,running", "both are there");
        upstream.held[0]?.end("held");
        assert.equal(await old, "200 1");
        assert.equal(await until("one plugin", states, (text) => text === "running"), "running");
      },
    );

    await t.test("of the module, too, takes new streams to the new module", async () => {
      changing.set(local("headers"), setHeader("1"));
      await seen("200 1");
      // While the new code is on its way the old one serves; the wrong code never comes into use.
      const waiting = Promise.withResolvers<ServerResponse>();
      const other = readFileSync(guest("refuse"));
      server.on("/m.wasm", (_, response) => waiting.resolve(response));
      changing.set(remote("http://a/m.wasm", { digest: sha256(other) }), "hello");
      const response = await waiting.promise;
      assert.equal(await header(sidecar.url("in")), "200 1");
      response.end(other);
      await until(
        "the new module",
        () => fetch(sidecar.url("in")),
        ({ headers }) => headers.get("x-configuration") === "hello",
      );
      changing.set(remote("http://a/none", { digest: "1".repeat(64) }), "other");
      await sidecar.output.stderr.first("the reason", (line) => line.includes("the answer has the status 404"));
      const answer = await fetch(sidecar.url("in"));
      assert.equal(answer.headers.get("x-configuration"), "hello");
      assert.match(sidecar.log, /the previous one serves on/);
    });

    await t.test(
      "to one that does not start leaves the old one serving and says why, until one starts again",
      async () => {
        const configuration = async (): Promise<string | null> =>
          (await fetch(sidecar.url("in"))).headers.get("x-configuration");
        changing.set(local("refuse"), "one");
        await until("the first version", configuration, (got) => got === "one");
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
      },
    );

    await t.test("again and again under load fails no request and mixes no configurations", async () => {
      changing.set(local("headers"), setHeader("0-0"));
      await seen("200 0-0");
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
        await seen(`200 ${n}`);
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
