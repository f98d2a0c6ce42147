// DNS for STRICT_DNS and LOGICAL_DNS clusters, on the main thread: names are resolved again and again, and what they resolve
// to is sent to the workers like EDS endpoints. supervisor.ts owns it and passes on what it finds.
// Source: Envoy's StrictDnsClusterImpl and LogicalDnsCluster; statistics `cluster.<name>.update_*`.
//
//   update(clusters) ─▶ for each name: look up ─▶ changed? ─▶ onResolved(assignment)
//                                       ▲────── refresh rate ──────┘

import { isIP } from "node:net";

import type { Cluster } from "../../xds/model/cluster.ts";
import type { ClusterLoadAssignment } from "../../xds/model/endpoints.ts";
import type { Counter, StatsScope } from "../stats/scope.ts";
import { resolveAssignment } from "./dns-assignment.ts";
import { createSystemLookup, resolveName } from "./dns-lookup.ts";
import type { DnsLookup } from "./dns-lookup.ts";

export interface DnsResolverDeps {
  readonly stats: StatsScope;
  /** Endpoints with IP addresses only; `clusterName` is the cluster's. Called when they change, never from within `update`. */
  readonly onResolved: (assignment: ClusterLoadAssignment) => void;
  /** Default: the system's resolver. */
  readonly lookup?: DnsLookup;
  /** Default: a timer that does not keep the process alive. Returns what cancels it. */
  readonly schedule?: (delayMs: number, run: () => void) => () => void;
}

/** A broken configuration must not turn into a flood of queries. */
const MIN_REFRESH_MS = 100;

interface ResolvedCluster {
  readonly model: Cluster;
  readonly assignment: ClusterLoadAssignment;
  /** By name; undefined until the first answer or after failures only. */
  readonly addresses: Map<string, readonly string[] | undefined>;
  /** By name; what ends the wait for the next lookup. */
  readonly timers: Map<string, () => void>;
  readonly counters: Readonly<Record<"attempt" | "success" | "failure" | "empty", Counter>>;
  isLive: boolean;
}

export class DnsResolver {
  readonly #deps: DnsResolverDeps;
  readonly #lookup: DnsLookup;
  readonly #schedule: (delayMs: number, run: () => void) => () => void;
  readonly #clusters = new Map<string, ResolvedCluster>();

  constructor(deps: DnsResolverDeps) {
    this.#deps = deps;
    this.#lookup = deps.lookup ?? createSystemLookup();
    this.#schedule = deps.schedule ?? scheduleTimer;
  }

  /** All clusters of the configuration, whatever their kind. An unchanged model (same object) goes on undisturbed. */
  update(clusters: readonly Cluster[]): void {
    const next = new Map(clusters.map((model) => [model.name, model]));
    for (const [name, cluster] of this.#clusters) {
      if (next.get(name) !== cluster.model) {
        stop(cluster);
        if (!isResolved(next.get(name))) {
          this.#clusters.delete(name);
        }
      }
    }
    for (const model of next.values()) {
      if (this.#clusters.get(model.name)?.model !== model) {
        this.#add(model, this.#clusters.get(model.name));
      }
    }
  }

  close(): void {
    for (const cluster of this.#clusters.values()) {
      stop(cluster);
    }
    this.#clusters.clear();
  }

  #add(model: Cluster, previous: ResolvedCluster | undefined): void {
    if (model.discovery.kind !== "strict_dns" && model.discovery.kind !== "logical_dns") {
      return;
    }
    const { assignment } = model.discovery;
    const prefix = `cluster.${model.statName}.update_`;
    const cluster: ResolvedCluster = {
      model,
      assignment,
      // A name keeps its addresses across a change of the cluster: the new one serves at once.
      addresses: new Map(namesOf(assignment).map((name) => [name, previous?.addresses.get(name)])),
      timers: new Map(),
      counters: {
        attempt: this.#deps.stats.counter(`${prefix}attempt`),
        success: this.#deps.stats.counter(`${prefix}success`),
        failure: this.#deps.stats.counter(`${prefix}failure`),
        empty: this.#deps.stats.counter(`${prefix}empty`),
      },
      isLive: true,
    };
    this.#clusters.set(model.name, cluster);
    const known = [...cluster.addresses.values()];
    if (!model.waitForWarmOnInit || known.length === 0 || known.some((addresses) => addresses !== undefined)) {
      queueMicrotask(() => this.#emit(cluster));
    }
    for (const name of cluster.addresses.keys()) {
      void this.#resolve(cluster, name, true);
    }
  }

  /** Never rejects. */
  async #resolve(cluster: ResolvedCluster, name: string, isFirst: boolean): Promise<void> {
    const { model, counters } = cluster;
    cluster.timers.delete(name);
    counters.attempt.inc();
    let found: readonly string[] | undefined;
    try {
      found = await resolveName(name, model.dnsLookupFamily, this.#lookup);
    } catch {
      // What was good stays: DNS being away must not take the upstream away.
      found = undefined;
    }
    if (!cluster.isLive) {
      return;
    }
    (found === undefined ? counters.failure : counters.success).inc();
    if (found?.length === 0) {
      counters.empty.inc();
    }
    const before = cluster.addresses.get(name);
    if (found !== undefined) {
      cluster.addresses.set(name, inKnownOrder(found, before, model.discovery.kind === "logical_dns"));
    }
    // The first outcome ends the cluster's warming, even if it is a failure.
    if (isFirst || !isSameList(before, cluster.addresses.get(name))) {
      this.#emit(cluster);
    }
    const delayMs = found === undefined ? model.dnsFailureRefreshMs : model.dnsRefreshRateMs;
    const next = (): void => void this.#resolve(cluster, name, false);
    cluster.timers.set(name, this.#schedule(Math.max(delayMs, MIN_REFRESH_MS), next));
  }

  #emit(cluster: ResolvedCluster): void {
    if (cluster.isLive) {
      this.#deps.onResolved(resolveAssignment(cluster.model, cluster.assignment, cluster.addresses));
    }
  }
}

function stop(cluster: ResolvedCluster): void {
  cluster.isLive = false;
  for (const cancel of cluster.timers.values()) {
    cancel();
  }
  cluster.timers.clear();
}

function isResolved(model: Cluster | undefined): boolean {
  return model?.discovery.kind === "strict_dns" || model?.discovery.kind === "logical_dns";
}

function namesOf(assignment: ClusterLoadAssignment): string[] {
  return assignment.localities.flatMap((group) =>
    group.endpoints.flatMap(({ address }) =>
      address.kind === "tcp" && isIP(address.host) === 0 ? [address.host] : [],
    ),
  );
}

// Servers rotate their answers; without this every refresh would look like a change. LOGICAL_DNS wants the first, whatever it is.
function inKnownOrder(found: readonly string[], before: readonly string[] | undefined, isLogical: boolean): string[] {
  const unique = [...new Set(found)];
  if (isLogical) {
    return unique.slice(0, 1);
  }
  const kept = (before ?? []).filter((address) => unique.includes(address));
  return [...kept, ...unique.filter((address) => !kept.includes(address))];
}

function isSameList(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  return a === b || (a?.length === b?.length && a !== undefined && a.every((item, index) => item === b?.[index]));
}

function scheduleTimer(delayMs: number, run: () => void): () => void {
  const timer = setTimeout(run, delayMs);
  timer.unref();
  return () => clearTimeout(timer);
}
