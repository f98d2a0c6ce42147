// The load reporting service, seen by the server: asks every client for all clusters, and keeps of each what ended well and
// what did not, for a short time. With it a canary knows the error rate. Source: envoy/service/load_stats/v3/lrs.proto.

import type { Clock } from "../clock.ts";
import type { LoadReport, LoadReportWish } from "../load-report-wire.ts";
import type { Peer, ServerStream, StreamOwner } from "./grpc-server.ts";

/** Requests to upstreams that ended, and how many of them with an error: a 5xx, or none at all. */
export type Load = Readonly<{ requests: number; errors: number }>;

export type LoadReportsOptions = Readonly<{ clock: Clock; intervalMs: number; maxStreams: number }>;

type Entry = Readonly<{ at: number; requests: number; errors: number }>;
type Reporter = { entries: Entry[]; streams: number };

/** Of one client: at the default interval these are 10 minutes. */
const MAX_ENTRIES = 120;

export class LoadReports {
  readonly #options: LoadReportsOptions;
  readonly #reporters = new Map<string, Reporter>();
  #streams = 0;

  constructor(options: LoadReportsOptions) {
    this.#options = options;
  }

  /** A new stream of reports; undefined when it was refused. */
  onStream(peer: Peer, stream: ServerStream<LoadReportWish>): StreamOwner<LoadReport> | undefined {
    if (this.#streams >= this.#options.maxStreams) {
      stream.fail("exhausted", "too many streams of load reports");
      return undefined;
    }
    this.#streams += 1;
    let key: string | undefined;
    return {
      onRequest: (report) => {
        if (key === undefined) {
          key = reporterKey(peer.spiffeIds, report.nodeId ?? "");
          this.#open(key).streams += 1;
          stream.send({ clusters: "all", intervalMs: this.#options.intervalMs });
        }
        this.#add(key, report);
      },
      onEnd: () => {
        this.#streams -= 1;
        if (key !== undefined) this.#close(key);
      },
    };
  }

  /** What these reported of the time from `from` to `to`, ms since the epoch; undefined when nobody did. */
  between(keys: Iterable<string>, from: number, to: number): Load | undefined {
    let requests = 0;
    let errors = 0;
    let hasReported = false;
    for (const key of keys) {
      for (const entry of this.#reporters.get(key)?.entries ?? []) {
        // A report is of the interval before it.
        if (entry.at < from + this.#options.intervalMs || entry.at > to) continue;
        hasReported = true;
        requests += entry.requests;
        errors += entry.errors;
      }
    }
    return hasReported ? { requests, errors } : undefined;
  }

  /** How many clients report. */
  get size(): number {
    return this.#reporters.size;
  }

  #open(key: string): Reporter {
    let reporter = this.#reporters.get(key);
    if (reporter === undefined) this.#reporters.set(key, (reporter = { entries: [], streams: 0 }));
    return reporter;
  }

  #add(key: string, report: LoadReport): void {
    const reporter = this.#open(key);
    const successes = report.clusters.reduce((sum, each) => sum + each.successes, 0);
    const errors = report.clusters.reduce((sum, each) => sum + each.errors, 0);
    reporter.entries.push({ at: this.#options.clock.now(), requests: successes + errors, errors });
    if (reporter.entries.length > MAX_ENTRIES) reporter.entries.shift();
  }

  #close(key: string): void {
    const reporter = this.#reporters.get(key);
    if (reporter === undefined) return;
    reporter.streams -= 1;
    if (reporter.streams === 0) this.#reporters.delete(key);
  }
}

/** A client by what its certificate says and by its node id: nobody reports in another's name. */
export function reporterKey(spiffeIds: readonly string[], nodeId: string): string {
  return JSON.stringify([spiffeIds[0] ?? "", nodeId]);
}
