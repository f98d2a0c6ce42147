// One scrape for application and sidecar: the application's `prometheus.io/*` annotations are remembered for the sidecar and point to the
// sidecar's status port from then on, which answers with both. As in Istio, whoever says nothing is scraped for the sidecar's metrics.

import type { Pod } from "./pod.ts";

export interface MetricsMerge {
  /** Annotations to set. */
  readonly annotations: Readonly<Record<string, string>>;
  /** ISTIO_PROMETHEUS_ANNOTATIONS: where the application's own metrics are; undefined: it has none. */
  readonly application: string | undefined;
  readonly problems: readonly string[];
}

/** By what ISTIO_PROMETHEUS_ANNOTATIONS calls them. */
export const METRICS_ANNOTATIONS = {
  scrape: "prometheus.io/scrape",
  port: "prometheus.io/port",
  path: "prometheus.io/path",
} as const;

const NOTHING: MetricsMerge = { annotations: {}, application: undefined, problems: [] };

export function mergeMetrics({ annotations }: Pod, statusPort: number): MetricsMerge {
  const scrape = annotations[METRICS_ANNOTATIONS.scrape];
  const port = annotations[METRICS_ANNOTATIONS.port];
  // Somebody points to the sidecar by hand, or does not want to be scraped.
  if (scrape?.toLowerCase() === "false" || port === String(statusPort)) {
    return NOTHING;
  }
  if (port !== undefined && !(/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535)) {
    return { ...NOTHING, problems: [`annotation prometheus.io/port: got "${port}": must be a port`] };
  }
  const path = annotations[METRICS_ANNOTATIONS.path];
  const application =
    scrape?.toLowerCase() === "true"
      ? JSON.stringify({ scrape: "true", path: path ?? "/metrics", port: port ?? "80" })
      : undefined;
  return {
    annotations: {
      [METRICS_ANNOTATIONS.scrape]: "true",
      [METRICS_ANNOTATIONS.port]: String(statusPort),
      [METRICS_ANNOTATIONS.path]: "/stats/prometheus",
    },
    application,
    problems: [],
  };
}
