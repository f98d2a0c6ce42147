// What requests have asked for, of hosts, scopes and clusters (model/demand.ts): subscribed to until the server takes it away. One that the
// server does not have is let go after a moment, so that a request asks again. Owned by client.ts.

import type { Clock } from "./clock.ts";
import type { DiscoveryResponse } from "./discovery-messages.ts";
import type { Demand } from "./model/demand.ts";

export type DemandsDeps = Readonly<{
  clock: Clock;
  /** `list` has changed. */
  onChange(): void;
  /** Nobody asks for this virtual host any more. */
  onOrphan(resource: string): void;
}>;

/** Names come from clients of the proxy: a flood of them must not fill the memory, here and at the control plane. */
const MAX_DEMANDS = 10_000;
/** For so long a request is answered without asking again. */
const ABSENT_MS = 10_000;

export class Demands {
  readonly #deps: DemandsDeps;
  readonly #demands = new Map<string, Demand>();
  /** By key, of those that the server does not have. */
  readonly #expiries = new Map<string, () => void>();
  /** Aliases by the virtual host that answers them. */
  readonly #aliases = new Map<string, Set<string>>();
  /** Demands that were dropped because there were too many. */
  dropped = 0;

  constructor(deps: DemandsDeps) {
    this.#deps = deps;
  }

  get list(): readonly Demand[] {
    return [...this.#demands.values()];
  }

  add(demand: Demand): void {
    if (this.#demands.has(demand.key)) return;
    if (this.#demands.size >= MAX_DEMANDS) {
      // Absent ones first: they are what a flood of made-up names leaves.
      const [victim] = this.#expiries.size > 0 ? this.#expiries.keys() : this.#demands.keys();
      this.dropped += 1;
      this.#drop(victim ?? "");
    }
    this.#demands.set(demand.key, demand);
    this.#deps.onChange();
  }

  /** Lets those go in a moment that are settled with nothing. */
  review(settled: ReadonlySet<string>, isAbsent: (demand: Demand) => boolean): void {
    for (const [key, demand] of this.#demands) {
      const isGone = settled.has(key) && isAbsent(demand);
      if (isGone === this.#expiries.has(key)) continue;
      if (isGone)
        this.#expiries.set(
          key,
          this.#deps.clock.after(ABSENT_MS, () => this.#drop(key)),
        );
      else this.#keep(key);
    }
  }

  /** A response of VHDS: what has come under which aliases, and what is gone, to be asked for anew when it is needed. */
  onHosts(response: DiscoveryResponse): void {
    for (const { name, aliases = [], bytes } of response.resources) {
      if (bytes !== undefined) this.#aliases.set(name, new Set(aliases));
    }
    for (const name of response.kind === "delta" ? response.removed : []) {
      const aliases = this.#aliases.get(name) ?? [];
      this.#aliases.delete(name);
      for (const alias of aliases) this.#drop(hostKey(alias));
    }
  }

  close(): void {
    for (const cancel of this.#expiries.values()) cancel();
  }

  #keep(key: string): void {
    this.#expiries.get(key)?.();
    this.#expiries.delete(key);
  }

  #drop(key: string): void {
    this.#keep(key);
    if (!this.#demands.delete(key)) return;
    for (const [resource, aliases] of this.#aliases) {
      if (![...aliases].some((alias) => hostKey(alias) === key)) continue;
      if ([...aliases].some((alias) => this.#demands.has(hostKey(alias)))) continue;
      this.#aliases.delete(resource);
      this.#deps.onOrphan(resource);
    }
    this.#deps.onChange();
  }
}

/** The key of a demand of this name. */
export function hostKey(name: string): string {
  return `host ${name}`;
}
