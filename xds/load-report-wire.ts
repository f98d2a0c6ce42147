// The messages of the load reporting service as protobuf bytes: the control plane decodes reports, a client encodes them.
// Decoding never throws. Source: envoy/service/load_stats/v3/lrs.proto, envoy/config/endpoint/v3/load_report.proto.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { parse } from "./discovery-wire.ts";
import type { Parsed } from "./discovery-wire.ts";
import type { Node } from "./gen/envoy/config/core/v3/base_pb.ts";
import { LoadStatsRequestSchema, LoadStatsResponseSchema } from "./gen/envoy/service/load_stats/v3/lrs_pb.ts";

export const LOAD_STATS_METHOD = "/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats";

/** Requests of one cluster that ended since the report before. */
export type ClusterLoad = Readonly<{ cluster: string; successes: number; errors: number }>;

/** `nodeId` is undefined in all reports of a stream but the first. */
export type LoadReport = Readonly<{ nodeId: string | undefined; clusters: readonly ClusterLoad[] }>;

/** What a server wants to know: all clusters or those named, and how often, ms. */
export type LoadReportWish = Readonly<{ clusters: "all" | readonly string[]; intervalMs: number }>;

export function decodeLoadReport(bytes: Uint8Array): Parsed<LoadReport> {
  return parse(() => {
    const { node, clusterStats } = fromBinary(LoadStatsRequestSchema, bytes);
    const clusters = clusterStats.map(({ clusterName, upstreamLocalityStats }): ClusterLoad => {
      let successes = 0;
      let errors = 0;
      for (const { totalSuccessfulRequests, totalErrorRequests } of upstreamLocalityStats) {
        successes += Number(totalSuccessfulRequests);
        errors += Number(totalErrorRequests);
      }
      return { cluster: clusterName, successes, errors };
    });
    return { nodeId: node?.id, clusters };
  });
}

/** `node` in the first report of a stream. Each cluster is one locality. */
export function encodeLoadReport(
  clusters: readonly (ClusterLoad & Readonly<{ issued: number; active: number }>)[],
  intervalMs: number,
  node?: Node,
): Uint8Array {
  const clusterStats = clusters.map(({ cluster, successes, errors, issued, active }) => ({
    clusterName: cluster,
    upstreamLocalityStats: [
      {
        locality: {},
        totalSuccessfulRequests: BigInt(successes),
        totalErrorRequests: BigInt(errors),
        totalIssuedRequests: BigInt(issued),
        totalRequestsInProgress: BigInt(active),
      },
    ],
    loadReportInterval: duration(intervalMs),
  }));
  const message = { clusterStats, ...(node === undefined ? {} : { node }) };
  return toBinary(LoadStatsRequestSchema, create(LoadStatsRequestSchema, message));
}

export function encodeLoadReportWish({ clusters, intervalMs }: LoadReportWish): Uint8Array {
  const which = clusters === "all" ? { sendAllClusters: true } : { clusters: [...clusters] };
  const message = { ...which, loadReportingInterval: duration(intervalMs) };
  return toBinary(LoadStatsResponseSchema, create(LoadStatsResponseSchema, message));
}

export function decodeLoadReportWish(bytes: Uint8Array): Parsed<LoadReportWish> {
  return parse(() => {
    const { clusters, sendAllClusters, loadReportingInterval: interval } = fromBinary(LoadStatsResponseSchema, bytes);
    const intervalMs = Number(interval?.seconds ?? 0n) * 1000 + (interval?.nanos ?? 0) / 1e6;
    return { clusters: sendAllClusters ? "all" : clusters, intervalMs };
  });
}

function duration(ms: number) {
  return { seconds: BigInt(Math.trunc(ms / 1000)), nanos: Math.trunc(ms % 1000) * 1_000_000 };
}
