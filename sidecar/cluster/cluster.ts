// One live cluster on one worker: its hosts, which of them to use, its circuit breakers and statistics.
// Compiled from the model by live-config.ts; endpoints (EDS, or names that the main thread has resolved) arrive by
// `updateEndpoints`. proxy.ts asks `dropCategory`, then `choose`, then the host's pool.

import type { Cluster } from "../../xds/model/cluster.ts";
import type { ClusterLoadAssignment, Endpoint, EndpointCounts, Locality } from "../../xds/model/endpoints.ts";
import type { TimerWheel } from "../http/timer-wheel.ts";
import type { StatsScope } from "../stats/scope.ts";
import { addressText } from "../upstream/address-text.ts";
import { ConnectionPool } from "../upstream/pool.ts";
import type { PoolContext } from "../upstream/pool.ts";
import { createHostCounts, type HostCounts } from "../upstream/stream-pool.ts";
import { createCircuitBreaker } from "./breaker.ts";
import type { CircuitBreaker } from "./breaker.ts";
import { CLUSTER_FAMILY, resolveClusterStats, resolveMembershipStats } from "./cluster-stats.ts";
import type { ClusterStats, MembershipStats } from "./cluster-stats.ts";
import { OriginalHosts } from "./original-hosts.ts";
import { HostSelection } from "./host-selection.ts";
import { HostSet } from "./host-set.ts";
import type { Host, PoolFactory } from "./host.ts";
import { needsTls, usesTls } from "./transport-socket.ts";

/** Things of the worker that clusters use. */
export interface ClusterDeps {
  readonly scope: StatsScope;
  readonly wheel: TimerWheel;
  /** Every upstream socket of the worker reads into this one buffer; 64 KiB is a good size. */
  readonly readBuffer: Buffer;
  /** Numbers from 0 up to, not including, 1. */
  readonly random: () => number;
}

/** One host as `/clusters` shows it: this worker's part, to be added up over the workers. */
export interface HostView {
  readonly address: string;
  readonly hostname: string;
  readonly health: string;
  readonly weight: number;
  readonly priority: number;
  readonly region: string;
  readonly zone: string;
  readonly subZone: string;
  readonly counts: Readonly<HostCounts>;
}

const NO_HOSTS: readonly Host[] = [];

const EMPTY_ASSIGNMENT: ClusterLoadAssignment = {
  clusterName: "",
  counted: { total: 0, healthy: 0, degraded: 0 },
  localities: [],
  overprovisioningFactor: 140,
  dropOverloads: [],
};

export class LiveCluster {
  readonly model: Cluster;
  /** Of an ORIGINAL_DST cluster: who has no fixed hosts asks it instead of `choose`. */
  readonly original: OriginalHosts | undefined;
  readonly #deps: ClusterDeps;
  readonly #statPrefix: string;
  readonly #membership: MembershipStats;
  // Made with the first request, as all that belongs to hosts.
  #stats: ClusterStats | undefined;
  #breakers: readonly [CircuitBreaker, CircuitBreaker] | undefined;
  #hostSet: HostSet | undefined;
  /** undefined: the latest endpoints have not been read yet. */
  #selection: HostSelection | undefined = undefined;
  #assignment: ClusterLoadAssignment = EMPTY_ASSIGNMENT;
  /** Hosts that take TLS only; undefined where the cluster has none. */
  #secureHosts: ReadonlySet<Host> | undefined = undefined;
  #warm = false;
  #disposed = false;
  #isReleased = false;

  constructor(model: Cluster, deps: ClusterDeps) {
    this.model = model;
    this.#deps = deps;
    this.#statPrefix = `cluster.${model.statName}.`;
    deps.scope.retain?.(this.#statPrefix, CLUSTER_FAMILY);
    this.#membership = resolveMembershipStats(deps.scope, this.#statPrefix);
    const { discovery } = model;
    // Without it there is no host: what takes TLS only must not get plain text.
    this.original =
      discovery.kind === "original_dst" && !needsTls(model, undefined)
        ? new OriginalHosts(discovery, this.#poolFactory(), { statsOf: () => this.stats, membership: this.#membership })
        : undefined;
    if (discovery.kind === "static") {
      this.updateEndpoints(discovery.assignment);
    } else {
      this.#warm = discovery.kind === "original_dst";
    }
  }

  /** By route priority: default, high. Retries are counted there by the proxy. */
  get breakers(): readonly [CircuitBreaker, CircuitBreaker] {
    const { scope } = this.#deps;
    const { circuitBreakers, statName } = this.model;
    return (this.#breakers ??= [
      createCircuitBreaker(scope, statName, circuitBreakers[0]),
      createCircuitBreaker(scope, statName, circuitBreakers[1]),
    ]);
  }

  /** Resolved with the first request: most clusters of a large mesh are never asked for anything. */
  get stats(): ClusterStats {
    return (this.#stats ??= resolveClusterStats(this.#deps.scope, this.#statPrefix));
  }

  /** False until the first endpoints have come, even if they are none. */
  get isWarm(): boolean {
    return this.#warm;
  }

  /** All of them: makes those that no request has needed yet. */
  get hosts(): readonly Host[] {
    if (this.#selection === undefined) {
      this.#makeHosts();
    }
    return this.madeHosts;
  }

  /** Hosts that a request may have chosen: none, as long as none was chosen. */
  get madeHosts(): readonly Host[] {
    return this.original?.hosts ?? this.#hostSet?.hosts ?? NO_HOSTS;
  }

  /** As many as `hosts`. */
  get hostCount(): number {
    return this.original?.hosts.length ?? this.#assignment.counted?.total ?? this.hosts.length;
  }

  /** Hosts named before keep their pools and counts; hosts not named any more finish what they have and are gone. */
  updateEndpoints(assignment: ClusterLoadAssignment): void {
    if (this.#disposed) {
      return;
    }
    const previous = this.#assignment;
    this.#warm = true;
    this.#assignment = assignment;
    const { counted } = assignment;
    if (counted !== undefined && this.#selection === undefined) {
      if (hasOtherMembers(previous, assignment)) {
        this.#membership.change.inc();
      }
      this.#count(counted);
      return;
    }
    const wasRead = this.#selection !== undefined || previous.counted === undefined;
    const isOther = this.#makeHosts();
    if (wasRead ? isOther : hasOtherMembers(previous, assignment)) {
      this.#membership.change.inc();
    }
    this.#count({
      total: this.#hosts.hosts.length,
      healthy: this.#hosts.hosts.filter((host) => host.availability === "healthy").length,
      degraded: this.#hosts.hosts.filter((host) => host.availability === "degraded").length,
    });
  }

  /**
   * The category by which this request is to be dropped (503, flag DO), or undefined. Each category draws by itself.
   * Source: ClusterLoadAssignment.Policy.drop_overloads.
   */
  dropCategory(): string | undefined {
    for (const drop of this.#assignment.dropOverloads) {
      if (this.#deps.random() * 100 < drop.percent) {
        this.stats.rqDropOverload.inc();
        return drop.category;
      }
    }
    return undefined;
  }

  /** A host for one request; undefined when none may be used, or it takes TLS only, which is not supported yet. `hash`: see Balancer. */
  choose(hash?: number): Host | undefined {
    if (this.#selection === undefined) {
      this.#makeHosts();
    }
    const host = this.#selection?.choose(hash);
    if (host === undefined || this.#secureHosts?.has(host) === true) {
      this.stats.cxNoneHealthy.inc();
      return undefined;
    }
    return host;
  }

  /** Plain objects, fit for posting to the main thread. */
  view(): HostView[] {
    if (this.#selection !== undefined || this.original !== undefined) {
      return this.madeHosts.map((host) => hostView(host, host.priority, host.locality, host.counts));
    }
    // Nobody has needed a host: none is made for looking at it.
    const groups = this.#assignment.localities.toSorted((a, b) => a.priority - b.priority);
    return groups.flatMap(({ endpoints, priority, locality }) =>
      endpoints.map((endpoint) => hostView(endpoint, priority, locality, createHostCounts())),
    );
  }

  /** Retires the cluster softly: requests that have chosen a host still finish, no idle connection stays. */
  drain(): void {
    this.original?.drain();
    this.#releaseStats();
    for (const host of this.#hostSet?.hosts ?? NO_HOSTS) {
      host.eachPool((pool) => pool.drain());
    }
  }

  /** Ends every connection now, those of hosts removed earlier included. */
  dispose(): void {
    this.#disposed = true;
    this.original?.dispose();
    this.#releaseStats();
    this.#hostSet?.dispose();
    this.#selection = this.#select();
  }

  get #hosts(): HostSet {
    return (this.#hostSet ??= new HostSet(this.#poolFactory(), this.model.discovery.kind === "logical_dns"));
  }

  #poolFactory(): PoolFactory {
    const statsOf = (): ClusterStats => this.stats;
    const context: PoolContext = {
      settings: this.model,
      get stats() {
        return statsOf();
      },
      limits: this.breakers,
      wheel: this.#deps.wheel,
      readBuffer: this.#deps.readBuffer,
      source: undefined,
    };
    return (host, source) =>
      new ConnectionPool(host.address, host.counts, source === undefined ? context : { ...context, source });
  }

  /** Brings the hosts up to the latest endpoints; true: some came or went. */
  #makeHosts(): boolean {
    const { membershipChanged } = this.#hosts.update(this.#assignment);
    this.#selection = this.#select();
    if (usesTls(this.model)) {
      this.#secureHosts = new Set(this.#hosts.hosts.filter((host) => needsTls(this.model, host.socketMatch)));
    }
    return membershipChanged;
  }

  #count({ total, healthy, degraded }: EndpointCounts): void {
    this.#membership.total.set(total);
    this.#membership.healthy.set(healthy);
    this.#membership.degraded.set(degraded);
  }

  /** Once: a successor of the same name has retained them by now. */
  #releaseStats(): void {
    if (!this.#isReleased) {
      this.#isReleased = true;
      this.#deps.scope.release?.(this.#statPrefix);
    }
  }

  #select(): HostSelection {
    return new HostSelection(this.#hostSet?.hosts ?? NO_HOSTS, {
      policy: this.model.lbPolicy,
      overprovisioning: this.#assignment.overprovisioningFactor,
      panicThreshold: this.model.healthyPanicThreshold,
      random: this.#deps.random,
      onPanic: () => this.stats.lbHealthyPanic.inc(),
    });
  }
}

function hostView(
  { address, hostname, health, weight }: Pick<Endpoint, "address" | "hostname" | "health" | "weight">,
  priority: number,
  { region, zone, subZone }: Locality,
  counts: HostCounts,
): HostView {
  const place = { priority, region, zone, subZone };
  return { address: addressText(address), hostname, health, weight, ...place, counts: { ...counts } };
}

/** Whether an address came or went. */
function hasOtherMembers(previous: ClusterLoadAssignment, next: ClusterLoadAssignment): boolean {
  if (previous.counted !== undefined && next.counted !== undefined && previous.counted.total !== next.counted.total) {
    return true;
  }
  return addressesOf(previous).symmetricDifference(addressesOf(next)).size > 0;
}

function addressesOf({ localities }: ClusterLoadAssignment): Set<string> {
  return new Set(localities.flatMap(({ endpoints }) => endpoints.map(({ address }) => addressText(address))));
}

export function compileCluster(model: Cluster, deps: ClusterDeps): LiveCluster {
  return new LiveCluster(model, deps);
}
