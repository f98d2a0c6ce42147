// The hosts of an ORIGINAL_DST cluster: one for each address that a connection was meant for (or that a request names), made when
// it is first asked for and forgotten when nobody has used it for a while. Owned by cluster.ts.
// Source: Envoy's OriginalDstCluster.

import type { Cluster } from "../../xds/model/cluster.ts";
import type { Endpoint } from "../../xds/model/endpoints.ts";
import type { HeaderMap } from "../http/headers.ts";
import type { ConnectionInfo } from "../http/stream.ts";
import { addressText, parseAddress } from "../upstream/address-text.ts";
import type { ClusterStats, MembershipStats } from "./cluster-stats.ts";
import { Host, type PoolFactory } from "./host.ts";

export type OriginalDstDiscovery = Extract<Cluster["discovery"], { readonly kind: "original_dst" }>;

/** What a request or connection says of where it is meant to go. */
export interface OriginalRequest {
  readonly connection: ConnectionInfo;
  readonly requestHead: { readonly headers: HeaderMap };
  /** Of the filter state `envoy.network.transport_socket.original_dst_address`; counts before all else. */
  readonly originalAddress: string | undefined;
}

/** On one worker: a client that names ever new addresses must not fill memory. */
export const MAX_ORIGINAL_HOSTS = 4096;

const MAX_TIMER_MS = 2_147_483_647;
const NOWHERE = { priority: 0, locality: { region: "", zone: "", subZone: "" }, metadata: undefined };

/** Statistics of the cluster; its own are resolved when they are first needed. */
export interface OriginalStats {
  readonly statsOf: () => ClusterStats;
  readonly membership: MembershipStats;
}

interface Entry {
  readonly host: Host;
  isUsed: boolean;
}

export class OriginalHosts {
  readonly #discovery: OriginalDstDiscovery;
  readonly #createPool: PoolFactory;
  readonly #stats: OriginalStats;
  readonly #entries = new Map<string, Entry>();
  #timer: NodeJS.Timeout | undefined = undefined;

  constructor(discovery: OriginalDstDiscovery, createPool: PoolFactory, stats: OriginalStats) {
    this.#discovery = discovery;
    this.#createPool = createPool;
    this.#stats = stats;
  }

  get hosts(): readonly Host[] {
    return Array.from(this.#entries.values(), ({ host }) => host);
  }

  /** Undefined: nobody says where it goes, or there are too many hosts in use. */
  choose(request: OriginalRequest): Host | undefined {
    const address = this.#destination(request);
    if (address === undefined) {
      this.#stats.statsOf().cxNoneHealthy.inc();
      return undefined;
    }
    const { portOverride } = this.#discovery;
    const port = portOverride === 0 ? address.port : portOverride;
    const key = addressText({ kind: "tcp", host: address.host, port });
    const entry = this.#entries.get(key) ?? this.#add(key, address.host, port);
    if (entry === undefined) {
      return undefined;
    }
    entry.isUsed = true;
    return entry.host;
  }

  drain(): void {
    for (const { host } of this.#entries.values()) {
      host.eachPool((pool) => pool.drain());
    }
  }

  dispose(): void {
    clearTimeout(this.#timer);
    for (const { host } of this.#entries.values()) {
      host.eachPool((pool) => pool.dispose());
    }
    this.#entries.clear();
  }

  #destination({
    originalAddress,
    requestHead,
    connection,
  }: OriginalRequest): { readonly host: string; readonly port: number } | undefined {
    const stated = originalAddress === undefined ? undefined : parseAddress(originalAddress);
    if (stated !== undefined) {
      return stated;
    }
    const { headerName } = this.#discovery;
    // Only the first value counts, as in Envoy: anybody can send the header.
    const wish = headerName === "" ? undefined : requestHead.headers.get(headerName);
    if (wish !== undefined) {
      const wished = parseAddress(wish);
      if (wished !== undefined) {
        return wished;
      }
      this.#stats.statsOf().originalDstHostInvalid.inc();
    }
    // Without a restored address the connection was meant for this proxy: dialling that would be dialling itself, for ever.
    return connection.direct === undefined ? undefined : { host: connection.localAddress, port: connection.localPort };
  }

  #add(key: string, host: string, port: number): Entry | undefined {
    if (this.#entries.size >= MAX_ORIGINAL_HOSTS && !this.#makeRoom()) {
      this.#stats.statsOf().cxPoolOverflow.inc();
      return undefined;
    }
    const endpoint: Endpoint = {
      address: { kind: "tcp", host, port },
      hostname: "",
      health: "unknown",
      weight: 1,
      metadata: undefined,
      socketMatch: undefined,
    };
    const entry: Entry = { host: new Host(key, endpoint, NOWHERE, this.#createPool), isUsed: true };
    this.#entries.set(key, entry);
    this.#count();
    this.#timer ??= setTimeout(
      () => this.#cleanUp(),
      Math.min(this.#discovery.cleanupIntervalMs, MAX_TIMER_MS),
    ).unref();
    return entry;
  }

  /** The oldest one that nothing is under way with goes. */
  #makeRoom(): boolean {
    for (const [key, { host }] of this.#entries) {
      if (host.counts.rqActive === 0 && host.counts.rqPending === 0) {
        this.#entries.delete(key);
        host.eachPool((pool) => pool.drain());
        return true;
      }
    }
    return false;
  }

  #cleanUp(): void {
    this.#timer = undefined;
    for (const [key, entry] of this.#entries) {
      if (!entry.isUsed && entry.host.counts.cxActive === 0 && entry.host.isEmpty) {
        this.#entries.delete(key);
      }
      entry.isUsed = false;
    }
    this.#count();
    if (this.#entries.size > 0) {
      this.#timer = setTimeout(
        () => this.#cleanUp(),
        Math.min(this.#discovery.cleanupIntervalMs, MAX_TIMER_MS),
      ).unref();
    }
  }

  #count(): void {
    const { size } = this.#entries;
    const { change, total, healthy } = this.#stats.membership;
    change.inc();
    total.set(size);
    healthy.set(size);
  }
}
