// A plugin without fuel that never returns: the watchdog ends its worker, which comes back with the plugin in quarantine, while
// the other worker serves.

import assert from "node:assert/strict";
import { test } from "node:test";
import { bootstrap, cluster, guest, listener, wasmFilter } from "../support/bootstrap-builder.ts";
import { FakeUpstream } from "../support/fake-upstream.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";
import { until } from "../support/sidecar-story.ts";

test("a plugin without fuel that loops costs its worker, not the process", { timeout: 60_000 }, async () => {
  await using upstream = await FakeUpstream.start({ respond: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" });
  await using sidecar = await SidecarProcess.start(
    bootstrap({
      runtime: { "outrigger.wasm.fuel_per_callback": 0, "outrigger.wasm.start_fuel": 0 },
      listeners: [listener("in", { filters: [wasmFilter("loops", guest("loops"))] }), listener("bare")],
      clusters: [cluster("origin", [upstream.port])],
    }),
  );
  assert.equal((await fetch(sidecar.url("in", "/fine"))).status, 200);
  await assert.rejects(fetch(sidecar.url("in", "/loop")));
  await until(
    "the worker's restart",
    () => sidecar.stat("server.worker_restarts"),
    (restarts) => restarts === 1,
  );
  assert.equal(await sidecar.stat('outrigger_wasm_watchdog_total{plugin="loops"}'), 1);
  assert.match(sidecar.log, /plugin \\"loops\\" was in proxy_on_request_headers for more than 200 ms/);
  await until(
    "the worker to serve again",
    async () => (await fetch(sidecar.url("bare")).catch(() => undefined))?.status,
    (status) => status === 200,
  );
  const { plugins } = await sidecar.adminJson<{ plugins: readonly { state: string }[] }>("/plugins");
  assert.deepEqual(
    plugins.map(({ state }) => state),
    ["quarantined"],
  );
  assert.equal((await fetch(sidecar.url("in", "/fine"))).status, 503);
});
