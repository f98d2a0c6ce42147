// Statistics as text: /stats as Envoy prints it, its JSON form, and Prometheus' text format.
// Called by admin/ with the main thread's StatsReader. Sources: Envoy's stats_render.cc and prometheus_stats.cc,
// Prometheus' exposition formats. Pure: no state.

import { countUpTo, quantiles } from "./buckets.ts";
import type { HistogramCounts } from "./buckets.ts";
import type { NameFilter } from "./filter.ts";
import type { HistogramView, NumberView, StatsReader } from "./reader.ts";
import { escapeLabel, prometheusName } from "./tags.ts";

export type StatType = "Counters" | "Gauges" | "Histograms" | "TextReadouts" | "All";

export interface StatsQuery {
  readonly filter?: NameFilter | undefined;
  /** Only what has been written: numbers that are not 0 and histograms that are not empty. */
  readonly usedOnly?: boolean;
  readonly type?: StatType;
  /** Prometheus: texts as gauges with a label `text_value`. */
  readonly textReadouts?: boolean;
  /** Names of clusters, for those with a dot in them. */
  readonly clusterNames?: Iterable<string>;
}

/** Envoy's quantiles in percent. */
const PERCENTILES = [0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100];
const QUANTILES = PERCENTILES.map((percent) => percent / 100);

/** Envoy's default buckets, for histograms in milliseconds, bytes and counts. */
const DEFAULT_BUCKETS = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
  3_600_000,
];
/** For names that end in `_seconds`: from 1 µs on, because a plugin's callback takes microseconds. */
const SECONDS_BUCKETS = [
  1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
  2.5, 5, 10,
];

interface Selection {
  readonly texts: readonly { readonly name: string; readonly value: string }[];
  readonly numbers: readonly NumberView[];
  readonly histograms: readonly HistogramView[];
}

function select(stats: StatsReader, query: StatsQuery): Selection {
  const type = query.type ?? "All";
  const wanted = (name: string): boolean => query.filter === undefined || query.filter.test(name);
  const numberType = (kind: NumberView["kind"]): boolean =>
    type === "All" || type === (kind === "counter" ? "Counters" : "Gauges");
  return {
    texts: type === "All" || type === "TextReadouts" ? stats.texts().filter((text) => wanted(text.name)) : [],
    numbers: stats
      .numbers()
      .filter((stat) => numberType(stat.kind) && (query.usedOnly !== true || stat.value !== 0) && wanted(stat.name)),
    histograms:
      type === "All" || type === "Histograms"
        ? stats
            .histograms()
            .filter((stat) => (query.usedOnly !== true || stat.cumulative.count > 0) && wanted(stat.name))
        : [],
  };
}

/** `name: value` lines: texts, then counters and gauges, then histograms, each in order of names. */
export function statsText(stats: StatsReader, query: StatsQuery): string {
  const { texts, numbers, histograms } = select(stats, query);
  const lines: string[] = [];
  for (const text of texts) {
    lines.push(`${text.name}: "${escapeHtml(text.value)}"\n`);
  }
  for (const stat of numbers) {
    lines.push(`${stat.name}: ${whole(stat.value)}\n`);
  }
  for (const histogram of histograms) {
    lines.push(`${histogram.name}: ${quantileSummary(histogram)}\n`);
  }
  return lines.join("");
}

/** Envoy's `?format=json`. */
export function statsJson(stats: StatsReader, query: StatsQuery): string {
  const { texts, numbers, histograms } = select(stats, query);
  const entries: object[] = [...texts, ...numbers.map(({ name, value }) => ({ name, value: whole(value) }))];
  if (histograms.length > 0) {
    const computed = histograms.map((histogram) => {
      const interval = quantiles(histogram.interval, QUANTILES);
      const cumulative = quantiles(histogram.cumulative, QUANTILES);
      const values = QUANTILES.map((_, i) => ({ interval: orNull(interval[i]), cumulative: orNull(cumulative[i]) }));
      return { name: histogram.name, values };
    });
    entries.push({ histograms: { supported_quantiles: PERCENTILES, computed_quantiles: computed } });
  }
  return JSON.stringify({ stats: entries });
}

interface Series {
  readonly labels: string;
  readonly lines: string;
}

/** Prometheus' text format, one group for each metric name. */
export function prometheusText(stats: StatsReader, query: StatsQuery): string {
  const { texts, numbers, histograms } = select(stats, query);
  const dotted = new Set([...(query.clusterNames ?? [])].filter((name) => name.includes(".")));
  const groups = new Map<string, { readonly type: string; readonly series: Series[] }>();
  const add = (metric: string, type: string, labels: string, lines: string): void => {
    let group = groups.get(metric);
    if (group === undefined) {
      group = { type, series: [] };
      groups.set(metric, group);
    }
    // One name cannot have two types in Prometheus; the first one stands.
    if (group.type === type) {
      group.series.push({ labels, lines });
    }
  };
  for (const stat of numbers) {
    const { metric, labels } = prometheusName(stat.name, dotted);
    add(metric, stat.kind, labels, `${metric}{${labels}} ${whole(stat.value)}\n`);
  }
  if (query.textReadouts === true) {
    for (const text of texts) {
      const { metric, labels } = prometheusName(text.name, dotted);
      const all = `${labels}${labels === "" ? "" : ","}text_value="${escapeLabel(text.value)}"`;
      add(metric, "gauge", all, `${metric}{${all}} 1\n`);
    }
  }
  for (const histogram of histograms) {
    const { metric, labels } = prometheusName(histogram.name, dotted);
    add(metric, "histogram", labels, histogramLines(metric, labels, histogram.cumulative));
  }
  let text = "";
  for (const [metric, group] of [...groups].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    text += `# TYPE ${metric} ${group.type}\n`;
    for (const series of group.series) {
      text += series.lines;
    }
    text += "\n";
  }
  return text;
}

function histogramLines(metric: string, labels: string, counts: HistogramCounts): string {
  const before = labels === "" ? "" : `${labels},`;
  let lines = "";
  for (const limit of metric.endsWith("_seconds") ? SECONDS_BUCKETS : DEFAULT_BUCKETS) {
    lines += `${metric}_bucket{${before}le="${plain(limit)}"} ${countUpTo(counts, limit)}\n`;
  }
  lines += `${metric}_bucket{${before}le="+Inf"} ${counts.count}\n`;
  lines += `${metric}_sum{${labels}} ${plain(counts.sum)}\n`;
  lines += `${metric}_count{${labels}} ${counts.count}\n`;
  return lines;
}

function quantileSummary(histogram: HistogramView): string {
  if (histogram.cumulative.count === 0) {
    return "No recorded values";
  }
  const interval = quantiles(histogram.interval, QUANTILES);
  const cumulative = quantiles(histogram.cumulative, QUANTILES);
  return PERCENTILES.map((percent, i) => `P${percent}(${significant(interval[i])},${significant(cumulative[i])})`).join(
    " ",
  );
}

/** As C's %g: six significant digits. */
function significant(value: number | undefined): string {
  return value === undefined || Number.isNaN(value) ? "nan" : String(Number(value.toPrecision(6)));
}

/** Without an exponent. */
function plain(value: number): string {
  const text = String(value);
  return text.includes("e") ? value.toFixed(20).replace(/\.?0+$/, "") : text;
}

function orNull(value: number | undefined): number | null {
  return value === undefined || Number.isNaN(value) ? null : value;
}

function whole(value: number): number {
  return Number.isInteger(value) ? value : Math.round(value * 1e6) / 1e6;
}

function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}
