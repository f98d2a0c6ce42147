// A filter that arrives by name (ECDS): what is in use of it. live-config.ts has one for each name; http-filters.ts asks it
// whenever it makes the filters of a connection manager, and is told to make them anew when another version has come.

import type { DiscoveredFilter } from "../xds/model/listener.ts";
import type { PluginLease } from "./plugin/plugin-pool.ts";

/** A version, with its plugins started, so that who makes filters of it finds them running. */
export interface NamedVersion {
  readonly filter: DiscoveredFilter;
  readonly leases: readonly PluginLease[];
}

export class NamedFilter {
  readonly name: string;
  #version: NamedVersion | undefined = undefined;

  constructor(name: string) {
    this.name = name;
  }

  /** undefined: it has not come, or is gone. */
  get filter(): DiscoveredFilter | undefined {
    return this.#version?.filter;
  }

  /** Returns the version that served until now: whoever replaces it gives one of the two back. */
  swap(version: NamedVersion | undefined): NamedVersion | undefined {
    const old = this.#version;
    this.#version = version;
    return old;
  }
}
