// envoy.config.route.v3.RouteConfiguration → model. Called by resource.ts for RDS and by http-connection-manager.ts for
// inline routes. Route by route, so that every problem of a table is found at once.

import type { RouteConfiguration as RouteConfigurationMessage, Vhds } from "../gen/envoy/config/route/v3/route_pb.ts";
import {
  VirtualHost_TlsRequirementType as TlsRequirement,
  type Route as RouteMessage,
  type Tracing as TracingMessage,
  type VirtualHost as VirtualHostMessage,
} from "../gen/envoy/config/route/v3/route_components_pb.ts";
import type { ConfigSource } from "../model/config-source.ts";
import type { Route, RouteAction, RouteConfiguration, RouteTracing, VirtualHost } from "../model/route.ts";
import { metadataBytes } from "./address.ts";
import { decodeConfigSource } from "./config-source.ts";
import { quoted } from "./constraint.ts";
import { decodeHeaderMutations } from "./header-mutation.ts";
import { child, item, type Findings } from "./issues.ts";
import { decodeEach, decodeFraction } from "./matcher.ts";
import { decodePerFilterConfig, hasFilterConfig } from "./per-filter-config.ts";
import { decodeDirectResponse, decodeForwardAction, decodeRedirectAction } from "./route-action.ts";
import { decodeRouteMatch } from "./route-match.ts";
import { checkMirrorPolicies } from "./mirror-policy.ts";
import { decodeRetryPolicy } from "./retry-policy.ts";
import { decodeCustomTags } from "./tracing.ts";

export const DEFAULT_MAX_BODY_BYTES = 4096;

export function decodeRouteConfiguration(
  message: RouteConfigurationMessage,
  path: string,
  findings: Findings,
): RouteConfiguration {
  const maxDirectResponseBodyBytes = message.maxDirectResponseBodySizeBytes ?? DEFAULT_MAX_BODY_BYTES;
  const hostsPath = child(path, "virtual_hosts");
  checkDomains(message.virtualHosts, hostsPath, findings);
  checkMirrorPolicies(message.requestMirrorPolicies, path, findings);
  const source = decodeHostSource(message.vhds, child(path, "vhds"), findings);
  return {
    ...(source === undefined ? {} : { virtualHostSource: source }),
    name: message.name,
    virtualHosts: decodeEach(message.virtualHosts, hostsPath, findings, (host, hostPath) =>
      decodeVirtualHost(host, maxDirectResponseBodyBytes, hostPath, findings),
    ),
    headers: decodeHeaderMutations(message, path, findings),
    internalOnlyHeaders: message.internalOnlyHeaders.map((name) => name.toLowerCase()),
    mostSpecificHeaderMutationsWins: message.mostSpecificHeaderMutationsWins,
    validateClusters: message.validateClusters,
    ignorePortInHostMatching: message.ignorePortInHostMatching,
    maxDirectResponseBodyBytes,
    perFilterConfig: decodePerFilterConfig(message.typedPerFilterConfig, path, findings),
  };
}

/** VHDS exists in delta alone; whether ADS is delta the client knows. */
function decodeHostSource(message: Vhds | undefined, path: string, findings: Findings): ConfigSource | undefined {
  const sourcePath = child(path, "config_source");
  const source = decodeConfigSource(message?.configSource, sourcePath, findings);
  if (source === undefined || source.kind === "ads") return source;
  if (source.kind !== "api" || source.protocol !== "delta") {
    findings.issue(sourcePath, "must be ads or DELTA_GRPC: virtual hosts come in the delta protocol only");
  }
  return source;
}

/** Domains must be unique in the whole table, whatever their case. */
function checkDomains(hosts: readonly VirtualHostMessage[], path: string, findings: Findings): void {
  const domains = new Map<string, string>();
  for (const [index, host] of hosts.entries()) {
    const hostPath = item(path, index);
    for (const [domainIndex, domain] of host.domains.entries()) {
      const domainPath = item(child(hostPath, "domains"), domainIndex);
      const lower = domain.toLowerCase();
      const other = domains.get(lower);
      if (other === undefined) domains.set(lower, domainPath);
      else findings.issue(domainPath, `${quoted(domain)} is already ${other}; domains must be unique`);
    }
  }
}

export function decodeVirtualHost(
  message: VirtualHostMessage,
  maxBodyBytes: number,
  path: string,
  findings: Findings,
): VirtualHost {
  checkMirrorPolicies(message.requestMirrorPolicies, path, findings);
  const routes = decodeEach(message.routes, child(path, "routes"), findings, (route, routePath) =>
    decodeRoute(route, maxBodyBytes, routePath, findings),
  );
  const perFilterConfig = decodePerFilterConfig(message.typedPerFilterConfig, path, findings);
  return {
    name: message.name,
    domains: message.domains.map((domain) => domain.toLowerCase()),
    routes,
    requireTls: TLS_REQUIREMENTS[message.requireTls] ?? "none",
    headers: decodeHeaderMutations(message, path, findings),
    includeAttemptCount: message.includeRequestAttemptCount,
    includeAttemptCountInResponse: message.includeAttemptCountInResponse,
    retryPolicy: decodeRetryPolicy(message.retryPolicy, child(path, "retry_policy"), findings),
    perFilterConfig,
    hasFilterConfig: hasFilterConfig(perFilterConfig, routes),
    metadata: metadataBytes(message.metadata),
  };
}

const TLS_REQUIREMENTS: Readonly<Record<number, VirtualHost["requireTls"]>> = {
  [TlsRequirement.NONE]: "none",
  [TlsRequirement.EXTERNAL_ONLY]: "external_only",
  [TlsRequirement.ALL]: "all",
};

function decodeRoute(message: RouteMessage, maxBodyBytes: number, path: string, findings: Findings): Route | undefined {
  const match = decodeRouteMatch(message.match, child(path, "match"), findings);
  const action = decodeAction(message, maxBodyBytes, path, findings);
  const headers = decodeHeaderMutations(message, path, findings);
  const perFilterConfig = decodePerFilterConfig(message.typedPerFilterConfig, path, findings);
  if (match === undefined || action === undefined) return undefined;
  return {
    name: message.name,
    match,
    action,
    headers,
    perFilterConfig,
    operation: message.decorator?.operation ?? "",
    operationPropagates: message.decorator?.propagate ?? true,
    tracing: decodeRouteTracing(message.tracing, child(path, "tracing"), findings),
    metadata: metadataBytes(message.metadata),
  };
}

function decodeAction(
  message: RouteMessage,
  maxBodyBytes: number,
  path: string,
  findings: Findings,
): RouteAction | undefined {
  const action = message.action;
  switch (action.case) {
    case "route":
      return decodeForwardAction(action.value, child(path, "route"), findings);
    case "redirect":
      return decodeRedirectAction(action.value, child(path, "redirect"), findings);
    case "directResponse":
      return decodeDirectResponse(action.value, maxBodyBytes, child(path, "direct_response"), findings);
    case "nonForwardingAction":
      return { kind: "non_forwarding" };
    case "filterAction":
    case undefined:
      return undefined;
  }
}

function decodeRouteTracing(
  message: TracingMessage | undefined,
  path: string,
  findings: Findings,
): RouteTracing | undefined {
  if (message === undefined) return undefined;
  const fraction = (value: TracingMessage["clientSampling"]) =>
    value === undefined ? undefined : decodeFraction(value);
  return {
    clientSampling: fraction(message.clientSampling),
    randomSampling: fraction(message.randomSampling),
    overallSampling: fraction(message.overallSampling),
    customTags: decodeCustomTags(message.customTags, child(path, "custom_tags"), findings),
  };
}
