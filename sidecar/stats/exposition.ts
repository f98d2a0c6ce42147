// Statistics as text: /stats as Envoy prints it, its JSON form, and Prometheus' text format.
// Called by admin/ with the main thread's StatsReader. Sources: Envoy's stats_render.cc and prometheus_stats.cc,
// Prometheus' exposition formats. Pure: no state.

import { countUpTo, quantiles } from "./buckets.ts";
import type { HistogramCounts } from "./buckets.ts";
import type { NameFilter } from "./filter.ts";
import type { HistogramView, NumberView, StatsReader } from "./reader.ts";
import { escapeLabel, prometheusName } from "./tags.ts";

export type StatType = "Counters" | "Gauges" | "Histograms" | "TextReadouts" | "All";

/** What is shown: a StatsReader, or numbers of another origin. */
export type StatsSource = Pick<StatsReader, "texts" | "numbers" | "histograms">;

export interface StatsQuery {
  readonly filter?: NameFilter | undefined;
  /** Only what has been written since the start. */
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
/** For our own in milliseconds: plugins' callbacks take microseconds. */
const PLUGIN_BUCKETS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 5000,
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

function select(stats: StatsSource, query: StatsQuery): Selection {
  const type = query.type ?? "All";
  const wanted = (name: string): boolean => query.filter === undefined || query.filter.test(name);
  const numberType = (kind: NumberView["kind"]): boolean =>
    type === "All" || type === (kind === "counter" ? "Counters" : "Gauges");
  return {
    texts: type === "All" || type === "TextReadouts" ? stats.texts().filter((text) => wanted(text.name)) : [],
    numbers: stats
      .numbers(query.usedOnly)
      .filter((stat) => numberType(stat.kind) && (query.usedOnly !== true || stat.isUsed) && wanted(stat.name)),
    histograms:
      type === "All" || type === "Histograms"
        ? stats
            .histograms()
            .filter((stat) => (query.usedOnly !== true || stat.cumulative.count > 0) && wanted(stat.name))
        : [],
  };
}

/** `name: value` lines: texts, then counters and gauges, then histograms, each in order of names. */
export function statsText(stats: StatsSource, query: StatsQuery): string {
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
export function statsJson(stats: StatsSource, query: StatsQuery): string {
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

/** Prometheus' text format, one group for each metric name. */
export function prometheusText(stats: StatsSource, query: StatsQuery): string {
  const { texts, numbers, histograms } = select(stats, query);
  const dotted = new Set([...(query.clusterNames ?? [])].filter((name) => name.includes(".")));
  const types = { counter: new Groups(), gauge: new Groups(), histogram: new Groups() };
  for (const stat of numbers) {
    const { metric, labels } = prometheusName(stat.name, dotted);
    types[stat.kind].add(metric, `${metric}{${labels}} ${whole(stat.value)}\n`);
  }
  if (query.textReadouts === true) {
    for (const text of texts) {
      const { metric, labels } = prometheusName(text.name, dotted);
      const all = `${labels}${labels === "" ? "" : ","}text_value="${escapeLabel(text.value)}"`;
      types.gauge.add(metric, `${metric}{${all}} 1\n`);
    }
  }
  for (const histogram of histograms) {
    const { metric, labels } = prometheusName(histogram.name, dotted);
    types.histogram.add(metric, histogramLines(metric, labels, histogram.cumulative));
  }
  const taken = new Set<string>();
  return Object.entries(types)
    .map(([type, groups]) => groups.text(type, taken))
    .join("");
}

/** The series of one type by metric name: all lines of a name must be neighbours. */
class Groups {
  readonly #lines = new Map<string, string>();

  add(metric: string, lines: string): void {
    this.#lines.set(metric, (this.#lines.get(metric) ?? "") + lines);
  }

  /** `taken`: names that an earlier type has; one name cannot have two types. */
  text(type: string, taken: Set<string>): string {
    let text = "";
    for (const [metric, lines] of [...this.#lines].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      if (!taken.has(metric)) {
        taken.add(metric);
        text += `# TYPE ${metric} ${type}\n${lines}`;
      }
    }
    return text;
  }
}

function histogramLines(metric: string, labels: string, counts: HistogramCounts): string {
  const before = labels === "" ? "" : `${labels},`;
  let lines = "";
  for (const limit of bucketsOf(metric)) {
    lines += `${metric}_bucket{${before}le="${plain(limit)}"} ${countUpTo(counts, limit)}\n`;
  }
  lines += `${metric}_bucket{${before}le="+Inf"} ${counts.count}\n`;
  lines += `${metric}_sum{${labels}} ${plain(counts.sum)}\n`;
  lines += `${metric}_count{${labels}} ${counts.count}\n`;
  return lines;
}

function bucketsOf(metric: string): readonly number[] {
  if (metric.endsWith("_seconds")) {
    return SECONDS_BUCKETS;
  }
  return metric.startsWith("outrigger_") && metric.endsWith("_ms") ? PLUGIN_BUCKETS : DEFAULT_BUCKETS;
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
