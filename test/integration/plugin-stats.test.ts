// What the admin port says of plugins, through the real process: /plugins, /stats and /stats/prometheus (contract §4, §6).

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { bootstrap, cluster, guest, listener, wasmFilter } from "../support/bootstrap-builder.ts";
import { FakeUpstream } from "../support/fake-upstream.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";
import { until } from "../support/sidecar-story.ts";

interface PluginsAnswer {
  readonly plugins: readonly {
    readonly name: string;
    readonly state: string;
    readonly digest: string;
    readonly abi_version: string;
    readonly vms: number;
    readonly memory_bytes: number;
    readonly callbacks: readonly { readonly callback: string; readonly calls: number; readonly total_ms: number }[];
    readonly last_fault?: { readonly at: string; readonly callback: string; readonly kind: string };
  }[];
}

async function start(
  name: string,
  runtime: Readonly<Record<string, unknown>> = {},
  args: readonly string[] = [],
): Promise<{ sidecar: SidecarProcess; upstream: FakeUpstream }> {
  const upstream = await FakeUpstream.start({ respond: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" });
  const filters = [wasmFilter(name, guest(name))];
  const listeners = [listener("web", { filters })];
  const sidecar = await SidecarProcess.start(
    bootstrap({ listeners, clusters: [cluster("origin", [upstream.port])], runtime }),
    { args },
  );
  return { sidecar, upstream };
}

/** The value of a Prometheus line, 0 when it is not there. */
async function prometheus(sidecar: SidecarProcess, series: string): Promise<number> {
  const { text } = await sidecar.admin("/stats/prometheus");
  const line = text.split("\n").find((each) => each.startsWith(`${series} `));
  return line === undefined ? 0 : Number(line.slice(series.length + 1));
}

function untilIs(what: string, wanted: number, ask: () => Promise<number>): Promise<number> {
  return until(`${what} = ${wanted}`, ask, (value) => value === wanted);
}

suite("the admin port", () => {
  test("/plugins shows module, state, calls, time and the last fault of a plugin", async () => {
    const { sidecar, upstream } = await start("trap");
    await using _upstream = upstream;
    await using _sidecar = sidecar;
    const before = Date.now();
    const url = `http://127.0.0.1:${sidecar.port("web")}`;
    assert.equal((await fetch(`${url}/trap`)).status, 503);
    assert.equal((await fetch(`${url}/fine`)).headers.get("x-guest"), "trap");
    const labels = 'plugin="trap",callback="proxy_on_request_headers"';
    await untilIs("calls", 2, () => prometheus(sidecar, `outrigger_wasm_calls_total{${labels}}`));
    const [plugin, ...more] = (JSON.parse((await sidecar.admin("/plugins")).text) as PluginsAnswer).plugins;
    assert.deepEqual(more, []);
    assert.deepEqual([plugin?.name, plugin?.state, plugin?.abi_version, plugin?.vms], ["trap", "running", "0.2.1", 1]);
    assert.match(plugin?.digest ?? "", /^[0-9a-f]{64}$/);
    assert.ok((plugin?.memory_bytes ?? 0) >= 65_536);
    const called = plugin?.callbacks.find(({ callback }) => callback === "proxy_on_request_headers");
    assert.equal(called?.calls, 2);
    assert.ok((called?.total_ms ?? 0) > 0);
    assert.deepEqual([plugin?.last_fault?.callback, plugin?.last_fault?.kind], ["proxy_on_request_headers", "trap"]);
    const at = Date.parse(plugin?.last_fault?.at ?? "");
    assert.ok(at >= before - 1 && at <= Date.now() + 1, `${plugin?.last_fault?.at}`);
    assert.equal(await prometheus(sidecar, `outrigger_wasm_faults_total{${labels}}`), 1);
    assert.equal(await prometheus(sidecar, `outrigger_wasm_duration_ms_count{${labels}}`), 2);
    assert.equal(await prometheus(sidecar, 'outrigger_wasm_vms{plugin="trap"}'), 1);
    assert.ok((await prometheus(sidecar, 'outrigger_wasm_memory_bytes{plugin="trap"}')) >= 65_536);
    await untilIs("VMs created", 2, async () => {
      await sidecar.admin("/plugins"); // Publishes them at once.
      return sidecar.stat("wasm.envoy.wasm.runtime.v8.created");
    });
    assert.equal(await sidecar.stat("wasm.envoy.wasm.runtime.v8.active"), 1);
  });

  test("a plugin reads what the whole process has counted, whichever worker serves it", async () => {
    const { sidecar, upstream } = await start("metrics", {}, ["--concurrency", "2"]);
    await using _upstream = upstream;
    await using _sidecar = sidecar;
    // A connection for each request, so that the kernel deals them out to both workers.
    for (let i = 1; i <= 24; i++) {
      const answer = await fetch(`http://127.0.0.1:${sidecar.port("web")}/gauge/9`, {
        headers: { connection: "close" },
      });
      assert.deepEqual([answer.headers.get("x-counter"), answer.headers.get("x-gauge")], [String(i), "9"]);
    }
    assert.deepEqual(
      [await sidecar.stat("wasmcustom.guest_requests"), await sidecar.stat("wasmcustom.guest_active")],
      [24, 9],
    );
  });

  test("a plugin's metrics are Envoy's: wasmcustom. in /stats, bare in Prometheus", async () => {
    const { sidecar, upstream } = await start("metrics");
    await using _upstream = upstream;
    await using _sidecar = sidecar;
    for (let i = 0; i < 3; i++) {
      assert.equal((await fetch(`http://127.0.0.1:${sidecar.port("web")}/gauge/4`)).status, 200);
    }
    await untilIs("requests", 3, () => sidecar.stat("wasmcustom.guest_requests"));
    assert.equal(await prometheus(sidecar, "guest_requests{}"), 3);
    assert.equal(await prometheus(sidecar, "guest_path_length_count{}"), 3);
  });

  test("a plugin that floods the log is cut off, and what it lost is counted", async () => {
    const { sidecar, upstream } = await start("logs", {
      outrigger: { wasm: { log_lines_per_s: 20, plugin: { other: { log_lines_per_s: 1 } } } },
    });
    await using _upstream = upstream;
    await using _sidecar = sidecar;
    assert.equal((await fetch(`http://127.0.0.1:${sidecar.port("web")}/flood/500`)).status, 200);
    const lost = (): Promise<number> => prometheus(sidecar, 'outrigger_wasm_log_lines_dropped_total{plugin="logs"}');
    await until("most lines are dropped", lost, (lines) => lines >= 440);
    const written = sidecar.log.split("\n").filter((line) => line.includes('"plugin":"logs"'));
    assert.ok(written.length <= 60, `${written.length} lines`);
  });
});
