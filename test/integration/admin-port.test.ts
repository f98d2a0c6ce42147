// The admin port of the real process, as an operator uses it: drains, health, logs that are rotated, dumps, what a plugin did.

import assert from "node:assert/strict";
import { readFileSync, renameSync, existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  bootstrap,
  cluster,
  examplePlugin,
  fileAccessLog,
  listener,
  wasmFilter,
} from "../support/bootstrap-builder.ts";
import { RawClient } from "../support/raw-client.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";
import { startOrigin, until } from "../support/sidecar-story.ts";

const OPTIONS = { timeout: 30_000 };
const DIRECT = [{ match: { prefix: "/" }, direct_response: { status: 200, body: { inline_string: "ok" } } }];
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/** One response on a connection that may stay open. */
async function answer(client: RawClient): Promise<string> {
  client.send(GET);
  return client.receiveUntil("ok");
}

test(
  "a graceful drain discourages keep-alive as --drain-strategy says, and then stops the listeners",
  OPTIONS,
  async () => {
    const listeners = [
      listener("in", { routes: DIRECT, trafficDirection: "INBOUND" }),
      listener("out", { routes: DIRECT, trafficDirection: "OUTBOUND" }),
    ];
    await using sidecar = await SidecarProcess.start(bootstrap({ listeners }), {
      args: ["--drain-time-s", "1", "--drain-strategy", "immediate"],
    });
    const kept = await RawClient.connect(sidecar.port("out"));
    assert.doesNotMatch(await answer(kept), /connection: close/);
    assert.equal((await sidecar.admin("/drain_listeners?graceful&inboundonly", "POST")).text, "OK\n");
    await until(
      "connection: close",
      async () => {
        const client = await RawClient.connect(sidecar.port("in"));
        return answer(client).finally(() => client.destroy());
      },
      (text) => text.includes("connection: close"),
    );
    // As Envoy: the server is still LIVE, and what is not inbound is left alone.
    assert.equal((await sidecar.admin("/ready")).text, "LIVE\n");
    assert.doesNotMatch(await answer(kept), /connection: close/);
    kept.destroy();
    await sidecar.untilStat("listener_manager.listener_stopped", 1);
    await until(
      "refused",
      () =>
        RawClient.connect(sidecar.port("in")).then(
          () => false,
          () => true,
        ),
      (isRefused) => isRefused,
    );
    const other = await RawClient.connect(sidecar.port("out"));
    assert.doesNotMatch(await answer(other), /connection: close/);
    other.destroy();
  },
);

test("while health checks are told to fail, every response closes its connection", OPTIONS, async () => {
  await using sidecar = await SidecarProcess.start(bootstrap({ listeners: [listener("in", { routes: DIRECT })] }));
  const once = async (): Promise<string> => {
    const client = await RawClient.connect(sidecar.port("in"));
    return answer(client).finally(() => client.destroy());
  };
  await sidecar.admin("/healthcheck/fail", "POST");
  await until("closes", once, (text) => text.includes("connection: close"));
  const failing = await sidecar.admin("/ready");
  assert.deepEqual([failing.status, failing.text.split("\n")[0]], [503, "DRAINING"]);
  await sidecar.admin("/healthcheck/ok", "POST");
  await until("stays open", once, (text) => !text.includes("connection: close"));
  assert.equal((await sidecar.admin("/ready")).status, 200);
});

test("SIGUSR1 and POST /reopen_logs go on in new files; SIGHUP is ignored", OPTIONS, async () => {
  const make = (folder: string): object =>
    bootstrap({
      listeners: [
        listener("in", {
          routes: DIRECT,
          manager: { access_log: [fileAccessLog(join(folder, "access.log"), "%REQ(:PATH)%\n")] },
        }),
      ],
    });
  await using sidecar = await SidecarProcess.start(make, { args: ["--file-flush-interval-msec", "10"] });
  const file = join(sidecar.folder, "access.log");
  const request = async (path: string): Promise<void> => {
    await (await fetch(sidecar.url("in", path))).text();
    await until(
      path,
      () => (existsSync(file) ? readFileSync(file, "utf8") : ""),
      (text) => text.includes(path),
    );
  };
  await request("/1");
  // Not a signal to reopen, nor to end: whoever sends it means other servers.
  sidecar.signal("SIGHUP");
  await sidecar.output.stderr.first("SIGHUP", (line) => line.includes("SIGHUP is ignored"));
  renameSync(file, `${file}.1`);
  sidecar.signal("SIGUSR1");
  await until(
    "a new file",
    async () => {
      await (await fetch(sidecar.url("in", "/2"))).text();
      return existsSync(file);
    },
    (exists) => exists,
  );
  renameSync(file, `${file}.2`);
  assert.equal((await sidecar.admin("/reopen_logs", "POST")).text, "OK\n");
  await until(
    "another new file",
    async () => {
      await (await fetch(sidecar.url("in", "/3"))).text();
      return existsSync(file);
    },
    (exists) => exists,
  );
  assert.match(readFileSync(`${file}.1`, "utf8"), /^\/1\n/);
  assert.equal(sidecar.isAlive, true);
});

interface Traces {
  readonly traces: readonly {
    readonly path: string;
    readonly upstream?: { readonly sent_ms: number; readonly first_byte_ms: number };
    readonly hooks: readonly {
      readonly callback: string;
      readonly headers_added?: number;
      readonly action?: string;
    }[];
  }[];
}

test("/traces says what the plugin did to a request, and keeps as many as the runtime says", OPTIONS, async (t) => {
  const port = await startOrigin(t, "hello");
  const plugin = wasmFilter(
    "custom-response-header",
    examplePlugin("go"),
    '{"headers":[{"name":"X-Go-Wasm","value":"a"},{"name":"X-Second","value":"b"}]}',
  );
  await using sidecar = await SidecarProcess.start(
    bootstrap({
      listeners: [listener("in", { filters: [plugin] })],
      clusters: [cluster("origin", [port])],
      runtime: { "outrigger.trace.ring_size": 2 },
    }),
  );
  for (const path of ["/1", "/2", "/3"]) {
    await (await fetch(sidecar.url("in", path))).text();
  }
  const { traces } = await until(
    "both requests",
    () => sidecar.adminJson<Traces>("/traces"),
    ({ traces: all }) => all[0]?.path === "/3",
  );
  assert.deepEqual(
    traces.map(({ path }) => path),
    ["/3", "/2"],
  );
  const [latest] = traces;
  const response = latest?.hooks.find(({ callback }) => callback === "proxy_on_response_headers");
  assert.deepEqual([response?.headers_added, response?.action], [2, "continue"]);
  assert.ok((latest?.upstream?.first_byte_ms ?? 0) >= (latest?.upstream?.sent_ms ?? 1));
  assert.ok((await sidecar.stat('outrigger_wasm_memory_bytes{plugin="custom-response-header"}')) > 0);
});
