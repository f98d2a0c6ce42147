import assert from "node:assert/strict";
import { test } from "node:test";
import type { PluginFault } from "../../../plugins/errors.ts";
import type { PluginView } from "../../../plugins/plugin.ts";
import type { PluginConfig } from "../../../xds/model/plugin-config.ts";
import { type PluginFacts, pluginViews } from "../../../sidecar/plugin/plugin-views.ts";
import { StatsReader } from "../../../sidecar/stats/reader.ts";
import { StatsTable } from "../../../sidecar/stats/table.ts";
import { callStat } from "../../../sidecar/telemetry/hook-meter.ts";

function answer(overrides: Partial<PluginView> = {}): PluginView {
  return {
    identity: { index: 1, name: "auth", rootId: "root", vmId: "vm", digest: "d1", abiVersion: "0.2.1" },
    language: "go",
    state: "running",
    vm: 1,
    sharedBy: 1,
    memoryBytes: 1_000,
    quarantinedForMs: 0,
    quarantines: 0,
    peakMemoryBytes: 1_500,
    memoryLimitBytes: 4_000,
    streamsWithout: 0,
    faultsByKind: {},
    reloads: { backoff: 0, success: 0, failure: 0 },
    openStreams: 0,
    faults: 0,
    restarts: 0,
    lastFault: undefined,
    ...overrides,
  };
}

function fault(at: number, message: string): PluginFault {
  const callback = "proxy_on_request_headers";
  return { plugin: "auth", vmId: "vm", callback, contextId: 3, at, kind: "trap", message, frames: ["f"] };
}

function facts(answers: readonly PluginView[], reader = new StatsReader()): PluginFacts {
  const byWorker = answers.map((each) => [each]);
  return { configs: new Map(), failures: new Map(), ofRoutes: new Map(), services: [], reader, answers: byWorker };
}

test("pluginViews() sums the workers of a plugin and shows its worst state", () => {
  const [view, ...more] = pluginViews(facts([answer(), answer({ memoryBytes: 2_000, state: "quarantined" })]));
  assert.deepEqual(more, []);
  assert.deepEqual(
    [view?.name, view?.rootId, view?.vmId, view?.digest, view?.abiVersion, view?.state, view?.vms, view?.memoryBytes],
    ["auth", "root", "vm", "d1", "0.2.1", "quarantined", 2, 3_000],
  );
});

test("pluginViews() says how long a quarantine lasts, and where", () => {
  const [view] = pluginViews(
    facts([answer({ restarts: 2, quarantines: 1 }), answer({ state: "quarantined", quarantinedForMs: 4_200 })]),
  );
  assert.equal(view?.stateReason, "it failed too often on 1 of 2 workers: a stream may try it in 5 s");
  assert.deepEqual(
    [view.restarts, view.quarantines, view.memoryPeakBytes, view.memoryLimitBytes],
    [2, 1, 1_500, 4_000],
  );
});

test("pluginViews() counts a VM once for all configurations of a plugin, and shows those of routes", () => {
  const ofRoute = { configuration: "x", bytes: 1, usedBy: ["routes r"] };
  const [view, ...more] = pluginViews({
    ...facts([]),
    ofRoutes: new Map([["auth", [ofRoute]]]),
    answers: [[answer(), answer({ vm: 2 }), answer()], [answer()]],
  });
  assert.deepEqual(more, []);
  assert.deepEqual([view?.vms, view?.memoryBytes, view?.routeConfigurations], [3, 3_000, [ofRoute]]);
});

test("pluginViews() says of a service how often it runs", () => {
  const plugin = { name: "auth" } as PluginConfig;
  const views = [true, false].map((singleton) =>
    pluginViews({ ...facts([answer()]), services: [{ plugin, singleton }] }),
  );
  assert.deepEqual(
    views.map(([view]) => view?.service),
    ["singleton", "per_worker"],
  );
  assert.equal("service" in (pluginViews(facts([answer()]))[0] ?? {}), false);
});

test("pluginViews() shows the latest fault of all workers with its time", () => {
  const early = Date.UTC(2026, 0, 2, 3, 4, 5, 6);
  const [view] = pluginViews(
    facts([
      answer({ lastFault: fault(early, "first") }),
      answer({ lastFault: fault(early + 1_000, "second") }),
      answer(),
    ]),
  );
  assert.deepEqual(view?.lastFault, {
    at: "2026-01-02T03:04:06.006Z",
    callback: "proxy_on_request_headers",
    kind: "trap",
    message: "second",
    frames: ["f"],
  });
});

test("pluginViews() shows calls, faults and time of each callback that ran", () => {
  const reader = new StatsReader();
  const table = new StatsTable({ onDefine: (update) => reader.apply("w", update) });
  const callback = "proxy_on_request_headers";
  table.counter(callStat("calls_total", "auth", callback)).add(4);
  table.counter(callStat("faults_total", "auth", callback)).add(1);
  const histogram = table.histogram(callStat("duration_ms", "auth", callback));
  [0.25, 0.25, 0.25, 0.25].forEach((ms) => histogram.record(ms));
  table.flush();
  const [view] = pluginViews(facts([answer()], reader));
  const [only, ...more] = view?.callbacks ?? [];
  assert.deepEqual(more, []);
  assert.deepEqual([only?.callback, only?.calls, only?.faults, only?.totalMs, only?.meanMs], [callback, 4, 1, 1, 0.25]);
});
