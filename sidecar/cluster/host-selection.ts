// Which hosts a cluster uses at present: the shares of its priorities, each with a balancer over the hosts that may be used.
// Built whole on every update by cluster.ts; `choose` is on the hot path.
// Source: Envoy's LoadBalancerBase::chooseHostSet and ZoneAwareLoadBalancerBase::hostsToUse, without localities.

import type { Cluster } from "../../xds/model/cluster.ts";
import { createBalancer } from "./balancer.ts";
import type { Balancer } from "./balancer.ts";
import type { Host } from "./host.ts";
import { computePriorityLoads } from "./priority-load.ts";

export interface SelectionSettings {
  readonly policy: Cluster["lbPolicy"];
  /** Percents. */
  readonly overprovisioning: number;
  readonly panicThreshold: number;
  readonly random: () => number;
  /** Counts each choice made in panic. */
  /** A host is chosen in panic. */
  readonly onPanic: () => void;
}

interface Slice {
  /** The slice takes points below this one, from 0 to 99. */
  readonly below: number;
  readonly balancer: Balancer;
  readonly panic: boolean;
}

export class HostSelection {
  readonly #slices: readonly Slice[];
  readonly #random: () => number;
  readonly #onPanic: () => void;

  constructor(hosts: readonly Host[], settings: SelectionSettings) {
    this.#random = settings.random;
    this.#onPanic = settings.onPanic;
    this.#slices = buildSlices(hosts, settings);
  }

  /** Undefined when no host may be used. `hash`: see Balancer. */
  choose(hash?: number): Host | undefined {
    const slices = this.#slices;
    let index = 0;
    if (slices.length > 1) {
      const point = hash === undefined ? Math.floor(this.#random() * 100) : hash % 100;
      while (index < slices.length - 1 && point >= (slices[index] as Slice).below) {
        index++;
      }
    }
    const slice = slices[index];
    if (slice === undefined) {
      return undefined;
    }
    if (slice.panic) {
      this.#onPanic();
    }
    return slice.balancer.pick(hash);
  }
}

function buildSlices(hosts: readonly Host[], settings: SelectionSettings): Slice[] {
  const priorities = groupByPriority(hosts);
  const loads = computePriorityLoads(
    priorities.map((group) => ({
      total: group.length,
      healthy: group.filter((host) => host.availability === "healthy").length,
      degraded: group.filter((host) => host.availability === "degraded").length,
    })),
    settings.overprovisioning,
    settings.panicThreshold,
  );
  const slices: Slice[] = [];
  let below = 0;
  const add = (share: number, panic: boolean, usable: readonly Host[]): void => {
    if (share > 0 && usable.length > 0) {
      below += share;
      slices.push({ below, panic, balancer: createBalancer(settings.policy, usable, settings.random) });
    }
  };
  for (const kind of ["healthy", "degraded"] as const) {
    for (const [priority, load] of loads.entries()) {
      const group = priorities[priority] as readonly Host[];
      const share = kind === "healthy" ? load.healthyShare : load.degradedShare;
      add(share, load.panic, load.panic ? group : group.filter((host) => host.availability === kind));
    }
  }
  return slices;
}

/** Index is the priority; priorities without hosts between others are empty lists. */
function groupByPriority(hosts: readonly Host[]): Host[][] {
  const groups: Host[][] = [];
  for (const host of hosts) {
    while (groups.length <= host.priority) {
      groups.push([]);
    }
    (groups[host.priority] as Host[]).push(host);
  }
  return groups;
}
