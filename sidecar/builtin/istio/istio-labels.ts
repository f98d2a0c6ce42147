// Labels of Istio's standard metrics, in its order: who called whom, and how it ended. Used by istio-stats-filter.ts for requests and
// by istio-tcp-stats.ts for connections. Source: Istio's istio_stats filter. Pure.

import type { IstioStats } from "../../../xds/model/builtin-filter.ts";
import { labelled } from "../../stats/tags.ts";
import { meshCluster } from "./mesh-cluster.ts";
import type { Workload } from "./workload.ts";

export type Labels = Readonly<Record<string, string>>;

export interface Service {
  readonly host: string;
  readonly name: string;
  readonly namespace: string;
}

export const NO_SERVICE: Service = { host: "", name: "", namespace: "" };
export const UNKNOWN = "unknown";
const LATEST = "latest";

/** Clusters that stand for no service. */
const OF_NO_SERVICE: ReadonlySet<string> = new Set([
  "BlackHoleCluster",
  "PassthroughCluster",
  "InboundPassthroughCluster",
  "InboundPassthroughClusterIpv4",
  "InboundPassthroughClusterIpv6",
]);

/** Behind the cluster that was chosen; `host` stands for one that the cluster does not name. */
export function serviceOf(
  facts: {
    readonly routeName: string;
    readonly clusterName: string;
    readonly cluster: { readonly model: { readonly metadata: Uint8Array | undefined } } | undefined;
  },
  host: string,
): Service {
  if (facts.routeName === "block_all" || facts.routeName === "allow_any") {
    const name = facts.routeName === "block_all" ? "BlackHoleCluster" : "PassthroughCluster";
    return { host, name, namespace: "" };
  }
  if (OF_NO_SERVICE.has(facts.clusterName)) {
    return { host, name: facts.clusterName, namespace: "" };
  }
  const cluster = meshCluster(facts.cluster?.model.metadata);
  return cluster.host === "" && cluster.name === "" ? { host, name: host, namespace: cluster.namespace } : cluster;
}

/** `ends`: the labels that come last. */
export function labelsOf(
  isServer: boolean,
  own: Workload,
  peer: Workload | undefined,
  service: Service,
  ends: Labels,
): Labels {
  const ours = side(own, "", "");
  const other = side(peer, UNKNOWN, LATEST);
  const [source, destination] = isServer ? [other, ours] : [ours, other];
  const fallback = isServer ? own.service : UNKNOWN;
  return {
    reporter: isServer ? "destination" : "source",
    ...Object.fromEntries(Object.entries(source).map(([name, value]) => [`source_${name}`, value])),
    destination_workload: destination.workload,
    destination_workload_namespace: destination.workload_namespace,
    destination_principal: UNKNOWN,
    destination_app: destination.app,
    destination_version: destination.version,
    destination_service: service.host || fallback,
    destination_canonical_service: destination.canonical_service,
    destination_canonical_revision: destination.canonical_revision,
    destination_service_name: service.name || fallback,
    destination_service_namespace: isServer ? own.namespace : service.namespace || destination.workload_namespace,
    destination_cluster: destination.cluster,
    ...ends,
  };
}

/** One side's part of the labels; what it does not say is `unknown`, and its revision `latest`. */
function side(workload: Workload | undefined, unknown: string, latest: string) {
  return {
    workload: workload?.workload || unknown,
    canonical_service: workload?.service || unknown,
    canonical_revision: workload?.revision || latest,
    workload_namespace: workload?.namespace || unknown,
    principal: UNKNOWN,
    app: workload?.app || unknown,
    version: workload?.version || unknown,
    cluster: workload?.cluster || unknown,
  };
}

/** The statistic's name with its labels, as the configuration changes them; undefined: it drops the metric. */
export function metricName(config: IstioStats, metric: string, labels: Labels): string | undefined {
  const changes = config.changes.filter(({ metric: only }) => only === "" || only === metric);
  if (changes.some(({ drops }) => drops)) {
    return undefined;
  }
  const removed = new Set(changes.flatMap(({ labelsToRemove }) => labelsToRemove));
  const kept = Object.entries(labels).filter(([label]) => !removed.has(label));
  return labelled(`istio_${metric}`, Object.fromEntries(kept));
}

/** Of all that differs between requests of one filter. */
export function keyOf(isServer: boolean, peer: Workload | undefined, service: Service, ends: Labels): string {
  const { cluster = "", namespace = "", workload = "", service: canonical = "", revision = "" } = peer ?? {};
  const who = `${isServer}\n${workload}\n${namespace}\n${canonical}\n${revision}\n${peer?.app}\n${peer?.version}\n${cluster}`;
  const how = `${ends["response_code"]}\n${ends["response_flags"]}\n${ends["request_protocol"]}\n${ends["grpc_response_status"]}`;
  return `${how}\n${service.host}\n${service.name}\n${service.namespace}\n${who}`;
}
