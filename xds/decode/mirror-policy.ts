// Checks envoy.config.route.v3.RouteAction.RequestMirrorPolicy, which has no effect yet. Called by route.ts and route-action.ts for
// each level. Source: ShadowPolicyImpl in Envoy's config_impl.cc.

import type { RouteAction_RequestMirrorPolicy as MirrorPolicy } from "../gen/envoy/config/route/v3/route_components_pb.ts";
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
