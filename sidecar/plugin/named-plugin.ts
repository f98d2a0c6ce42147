// A plugin that arrives by name (ECDS): replaced under the filters that use it, which are this factory.
// live-config.ts has one for each name; http-filters.ts puts it into filter chains.

import type { PluginConfig } from "../../xds/model/plugin-config.ts";
import { FailingFilterFactory } from "../filter/failing-filter.ts";
import type { FilterCallbacks, FilterFactory, StreamFilter } from "../filter/filter.ts";
import { type PluginSource, WasmFilterFactory, type WasmStream } from "../filter/wasm-filter.ts";
import type { PluginLease } from "./plugin-pool.ts";

export class NamedPlugin implements PluginSource, FilterFactory<WasmStream> {
  readonly name: string;
  readonly property: PluginSource["property"];
  readonly #running: WasmFilterFactory;
  readonly #failing: FailingFilterFactory;
  #lease: PluginLease | undefined = undefined;
  /** Configured, and its code cannot be had: what its policy says then. */
  standIn: "open" | "closed" | undefined = undefined;

  constructor(name: string, property: PluginSource["property"]) {
    this.name = name;
    this.property = property;
    this.#running = new WasmFilterFactory(this);
    this.#failing = new FailingFilterFactory(name);
  }

  get plugin(): PluginSource["plugin"] {
    return this.#lease?.plugin;
  }

  /** As the plugin that runs was configured. */
  get config(): PluginConfig | undefined {
    return this.#lease?.config;
  }

  get hasConfig(): boolean {
    return this.#lease !== undefined || this.standIn !== undefined;
  }

  /** Returns the lease that served until now: whoever replaces it gives one of the two back. */
  swap(lease: PluginLease | undefined): PluginLease | undefined {
    const old = this.#lease;
    this.#lease = lease;
    if (lease !== undefined) {
      this.standIn = undefined;
    }
    return old;
  }

  release(): void {
    this.#lease?.release();
  }

  create(stream: WasmStream, callbacks: FilterCallbacks): StreamFilter | undefined {
    return this.#lease === undefined && this.standIn === "closed"
      ? this.#failing.create(stream, callbacks)
      : this.#running.create(stream, callbacks);
  }
}

/** What becomes of streams when a plugin's code cannot be had. */
export function policyWithoutCode(config: PluginConfig): "open" | "closed" {
  return config.failurePolicy === "open" || config.failOpenDeprecated ? "open" : "closed";
}
