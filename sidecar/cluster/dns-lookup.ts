// Names → IP addresses by the system's resolver, which honours /etc/hosts, search domains and nsswitch, as Envoy's c-ares
// mostly does. Called by dns-resolver.ts on the main thread; data workers only ever see addresses.

import { ADDRCONFIG } from "node:dns";
import { lookup } from "node:dns/promises";

import type { Cluster } from "../../xds/model/cluster.ts";

/** `onlyIfRoutable`: no address of a family for which this machine has no address itself. Rejects when there is no answer. */
export type DnsLookup = (hostname: string, family: 4 | 6, onlyIfRoutable: boolean) => Promise<readonly string[]>;

/** getaddrinfo blocks one of libuv's four threads, for many seconds when DNS is away; files need one as well. */
const MAX_LOOKUPS = 3;

/** A lookup over getaddrinfo; at most three run at a time, the others wait their turn. */
export function createSystemLookup(): DnsLookup {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (hostname, family, onlyIfRoutable) => {
    if (running >= MAX_LOOKUPS) {
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
    running++;
    try {
      const found = await lookup(hostname, { all: true, family, hints: onlyIfRoutable ? ADDRCONFIG : 0 });
      return found.map(({ address }) => address);
    } finally {
      running--;
      waiting.shift()?.();
    }
  };
}

type Attempt = readonly [family: 4 | 6, onlyIfRoutable: boolean];

// In order; the first that finds something is taken. AUTO prefers IPv6, but on a machine that has none, as most containers,
// Envoy's ::1 for localhost or an unreachable address serves nobody.
const ATTEMPTS: Readonly<Record<Exclude<Cluster["dnsLookupFamily"], "all">, readonly Attempt[]>> = {
  auto: [
    [6, true],
    [4, false],
    [6, false],
  ],
  v4_preferred: [
    [4, false],
    [6, false],
  ],
  v4_only: [[4, false]],
  v6_only: [[6, false]],
};

/** All addresses of `hostname` by the cluster's family preference; rejects with the first failure when none is found. */
export async function resolveName(
  hostname: string,
  family: Cluster["dnsLookupFamily"],
  lookupName: DnsLookup,
): Promise<readonly string[]> {
  if (family === "all") {
    const results = await Promise.allSettled([lookupName(hostname, 4, false), lookupName(hostname, 6, false)]);
    const found = results.flatMap((result) => (result.status === "fulfilled" ? result.value : []));
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined && found.length === 0) {
      throw failed.reason;
    }
    return found;
  }
  let failure: { readonly reason: unknown } | undefined;
  let isAnswered = false;
  for (const [version, onlyIfRoutable] of ATTEMPTS[family]) {
    try {
      const found = await lookupName(hostname, version, onlyIfRoutable);
      if (found.length > 0) {
        return found;
      }
      isAnswered = true;
    } catch (reason) {
      failure ??= { reason };
    }
  }
  if (failure !== undefined && !isAnswered) {
    throw failure.reason;
  }
  return [];
}
