// Weighted round robin: plain rotation for equal weights, earliest deadline first otherwise, from a random start so that
// many proxies that are updated together do not all begin with the same host. Source: Envoy's RoundRobinLoadBalancer.

import type { Balancer } from "./balancer.ts";
import { EdfSchedule } from "./edf-schedule.ts";
import type { Host } from "./host.ts";

export function createRoundRobin(hosts: readonly Host[], random: () => number): Balancer {
  const start = Math.floor(random() * hosts.length);
  const weight = hosts[0]?.weight;
  return hosts.every((host) => host.weight === weight)
    ? new Rotation(hosts, start)
    : new WeightedRotation(hosts, start);
}

class Rotation implements Balancer {
  readonly #hosts: readonly Host[];
  #next: number;

  constructor(hosts: readonly Host[], start: number) {
    this.#hosts = hosts;
    this.#next = start;
  }

  pick(): Host | undefined {
    const host = this.#hosts[this.#next];
    this.#next = this.#next + 1 < this.#hosts.length ? this.#next + 1 : 0;
    return host;
  }
}

class WeightedRotation implements Balancer {
  readonly #hosts: readonly Host[];
  // Weights at the time of the update: a host's own may change under a balancer that is about to be replaced.
  readonly #weights: readonly number[];
  readonly #schedule: EdfSchedule;

  constructor(hosts: readonly Host[], start: number) {
    this.#hosts = hosts;
    this.#weights = hosts.map((host) => host.weight);
    this.#schedule = new EdfSchedule(this.#weights);
    for (let turn = 0; turn < start; turn++) {
      this.pick();
    }
  }

  pick(): Host | undefined {
    const index = this.#schedule.first;
    this.#schedule.advance(this.#weights[index] as number);
    return this.#hosts[index];
  }
}
