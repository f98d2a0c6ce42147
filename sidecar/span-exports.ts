// Loads the exporters of spans when the first spans come: they are a third of what the program would load otherwise.
// supervisor.ts calls it once.

import type { SupervisorDeps } from "./supervisor.ts";
import type { StatsScope } from "./stats/scope.ts";
import type { SpanExports, SpanExportsOptions } from "./telemetry/tracing.ts";

export async function openSpanExports(
  { bootstrap, environment, log, version }: SupervisorDeps,
  stats: StatsScope,
  resolveCluster: SpanExportsOptions["resolveCluster"],
): Promise<SpanExports> {
  const tracing = await import("./telemetry/tracing.ts");
  return new tracing.SpanExports({
    environment,
    stats,
    serviceName: bootstrap.node.cluster,
    version,
    resolveCluster,
    onState: (isWorking, problem) =>
      isWorking ? log.info({}, "spans are exported again") : log.warn({ problem }, "spans cannot be exported"),
  });
}
