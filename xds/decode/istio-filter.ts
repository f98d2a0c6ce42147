// Istio's own HTTP filters → model: io.istio.http.peer_metadata.Config and stats.PluginConfig. Called by builtin-filter.ts.

import type { Config, Config_PropagationMethod as Propagation } from "../gen/io/istio/http/peer_metadata/config_pb.ts";
import type { PluginConfig } from "../gen/stats/config_pb.ts";
import type { IstioStats, PeerMetadata } from "../model/builtin-filter.ts";
import { durationMs } from "./duration.ts";

const DEFAULT_TCP_REPORTING_MS = 5_000;

/** Of the ways to know a peer, only headers have an effect: the table of fields says so of the others. */
export function decodePeerMetadata(message: Config): PeerMetadata {
  return {
    readsRequests: message.downstreamDiscovery.some(({ methodSpecifier }) => methodSpecifier.case === "istioHeaders"),
    readsResponses: message.upstreamDiscovery.some(({ methodSpecifier }) => methodSpecifier.case === "istioHeaders"),
    tellsDownstream: headersOf(message.downstreamPropagation),
    tellsUpstream: headersOf(message.upstreamPropagation),
    additionalLabels: message.additionalLabels,
  };
}

function headersOf(methods: readonly Propagation[]): { readonly skipExternal: boolean } | undefined {
  for (const { methodSpecifier } of methods) {
    if (methodSpecifier.case === "istioHeaders") return { skipExternal: methodSpecifier.value.skipExternalClusters };
  }
  return undefined;
}

export function decodeIstioStats(message: PluginConfig): IstioStats {
  return {
    usesHostHeader: !message.disableHostHeaderFallback,
    tcpReportingMs: durationMs(message.tcpReportingDuration, DEFAULT_TCP_REPORTING_MS),
    changes: message.metrics.map(({ name, drop, tagsToRemove }) => ({
      metric: name,
      drops: drop,
      labelsToRemove: tagsToRemove,
    })),
  };
}
