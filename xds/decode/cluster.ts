// envoy.config.cluster.v3.Cluster → model, with Envoy's defaults filled in. Called by resource.ts for CDS and by
// bootstrap.ts for static clusters.

import type { TcpKeepalive } from "../gen/envoy/config/core/v3/address_pb.ts";
import { RoutingPriority } from "../gen/envoy/config/core/v3/base_pb.ts";
import type { CircuitBreakers } from "../gen/envoy/config/cluster/v3/circuit_breaker_pb.ts";
import {
  Cluster_DiscoveryType as DiscoveryType,
  Cluster_DnsLookupFamily as DnsFamily,
  type Cluster as ClusterMessage,
} from "../gen/envoy/config/cluster/v3/cluster_pb.ts";
import type { CircuitBreakerThresholds, Cluster } from "../model/cluster.ts";
import type { ClusterLoadAssignment } from "../model/endpoints.ts";
import { metadataBytes, type HostKind } from "./address.ts";
import { unpackAny } from "./any.ts";
import { decodeConfigSource } from "./config-source.ts";
import { durationMs } from "./duration.ts";
import { decodeEndpoints } from "./endpoints.ts";
import { checkExtension } from "./extension-type.ts";
import { checkHealthChecks } from "./health-checks.ts";
import { unsupported } from "./filter-config.ts";
import { inertReason } from "./inert.ts";
import { child, item, type Findings } from "./issues.ts";
import { decodeLbPolicy } from "./load-balancing.ts";
import { decodeEach } from "./matcher.ts";
import { decodeBindConfig } from "./socket-options.ts";
import { decodeUpstreamSocket } from "./transport-socket.ts";
import { decodeUpstreamHttp } from "./upstream-protocol.ts";

const DEFAULT_CONNECT_TIMEOUT_MS = 5_000;
const DEFAULT_BUFFER_LIMIT_BYTES = 1024 * 1024;
const DEFAULT_DNS_REFRESH_MS = 5_000;
const DEFAULT_PANIC_PERCENT = 50;
const DEFAULT_CLEANUP_MS = 5_000;
const ORIGINAL_DST_HEADER = "x-envoy-original-dst-host";

/** Undefined when it cannot be used, which is then reported. */
export function decodeCluster(message: ClusterMessage, path: string, findings: Findings): Cluster | undefined {
  const sockets = decodeSockets(message, path, findings);
  checkFilters(message, path, findings);
  const discovery = decodeDiscovery(message, path, findings);
  const lbPolicy = decodeLbPolicy(message, discovery?.kind === "original_dst", path, findings);
  const http = decodeUpstreamHttp(message, path, findings);
  checkHealthChecks(message, http.upstreamProtocol === "http2", path, findings);
  checkOutlierDetection(message.outlierDetection, child(path, "outlier_detection"), findings);
  if (discovery === undefined) return undefined;
  const dnsRefreshRateMs = durationMs(message.dnsRefreshRate, DEFAULT_DNS_REFRESH_MS);
  return {
    name: message.name,
    statName: message.altStatName === "" ? message.name : message.altStatName,
    discovery,
    lbPolicy,
    bind: decodeBindConfig(message.upstreamBindConfig, child(path, "upstream_bind_config"), findings),
    connectTimeoutMs: durationMs(message.connectTimeout, DEFAULT_CONNECT_TIMEOUT_MS),
    perConnectionBufferLimitBytes: message.perConnectionBufferLimitBytes ?? DEFAULT_BUFFER_LIMIT_BYTES,
    circuitBreakers: decodeCircuitBreakers(message.circuitBreakers),
    ...http,
    dnsRefreshRateMs,
    dnsFailureRefreshMs: durationMs(message.dnsFailureRefreshRate?.baseInterval, dnsRefreshRateMs),
    dnsLookupFamily: DNS_FAMILIES[message.dnsLookupFamily] ?? "auto",
    healthyPanicThreshold: message.commonLbConfig?.healthyPanicThreshold?.value ?? DEFAULT_PANIC_PERCENT,
    waitForWarmOnInit: message.waitForWarmOnInit ?? true,
    metadata: metadataBytes(message.metadata),
    tcpKeepAliveMs: decodeTcpKeepAlive(message.upstreamConnectionOptions?.tcpKeepalive),
    ...sockets,
    source: discovery.kind === "eds" ? discovery.source : undefined,
  };
}

const DEFAULT_EJECTION_MS = 30_000;

/** It has no effect yet. */
function checkOutlierDetection(message: ClusterMessage["outlierDetection"], path: string, findings: Findings): void {
  const baseMs = durationMs(message?.baseEjectionTime, DEFAULT_EJECTION_MS);
  if (durationMs(message?.maxEjectionTime, baseMs) < baseMs) {
    findings.issue(child(path, "max_ejection_time"), "must be at least base_ejection_time");
  }
}

/** The kernel's own default. */
const DEFAULT_KEEPALIVE_S = 7_200;

function decodeTcpKeepAlive(message: TcpKeepalive | undefined): number | undefined {
  return message === undefined ? undefined : (message.keepaliveTime ?? DEFAULT_KEEPALIVE_S) * 1_000;
}

function decodeSockets(
  message: ClusterMessage,
  path: string,
  findings: Findings,
): Pick<Cluster, "tls" | "socketMatches"> {
  const matchesPath = child(path, "transport_socket_matches");
  const tls = decodeUpstreamSocket(message.transportSocket, child(path, "transport_socket"), findings);
  if (tls !== undefined) {
    const field = "envoy.config.cluster.v3.Cluster.transport_socket";
    const problem = "TLS is in effect for control planes only so far; other requests to this cluster fail";
    findings.warn("no_effect", child(path, "transport_socket"), field, problem);
  }
  return {
    tls,
    socketMatches: decodeEach(
      message.transportSocketMatches,
      matchesPath,
      findings,
      ({ match, transportSocket }, at) => {
        const tls = decodeUpstreamSocket(transportSocket, child(at, "transport_socket"), findings);
        return { match: match ?? {}, tls };
      },
    ),
  };
}

const DNS_FAMILIES: Readonly<Record<number, Cluster["dnsLookupFamily"]>> = {
  [DnsFamily.AUTO]: "auto",
  [DnsFamily.V4_ONLY]: "v4_only",
  [DnsFamily.V6_ONLY]: "v6_only",
  [DnsFamily.V4_PREFERRED]: "v4_preferred",
  [DnsFamily.ALL]: "all",
};

const KINDS: Readonly<Record<number, Cluster["discovery"]["kind"]>> = {
  [DiscoveryType.STATIC]: "static",
  [DiscoveryType.STRICT_DNS]: "strict_dns",
  [DiscoveryType.LOGICAL_DNS]: "logical_dns",
  [DiscoveryType.EDS]: "eds",
  [DiscoveryType.ORIGINAL_DST]: "original_dst",
};

function decodeDiscovery(message: ClusterMessage, path: string, findings: Findings): Cluster["discovery"] | undefined {
  const type = message.clusterDiscoveryType;
  if (type.case === "clusterType") return undefined;
  const kind = KINDS[type.value ?? DiscoveryType.STATIC] ?? "static";
  if (kind !== "eds" && message.edsClusterConfig !== undefined) {
    findings.issue(child(path, "eds_cluster_config"), "is only allowed in a cluster of type EDS");
  }
  switch (kind) {
    case "eds":
      return decodeEds(message, path, findings);
    case "original_dst":
      if (message.loadAssignment !== undefined) {
        findings.issue(child(path, "load_assignment"), "is not allowed in an ORIGINAL_DST cluster");
      }
      return decodeOriginalDst(message, path, findings);
    case "static":
      return { kind, assignment: decodeAssignment(message, "ip", path, findings) };
    case "strict_dns":
      checkResolver(message, path, findings);
      return { kind, assignment: decodeAssignment(message, "ip_or_name", path, findings) };
    case "logical_dns":
      checkResolver(message, path, findings);
      checkSingleEndpoint(message, path, findings);
      return { kind, assignment: decodeAssignment(message, "ip_or_name", path, findings) };
  }
}

const RESOLVERS = [
  "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
  "envoy.extensions.network.dns_resolver.getaddrinfo.v3.GetAddrInfoDnsResolverConfig",
  "envoy.extensions.network.dns_resolver.hickory.v3.HickoryDnsResolverConfig",
];

/** It has no effect; Envoy makes it for clusters that need it. */
function checkResolver(message: ClusterMessage, path: string, findings: Findings): void {
  const resolver = message.typedDnsResolverConfig;
  if (resolver !== undefined) checkExtension(resolver, RESOLVERS, child(path, "typed_dns_resolver_config"), findings);
}

function decodeOriginalDst(message: ClusterMessage, path: string, findings: Findings): Cluster["discovery"] {
  const config = message.lbConfig.case === "originalDstLbConfig" ? message.lbConfig.value : undefined;
  const configPath = child(path, "original_dst_lb_config");
  if (config !== undefined && !config.useHttpHeader && config.httpHeaderName !== "") {
    findings.issue(child(configPath, "http_header_name"), "needs use_http_header");
  }
  const portOverride = config?.upstreamPortOverride ?? 0;
  if (portOverride > 65_535) {
    findings.issue(child(configPath, "upstream_port_override"), "must be at most 65535");
  }
  return {
    kind: "original_dst",
    cleanupIntervalMs: durationMs(message.cleanupInterval, DEFAULT_CLEANUP_MS),
    headerName: config?.useHttpHeader === true ? (config.httpHeaderName || ORIGINAL_DST_HEADER).toLowerCase() : "",
    portOverride,
  };
}

function decodeEds(message: ClusterMessage, path: string, findings: Findings): Cluster["discovery"] | undefined {
  const edsPath = child(path, "eds_cluster_config");
  const config = message.edsClusterConfig;
  if (config?.edsConfig === undefined) {
    findings.issue(child(edsPath, "eds_config"), "is required in a cluster of type EDS");
    return undefined;
  }
  const source = decodeConfigSource(config.edsConfig, child(edsPath, "eds_config"), findings);
  if (source === undefined) return undefined;
  return { kind: "eds", serviceName: config.serviceName === "" ? message.name : config.serviceName, source };
}

function decodeAssignment(
  message: ClusterMessage,
  hostKind: HostKind,
  path: string,
  findings: Findings,
): ClusterLoadAssignment {
  if (message.loadAssignment === undefined) {
    return { clusterName: message.name, localities: [], overprovisioningFactor: 140, dropOverloads: [] };
  }
  return decodeEndpoints(message.loadAssignment, hostKind, child(path, "load_assignment"), findings);
}

function checkSingleEndpoint(message: ClusterMessage, path: string, findings: Findings): void {
  const localities = message.loadAssignment?.endpoints ?? [];
  if (localities.length !== 1 || localities[0]?.lbEndpoints.length !== 1) {
    findings.issue(
      child(path, "load_assignment.endpoints"),
      "must be one locality with one endpoint in a LOGICAL_DNS cluster",
    );
  }
}

function checkFilters(message: ClusterMessage, path: string, findings: Findings): void {
  for (const [index, filter] of message.filters.entries()) {
    const filterPath = item(child(path, "filters"), index);
    const typeName = filter.typedConfig === undefined ? filter.name : unpackAny(filter.typedConfig).typeName;
    const inert = inertReason("Upstream network filters", typeName);
    if (inert !== undefined) {
      const problem = `upstream network filter ${typeName} is accepted without effect: ${inert}`;
      findings.warn("no_effect", filterPath, typeName, problem);
    } else {
      findings.issue(filterPath, unsupported("upstream network filter", typeName, ["none"]));
    }
  }
}

const BREAKER_DEFAULTS = { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3 };

/** The first entry of a priority counts, as in Envoy. */
function decodeCircuitBreakers(message: CircuitBreakers | undefined): Cluster["circuitBreakers"] {
  return message === undefined ? DEFAULT_BREAKERS : breakersOf(message);
}

function breakersOf(message: CircuitBreakers | undefined): Cluster["circuitBreakers"] {
  const forPriority = (priority: CircuitBreakerThresholds["priority"], wanted: RoutingPriority) => {
    const entry = message?.thresholds.find((candidate) => candidate.priority === wanted);
    return {
      priority,
      maxConnections: entry?.maxConnections ?? BREAKER_DEFAULTS.maxConnections,
      maxPendingRequests: entry?.maxPendingRequests ?? BREAKER_DEFAULTS.maxPendingRequests,
      maxRequests: entry?.maxRequests ?? BREAKER_DEFAULTS.maxRequests,
      maxRetries: entry?.maxRetries ?? BREAKER_DEFAULTS.maxRetries,
    };
  };
  return [forPriority("default", RoutingPriority.DEFAULT), forPriority("high", RoutingPriority.HIGH)];
}

const DEFAULT_BREAKERS = breakersOf(undefined);
