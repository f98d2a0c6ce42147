// A plugin that traps, in the real process: its stream fails (or passes, by failure_policy), every other one is served
// at the same time, the process stays up, and the fault is seen in /plugins, the statistics and the log.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { runLoad } from "../bench/load.ts";
import { bootstrap, cluster, guest, listener, wasmFilter } from "../support/bootstrap-builder.ts";
import { FakeUpstream } from "../support/fake-upstream.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";

interface PluginView {
  readonly name: string;
  readonly state: string;
  readonly failure_policy: string;
  readonly callbacks: readonly { readonly callback: string; readonly calls: number; readonly faults: number }[];
  readonly last_fault?: {
    readonly at: string;
    readonly callback: string;
    readonly kind: string;
    readonly message: string;
    readonly frames: readonly string[];
  };
}

suite("a plugin that traps", { timeout: 60_000 }, () => {
  const owned = new AsyncDisposableStack();
  let sidecar: SidecarProcess;

  before(async () => {
    const upstream = owned.use(await FakeUpstream.start({ respond: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" }));
    const trap = guest("trap");
    sidecar = owned.use(
      await SidecarProcess.start(
        bootstrap({
          listeners: [
            listener("closed", { filters: [wasmFilter("trap-closed", trap)] }),
            listener("open", { filters: [wasmFilter("trap-open", trap, "", { failurePolicy: "FAIL_OPEN" })] }),
            listener("often", { filters: [wasmFilter("trap-often", trap)] }),
            listener("bare"),
          ],
          clusters: [cluster("origin", [upstream.port])],
        }),
      ),
    );
  });
  after(() => owned.disposeAsync());

  async function plugin(name: string): Promise<PluginView> {
    const plugins = await sidecar.adminJson<{ plugins: readonly PluginView[] }>("/plugins");
    const found = plugins.plugins.find((each) => each.name === name);
    assert.ok(found !== undefined, JSON.stringify(plugins));
    return found;
  }

  test("fails its own requests with 503 while all others are served, on the same worker and VM", async () => {
    const before = Date.now();
    const others = runLoad({
      port: sidecar.port("closed"),
      connections: 20,
      requests: 3_000,
      expectHeader: "x-guest: trap",
    });
    const bare = runLoad({ port: sidecar.port("bare"), connections: 4, requests: 1_000 });
    for (let i = 0; i < 10; i++) {
      const answer = await fetch(sidecar.url("closed", "/trap"));
      assert.deepEqual([answer.status, await answer.text()], [503, ""]);
    }
    assert.deepEqual((await bare).problems, {});
    assert.deepEqual((await others).problems, {});
    const view = await plugin("trap-closed");
    assert.deepEqual([view.state, view.failure_policy], ["running", "FAIL_CLOSED"]);
    assert.equal(view.callbacks.find(({ callback }) => callback === "proxy_on_request_headers")?.faults, 10);
    assert.equal(view.last_fault?.callback, "proxy_on_request_headers");
    assert.deepEqual([view.last_fault?.kind, view.last_fault?.message], ["trap", "unreachable"]);
    assert.ok((view.last_fault?.frames.length ?? 0) > 1, JSON.stringify(view.last_fault));
    const at = Date.parse(view.last_fault?.at ?? "");
    assert.ok(at >= before && at <= Date.now(), `the fault's time is ${view.last_fault?.at}`);
    const { text } = await sidecar.admin("/stats/prometheus");
    const counter = text
      .split("\n")
      .find(
        (line) => /^outrigger_wasm_faults_total.*trap-closed/.test(line) && line.includes("proxy_on_request_headers"),
      );
    assert.match(counter ?? "", / 10$/);
    assert.ok(sidecar.logEntries.some((entry) => String(entry["message"]).includes("trap at /trap")));
  });

  test("passes its requests on under FAIL_OPEN", async () => {
    const answer = await fetch(sidecar.url("open", "/trap"));
    assert.deepEqual([answer.status, await answer.text()], [200, "ok"]);
    assert.equal(answer.headers.get("x-guest"), null, "the dead plugin saw no response");
    const next = await fetch(sidecar.url("open", "/fine"));
    assert.deepEqual([next.status, next.headers.get("x-guest")], [200, "trap"]);
    assert.equal(
      (await plugin("trap-open")).callbacks.reduce((sum, { faults }) => sum + faults, 0),
      1,
    );
  });

  test("that traps in a body or a response fails only that stream too", async () => {
    for (const path of ["/trap-body", "/trap-response", "/unreachable", "/stack"]) {
      const answer = await fetch(sidecar.url("closed", path), { method: "POST", body: "body" });
      assert.equal(answer.status, 503, path);
      await answer.text();
      assert.equal((await fetch(sidecar.url("closed", "/fine"))).status, 200);
    }
  });

  test("that traps again and again is quarantined, and the process serves on", async () => {
    const statuses: number[] = [];
    for (let i = 0; i < 25; i++) {
      statuses.push((await fetch(sidecar.url("often", "/trap"))).status);
    }
    assert.deepEqual(new Set(statuses), new Set([503]));
    assert.equal((await fetch(sidecar.url("often", "/fine"))).status, 503, "it is not started for every request");
    assert.equal((await plugin("trap-often")).state, "quarantined");
    assert.equal((await fetch(sidecar.url("closed", "/fine"))).status, 200);
    assert.equal((await sidecar.admin("/ready")).status, 200);
    assert.equal(await sidecar.stat("server.worker_restarts"), 0);
  });
});
