// A plugin that never returns, in the real process with one worker: its stream gets its answer, everybody else is served,
// the limit is a runtime key, and what was used is in /plugins, /traces, the statistics and the log.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { runLoad } from "../bench/load.ts";
import { bootstrap, cluster, guest, listener, wasmFilter } from "../support/bootstrap-builder.ts";
import { FakeUpstream } from "../support/fake-upstream.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";
import { until } from "../support/sidecar-story.ts";

interface PluginView {
  readonly name: string;
  readonly state: string;
  readonly callbacks: readonly { readonly callback: string; readonly faults: number; readonly fuel: number }[];
  readonly last_fault?: { readonly callback: string; readonly kind: string; readonly message: string };
}

interface Traces {
  readonly traces: readonly {
    readonly path: string;
    readonly hooks: readonly { readonly callback: string; readonly fuel?: number; readonly fault?: string }[];
  }[];
}

/** Generous: what is measured is about 50 ms, on a machine that does other things too. */
const ANSWER_MS = 2_000;

suite("a plugin that loops for ever", { timeout: 60_000 }, () => {
  const owned = new AsyncDisposableStack();
  let sidecar: SidecarProcess;

  before(async () => {
    const upstream = owned.use(await FakeUpstream.start({ respond: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" }));
    const loops = guest("loops");
    sidecar = owned.use(
      await SidecarProcess.start(
        bootstrap({
          runtime: {
            "outrigger.wasm.plugin.small.fuel_per_callback": 1_000_000,
            "outrigger.wasm.plugin.free.fuel_per_callback": 0,
            "outrigger.wasm.plugin.free.start_fuel": 0,
            "outrigger.wasm.plugin.ticking.fuel_per_callback": 1_000_000,
          },
          listeners: [
            listener("closed", { filters: [wasmFilter("closed", loops)] }),
            listener("open", { filters: [wasmFilter("open", loops, "", { failurePolicy: "FAIL_OPEN" })] }),
            listener("small", { filters: [wasmFilter("small", loops)] }),
            listener("free", { filters: [wasmFilter("free", loops)] }),
            listener("ticking", { filters: [wasmFilter("ticking", loops, "tick")] }),
            listener("bare"),
          ],
          clusters: [cluster("origin", [upstream.port])],
        }),
      ),
    );
  });
  after(() => owned.disposeAsync());

  async function plugin(name: string): Promise<PluginView> {
    const { plugins } = await sidecar.adminJson<{ plugins: readonly PluginView[] }>("/plugins");
    const found = plugins.find((each) => each.name === name);
    assert.ok(found !== undefined, JSON.stringify(plugins));
    return found;
  }

  async function timed(listenerName: string, path: string): Promise<{ status: number; ms: number }> {
    const start = performance.now();
    const answer = await fetch(sidecar.url(listenerName, path), { method: "POST", body: "body" });
    await answer.text();
    return { status: answer.status, ms: performance.now() - start };
  }

  test("costs its stream and nobody else, in each callback of a stream", async () => {
    const bare = runLoad({ port: sidecar.port("bare"), connections: 4, requests: 1_000 });
    const others = runLoad({
      port: sidecar.port("closed"),
      connections: 8,
      requests: 1_000,
      expectHeader: "x-guest: loops",
    });
    for (const path of ["/loop", "/loop-body", "/loop-response", "/loop-host"]) {
      const { status, ms } = await timed("closed", path);
      assert.equal(status, 503, path);
      assert.ok(ms < ANSWER_MS, `${path} took ${ms} ms`);
    }
    assert.deepEqual([(await bare).problems, (await others).problems], [{}, {}]);
    assert.equal((await timed("closed", "/loop-log")).status, 200);
    assert.equal((await timed("closed", "/fine")).status, 200);
    const view = await plugin("closed");
    assert.equal(view.state, "running");
    assert.equal(
      view.callbacks.reduce((sum, { faults }) => sum + faults, 0),
      5,
    );
    assert.equal(await sidecar.stat("server.worker_restarts"), 0);
  });

  test("passes under FAIL_OPEN", async () => {
    assert.equal((await timed("open", "/loop")).status, 200);
  });

  test("is told with the key that sets the limit", async () => {
    assert.equal((await timed("small", "/spin/1")).status, 503);
    const { last_fault: fault, callbacks } = await plugin("small");
    const message =
      "proxy_on_request_headers used all of its 1000000 units of fuel; " +
      "runtime key outrigger.wasm.plugin.small.fuel_per_callback sets the limit (0: none)";
    assert.deepEqual([fault?.kind, fault?.message], ["out_of_fuel", message]);
    const fuel = callbacks.find(({ callback }) => callback === "proxy_on_request_headers")?.fuel ?? 0;
    assert.ok(fuel > 1_000_000 && fuel < 1_100_000, `${fuel}`);
    const line = await until(
      "the log line",
      () => sidecar.log,
      (text) => text.includes("plugin.small.fuel_per_callback"),
    );
    assert.match(line, /out_of_fuel/);
    const { text } = await sidecar.admin("/stats/prometheus");
    assert.match(text, new RegExp(`^outrigger_wasm_fuel_total\\{.*small.*proxy_on_request_headers.*\\} ${fuel}$`, "m"));
    const { traces } = await sidecar.adminJson<Traces>("/traces?limit=5");
    const hook = traces.find(({ path }) => path === "/spin/1")?.hooks.find(({ fault: failed }) => failed !== undefined);
    assert.deepEqual([hook?.callback, hook?.fuel], ["proxy_on_request_headers", fuel]);
  });

  test("has no limit where both keys are 0", async () => {
    assert.equal((await timed("free", "/spin/5")).status, 200);
    assert.equal(
      (await plugin("free")).callbacks.every(({ fuel }) => fuel === 0),
      true,
    );
  });

  test("in a tick is replaced for the next stream", async () => {
    await until(
      "the tick's fault",
      () => plugin("ticking"),
      ({ last_fault }) => last_fault?.callback === "proxy_on_tick",
    );
    assert.equal((await timed("ticking", "/fine")).status, 200);
  });
});

suite("a plugin that loops while it starts", { timeout: 30_000 }, () => {
  test("is refused with the key that sets the limit", async () => {
    const runtime = { "outrigger.wasm.start_fuel": 50_000_000 };
    const filters = [wasmFilter("starting", guest("loops"), "configure")];
    const start = bootstrap({ runtime, listeners: [listener("a", { filters })], clusters: [cluster("origin", [1])] });
    const sidecar = await SidecarProcess.start(start, { untilReady: false });
    await sidecar.untilEnded();
    const { log } = sidecar;
    await sidecar[Symbol.asyncDispose]();
    assert.match(
      log,
      /proxy_on_configure used all of its 50000000 units of fuel; runtime key outrigger\.wasm\.plugin\.starting\.start_fuel/,
    );
  });
});
