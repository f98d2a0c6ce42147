/** From samples to medians, ratios and text. Pure: no processes, no files. */
import type { Sample } from "./variants.ts";

/** All rounds of one variant, in the order of the rounds. */
export interface Series {
  readonly name: string;
  readonly full: readonly Sample[];
  readonly fixed: readonly Sample[];
  /** After the last round. */
  readonly residentMib: number;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

type Field = keyof Sample;
type Load = "full" | "fixed";

const of = (series: Series, load: Load, field: Field): number => median(series[load].map((sample) => sample[field]));

export interface Comparison {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** The most that the project allows itself; undefined where there is no such rule. */
  readonly target: number | undefined;
  readonly isMet: boolean | undefined;
}

type Rule = {
  readonly what: string;
  readonly ours: string;
  readonly other: string;
  readonly load: Load;
  readonly field: Field;
  readonly kind: "ratio" | "difference";
  readonly target?: number;
};

const RULES: readonly Rule[] = [
  {
    what: "CPU/request, no plugin, ours / Envoy",
    ours: "outrigger",
    other: "envoy",
    load: "full",
    field: "cpuUs",
    kind: "ratio",
    target: 0.42,
  },
  {
    what: "CPU/request, no plugin, ours / nginx",
    ours: "outrigger",
    other: "nginx",
    load: "full",
    field: "cpuUs",
    kind: "ratio",
    target: 1.4,
  },
  {
    what: "CPU/request, no plugin, ours / HAProxy",
    ours: "outrigger",
    other: "haproxy",
    load: "full",
    field: "cpuUs",
    kind: "ratio",
  },
  {
    what: "requests/s, no plugin, ours / Envoy",
    ours: "outrigger",
    other: "envoy",
    load: "full",
    field: "requestsPerSecond",
    kind: "ratio",
  },
  {
    what: "CPU/request, Go plugin, ours / Envoy",
    ours: "outrigger-go",
    other: "envoy-go",
    load: "full",
    field: "cpuUs",
    kind: "ratio",
    target: 0.33,
  },
  {
    what: "CPU/request that the Go plugin adds, ours",
    ours: "outrigger-go",
    other: "outrigger",
    load: "full",
    field: "cpuUs",
    kind: "difference",
    target: 5,
  },
  {
    what: "CPU/request that the Go plugin adds, Envoy",
    ours: "envoy-go",
    other: "envoy",
    load: "full",
    field: "cpuUs",
    kind: "difference",
  },
  {
    what: "CPU/request, tracing unsampled / off",
    ours: "outrigger-unsampled",
    other: "outrigger",
    load: "full",
    field: "cpuUs",
    kind: "ratio",
    target: 1.03,
  },
  {
    what: "CPU/request, Go plugin, tracing unsampled / off",
    ours: "outrigger-go-unsampled",
    other: "outrigger-go",
    load: "full",
    field: "cpuUs",
    kind: "ratio",
    target: 1.03,
  },
  {
    what: "CPU/request that 100 % sampling adds, Go plugin",
    ours: "outrigger-go-sampled",
    other: "outrigger-go",
    load: "full",
    field: "cpuUs",
    kind: "difference",
  },
  {
    what: "p99 at the fixed rate, no plugin, ours / Envoy",
    ours: "outrigger",
    other: "envoy",
    load: "fixed",
    field: "p99Ms",
    kind: "ratio",
    target: 1,
  },
  {
    what: "p99 at the fixed rate, Go plugin, ours / Envoy",
    ours: "outrigger-go",
    other: "envoy-go",
    load: "fixed",
    field: "p99Ms",
    kind: "ratio",
    target: 1,
  },
];

/** Each rule whose two variants were measured. Compared round by round, then the median: drift hurts both alike. */
export function compare(all: readonly Series[]): Comparison[] {
  const byName = new Map(all.map((series) => [series.name, series]));
  const comparisons: Comparison[] = [];
  for (const rule of RULES) {
    const ours = byName.get(rule.ours)?.[rule.load] ?? [];
    const other = byName.get(rule.other)?.[rule.load] ?? [];
    const values = ours.slice(0, other.length).map((sample, round) => {
      const mine = sample[rule.field];
      const theirs = other[round]?.[rule.field] ?? Number.NaN;
      return rule.kind === "ratio" ? mine / theirs : mine - theirs;
    });
    if (values.length > 0) comparisons.push(toComparison(rule, median(values)));
  }
  const resident = byName.get("outrigger-go")?.residentMib;
  if (resident !== undefined) {
    const what = "RSS with the Go plugin, ours";
    comparisons.push({ what, value: resident, unit: "MiB", target: 150, isMet: resident <= 150 });
  }
  return comparisons;
}

function toComparison(rule: Rule, value: number): Comparison {
  const isMet = rule.target === undefined ? undefined : value <= rule.target;
  return { what: rule.what, value, unit: rule.kind === "ratio" ? "×" : "µs", target: rule.target, isMet };
}

const COLUMNS: readonly (readonly [string, (series: Series) => string])[] = [
  ["variant", (s) => s.name],
  ["CPU µs/req", (s) => of(s, "full", "cpuUs").toFixed(1)],
  ["req/s", (s) => of(s, "full", "requestsPerSecond").toFixed(0)],
  ["p50 ms", (s) => of(s, "full", "p50Ms").toFixed(2)],
  ["p99 ms", (s) => of(s, "full", "p99Ms").toFixed(2)],
  ["CPU µs/req", (s) => of(s, "fixed", "cpuUs").toFixed(1)],
  ["p50 ms", (s) => of(s, "fixed", "p50Ms").toFixed(2)],
  ["p99 ms", (s) => of(s, "fixed", "p99Ms").toFixed(2)],
  ["RSS MiB", (s) => s.residentMib.toFixed(0)],
  ["errors", (s) => String([...s.full, ...s.fixed].reduce((sum, sample) => sum + sample.errors, 0))],
  ["others %", (s) => (100 * of(s, "full", "foreignShare")).toFixed(0)],
];

/** The table of medians. Columns two to five: full load; six to eight: the fixed rate. */
export function renderTable(all: readonly Series[], rate: number): string {
  const rows = [COLUMNS.map(([title]) => title), ...all.map((series) => COLUMNS.map(([, show]) => show(series)))];
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const pad = (cell: string, column: number): string => {
    const width = widths[column] ?? 0;
    return column === 0 ? cell.padEnd(width) : cell.padStart(width);
  };
  const at = (from: number, to: number): number => widths.slice(from, to).reduce((sum, width) => sum + width + 2, -2);
  const fixed = `at ${rate} requests/s`;
  const heading = `${"".padEnd(at(0, 1) + 2)}${"full load".padEnd(at(1, 5) + 2)}${fixed}`;
  return [heading, ...rows.map((row) => row.map(pad).join("  "))].join("\n");
}

/** One line for each comparison: value, and the target with whether it is met. */
export function renderComparisons(comparisons: readonly Comparison[]): string {
  const width = Math.max(0, ...comparisons.map((comparison) => comparison.what.length));
  return comparisons
    .map(({ what, value, unit, target, isMet }) => {
      const shown = `${what.padEnd(width)}  ${value.toFixed(unit === "×" ? 2 : 1).padStart(7)} ${unit.padEnd(3)}`;
      return target === undefined
        ? shown.trimEnd()
        : `${shown}  at most ${target}: ${isMet === true ? "met" : "MISSED"}`;
    })
    .join("\n");
}
