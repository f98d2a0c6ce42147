// What a worker is told at its start, from what the process was told at its own. Pure; supervisor.ts hands it to WorkerHandle.

import { hostname } from "node:os";
import type { SupervisorDeps } from "./supervisor.ts";
import { targetFromEnvironment } from "./telemetry/export-target.ts";
import { samplingFromEnvironment } from "./telemetry/sampling.ts";
import type { WorkerSettings } from "./worker-link.ts";

/** `index` and `incarnation` as in WorkerSettings. */
export function workerSettings(
  { options, bootstrap, environment }: Pick<SupervisorDeps, "options" | "bootstrap" | "environment">,
  { sharedData, sharedStats }: Pick<WorkerSettings, "sharedData" | "sharedStats">,
  { index, incarnation }: { readonly index: number; readonly incarnation: number },
): WorkerSettings {
  return {
    index,
    incarnation,
    node: bootstrap.node,
    nodeBytes: bootstrap.nodeBytes,
    environment,
    logLevel: options.logLevel,
    componentLogLevel: options.componentLogLevel,
    accessLogFlushMs: options.fileFlushIntervalMs,
    sharedData,
    sharedStats,
    environmentTracing: {
      exports: targetFromEnvironment(environment) !== undefined,
      policy: samplingFromEnvironment(environment),
    },
    hostname: hostname(),
  };
}
