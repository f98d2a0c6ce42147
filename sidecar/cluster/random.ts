// A random host, by weight. Envoy's random policy leaves weights out; here they count, as they do in every other policy.
// Equal weights: one multiplication. Unequal ones: binary search in the running sums.

import type { Balancer } from "./balancer.ts";
import type { Host } from "./host.ts";

export function createRandom(hosts: readonly Host[], random: () => number): Balancer {
  const weight = hosts[0]?.weight;
  return hosts.every((host) => host.weight === weight)
    ? new EvenRandom(hosts, random)
    : new WeightedRandom(hosts, random);
}

class EvenRandom implements Balancer {
  readonly #hosts: readonly Host[];
  readonly #random: () => number;

  constructor(hosts: readonly Host[], random: () => number) {
    this.#hosts = hosts;
    this.#random = random;
  }

  pick(): Host | undefined {
    return this.#hosts[Math.floor(this.#random() * this.#hosts.length)];
  }
}

class WeightedRandom implements Balancer {
  readonly #hosts: readonly Host[];
  readonly #random: () => number;
  /** Sum of the weights up to and including each host. */
  readonly #sums: Float64Array;

  constructor(hosts: readonly Host[], random: () => number) {
    this.#hosts = hosts;
    this.#random = random;
    this.#sums = new Float64Array(hosts.length);
    let total = 0;
    for (const [index, host] of hosts.entries()) {
      total += host.weight;
      this.#sums[index] = total;
    }
  }

  pick(): Host | undefined {
    const sums = this.#sums;
    const point = this.#random() * (sums[sums.length - 1] as number);
    let low = 0;
    let high = sums.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (point < (sums[middle] as number)) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return this.#hosts[low];
  }
}
