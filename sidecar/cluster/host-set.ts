// The hosts of one cluster: endpoint updates in, stable Host identities out, so that pools and counts survive an EDS push.
// Used by cluster.ts. Source: envoy.config.endpoint.v3.ClusterLoadAssignment.

import type { ClusterLoadAssignment, Endpoint, LocalityEndpoints } from "../../xds/model/endpoints.ts";
import { addressText } from "../upstream/address-text.ts";
import { Host } from "./host.ts";
import type { PoolFactory } from "./host.ts";

/** What comes beyond is left out: a broken control plane must not fill memory. */
const MAX_HOSTS = 65_536;

/** Highest priority number, as in Envoy's validation (`lte: 128`). */
const MAX_PRIORITY = 128;

export interface HostSetUpdate {
  /** Hosts were added or removed. */
  readonly membershipChanged: boolean;
}

export class HostSet {
  #byKey = new Map<string, Host>();
  #list: readonly Host[] = [];
  // Hosts that are not named any more, as long as they have connections: `dispose` must find them.
  readonly #retired = new Set<Host>();
  readonly #createPool: PoolFactory;
  readonly #logical: boolean;

  /** `logical` makes the DNS name the identity, so that a new address keeps the old connections (LOGICAL_DNS). */
  constructor(createPool: PoolFactory, logical = false) {
    this.#createPool = createPool;
    this.#logical = logical;
  }

  /** In the order of the configuration. */
  get hosts(): readonly Host[] {
    return this.#list;
  }

  get(key: string): Host | undefined {
    return this.#byKey.get(key);
  }

  /** Takes an update over. Hosts that it does not name any more are drained. An address named twice counts once, where first named. */
  update(assignment: ClusterLoadAssignment): HostSetUpdate {
    const previous = this.#byKey;
    const next = new Map<string, Host>();
    let added = false;
    // A lower number is a higher priority: it keeps a host that several priorities name.
    const groups = assignment.localities.toSorted((a, b) => a.priority - b.priority);
    for (const group of groups) {
      for (const endpoint of group.endpoints) {
        const key = this.#logical ? endpoint.hostname : addressText(endpoint.address);
        if (next.has(key) || next.size >= MAX_HOSTS) {
          continue;
        }
        const known = previous.get(key);
        added ||= known === undefined;
        next.set(key, known === undefined ? this.#create(key, endpoint, group) : refresh(known, endpoint, group));
      }
    }
    this.#byKey = next;
    this.#list = [...next.values()];
    return { membershipChanged: this.#retire(previous) || added };
  }

  /** Closes every connection now and forgets all hosts. */
  dispose(): void {
    for (const host of [...this.#list, ...this.#retired]) {
      host.eachPool((pool) => pool.dispose());
    }
    this.#byKey.clear();
    this.#list = [];
    this.#retired.clear();
  }

  #retire(previous: ReadonlyMap<string, Host>): boolean {
    for (const host of this.#retired) {
      if (host.isEmpty) {
        this.#retired.delete(host);
      }
    }
    let removed = false;
    for (const [key, host] of previous) {
      if (!this.#byKey.has(key)) {
        removed = true;
        host.eachPool((pool) => pool.drain());
        this.#retired.add(host);
      }
    }
    return removed;
  }

  #create(key: string, endpoint: Endpoint, group: LocalityEndpoints): Host {
    return new Host(
      key,
      endpoint,
      { priority: clampPriority(group.priority), locality: group.locality, metadata: group.metadata },
      this.#createPool,
    );
  }
}

function refresh(host: Host, endpoint: Endpoint, group: LocalityEndpoints): Host {
  if (addressText(host.address) !== addressText(endpoint.address)) {
    host.eachPool((pool) => pool.redirect(endpoint.address));
  }
  host.address = endpoint.address;
  host.hostname = endpoint.hostname;
  host.health = endpoint.health;
  host.weight = endpoint.weight;
  host.metadata = endpoint.metadata;
  host.socketMatch = endpoint.socketMatch;
  host.priority = clampPriority(group.priority);
  host.locality = group.locality;
  host.localityMetadata = group.metadata;
  return host;
}

function clampPriority(priority: number): number {
  return Math.min(Math.max(priority, 0), MAX_PRIORITY);
}
