// Checks envoy.config.route.v3.RouteAction.RequestMirrorPolicy, which has no effect yet. Called by route.ts and route-action.ts for
// each level, and by bootstrap-references.ts. Source: ShadowPolicyImpl and RouteEntryImplBase in Envoy's config_impl.cc.

import type { RouteAction_RequestMirrorPolicy as MirrorPolicy } from "../gen/envoy/config/route/v3/route_components_pb.ts";
import type { RouteConfiguration } from "../gen/envoy/config/route/v3/route_pb.ts";
import { decodeHeaderChange } from "./header-mutation-filter.ts";
import { child, item, type Findings } from "./issues.ts";
import { decodeEach } from "./matcher.ts";

/** `path` is that of the message which has the field `request_mirror_policies`. */
export function checkMirrorPolicies(policies: readonly MirrorPolicy[], path: string, findings: Findings): void {
  if (policies.length === 0) return;
  for (const [index, policy] of policies.entries()) {
    const at = item(child(path, "request_mirror_policies"), index);
    if ((policy.cluster === "") === (policy.clusterHeader === "")) {
      findings.issue(at, "exactly one of cluster and cluster_header must be set");
    }
    decodeEach(policy.requestHeadersMutations, child(at, "request_headers_mutations"), findings, decodeHeaderChange);
  }
}

/** Every cluster that requests would be mirrored to, with its path: the nearest policies of each route that forwards. */
export function* mirrorClusters(
  table: RouteConfiguration,
): Generator<{ readonly name: string; readonly path: string }> {
  for (const [hostIndex, host] of table.virtualHosts.entries()) {
    const hostPath = item("virtual_hosts", hostIndex);
    for (const [routeIndex, { action }] of host.routes.entries()) {
      if (action.case !== "route") continue;
      const own = action.value.requestMirrorPolicies;
      const policies = [own, host.requestMirrorPolicies, table.requestMirrorPolicies].find((list) => list.length > 0);
      if (policies === undefined) continue;
      const routePath = child(item(child(hostPath, "routes"), routeIndex), "route");
      const path = policies === own ? routePath : policies === host.requestMirrorPolicies ? hostPath : "";
      for (const [index, { cluster }] of policies.entries()) {
        yield { name: cluster, path: child(item(child(path, "request_mirror_policies"), index), "cluster") };
      }
    }
  }
}
