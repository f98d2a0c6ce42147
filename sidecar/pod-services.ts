// Joins the pod's ports (pod/) with the sidecar that they are about. cli/serving.ts opens them when --status-port or --health-port says so.

import { ApplicationWatch } from "./pod/application-watch.ts";
import { parseAppProbes } from "./pod/app-probes.ts";
import { parseApplicationMetrics } from "./pod/merged-metrics.ts";
import { PodServer } from "./pod/pod-server.ts";
import { prometheusText } from "./stats/exposition.ts";
import type { Supervisor } from "./supervisor.ts";

/** --exit-with-application: a Job's sidecar ends with the Job. */
export function watchApplication(supervisor: Supervisor): void {
  const log = supervisor.deps.log.child("pod");
  const watch = new ApplicationWatch(
    () => log.info({}, "the processes of the other containers are there"),
    () => {
      log.info({}, "the processes of the other containers are gone");
      supervisor.quit();
    },
  );
  watch.start();
}

export interface PodPortNumbers {
  readonly statusPort: number;
  readonly healthPort: number;
}

/** The open ports, or a text that says what is wrong. Environment: ISTIO_KUBE_APP_PROBERS, ISTIO_PROMETHEUS_ANNOTATIONS, INSTANCE_IP. */
export async function openPodServer(supervisor: Supervisor, numbers: PodPortNumbers): Promise<PodServer | string> {
  const { environment, log } = supervisor.deps;
  const probes = parseAppProbes(environment["ISTIO_KUBE_APP_PROBERS"]);
  if (typeof probes === "string") {
    return `ISTIO_KUBE_APP_PROBERS ${probes}`;
  }
  const applicationMetrics = parseApplicationMetrics(environment["ISTIO_PROMETHEUS_ANNOTATIONS"]);
  if (typeof applicationMetrics === "string") {
    return `ISTIO_PROMETHEUS_ANNOTATIONS ${applicationMetrics}`;
  }
  const server = new PodServer(
    { ...numbers, probes, applicationMetrics, applicationHost: environment["INSTANCE_IP"] ?? "127.0.0.1" },
    {
      notReady: () => supervisor.notReady,
      metricsText: () =>
        prometheusText(supervisor.reader, { clusterNames: [...(supervisor.snapshot?.clusters.keys() ?? [])] }),
      drain: () => supervisor.draining.listeners({ graceful: true, inboundOnly: true, skipExit: true }),
      quit: () => supervisor.quit(),
      stats: supervisor.stats,
      log: log.child("pod"),
    },
  );
  return (await server.listen()) ?? server;
}
