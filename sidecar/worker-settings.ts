// What a worker is told at its start, from what the process was told at its own. Pure; supervisor.ts hands it to WorkerHandle.

import { hostname } from "node:os";
import type { SupervisorDeps } from "./supervisor.ts";
import { targetFromEnvironment } from "./telemetry/export-target.ts";
import { samplingFromEnvironment } from "./telemetry/sampling.ts";
import { createPulse } from "./worker-pulse.ts";
import type { WorkerSettings } from "./worker-link.ts";

export function workerSettings(
  { options, bootstrap, environment }: Pick<SupervisorDeps, "options" | "bootstrap" | "environment">,
  { sharedData, sharedStats }: Pick<WorkerSettings, "sharedData" | "sharedStats">,
  life: Pick<WorkerSettings, "index" | "incarnation" | "suspects">,
): WorkerSettings {
  return {
    ...life,
    pulse: createPulse(),
    node: bootstrap.node,
    nodeBytes: bootstrap.nodeBytes,
    environment,
    logLevel: options.logLevel,
    componentLogLevel: options.componentLogLevel,
    accessLogFlushMs: options.fileFlushIntervalMs,
    drainTimeMs: options.drainTimeMs,
    sharedData,
    sharedStats,
    environmentTracing: {
      exports: targetFromEnvironment(environment) !== undefined,
      policy: samplingFromEnvironment(environment),
    },
    hostname: hostname(),
  };
}
