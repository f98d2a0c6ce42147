// envoy.config.endpoint.v3.ClusterLoadAssignment → model. Called by resource.ts for EDS and by cluster.ts for inline ones.

import { HealthStatus as HealthMessage } from "../gen/envoy/config/core/v3/health_check_pb.ts";
import type { Locality as LocalityMessage } from "../gen/envoy/config/core/v3/base_pb.ts";
import type { LbEndpoint, LocalityLbEndpoints } from "../gen/envoy/config/endpoint/v3/endpoint_components_pb.ts";
import type { ClusterLoadAssignment as AssignmentMessage } from "../gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import type { ClusterLoadAssignment, Endpoint, HealthStatus, Locality, LocalityEndpoints } from "../model/endpoints.ts";
import { decodeAddress, metadataBytes, type HostKind } from "./address.ts";
import { child, type Findings } from "./issues.ts";
import { decodeEach, decodeFraction } from "./matcher.ts";

const DEFAULT_OVERPROVISIONING = 140;
const MAX_WEIGHT_SUM = 0xffffffff;

/** `hostKind` says whether endpoints may be DNS names: only in STRICT_DNS and LOGICAL_DNS clusters. */
export function decodeEndpoints(
  message: AssignmentMessage,
  hostKind: HostKind,
  path: string,
  findings: Findings,
): ClusterLoadAssignment {
  const localitiesPath = child(path, "endpoints");
  checkWeights(message.endpoints, localitiesPath, findings);
  return {
    clusterName: message.clusterName,
    localities: decodeEach(message.endpoints, localitiesPath, findings, (locality, localityPath) =>
      decodeLocalityEndpoints(locality, hostKind, localityPath, findings),
    ),
    overprovisioningFactor: message.policy?.overprovisioningFactor ?? DEFAULT_OVERPROVISIONING,
    dropOverloads: (message.policy?.dropOverloads ?? []).map(({ category, dropPercentage }) => {
      const { numerator, denominator } = decodeFraction(dropPercentage);
      return { category, percent: Math.min(100, (numerator * 100) / denominator) };
    }),
  };
}

/** Envoy refuses localities of one priority, and endpoints of one locality, whose weights overflow 32 bits together. */
function checkWeights(localities: readonly LocalityLbEndpoints[], path: string, findings: Findings): void {
  const sums = new Map<number, number>();
  for (const { priority, loadBalancingWeight } of localities) {
    sums.set(priority, (sums.get(priority) ?? 0) + (loadBalancingWeight ?? 0));
  }
  for (const [priority, sum] of sums) {
    if (sum > MAX_WEIGHT_SUM)
      findings.issue(path, `the weights of priority ${priority} add up to more than ${MAX_WEIGHT_SUM}`);
  }
}

function decodeLocalityEndpoints(
  message: LocalityLbEndpoints,
  hostKind: HostKind,
  path: string,
  findings: Findings,
): LocalityEndpoints {
  const sum = message.lbEndpoints.reduce((total, endpoint) => total + (endpoint.loadBalancingWeight ?? 1), 0);
  if (sum > MAX_WEIGHT_SUM) {
    findings.issue(child(path, "lb_endpoints"), `the weights add up to more than ${MAX_WEIGHT_SUM}`);
  }
  return {
    locality: decodeLocality(message.locality),
    weight: message.loadBalancingWeight ?? 0,
    priority: message.priority,
    metadata: metadataBytes(message.metadata),
    endpoints: decodeEach(message.lbEndpoints, child(path, "lb_endpoints"), findings, (endpoint, endpointPath) =>
      decodeEndpoint(endpoint, hostKind, endpointPath, findings),
    ),
  };
}

export function decodeLocality(message: LocalityMessage | undefined): Locality {
  return { region: message?.region ?? "", zone: message?.zone ?? "", subZone: message?.subZone ?? "" };
}

const HEALTH: Readonly<Record<number, HealthStatus>> = {
  [HealthMessage.UNKNOWN]: "unknown",
  [HealthMessage.HEALTHY]: "healthy",
  [HealthMessage.UNHEALTHY]: "unhealthy",
  [HealthMessage.DRAINING]: "draining",
  [HealthMessage.TIMEOUT]: "timeout",
  [HealthMessage.DEGRADED]: "degraded",
};

function decodeEndpoint(
  message: LbEndpoint,
  hostKind: HostKind,
  path: string,
  findings: Findings,
): Endpoint | undefined {
  const identifier = message.hostIdentifier;
  if (identifier.case === undefined) findings.issue(path, "needs an endpoint");
  if (identifier.case !== "endpoint") return undefined;
  const endpoint = identifier.value;
  const addressPath = child(path, "endpoint.address");
  if (endpoint.address === undefined) findings.issue(addressPath, "is required");
  const address = decodeAddress(endpoint.address, hostKind, addressPath, findings);
  if (address === undefined) return undefined;
  return {
    address,
    hostname: endpoint.hostname,
    health: HEALTH[message.healthStatus] ?? "unknown",
    weight: message.loadBalancingWeight ?? 1,
    metadata: metadataBytes(message.metadata),
    socketMatch: message.metadata?.filterMetadata["envoy.transport_socket_match"],
  };
}
