// Loads one plugin into the host of the sidecar, for the verbs that run it here and now. `plugin run` gives it a clock and
// calls of its own, `plugin bench` the sidecar's.

import { loadPluginModule, type PluginModule } from "../../../plugins/plugin-module.ts";
import { DEFAULT_FUEL } from "../../../plugins/metering/fuel-gauge.ts";
import type { PluginSpec } from "../../../plugins/plugin-spec.ts";
import type { CliIo } from "../verb.ts";
import { readModuleAt } from "./module-source.ts";
import { type PluginSettings, RunProblem } from "./plugin-flags.ts";

/** The module, as the sidecar would take it; throws RunProblem with what is wrong with it. */
export async function moduleOf({ file, memoryMib }: PluginSettings, io: CliIo): Promise<PluginModule> {
  const source = await readModuleAt(file, io);
  if (!source.ok) {
    throw new RunProblem(source.problem);
  }
  const result = loadPluginModule(source.bytes, memoryMib === undefined ? {} : { memoryMib });
  if (!result.ok) {
    throw new RunProblem(`${file}: ${result.problem}`);
  }
  return result.module;
}

export function specOf(settings: PluginSettings, module: PluginModule): PluginSpec {
  const perCallback = settings.fuel ?? DEFAULT_FUEL.perCallback;
  return {
    name: settings.name,
    rootId: settings.rootId,
    vmId: settings.vmId,
    module,
    vmConfiguration: settings.vmConfiguration,
    pluginConfiguration: settings.configuration,
    environment: settings.environment,
    failurePolicy: settings.failurePolicy,
    allowOnHeadersStopIteration: settings.allowOnHeadersStopIteration,
    fuel: { ...DEFAULT_FUEL, perCallback, perCallbackName: "--fuel" },
  };
}
