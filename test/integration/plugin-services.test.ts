// Plugins that run by themselves (envoy.bootstrap.wasm): ticks, calls, failures; Envoy with the same bootstrap where both
// run the same number of them.

import assert from "node:assert/strict";
import { join } from "node:path";
import { suite, test } from "node:test";
import { bootstrap, cluster, guest } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { FakeUpstream } from "../support/fake-upstream.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";
import { until } from "../support/sidecar-story.ts";

const KILLER = join(import.meta.dirname, "../support/worker-killer.ts");
const TYPE = "type.googleapis.com/envoy.extensions.wasm.v3.WasmService";
const STRING = "type.googleapis.com/google.protobuf.StringValue";

function service(name: string, module: string, configuration: string, singleton = true): object {
  const config = {
    name,
    root_id: name,
    configuration: { "@type": STRING, value: configuration },
    vm_config: { vm_id: name, runtime: "envoy.wasm.runtime.v8", code: { local: { filename: guest(module) } } },
  };
  return { name: "envoy.bootstrap.wasm", typed_config: { "@type": TYPE, config, singleton } };
}

function withServices(services: readonly object[], clusters: readonly object[] = []): object {
  return bootstrap({ clusters, more: { bootstrap_extensions: services } });
}

interface PluginView {
  readonly name: string;
  readonly state: string;
  readonly service?: string;
  readonly vms: number;
  readonly restarts: number;
  readonly callbacks: readonly { readonly callback: string; readonly calls: number }[];
  readonly last_fault?: { readonly callback: string };
}

async function plugins(sidecar: SidecarProcess): Promise<ReadonlyMap<string, PluginView>> {
  const answer = await sidecar.adminJson<{ plugins: readonly PluginView[] }>("/plugins");
  return new Map(answer.plugins.map((plugin) => [plugin.name, plugin]));
}

const oracle = findEnvoy();

suite("plugins that run by themselves", () => {
  for (const name of ["outrigger", "Envoy"] as const) {
    const envoy = name === "Envoy" ? oracle : undefined;
    const skip = name === "Envoy" && oracle === undefined ? ENVOY_MISSING : false;

    test(
      `${name}: a singleton ticks once for the process, and keeps it from starting when it refuses`,
      { skip },
      async () => {
        await using proxy = await ProxyProcess.start(
          envoy,
          withServices([service("t", "tick", "period_ms 20\nstop_after 3")]),
        );
        await until(
          "three ticks",
          () => proxy.stat("wasmcustom.guest_ticks"),
          (ticks) => ticks === 3,
        );
        await assert.rejects(ProxyProcess.start(envoy, withServices([service("bad", "refuse", "refuse this")])), /bad/);
      },
    );
  }

  test("one that is no singleton runs on every worker, and all are shown", async () => {
    const ticks = "period_ms 20\nstop_after 3";
    const services = [service("once", "callbacks", ""), service("each", "tick", ticks, false)];
    await using sidecar = await SidecarProcess.start(withServices(services), { args: ["--concurrency", "2"] });
    await sidecar.untilStat("wasmcustom.guest_ticks", 6);
    const views = await plugins(sidecar);
    assert.deepEqual(
      ["once", "each"].map((name) => [views.get(name)?.service, views.get(name)?.vms, views.get(name)?.state]),
      [
        ["singleton", 1, "running"],
        ["per_worker", 2, "running"],
      ],
    );
    const starts = sidecar.logEntries.filter(({ message }) => message === "proxy_on_configure [1, 0]");
    assert.equal(starts.length, 1);
    assert.equal((await sidecar.stop()).code, 0);
    const ends = sidecar.logEntries
      .map(({ message }) => String(message))
      .filter((text) => /on_(done|delete)/.test(text));
    assert.deepEqual(ends, ["proxy_on_done [1]", "proxy_on_delete [1]"]);
  });

  test("a singleton runs on when its worker dies", async () => {
    await using sidecar = await SidecarProcess.start(withServices([service("once", "callbacks", "")]), {
      args: ["--concurrency", "2"],
      env: { NODE_OPTIONS: `--import=${KILLER}` },
    });
    const starts = () => sidecar.logEntries.filter(({ message }) => message === "proxy_on_configure [1, 0]").length;
    assert.equal(starts(), 1);
    sidecar.signal("SIGUSR2");
    await until("a second start", starts, (count) => count === 2);
    assert.equal((await plugins(sidecar)).get("once")?.vms, 1);
  });

  test("one calls clusters by itself", async () => {
    await using upstream = await FakeUpstream.start({ respond: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" });
    const services = [service("caller", "http-call", "tick_ms 20")];
    const clusters = ["auth", "dead"].map((name) => cluster(name, [upstream.port]));
    await using sidecar = await SidecarProcess.start(withServices(services, clusters));
    const answered = "proxy_on_http_call_response";
    await until(
      "two answers",
      async () =>
        (await plugins(sidecar)).get("caller")?.callbacks.find(({ callback }) => callback === answered)?.calls,
      (calls) => (calls ?? 0) >= 2,
    );
    assert.match(upstream.connections[0]?.received ?? "", /^GET \/tick /);
  });

  test("one that traps is started again, and the process lives on", async () => {
    await using sidecar = await SidecarProcess.start(withServices([service("traps", "trap", "tick")]));
    const view = await until(
      "a second start",
      async () => (await plugins(sidecar)).get("traps"),
      (each) => (each?.restarts ?? 0) > 0,
    );
    assert.equal(view?.last_fault?.callback, "proxy_on_tick");
    assert.equal((await sidecar.admin("/ready")).status, 200);
  });
});
