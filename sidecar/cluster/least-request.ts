// The less busy of two random hosts; with unequal weights, earliest deadline first by weight over requests in flight.
// Source: Envoy's LeastRequestLoadBalancer with its defaults, choice_count 2 and active_request_bias 1.

import type { Balancer } from "./balancer.ts";
import { EdfSchedule } from "./edf-schedule.ts";
import type { Host } from "./host.ts";

export function createLeastRequest(hosts: readonly Host[], random: () => number): Balancer {
  const weight = hosts[0]?.weight;
  return hosts.every((host) => host.weight === weight)
    ? new TwoChoices(hosts, random)
    : new WeightedLeastRequest(hosts, random);
}

class TwoChoices implements Balancer {
  readonly #hosts: readonly Host[];
  readonly #random: () => number;

  constructor(hosts: readonly Host[], random: () => number) {
    this.#hosts = hosts;
    this.#random = random;
  }

  pick(): Host | undefined {
    const hosts = this.#hosts;
    const first = hosts[Math.floor(this.#random() * hosts.length)];
    const second = hosts[Math.floor(this.#random() * hosts.length)];
    if (first === undefined || second === undefined) {
      return undefined;
    }
    return second.counts.rqActive < first.counts.rqActive ? second : first;
  }
}

class WeightedLeastRequest implements Balancer {
  readonly #hosts: readonly Host[];
  readonly #weights: readonly number[];
  readonly #schedule: EdfSchedule;

  constructor(hosts: readonly Host[], random: () => number) {
    this.#hosts = hosts;
    this.#weights = hosts.map((host) => host.weight);
    this.#schedule = new EdfSchedule(this.#weights);
    const start = Math.floor(random() * hosts.length);
    for (let turn = 0; turn < start; turn++) {
      this.pick();
    }
  }

  pick(): Host | undefined {
    const index = this.#schedule.first;
    const host = this.#hosts[index] as Host;
    this.#schedule.advance((this.#weights[index] as number) / (host.counts.rqActive + 1));
    return host;
  }
}
