import assert from "node:assert/strict";
import { test } from "node:test";
import type { PluginView } from "../../../plugins/plugin.ts";
import { PluginGauges } from "../../../sidecar/telemetry/plugin-gauges.ts";
import { StatsReader } from "../../../sidecar/stats/reader.ts";
import { StatsTable } from "../../../sidecar/stats/table.ts";

let vms = 0;

function view(name: string, overrides: Partial<PluginView> = {}): PluginView {
  return {
    identity: { index: 1, name, rootId: "", vmId: "", digest: "", abiVersion: "0.2.1" },
    language: "go",
    state: "running",
    vm: ++vms,
    sharedBy: 1,
    memoryBytes: 1_000,
    quarantinedForMs: 0,
    quarantines: 0,
    peakMemoryBytes: 1_500,
    memoryLimitBytes: 4_000,
    streamsWithout: 0,
    faultsByKind: {},
    reloads: { backoff: 0, success: 0, failure: 0 },
    openStreams: 2,
    faults: 0,
    restarts: 1,
    lastFault: undefined,
    ...overrides,
  };
}

test("PluginGauges sums the VMs of one plugin, and clears those that are gone", () => {
  const reader = new StatsReader();
  const table = new StatsTable({ onDefine: (update) => reader.apply("w", update) });
  const gauges = new PluginGauges(table);
  const value = (what: string, plugin: string): number | undefined => {
    table.flush();
    return reader.value(`outrigger_wasm_${what}{plugin="${plugin}"}`);
  };
  gauges.publish([view("a"), view("a", { state: "quarantined" }), view("b", { state: "failed", memoryBytes: 0 })], 0);
  assert.deepEqual(
    ["vms", "memory_bytes", "open_streams", "quarantined", "vm_restarts"].map((what) => value(what, "a")),
    [1, 2_000, 4, 1, 2],
  );
  assert.equal(value("vms", "b"), 0);
  gauges.publish([view("b")], 0);
  assert.equal(value("vms", "a"), 0);
  assert.equal(value("memory_bytes", "a"), 0);
  assert.equal(value("vms", "b"), 1);
});

test("PluginGauges counts a VM once for all configurations of one plugin", () => {
  const reader = new StatsReader();
  const table = new StatsTable({ onDefine: (update) => reader.apply("w", update) });
  new PluginGauges(table).publish([view("a", { vm: 7 }), view("a", { vm: 7 }), view("b", { vm: 7 })], 1);
  table.flush();
  const values = ["vms", "memory_bytes", "open_streams", "vm_restarts"].map((what) =>
    reader.value(`outrigger_wasm_${what}{plugin="a"}`),
  );
  assert.deepEqual(values, [1, 1_000, 4, 1]);
});

test("PluginGauges counts a VM that plugins share once as Envoy's active one", () => {
  const reader = new StatsReader();
  const table = new StatsTable({ onDefine: (update) => reader.apply("w", update) });
  const gauges = new PluginGauges(table);
  gauges.publish([view("a", { sharedBy: 2 }), view("b", { sharedBy: 2 }), view("c")], 3);
  table.flush();
  assert.equal(reader.value("wasm.envoy.wasm.runtime.v8.active"), 2);
  assert.equal(reader.value("wasm.envoy.wasm.runtime.v8.created"), 3);
  gauges.publish([], 5);
  table.flush();
  assert.equal(reader.value("wasm.envoy.wasm.runtime.v8.created"), 5);
});

test("PluginGauges counts on when a plugin is replaced by a newer version of it", () => {
  const reader = new StatsReader();
  const table = new StatsTable({ onDefine: (update) => reader.apply("w", update) });
  const gauges = new PluginGauges(table);
  const faulty = {
    vm: 1,
    faultsByKind: { trap: 2 },
    quarantines: 1,
    reloads: { backoff: 3, success: 1, failure: 0 },
  } as const;
  const identity = { ...view("a").identity, index: 2 };
  gauges.publish([view("a", faulty)], 0);
  gauges.publish([view("a", faulty), view("a", { vm: 2, identity })], 0);
  gauges.publish([view("a", { vm: 2, identity, faultsByKind: { trap: 1, out_of_fuel: 1 } })], 0);
  table.flush();
  assert.equal(reader.value('outrigger_wasm_vm_faults_total{plugin="a",kind="trap"}'), 3);
  assert.equal(reader.value('outrigger_wasm_vm_faults_total{plugin="a",kind="out_of_fuel"}'), 1);
  assert.equal(reader.value('outrigger_wasm_quarantines_total{plugin="a"}'), 1);
  assert.equal(reader.value("wasm.a.vm_reload_backoff"), 3);
});
