// What a worker's plugins hold right now, as gauges under `outrigger_wasm_*` (contract §6) and Envoy's `wasm.*`.
// worker.ts calls `publish` after each change of configuration and every few seconds: nothing of it is on a request's way.

import type { PluginView } from "../../plugins/plugin.ts";
import type { Counter, Gauge, StatsScope } from "../stats/scope.ts";
import { labelled } from "../stats/tags.ts";

/** How often a worker publishes: as often as Envoy flushes its statistics. */
export const PLUGIN_GAUGES_INTERVAL_MS = 5_000;

interface Held {
  vms: number;
  memoryBytes: number;
  openStreams: number;
  heldBack: number;
  restarts: number;
}

type Gauges = Readonly<Record<keyof Held, Gauge>>;

export class PluginGauges {
  readonly #scope: StatsScope;
  readonly #active: Gauge;
  readonly #created: Counter;
  #createdBefore = 0;
  readonly #byPlugin = new Map<string, Gauges>();

  constructor(scope: StatsScope) {
    this.#scope = scope;
    this.#active = scope.gauge("wasm.envoy.wasm.runtime.v8.active");
    this.#created = scope.counter("wasm.envoy.wasm.runtime.v8.created");
  }

  /**
   * A plugin that is no longer among them goes to zero. A VM that plugins share counts for each of them.
   * `created` is how many VMs the worker has made since it started.
   */
  publish(views: readonly PluginView[], created: number): void {
    this.#created.add(created - this.#createdBefore);
    this.#createdBefore = created;
    const held = new Map<string, Held>();
    let active = 0;
    for (const { identity, state, memoryBytes, openStreams, restarts, sharedBy } of views) {
      let sum = held.get(identity.name);
      if (sum === undefined) {
        sum = { vms: 0, memoryBytes: 0, openStreams: 0, heldBack: 0, restarts: 0 };
        held.set(identity.name, sum);
      }
      const runs = state !== "failed";
      sum.vms += runs ? 1 : 0;
      sum.memoryBytes += memoryBytes;
      sum.openStreams += openStreams;
      sum.heldBack += state === "held-back" ? 1 : 0;
      sum.restarts += restarts;
      active += runs ? 1 / Math.max(1, sharedBy) : 0;
    }
    this.#active.set(Math.round(active));
    for (const [name, gauges] of this.#byPlugin) {
      if (!held.has(name)) {
        set(gauges, { vms: 0, memoryBytes: 0, openStreams: 0, heldBack: 0, restarts: 0 });
      }
    }
    for (const [name, sum] of held) {
      set(this.#gaugesOf(name), sum);
    }
  }

  #gaugesOf(plugin: string): Gauges {
    let gauges = this.#byPlugin.get(plugin);
    if (gauges === undefined) {
      const gauge = (what: string): Gauge => this.#scope.gauge(labelled(`outrigger_wasm_${what}`, { plugin }));
      gauges = {
        vms: gauge("vms"),
        memoryBytes: gauge("memory_bytes"),
        openStreams: gauge("open_streams"),
        heldBack: gauge("held_back"),
        restarts: gauge("vm_restarts"),
      };
      this.#byPlugin.set(plugin, gauges);
    }
    return gauges;
  }
}

function set(gauges: Gauges, held: Held): void {
  gauges.vms.set(held.vms);
  gauges.memoryBytes.set(held.memoryBytes);
  gauges.openStreams.set(held.openStreams);
  gauges.heldBack.set(held.heldBack);
  gauges.restarts.set(held.restarts);
}
