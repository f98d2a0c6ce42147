// Reports load to a control plane (LRS): opens the stream, does what the server asks for, and says at each interval what ended
// since the report before. With it a control plane knows the error rate of a canary. Owned by sources.ts.
// Source: envoy/service/load_stats/v3/lrs.proto, and Envoy's load_stats_reporter.cc.

import type { DiscoveryStream, StreamSink } from "./ads-stream.ts";
import { backoffDelayMs } from "./backoff.ts";
import type { BackoffSettings } from "./backoff.ts";
import type { Clock } from "./clock.ts";
import type { ClusterLoad, LoadReportWish } from "./load-report-wire.ts";
import type { XdsLog } from "./log.ts";

/** What a cluster has counted since the start, and its requests at present. */
export type ClusterCounts = ClusterLoad & Readonly<{ issued: number; active: number }>;

export type LoadReport = Readonly<{
  clusters: readonly ClusterCounts[];
  /** Since the report before; 0 in the first message of a stream, which only says who reports. */
  intervalMs: number;
  isFirst: boolean;
}>;

export type LoadReporterDeps = Readonly<{
  /** Opens a stream; `failures` are those in a row before it. */
  open(
    failures: number,
    sink: StreamSink<LoadReportWish>,
  ): Readonly<{ target: string; stream: DiscoveryStream<LoadReport> }>;
  /** The counts of all clusters, or of those named. */
  counts(clusters: "all" | readonly string[]): readonly ClusterCounts[];
  backoff: BackoffSettings;
  clock: Clock;
  random: () => number;
  log: XdsLog;
}>;

/** A server that asks for more often is answered this often. */
const MIN_INTERVAL_MS = 100;

export class LoadReporter {
  readonly #deps: LoadReporterDeps;
  #stream: DiscoveryStream<LoadReport> | undefined;
  #wish: LoadReportWish | undefined;
  #before: ReadonlyMap<string, ClusterCounts> = new Map();
  #reportedAt = 0;
  #failures = 0;
  #isClosed = false;
  #isBlocked = false;
  #cancelTimer = () => {};

  constructor(deps: LoadReporterDeps) {
    this.#deps = deps;
  }

  start(): void {
    let stream: DiscoveryStream<LoadReport> | undefined;
    const isCurrent = () => stream !== undefined && this.#stream === stream;
    const sink: StreamSink<LoadReportWish> = {
      onConnected: () => {},
      onResponse: (wish) => isCurrent() && this.#onWish(wish),
      onDrain: () => (this.#isBlocked = false),
      onEnd: (reason) => isCurrent() && this.#onEnd(reason),
    };
    ({ stream } = this.#deps.open(this.#failures, sink));
    this.#stream = stream;
    this.#wish = undefined;
    this.#isBlocked = false;
    stream.send({ clusters: [], intervalMs: 0, isFirst: true });
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelTimer();
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.close();
  }

  #onWish(wish: LoadReportWish): void {
    if (this.#wish === undefined) this.#deps.log.debug("load reports are wanted", { intervalMs: wish.intervalMs });
    this.#failures = 0;
    this.#wish = wish;
    this.#before = this.#countsNow();
    this.#reportedAt = this.#deps.clock.now();
    this.#plan();
  }

  #plan(): void {
    this.#cancelTimer();
    const intervalMs = Math.max(MIN_INTERVAL_MS, this.#wish?.intervalMs ?? 0);
    this.#cancelTimer = this.#deps.clock.after(intervalMs, () => this.#report());
  }

  #report(): void {
    if (this.#stream === undefined) return;
    // A server that does not read gets one larger report later.
    if (!this.#isBlocked) {
      const now = this.#countsNow();
      const clusters = [...now.values()]
        .map((counts) => since(this.#before.get(counts.cluster), counts))
        .filter(hasLoad);
      const at = this.#deps.clock.now();
      this.#isBlocked = !this.#stream.send({ clusters, intervalMs: at - this.#reportedAt, isFirst: false });
      this.#before = now;
      this.#reportedAt = at;
    }
    this.#plan();
  }

  #countsNow(): Map<string, ClusterCounts> {
    const counts = this.#wish === undefined ? [] : this.#deps.counts(this.#wish.clusters);
    return new Map(counts.map((each) => [each.cluster, each]));
  }

  #onEnd(reason: string): void {
    this.#stream = undefined;
    this.#cancelTimer();
    if (this.#isClosed) return;
    const { backoff, random, clock, log } = this.#deps;
    const delayMs = Math.round(backoffDelayMs(backoff, this.#failures, random));
    const say = this.#failures === 0 ? log.warn.bind(log) : log.debug.bind(log);
    say("load is not reported", { reason, retryInMs: delayMs });
    this.#failures += 1;
    this.#cancelTimer = clock.after(delayMs, () => this.start());
  }
}

function since(before: ClusterCounts | undefined, now: ClusterCounts): ClusterCounts {
  const { cluster, active } = now;
  // Counters that were reset begin again.
  const grown = (key: "successes" | "errors" | "issued") => Math.max(0, now[key] - (before?.[key] ?? 0));
  return { cluster, successes: grown("successes"), errors: grown("errors"), issued: grown("issued"), active };
}

function hasLoad({ successes, errors, issued, active }: ClusterCounts): boolean {
  return successes > 0 || errors > 0 || issued > 0 || active > 0;
}
