// The other thread of plugin-workshop.ts: compiles plugin modules and tries plugins, one job after the other.

import { parentPort, workerData } from "node:worker_threads";
import { loadPluginModule, type ModuleOptions, type PluginModule } from "../plugins/plugin-module.ts";
import type { PluginSpec } from "../plugins/plugin-spec.ts";
import type { Node } from "../xds/model/bootstrap.ts";
import { nodeProperty } from "./plugin/plugin-ports.ts";
import { type TrialLine, tryPlugin } from "./plugin/plugin-trial.ts";

export interface WorkshopSettings {
  readonly sharedData: SharedArrayBuffer;
  readonly node: Node;
  readonly nodeBytes: Uint8Array;
}

export interface WorkshopJob {
  readonly id: number;
  /** A module that was made before, or the bytes to make it from. */
  readonly code: PluginModule | Uint8Array;
  readonly options: ModuleOptions;
  readonly spec: Omit<PluginSpec, "module">;
}

export interface WorkshopAnswer {
  readonly id: number;
  readonly module: PluginModule | undefined;
  /** Its code, when it was metered for this job. */
  readonly metered?: Uint8Array<ArrayBuffer> | undefined;
  /** One line: it cannot be loaded, when there is no module; else it does not start. */
  readonly problem: string | undefined;
  readonly lines: readonly TrialLine[];
}

function work({ id, code, options, spec }: WorkshopJob, settings: WorkshopSettings): WorkshopAnswer {
  let module: PluginModule;
  let metered: WorkshopAnswer["metered"] = undefined;
  if (code instanceof Uint8Array) {
    const loaded = loadPluginModule(code, options);
    if (!loaded.ok) {
      return { id, module: undefined, problem: loaded.problem, lines: [] };
    }
    ({ module, metered } = loaded);
  } else {
    module = code;
  }
  const { problem, lines } = tryPlugin(
    { ...spec, module },
    {
      sharedMemory: settings.sharedData,
      properties: {
        property: (_plugin, _path, segments) => nodeProperty(settings.nodeBytes, segments),
      },
    },
  );
  return { id, module, metered, problem, lines };
}

if (parentPort !== null) {
  const port = parentPort;
  port.on("message", (job: WorkshopJob) => port.postMessage(work(job, workerData as WorkshopSettings)));
}
