// The extensions of a retry policy, which have no effect yet: only those that Envoy 1.40 has are taken, by the type of their
// configuration. Called by retry-policy.ts. Source: RetryPolicyImpl in Envoy's retry_policy_impl.cc.

import type { Any } from "@bufbuild/protobuf/wkt";
import type { RetryPolicy } from "../gen/envoy/config/route/v3/route_components_pb.ts";
import { unpackAny } from "./any.ts";
import { child, item, type Findings } from "./issues.ts";

const PRIORITIES = ["envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig"];

const HOST_PREDICATES = [
  "envoy.extensions.retry.host.omit_canary_hosts.v3.OmitCanaryHostsPredicate",
  "envoy.extensions.retry.host.omit_host_metadata.v3.OmitHostMetadataConfig",
  "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
];

/** `path` is that of the policy. */
export function checkRetryExtensions(policy: RetryPolicy, path: string, findings: Findings): void {
  const priority = policy.retryPriority;
  if (priority !== undefined) {
    const config = priority.configType.case === undefined ? undefined : priority.configType.value;
    checkType(config, PRIORITIES, child(path, "retry_priority"), findings);
  }
  for (const [index, { configType }] of policy.retryHostPredicate.entries()) {
    const at = item(child(path, "retry_host_predicate"), index);
    checkType(configType.case === undefined ? undefined : configType.value, HOST_PREDICATES, at, findings);
  }
  for (const [index, { typedConfig }] of policy.retryOptionsPredicates.entries()) {
    checkType(typedConfig, [], item(child(path, "retry_options_predicates"), index), findings);
  }
}

function checkType(config: Any | undefined, known: readonly string[], path: string, findings: Findings): void {
  const supported = known.length === 0 ? "there is none" : `supported: ${known.join(", ")}`;
  if (config === undefined) {
    findings.issue(path, `needs typed_config; ${supported}`);
    return;
  }
  const { typeName } = unpackAny(config);
  if (!known.includes(typeName)) {
    findings.issue(child(path, "typed_config"), `${typeName} is not known here; ${supported}`);
  }
}
