// Counters of configuration updates under Envoy's names: cluster_manager.cds.*, cluster_manager.odcds.*, listener_manager.lds.*,
// cluster.<name>.*, http.<prefix>.rds.<name>.*, sds.<name>.*, extension_config_discovery.http_filter.<name>.* and
// control_plane.connected_state. client.ts counts; /stats reads `values()`. Source: Envoy's "xDS subscription
// statistics".

import type { DiscoveryResponse } from "./discovery-messages.ts";
import type { SourceCounts } from "./grpc-source.ts";
import type { ResourceTables } from "./assembly.ts";
import { endpointsName } from "./snapshot.ts";
import type { Outcome } from "./subscriptions.ts";
import {
  CLUSTER_TYPE,
  COLLECTION_TYPES,
  ENDPOINTS_TYPE,
  EXTENSION_CONFIG_TYPE,
  LISTENER_TYPE,
  ROUTE_TYPE,
  SCOPED_ROUTE_TYPE,
  SECRET_TYPE,
} from "./type-urls.ts";
import { discoveredIn } from "./references.ts";

type Counts = {
  update_attempt: number;
  update_success: number;
  update_rejected: number;
  update_failure: number;
  init_fetch_timeout: number;
  update_time: number;
  version_text: string;
};

export type StatValues = Readonly<Record<string, number | string>>;

/** Clusters on demand are counted together, as in Envoy. */
const ON_DEMAND = "on demand";
const ON_DEMAND_PREFIX = "cluster_manager.odcds.";

const COLLECTION_PREFIXES: ReadonlyMap<string, string> = new Map([
  [CLUSTER_TYPE, "cluster_manager.cds."],
  [LISTENER_TYPE, "listener_manager.lds."],
]);

export class UpdateStats {
  readonly #counts = new Map<string, Map<string, Counts>>();

  /** Counts for one subscription: a resource, the whole collection of a type that is one, or (with a name) all clusters on demand. */
  of(typeUrl: string, name: string): Counts {
    let counts = this.#counts.get(typeUrl);
    if (counts === undefined) {
      counts = new Map();
      this.#counts.set(typeUrl, counts);
    }
    const key = keyOf(typeUrl, name);
    let found = counts.get(key);
    if (found === undefined) {
      found = {
        update_attempt: 0,
        update_success: 0,
        update_rejected: 0,
        update_failure: 0,
        init_fetch_timeout: 0,
        update_time: 0,
        version_text: "",
      };
      counts.set(key, found);
    }
    return found;
  }

  /** Counts a response: each subscription that it touches once, the collection as a whole. */
  count(response: DiscoveryResponse, outcome: Outcome, now: number): void {
    const { typeUrl, version } = response;
    if (COLLECTION_TYPES.has(typeUrl)) {
      this.#countOne(this.of(typeUrl, ""), outcome.error === undefined, version, now);
      return;
    }
    for (const name of outcome.accepted.keys()) this.#countOne(this.of(typeUrl, name), true, version, now);
    if (outcome.error === undefined) return;
    for (const name of outcome.refused) this.#countOne(this.of(typeUrl, name), false, version, now);
  }

  /** A response that touches clusters on demand. */
  countOnDemand({ typeUrl, version }: DiscoveryResponse, { error }: Outcome, now: number): void {
    this.#countOne(this.of(typeUrl, ON_DEMAND), error === undefined, version, now);
  }

  #countOne(counts: Counts, isAccepted: boolean, version: string, now: number): void {
    counts.update_attempt += 1;
    if (!isAccepted) {
      counts.update_rejected += 1;
      return;
    }
    counts.update_success += 1;
    counts.update_time = now;
    counts.version_text = version;
  }

  /** A stream ended: every subscription that it carried failed. */
  countFailure(typeUrl: string, name: string): void {
    this.of(typeUrl, name).update_failure += 1;
  }

  /** A subscription is gone, and its counters with it. */
  remove(typeUrl: string, name: string): void {
    if (name === "*") this.#counts.get(typeUrl)?.delete("");
    else if (!COLLECTION_TYPES.has(typeUrl)) this.#counts.get(typeUrl)?.delete(name);
  }

  /** Everything by its full name. Texts (version_text) are Envoy's text readouts. */
  values(tables: ResourceTables): StatValues {
    const values: Record<string, number | string> = {};
    const prefixes = subscriptionPrefixes(tables);
    for (const [typeUrl, counts] of this.#counts) {
      const collection = COLLECTION_PREFIXES.get(typeUrl);
      for (const [name, each] of counts) {
        const named = typeUrl === SECRET_TYPE ? [`sds.${name}.`] : (prefixes.get(`${typeUrl} ${name}`) ?? []);
        const places = collection === undefined ? named : [name === ON_DEMAND ? ON_DEMAND_PREFIX : collection];
        for (const place of places) for (const [stat, value] of Object.entries(each)) values[place + stat] = value;
      }
    }
    return values;
  }
}

function keyOf(typeUrl: string, name: string): string {
  if (typeUrl === CLUSTER_TYPE && name !== "") return ON_DEMAND;
  return COLLECTION_TYPES.has(typeUrl) ? "" : name;
}

const SOURCE_STATS: readonly (readonly [keyof SourceCounts, string])[] = [
  ["responses", "outrigger_xds_responses_total"],
  ["ignored", "outrigger_xds_responses_ignored_total"],
  ["held", "outrigger_xds_refusals_held_total"],
  ["paused", "outrigger_xds_reading_paused_total"],
  ["failures", "outrigger_xds_stream_failures_total"],
  ["rateLimited", "control_plane.rate_limit_enforced"],
];

/** What all sources went through together, by full name. Envoy has only the last. */
export function sourceStats(counts: readonly SourceCounts[]): StatValues {
  return Object.fromEntries(
    SOURCE_STATS.map(([key, stat]) => [stat, counts.reduce((sum, each) => sum + each[key], 0)]),
  );
}

/** Where the counters of a named subscription stand, by "type name": one place for each cluster or connection manager. */
function subscriptionPrefixes(tables: ResourceTables): Map<string, string[]> {
  const prefixes = new Map<string, string[]>();
  const add = (typeUrl: string, name: string, prefix: string) => {
    const key = `${typeUrl} ${name}`;
    const places = prefixes.get(key);
    if (places === undefined) prefixes.set(key, [prefix]);
    else if (!places.includes(prefix)) places.push(prefix);
  };
  for (const cluster of tables.clusters.values()) {
    if (cluster.discovery.kind === "eds") add(ENDPOINTS_TYPE, endpointsName(cluster), `cluster.${cluster.statName}.`);
  }
  for (const listener of tables.listeners.values()) {
    const { filterChains, defaultFilterChain } = listener;
    for (const { filter } of [...filterChains, ...(defaultFilterChain === undefined ? [] : [defaultFilterChain])]) {
      if (filter.kind !== "http") continue;
      const { routes, statPrefix, httpFilters } = filter;
      if (routes.kind === "scoped") add(SCOPED_ROUTE_TYPE, "", `http.${statPrefix}.scoped_rds.${routes.name}.`);
      if (routes.kind === "rds") add(ROUTE_TYPE, routes.name, `http.${statPrefix}.rds.${routes.name}.`);
      for (const { name } of httpFilters.flatMap(discoveredIn)) {
        add(EXTENSION_CONFIG_TYPE, name, `extension_config_discovery.http_filter.${name}.`);
      }
    }
  }
  return prefixes;
}
