// /server_info: envoy.admin.v3.ServerInfo, with Envoy's CommandLineOptions as far as they mean something here. Pure.

import type { JsonObject, ServerInfoView } from "./admin/ports.ts";
import type { RunOptions } from "./cli/run-flags.ts";

export interface ServerInfoFacts {
  readonly version: string;
  readonly uptimeMs: number;
  readonly options: RunOptions;
  /** envoy.config.core.v3.Node as proto3 JSON with snake_case names. */
  readonly node: JsonObject;
}

const USER_AGENT = "outrigger";
const NO_COMMIT = "0".repeat(40);

export function serverInfo({ version, uptimeMs, options, node }: ServerInfoFacts): ServerInfoView {
  return {
    version: `${NO_COMMIT}/${version}/Clean/RELEASE/none`,
    uptimeSeconds: Math.floor(uptimeMs / 1_000),
    hotRestartVersion: "disabled",
    commandLineOptions: commandLine(options),
    // A launcher may have set a user agent that its control plane asks for: it stands.
    node: { user_agent_name: USER_AGENT, user_agent_version: version, ...node },
  };
}

function commandLine(options: RunOptions): JsonObject {
  return {
    concurrency: options.concurrency,
    config_path: options.configPath ?? "",
    config_yaml: options.configYaml ?? "",
    allow_unknown_static_fields: options.allowUnknownStaticFields,
    reject_unknown_dynamic_fields: options.rejectUnknownDynamicFields,
    ignore_unknown_dynamic_fields: options.ignoreUnknownDynamicFields,
    admin_address_path: options.adminAddressPath ?? "",
    local_address_ip_version: options.localAddressIpVersion,
    log_level: options.logLevel,
    component_log_level: options.componentLogLevel,
    log_format: options.logFormat,
    log_path: options.logPath ?? "",
    service_cluster: options.serviceCluster ?? "",
    service_node: options.serviceNode ?? "",
    service_zone: options.serviceZone ?? "",
    file_flush_interval: `${options.fileFlushIntervalMs / 1_000}s`,
    drain_time: `${options.drainTimeMs / 1_000}s`,
    drain_strategy: options.drainStrategy === "gradual" ? "Gradual" : "Immediate",
    parent_shutdown_time: `${options.parentShutdownTimeMs / 1_000}s`,
    mode: options.mode === "serve" ? "Serve" : "Validate",
    restart_epoch: options.restartEpoch,
    disable_hot_restart: true,
  };
}
