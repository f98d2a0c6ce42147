// envoy.extensions.filters.http.on_demand.v3.OnDemandCds → model: where a cluster comes from that a request needs and nobody has
// announced. Called by builtin-filter.ts.

import type { OnDemandCds } from "../gen/envoy/extensions/filters/http/on_demand/v3/on_demand_pb.ts";
import type { ClustersOnDemand } from "../model/builtin-filter.ts";
import type { ConfigSource } from "../model/config-source.ts";
import { decodeConfigSource } from "./config-source.ts";
import { durationMs } from "./duration.ts";
import { child, type Findings } from "./issues.ts";

/** Envoy's default. */
const DEFAULT_TIMEOUT_MS = 5_000;

/** Undefined when there is none, or when it cannot be used, which is then reported. */
export function decodeClustersOnDemand(
  message: OnDemandCds | undefined,
  path: string,
  findings: Findings,
): ClustersOnDemand | undefined {
  if (message === undefined) return undefined;
  const at = child(path, "source");
  const known = findings.issueCount;
  const source = decodeConfigSource(message.source, at, findings);
  const problem = sourceProblem(source);
  if (problem !== undefined && findings.issueCount === known) findings.issue(at, problem);
  if (source === undefined) return undefined;
  // Zero is no wait, and a timer of zero would be none.
  return { source, timeoutMs: Math.max(1, durationMs(message.timeout, DEFAULT_TIMEOUT_MS)) };
}

/** Envoy accepts the second and the third, and ends with the first answer. */
function sourceProblem(source: ConfigSource | undefined): string | undefined {
  if (source === undefined || source.kind === "self") return "must be ads or api_config_source";
  if (source.kind === "path") return "is a file, which cannot be asked for one cluster";
  if (source.kind === "api" && source.protocol !== "delta") return "must be DELTA_GRPC to bring clusters on demand";
  return undefined;
}
