// The actions of a route → model: forward, redirect, direct response. Called by route.ts.
// Defaults are Envoy's. Source: envoy.config.route.v3 RouteAction, RedirectAction, DirectResponseAction.

import { RoutingPriority } from "../gen/envoy/config/core/v3/base_pb.ts";
import {
  RedirectAction_RedirectResponseCode as RedirectCode,
  RouteAction_ClusterNotFoundResponseCode as NotFoundCode,
  type DirectResponseAction as DirectResponseMessage,
  type RedirectAction as RedirectMessage,
  type RouteAction as RouteActionMessage,
  type WeightedCluster as WeightedClusterMessage,
  type WeightedCluster_ClusterWeight,
} from "../gen/envoy/config/route/v3/route_components_pb.ts";
import type {
  ClusterChoice,
  DirectResponseAction,
  ForwardAction,
  HostRewrite,
  RedirectAction,
  WeightedCluster,
} from "../model/route.ts";
import { decodeDataSource } from "./data-source.ts";
import { decodeBodyFormat } from "./local-reply.ts";
import { durationMs } from "./duration.ts";
import { decodeHeaderMutations } from "./header-mutation.ts";
import { child, type Findings } from "./issues.ts";
import { decodeEach, decodeRegexRewrite } from "./matcher.ts";
import { checkMirrorPolicies } from "./mirror-policy.ts";
import { decodePerFilterConfig } from "./per-filter-config.ts";
import { decodeRetryPolicy } from "./retry-policy.ts";
import { decodeUpgrades } from "./upgrade.ts";

const DEFAULT_TIMEOUT_MS = 15_000;
const MAX_TOTAL_WEIGHT = 0xffffffff;

export function decodeForwardAction(
  message: RouteActionMessage,
  path: string,
  findings: Findings,
): ForwardAction | undefined {
  const cluster = decodeClusterChoice(message, path, findings);
  const regexRewrite = decodeRegexRewrite(message.regexRewrite, child(path, "regex_rewrite"), findings);
  if (message.prefixRewrite !== "" && regexRewrite !== undefined) {
    findings.issue(child(path, "regex_rewrite"), "cannot be set together with prefix_rewrite");
  }
  checkMirrorPolicies(message.requestMirrorPolicies, path, findings);
  if (cluster === undefined) return undefined;
  const maxStream = message.maxStreamDuration;
  const grpcMax = maxStream?.grpcTimeoutHeaderMax;
  return {
    kind: "forward",
    cluster,
    clusterNotFoundStatus: NOT_FOUND_STATUS[message.clusterNotFoundResponseCode] ?? 503,
    timeoutMs: durationMs(message.timeout, DEFAULT_TIMEOUT_MS),
    idleTimeoutMs: message.idleTimeout === undefined ? undefined : durationMs(message.idleTimeout, 0),
    maxStreamDurationMs:
      maxStream?.maxStreamDuration === undefined ? undefined : durationMs(maxStream.maxStreamDuration, 0),
    grpcTimeoutHeaderMaxMs: grpcMax === undefined ? undefined : durationMs(grpcMax, 0),
    grpcTimeoutHeaderOffsetMs: durationMs(maxStream?.grpcTimeoutHeaderOffset, 0),
    maxGrpcTimeoutMs: message.maxGrpcTimeout === undefined ? undefined : durationMs(message.maxGrpcTimeout, 0),
    grpcTimeoutOffsetMs: durationMs(message.grpcTimeoutOffset, 0),
    prefixRewrite: message.prefixRewrite,
    regexRewrite,
    hostRewrite: decodeHostRewrite(message, path, findings),
    appendXForwardedHost: message.appendXForwardedHost,
    priority: message.priority === RoutingPriority.HIGH ? "high" : "default",
    upgrades: decodeUpgrades(message.upgradeConfigs, child(path, "upgrade_configs"), findings),
    retryPolicy: decodeRetryPolicy(message.retryPolicy, child(path, "retry_policy"), findings),
  };
}

const NOT_FOUND_STATUS: Readonly<Record<number, ForwardAction["clusterNotFoundStatus"]>> = {
  [NotFoundCode.SERVICE_UNAVAILABLE]: 503,
  [NotFoundCode.NOT_FOUND]: 404,
  [NotFoundCode.INTERNAL_SERVER_ERROR]: 500,
};

function decodeClusterChoice(message: RouteActionMessage, path: string, findings: Findings): ClusterChoice | undefined {
  const specifier = message.clusterSpecifier;
  switch (specifier.case) {
    case "cluster":
      return { kind: "cluster", name: specifier.value };
    case "clusterHeader":
      return { kind: "header", header: specifier.value.toLowerCase() };
    case "weightedClusters":
      return decodeWeightedClusters(specifier.value, child(path, "weighted_clusters"), findings);
    case "clusterSpecifierPlugin":
    case "inlineClusterSpecifierPlugin":
    case undefined:
      return undefined;
  }
}

function decodeWeightedClusters(message: WeightedClusterMessage, path: string, findings: Findings): ClusterChoice {
  const clusters = decodeEach(message.clusters, child(path, "clusters"), findings, decodeWeightedCluster);
  const totalWeight = clusters.reduce((sum, cluster) => sum + cluster.weight, 0);
  if (message.clusters.length > 0 && totalWeight === 0) {
    findings.issue(path, "the sum of all weights must be greater than 0");
  }
  if (totalWeight > MAX_TOTAL_WEIGHT) {
    findings.issue(path, `the sum of all weights is ${totalWeight}, must be at most ${MAX_TOTAL_WEIGHT}`);
  }
  const random = message.randomValueSpecifier;
  return {
    kind: "weighted",
    clusters,
    totalWeight,
    randomHeader: random.case === "headerName" ? random.value.toLowerCase() : "",
  };
}

function decodeWeightedCluster(
  message: WeightedCluster_ClusterWeight,
  path: string,
  findings: Findings,
): WeightedCluster {
  if ((message.name === "") === (message.clusterHeader === "")) {
    findings.issue(path, "exactly one of name and cluster_header must be set");
  }
  return {
    name: message.name,
    clusterHeader: message.clusterHeader.toLowerCase(),
    weight: message.weight ?? 0,
    hostRewrite: message.hostRewriteSpecifier.value ?? "",
    headers: decodeHeaderMutations(message, path, findings),
    perFilterConfig: decodePerFilterConfig(message.typedPerFilterConfig, path, findings),
  };
}

function decodeHostRewrite(message: RouteActionMessage, path: string, findings: Findings): HostRewrite | undefined {
  const specifier = message.hostRewriteSpecifier;
  switch (specifier.case) {
    case "hostRewriteLiteral":
      return specifier.value === "" ? undefined : { kind: "literal", value: specifier.value };
    case "autoHostRewrite":
      return specifier.value ? { kind: "auto" } : undefined;
    case "hostRewriteHeader":
      return { kind: "header", header: specifier.value.toLowerCase() };
    case "hostRewritePathRegex": {
      const rewrite = decodeRegexRewrite(specifier.value, child(path, "host_rewrite_path_regex"), findings);
      return rewrite === undefined ? undefined : { kind: "path_regex", rewrite };
    }
    case "hostRewrite":
    case undefined:
      return undefined;
  }
}

const REDIRECT_STATUS: Readonly<Record<number, RedirectAction["status"]>> = {
  [RedirectCode.MOVED_PERMANENTLY]: 301,
  [RedirectCode.FOUND]: 302,
  [RedirectCode.SEE_OTHER]: 303,
  [RedirectCode.TEMPORARY_REDIRECT]: 307,
  [RedirectCode.PERMANENT_REDIRECT]: 308,
};

export function decodeRedirectAction(message: RedirectMessage, path: string, findings: Findings): RedirectAction {
  const scheme = message.schemeRewriteSpecifier;
  const rewrite = message.pathRewriteSpecifier;
  if (message.portRedirect > 65_535) {
    findings.issue(child(path, "port_redirect"), `is ${message.portRedirect}, must be at most 65535`);
  }
  return {
    kind: "redirect",
    status: REDIRECT_STATUS[message.responseCode] ?? 301,
    httpsRedirect: scheme.case === "httpsRedirect" && scheme.value,
    schemeRedirect: scheme.case === "schemeRedirect" ? scheme.value : "",
    hostRedirect: message.hostRedirect,
    portRedirect: message.portRedirect,
    pathRedirect: rewrite.case === "pathRedirect" ? rewrite.value : "",
    prefixRewrite: rewrite.case === "prefixRewrite" ? rewrite.value : "",
    regexRewrite:
      rewrite.case === "regexRewrite"
        ? decodeRegexRewrite(rewrite.value, child(path, "regex_rewrite"), findings)
        : undefined,
    stripQuery: message.stripQuery,
  };
}

/** `maxBodyBytes` is the route configuration's limit; a body from a file is measured when it is read. */
export function decodeDirectResponse(
  message: DirectResponseMessage,
  maxBodyBytes: number,
  path: string,
  findings: Findings,
): DirectResponseAction {
  const body = decodeDataSource(message.body);
  if (body?.kind === "bytes" && body.bytes.length > maxBodyBytes) {
    findings.issue(
      child(path, "body"),
      `is ${body.bytes.length} bytes, must be at most ${maxBodyBytes} (max_direct_response_body_size_bytes)`,
    );
  }
  const bodyFormat = decodeBodyFormat(message.bodyFormat, child(path, "body_format"), findings);
  return { kind: "direct_response", status: message.status, body, bodyFormat };
}
