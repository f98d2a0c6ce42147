// What the plugin host is told about a plugin: its configuration, and the runtime keys that are about it. Pure.
// plugin-pool.ts starts plugins with it on the workers, plugin-trial.ts before that.

import type { PluginSpec } from "../../plugins/plugin-spec.ts";
import type { PluginConfig } from "../../xds/model/plugin-config.ts";
import { deadlineMs, fuelLimits, numberSetting, type RuntimeSettings } from "../runtime-settings.ts";

/** All but the module, which is loaded apart. `environment` is the host's, for `host_env_keys`. */
export function pluginSettings(
  config: PluginConfig,
  settings: RuntimeSettings,
  environment: Readonly<Record<string, string>>,
): Omit<PluginSpec, "module" | "index"> {
  return {
    name: config.name,
    rootId: config.rootId,
    vmId: config.vmId,
    vmConfiguration: config.vmConfiguration,
    pluginConfiguration: config.configuration,
    environment: environmentOf(config, environment),
    failurePolicy: config.failOpenDeprecated ? "open" : config.failurePolicy,
    reloadIntervalMs: config.reloadBackoffMs,
    ...(config.allowedCapabilities === undefined ? {} : { capabilities: config.allowedCapabilities }),
    allowOnHeadersStopIteration: config.allowOnHeadersStopIteration,
    memoryLimitName: `runtime key outrigger.wasm.plugin.${config.name}.memory_mib`,
    fuel: fuelLimits(settings, config.name),
    deadlineMs: deadlineMs(settings, config.name),
    maxFaults: numberSetting(settings, "outrigger.wasm.max_faults", config.name, 20),
    faultWindowMs: numberSetting(settings, "outrigger.wasm.fault_window_s", config.name, 10) * 1_000,
  };
}

function environmentOf(config: PluginConfig, environment: Readonly<Record<string, string>>): Record<string, string> {
  const result: Record<string, string> = { ...config.environment };
  for (const name of config.hostEnvironmentKeys) {
    const value = environment[name];
    if (value !== undefined) {
      result[name] = value;
    }
  }
  return result;
}

/** What becomes of streams when a plugin's code cannot be had. */
export function policyWithoutCode(config: PluginConfig): "open" | "closed" {
  return config.failurePolicy === "open" || config.failOpenDeprecated ? "open" : "closed";
}
