// /clusters: the clusters of the snapshot with the numbers of their hosts, added up over the workers. Pure.

import type { Cluster } from "../xds/model/cluster.ts";
import type { ClusterView, HostView as HostRow } from "./admin/ports.ts";
import type { HostView } from "./cluster/cluster.ts";

/** What a worker answers to the question `hosts`. */
export interface WorkerHosts {
  readonly name: string;
  readonly hosts: readonly HostView[];
}

export function clusterViews(
  clusters: readonly Cluster[],
  isStatic: ReadonlySet<string>,
  answers: readonly (readonly WorkerHosts[] | undefined)[],
): ClusterView[] {
  return clusters.map((cluster) => ({
    name: cluster.name,
    observabilityName: cluster.statName,
    edsServiceName: cluster.discovery.kind === "eds" ? cluster.discovery.serviceName : "",
    addedViaApi: !isStatic.has(cluster.name),
    thresholds: cluster.circuitBreakers,
    hosts: hostRows(answers.map((answer) => answer?.find(({ name }) => name === cluster.name)?.hosts ?? [])),
  }));
}

function hostRows(byWorker: readonly (readonly HostView[])[]): HostRow[] {
  const rows = new Map<string, HostRow>();
  for (const host of byWorker.flat()) {
    rows.set(host.address, merged(rows.get(host.address), host));
  }
  return [...rows.values()];
}

function merged(row: HostRow | undefined, { counts, ...host }: HostView): HostRow {
  const before = row?.counters;
  return {
    address: host.address,
    hostname: host.hostname,
    healthFlags:
      host.health === "unhealthy" ? ["failed_eds_health"] : host.health === "degraded" ? ["degraded_eds_health"] : [],
    edsHealth: host.health.toUpperCase() as HostRow["edsHealth"],
    weight: host.weight,
    priority: host.priority,
    region: host.region,
    zone: host.zone,
    subZone: host.subZone,
    counters: {
      cxConnectFail: (before?.cxConnectFail ?? 0) + counts.cxConnectFail,
      cxTotal: (before?.cxTotal ?? 0) + counts.cxTotal,
      rqError: (before?.rqError ?? 0) + counts.rqError,
      rqSuccess: (before?.rqSuccess ?? 0) + counts.rqSuccess,
      rqTimeout: (before?.rqTimeout ?? 0) + counts.rqTimeout,
      rqTotal: (before?.rqTotal ?? 0) + counts.rqTotal,
    },
    gauges: {
      cxActive: (row?.gauges.cxActive ?? 0) + counts.cxActive,
      rqActive: (row?.gauges.rqActive ?? 0) + counts.rqActive,
      rqPendingActive: (row?.gauges.rqPendingActive ?? 0) + counts.rqPending,
    },
  };
}
