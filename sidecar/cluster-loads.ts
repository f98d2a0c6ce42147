// What load reports say of clusters, from the statistics of all workers: requests that ended, and those with an error (a 5xx,
// ours too where no host answered). Pure; supervisor.ts gives it to the xDS client. Source: Envoy's load_stats_reporter.cc.

import type { Snapshot } from "../xds/model/snapshot.ts";
import type { StatsReader } from "./stats/reader.ts";

export interface ClusterCounts {
  readonly cluster: string;
  readonly successes: number;
  readonly errors: number;
  readonly issued: number;
  readonly active: number;
}

/** Counts since the start, of all clusters or of those named; asked for by name, so that other statistics cost nothing. */
export function clusterCounts(
  reader: Pick<StatsReader, "value">,
  snapshot: Pick<Snapshot, "clusters"> | undefined,
  wanted: "all" | readonly string[],
): ClusterCounts[] {
  const clusters = snapshot?.clusters ?? new Map<string, never>();
  const names = wanted === "all" ? [...clusters.keys()] : wanted;
  return names.flatMap((name) => {
    const cluster = clusters.get(name);
    if (cluster === undefined) return [];
    const count = (stat: string) => reader.value(`cluster.${cluster.statName}.upstream_rq_${stat}`) ?? 0;
    const errors = count("5xx");
    const successes = Math.max(0, count("completed") - errors);
    return { cluster: name, successes, errors, issued: count("total"), active: count("active") };
  });
}
