// Counts what plugins ran into that contains them without ending them (plugins/ports.ts), as
// `outrigger_wasm_limits_hit_total{plugin,limit}`. worker.ts hands it to the plugin host.

import type { LimitCounter, LimitName, PluginIdentity } from "../../plugins/ports.ts";
import type { Counter, StatsScope } from "../stats/scope.ts";
import { labelled } from "../stats/tags.ts";

export class PluginLimits implements LimitCounter {
  readonly #scope: StatsScope;
  readonly #counters = new Map<string, Map<LimitName, Counter>>();

  constructor(scope: StatsScope) {
    this.#scope = scope;
  }

  hit({ name }: PluginIdentity, limit: LimitName): void {
    let own = this.#counters.get(name);
    if (own === undefined) {
      own = new Map();
      this.#counters.set(name, own);
    }
    let counter = own.get(limit);
    if (counter === undefined) {
      counter = this.#scope.counter(labelled("outrigger_wasm_limits_hit_total", { plugin: name, limit }));
      own.set(limit, counter);
    }
    counter.inc();
  }
}
