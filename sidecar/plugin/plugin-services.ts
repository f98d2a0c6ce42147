// The plugins of a worker that run by themselves (envoy.bootstrap.wasm): root contexts without streams, for ticks, queues and
// calls. Started by worker.ts when the main thread has their code; they run until the worker ends. A singleton runs on the
// first worker only. Nothing of the main thread's work waits for a plugin, so no service runs there (in Envoy one does).

import type { PluginService } from "../../xds/model/plugin-config.ts";
import type { PluginLease, PluginPool } from "./plugin-pool.ts";
import type { ApplyFailure } from "../worker-link.ts";

/** How often one that has failed is looked at: no stream comes that would start it again. */
const CHECK_MS = 1_000;

export class PluginServices {
  readonly #plugins: Pick<PluginPool, "take">;
  readonly #isFirstWorker: boolean;
  readonly #leases: PluginLease[] = [];
  #timer: NodeJS.Timeout | undefined = undefined;

  constructor(plugins: Pick<PluginPool, "take">, isFirstWorker: boolean) {
    this.#plugins = plugins;
    this.#isFirstWorker = isFirstWorker;
  }

  /** Answers which do not start. */
  start(services: readonly PluginService[]): ApplyFailure[] {
    const failures: ApplyFailure[] = [];
    for (const { plugin, singleton } of services) {
      if (singleton && !this.#isFirstWorker) {
        continue;
      }
      const taken = this.#plugins.take(plugin);
      if (taken.ok) {
        this.#leases.push(taken.lease);
      } else {
        failures.push({ resource: "service", name: plugin.name, problem: taken.problem });
      }
    }
    if (this.#leases.length > 0) {
      this.#timer ??= setInterval(() => this.#check(), CHECK_MS).unref();
    }
    return failures;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#leases.splice(0).forEach((lease) => lease.release());
  }

  #check(): void {
    for (const { plugin } of this.#leases) {
      plugin.keepRunning();
    }
  }
}
