// The network filters of one filter chain, compiled: a plugin taken from the pool for each. Made by live-config.ts.

import type { NetworkFilter } from "../xds/model/listener.ts";
import { policyWithoutCode } from "./plugin/plugin-settings.ts";
import type { PluginLease, PluginPool } from "./plugin/plugin-pool.ts";
import type { NetworkFilterFactory } from "./tcp/network-filter.ts";
import {
  FailingNetworkFilterFactory,
  type NetworkPluginSource,
  WasmNetworkFilterFactory,
} from "./tcp/wasm-network-filter.ts";

export interface NetworkFilters {
  readonly factories: readonly NetworkFilterFactory[];
  /** Gives the plugins back; each ends with its last connection. */
  release(): void;
}

/** A text says which plugin does not start. */
export function compileNetworkFilters(
  models: readonly NetworkFilter[],
  plugins: PluginPool,
  property: NetworkPluginSource["property"],
): NetworkFilters | string {
  const factories: NetworkFilterFactory[] = [];
  const leases: PluginLease[] = [];
  const release = (): void => leases.forEach((lease) => lease.release());
  for (const { name, plugin: config } of models) {
    if (config.code.kind === "missing") {
      if (policyWithoutCode(config) === "closed") {
        factories.push(new FailingNetworkFilterFactory(name));
      }
      continue;
    }
    const taken = plugins.take(config);
    if (!taken.ok) {
      release();
      return taken.problem;
    }
    leases.push(taken.lease);
    factories.push(new WasmNetworkFilterFactory({ name, plugin: taken.lease.plugin, property }));
  }
  return { factories, release };
}
