// What a worker's plugins hold and have suffered, as statistics under `outrigger_wasm_*` (contract §6) and Envoy's `wasm.*`.
// worker.ts calls `publish` after each change of configuration and every few seconds: nothing of it is on a request's way.

import type { PluginView } from "../../plugins/plugin.ts";
import type { Counter, Gauge, StatsScope } from "../stats/scope.ts";
import { labelled } from "../stats/tags.ts";

/** How often a worker publishes: as often as Envoy flushes its statistics. */
export const PLUGIN_GAUGES_INTERVAL_MS = 5_000;

/** Sums over the VMs of the plugins of one name: versions that end included, until they have. */
const GAUGES: Readonly<Record<string, (view: PluginView) => number>> = {
  vms: ({ state }) => (state === "failed" || state === "quarantined" ? 0 : 1),
  memory_bytes: ({ memoryBytes }) => memoryBytes,
  memory_peak_bytes: ({ peakMemoryBytes }) => peakMemoryBytes,
  memory_limit_bytes: ({ memoryLimitBytes }) => memoryLimitBytes,
  quarantined: ({ state }) => (state === "quarantined" ? 1 : 0),
  vm_restarts: ({ restarts }) => restarts,
};

const OPEN_STREAMS = "open_streams";

type Gauges = Readonly<Record<string, Gauge>>;

export class PluginGauges {
  readonly #scope: StatsScope;
  readonly #active: Gauge;
  readonly #created: Counter;
  #createdBefore = 0;
  readonly #byPlugin = new Map<string, Gauges>();
  /** By plugin index, and by VM and name: what the counts were when they were last added to the counters. */
  #counted: ReadonlyMap<string, ReadonlyMap<string, number>> = new Map();

  constructor(scope: StatsScope) {
    this.#scope = scope;
    this.#active = scope.gauge("wasm.envoy.wasm.runtime.v8.active");
    this.#created = scope.counter("wasm.envoy.wasm.runtime.v8.created");
  }

  /**
   * A plugin that is no longer among them goes to zero. A VM that plugins share counts for each name, and once for all
   * configurations of one plugin.
   * `created` is how many VMs the worker has made since it started.
   */
  publish(views: readonly PluginView[], created: number): void {
    this.#created.add(created - this.#createdBefore);
    this.#createdBefore = created;
    this.#count(views);
    const held = Map.groupBy(views, ({ identity }) => identity.name);
    let active = 0;
    for (const { state, sharedBy } of views) {
      active += state === "failed" || state === "quarantined" ? 0 : 1 / Math.max(1, sharedBy);
    }
    this.#active.set(Math.round(active));
    for (const name of new Set([...this.#byPlugin.keys(), ...held.keys()])) {
      const gauges = this.#gaugesOf(name);
      const own = held.get(name) ?? [];
      const vms = new Map(own.map((view) => [view.vm, view]));
      for (const [what, valueOf] of Object.entries(GAUGES)) {
        gauges[what]?.set(vms.values().reduce((sum, view) => sum + valueOf(view), 0));
      }
      gauges[OPEN_STREAMS]?.set(own.reduce((sum, { openStreams }) => sum + openStreams, 0));
    }
  }

  /** Counters go on when a plugin is replaced, so what is new since the last time is added. */
  #count(views: readonly PluginView[]): void {
    const counted = new Map<string, ReadonlyMap<string, number>>();
    for (const view of views) {
      const { index, name } = view.identity;
      counted.set(`plugin ${index}`, countsOf(name, view));
      counted.set(`VM ${view.vm} ${name}`, countsOfVm(name, view));
    }
    for (const [whose, counts] of counted) {
      const before = this.#counted.get(whose);
      for (const [stat, count] of counts) {
        this.#scope.counter(stat).add(count - (before?.get(stat) ?? 0));
      }
    }
    this.#counted = counted;
  }

  #gaugesOf(plugin: string): Gauges {
    let gauges = this.#byPlugin.get(plugin);
    if (gauges === undefined) {
      const gauge = (what: string): Gauge => this.#scope.gauge(labelled(`outrigger_wasm_${what}`, { plugin }));
      gauges = Object.fromEntries([...Object.keys(GAUGES), OPEN_STREAMS].map((what) => [what, gauge(what)]));
      this.#byPlugin.set(plugin, gauges);
    }
    return gauges;
  }
}

function countsOf(plugin: string, { reloads, streamsWithout }: PluginView): Map<string, number> {
  return new Map([
    [`wasm.${plugin}.vm_reload_backoff`, reloads.backoff],
    [`wasm.${plugin}.vm_reload_success`, reloads.success],
    [`wasm.${plugin}.vm_reload_failure`, reloads.failure],
    [labelled("outrigger_wasm_streams_without_vm_total", { plugin }), streamsWithout],
  ]);
}

function countsOfVm(plugin: string, { quarantines, faultsByKind }: PluginView): Map<string, number> {
  const counts = new Map([[labelled("outrigger_wasm_quarantines_total", { plugin }), quarantines]]);
  for (const [kind, count] of Object.entries(faultsByKind)) {
    counts.set(labelled("outrigger_wasm_vm_faults_total", { plugin, kind }), count);
  }
  return counts;
}
