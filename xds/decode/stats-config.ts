// envoy.config.metrics.v3.StatsConfig: it has no effect, but a tag that Envoy could not make is a mistake. Called by bootstrap.ts.

import type { StatsConfig } from "../gen/envoy/config/metrics/v3/stats_pb.ts";
import { quoted } from "./constraint.ts";
import { child, item, type Findings } from "./issues.ts";

/** Tags of Envoy 1.40 that have a regular expression of their own. */
const DEFAULT_TAGS: ReadonlySet<string> = new Set([
  ...(
    "cipher_suite clientssl_prefix cluster_name connection_limit_prefix dns_filter_prefix dynamo_operation dynamo_partition_id " +
    "dynamo_table ext_authz_prefix fault_downstream_cluster google_grpc_client_prefix grpc_bridge_method grpc_bridge_service " +
    "http_conn_manager_prefix http_user_agent listener_address local_http_ratelimit_prefix local_listener_ratelimit_prefix " +
    "local_network_ratelimit_prefix mongo_callsite mongo_cmd mongo_collection mongo_prefix proxy_protocol_prefix " +
    "proxy_protocol_version ratelimit_prefix rbac_http_prefix rbac_policy_name rbac_prefix rds_route_config redis_prefix " +
    "response_code response_code_class route scoped_rds_config ssl_cipher tcp_prefix thrift_prefix tls_certificate udp_prefix " +
    "virtual_cluster virtual_host worker_id xds_resource_name"
  )
    .split(" ")
    .map((name) => `envoy.${name}`),
  "cipher_suite",
]);

export function checkStatsConfig(message: StatsConfig | undefined, path: string, findings: Findings): void {
  for (const [index, { tagName, tagValue }] of (message?.statsTags ?? []).entries()) {
    const at = item(child(path, "stats_tags"), index);
    const regex = tagValue.case === "regex" ? tagValue.value : "";
    if (regex !== "") {
      if (tagName === "") findings.issue(child(at, "tag_name"), "must not be empty");
      const problem = regexProblem(regex);
      if (problem !== undefined)
        findings.issue(child(at, "regex"), `${quoted(regex)} is no regular expression: ${problem}`);
    } else if (tagValue.case !== "fixedValue" && !DEFAULT_TAGS.has(tagName)) {
      findings.issue(at, `needs regex or fixed_value: Envoy has no regular expression for the tag ${quoted(tagName)}`);
    }
  }
}

/** Envoy reads them as C++ does, as ECMAScript of 1999: what JavaScript refuses is no such expression, nor is what came later. */
function regexProblem(regex: string): string | undefined {
  if (/\(\?</.test(regex)) return "(?< is not known";
  try {
    new RegExp(regex);
    return undefined;
  } catch (error) {
    return error instanceof Error
      ? error.message.replace(/^Invalid regular expression: (?:\/.*\/: )?/s, "")
      : String(error);
  }
}
