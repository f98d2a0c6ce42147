// GET /clusters: Envoy's text and its ClustersStatus JSON. Source: Envoy's clusters_handler.cc. Pure.

import type { ClusterView, HostView } from "./ports.ts";
import { addressMessage } from "./reply.ts";

/** Statistics of a host in Envoy's order: by name. */
function hostStats(host: HostView): readonly (readonly [name: string, value: number, isGauge: boolean])[] {
  const { counters, gauges } = host;
  return [
    ["cx_active", gauges.cxActive, true],
    ["cx_connect_fail", counters.cxConnectFail, false],
    ["cx_total", counters.cxTotal, false],
    ["rq_active", gauges.rqActive, true],
    ["rq_error", counters.rqError, false],
    ["rq_pending_active", gauges.rqPendingActive, true],
    ["rq_success", counters.rqSuccess, false],
    ["rq_timeout", counters.rqTimeout, false],
    ["rq_total", counters.rqTotal, false],
  ];
}

/** `cluster::host::name::value` lines. */
export function clustersText(clusters: readonly ClusterView[]): string {
  const lines: string[] = [];
  for (const cluster of clusters) {
    const name = cluster.name;
    lines.push(`${name}::observability_name::${cluster.observabilityName}`);
    for (const limits of cluster.thresholds) {
      const start = `${name}::${limits.priority}_priority`;
      lines.push(`${start}::max_connections::${limits.maxConnections}`);
      lines.push(`${start}::max_pending_requests::${limits.maxPendingRequests}`);
      lines.push(`${start}::max_requests::${limits.maxRequests}`);
      lines.push(`${start}::max_retries::${limits.maxRetries}`);
    }
    lines.push(`${name}::added_via_api::${cluster.addedViaApi}`);
    if (cluster.edsServiceName !== "") {
      lines.push(`${name}::eds_service_name::${cluster.edsServiceName}`);
    }
    for (const host of cluster.hosts) {
      lines.push(...hostLines(`${name}::${host.address}`, host));
    }
  }
  return lines.map((line) => `${line}\n`).join("");
}

function hostLines(start: string, host: HostView): string[] {
  return [
    ...hostStats(host).map(([stat, value]) => `${start}::${stat}::${value}`),
    `${start}::hostname::${host.hostname}`,
    `${start}::health_flags::${host.healthFlags.length === 0 ? "healthy" : host.healthFlags.map((flag) => `/${flag}`).join("")}`,
    `${start}::weight::${host.weight}`,
    `${start}::region::${host.region}`,
    `${start}::zone::${host.zone}`,
    `${start}::sub_zone::${host.subZone}`,
    `${start}::canary::false`,
    `${start}::priority::${host.priority}`,
    `${start}::success_rate::-1`,
    `${start}::local_origin_success_rate::-1`,
  ];
}

/** envoy.admin.v3.Clusters. */
export function clustersJson(clusters: readonly ClusterView[]): object {
  return {
    cluster_statuses: clusters.map((cluster) => ({
      name: cluster.name,
      ...(cluster.addedViaApi ? { added_via_api: true } : {}),
      ...(cluster.hosts.length === 0 ? {} : { host_statuses: cluster.hosts.map(hostMessage) }),
      circuit_breakers: {
        thresholds: cluster.thresholds.map((limits) => ({
          ...(limits.priority === "high" ? { priority: "HIGH" } : {}),
          max_connections: limits.maxConnections,
          max_pending_requests: limits.maxPendingRequests,
          max_requests: limits.maxRequests,
          max_retries: limits.maxRetries,
        })),
      },
      observability_name: cluster.observabilityName,
      ...(cluster.edsServiceName === "" ? {} : { eds_service_name: cluster.edsServiceName }),
    })),
  };
}

function hostMessage(host: HostView): object {
  const { healthFlags } = host;
  // Envoy's flags as fields of HostHealthStatus; EDS health is always there.
  const eds = host.edsHealth === "UNKNOWN" ? "HEALTHY" : host.edsHealth;
  return {
    address: addressMessage(host.address),
    stats: hostStats(host)
      .toSorted(([, , a], [, , b]) => Number(a) - Number(b))
      .map(([name, value, isGauge]) => ({
        ...(isGauge ? { type: "GAUGE" } : {}),
        ...(value === 0 ? {} : { value: String(value) }),
        name,
      })),
    health_status: {
      ...(healthFlags.includes("failed_active_hc") ? { failed_active_health_check: true } : {}),
      ...(healthFlags.includes("failed_outlier_check") ? { failed_outlier_check: true } : {}),
      ...(healthFlags.includes("degraded_active_hc") ? { failed_active_degraded_check: true } : {}),
      ...(healthFlags.includes("pending_active_hc") ? { pending_active_hc: true } : {}),
      ...(healthFlags.includes("pending_dynamic_removal") ? { pending_dynamic_removal: true } : {}),
      ...(healthFlags.includes("active_hc_timeout") ? { active_hc_timeout: true } : {}),
      eds_health_status: eds,
    },
    weight: host.weight,
    ...(host.hostname === "" ? {} : { hostname: host.hostname }),
    locality: localityMessage(host),
    ...(host.priority === 0 ? {} : { priority: host.priority }),
  };
}

function localityMessage(host: HostView): object {
  return {
    ...(host.region === "" ? {} : { region: host.region }),
    ...(host.zone === "" ? {} : { zone: host.zone }),
    ...(host.subZone === "" ? {} : { sub_zone: host.subZone }),
  };
}
