// Remote plugin code as the process knows it: fetched once for each sha256, kept for a day, a failure remembered for ten
// seconds. code-loader.ts asks; code-fetch.ts does one attempt. Retries and backoff are here.
// Source: Envoy's code cache and RemoteAsyncDataProvider (source/extensions/common/wasm), names and times of its statistics.

import type { StatsScope } from "../stats/scope.ts";
import type { FetchedCode, RemotePluginCode } from "./code-fetch.ts";

export interface RemoteCodeDeps {
  readonly stats: StatsScope;
  /** One attempt; `attempt` counts from 0. */
  readonly fetch: (code: RemotePluginCode, attempt: number, signal: AbortSignal) => Promise<FetchedCode>;
  /** What is on disk. */
  readonly cached: (code: RemotePluginCode) => Promise<FetchedCode | undefined>;
  readonly deadlineMs: () => number;
  /** Milliseconds that only grow; random in [0, 1). */
  readonly now: () => number;
  readonly random: () => number;
  readonly delay: (ms: number, signal: AbortSignal) => Promise<void>;
}

type Entry =
  | { readonly kind: "loading"; readonly result: Promise<FetchedCode> }
  | { readonly kind: "settled"; readonly result: FetchedCode; readonly at: number; usedAt: number };

/** As Envoy: CODE_CACHE_SECONDS_CACHING_TTL and CODE_CACHE_SECONDS_NEGATIVE_CACHING. */
const KEPT_MS = 24 * 3_600_000;
export const FAILURE_KEPT_MS = 10_000;
const MAX_ENTRIES = 256;
/** Most bytes of modules that are kept in memory; the one that came last is kept in any case. */
const MAX_KEPT_BYTES = 128 * 1024 * 1024;
/** For a configuration without a timeout of its own. */
const DEFAULT_TIMEOUT_MS = 60_000;

export class RemoteCode {
  readonly #deps: RemoteCodeDeps;
  readonly #entries = new Map<string, Entry>();
  readonly #stop = new AbortController();

  constructor(deps: RemoteCodeDeps) {
    this.#deps = deps;
  }

  /** The code, or why there is none; a promise while it is fetched, which this starts when nothing is known. */
  poll(code: RemotePluginCode, isNew: boolean): FetchedCode | Promise<FetchedCode> {
    const entry = this.#known(code);
    this.#count(entry, isNew);
    return entry === undefined ? this.#load(code) : entry.result;
  }

  /** The code when it is at hand, in memory or on disk; a recent failure counts. Fetches nothing. */
  async peek(code: RemotePluginCode): Promise<FetchedCode | undefined> {
    const entry = this.#known(code);
    if (entry !== undefined) {
      return entry.kind === "settled" ? entry.result : undefined;
    }
    const cached = await this.#deps.cached(code);
    if (cached?.ok === true && this.#known(code) === undefined) {
      this.#settle(keyOf(code), cached);
    }
    return cached;
  }

  /** Ends what is under way. */
  close(): void {
    this.#stop.abort(new Error("closed"));
  }

  /** An entry that still counts. */
  #known(code: RemotePluginCode): Entry | undefined {
    const key = keyOf(code);
    const entry = this.#entries.get(key);
    if (entry?.kind !== "settled") {
      return entry;
    }
    const now = this.#deps.now();
    if (!entry.result.ok && now - entry.at >= FAILURE_KEPT_MS) {
      return undefined;
    }
    entry.usedAt = now;
    return entry;
  }

  #count(entry: Entry | undefined, isNew: boolean): void {
    if (!isNew) {
      return;
    }
    const { stats } = this.#deps;
    if (entry?.kind !== "settled") {
      stats.counter("wasm.remote_load_cache_misses").inc();
    } else if (entry.result.ok) {
      stats.counter("wasm.remote_load_cache_hits").inc();
    } else {
      stats.counter("wasm.remote_load_cache_negative_hits").inc();
    }
  }

  #load(code: RemotePluginCode): Promise<FetchedCode> {
    const key = keyOf(code);
    const result = this.#attempts(code).then((fetched) => this.#settle(key, fetched));
    this.#entries.set(key, { kind: "loading", result });
    this.#forget();
    return result;
  }

  #settle(key: string, result: FetchedCode): FetchedCode {
    const now = this.#deps.now();
    // Set anew, so that the newest is last.
    this.#entries.delete(key);
    this.#entries.set(key, { kind: "settled", result, at: now, usedAt: now });
    this.#forget();
    return result;
  }

  async #attempts(code: RemotePluginCode): Promise<FetchedCode> {
    const { fetch, cached, deadlineMs, delay, random, stats } = this.#deps;
    const kept = await cached(code);
    if (kept?.ok === true) {
      return kept;
    }
    const deadline = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(deadlineMs())]);
    let result: FetchedCode;
    for (let attempt = 0; ; attempt++) {
      const timeout = AbortSignal.timeout(code.timeoutMs === 0 ? DEFAULT_TIMEOUT_MS : code.timeoutMs);
      result = await fetch(code, attempt, AbortSignal.any([deadline, timeout]));
      if (result.ok || result.isFinal || attempt >= code.retries || deadline.aborted) {
        break;
      }
      const bound = Math.min(code.retryBaseMs * 2 ** Math.min(attempt, 30), code.retryMaxMs);
      await delay(random() * bound, deadline);
    }
    stats.counter(`wasm.remote_load_fetch_${result.ok ? "successes" : "failures"}`).inc();
    return result;
  }

  /** Old entries, then those used longest ago. */
  #forget(): void {
    const now = this.#deps.now();
    let bytes = 0;
    let count = 0;
    const newestFirst = [...this.#entries].toReversed();
    for (const [key, entry] of newestFirst.toSorted(([, a], [, b]) => usedAt(b) - usedAt(a))) {
      if (entry.kind === "loading") {
        continue;
      }
      bytes += entry.result.ok ? entry.result.bytes.length : 0;
      if (++count > MAX_ENTRIES || (count > 1 && bytes > MAX_KEPT_BYTES) || now - entry.usedAt > KEPT_MS) {
        this.#entries.delete(key);
      }
    }
    this.#deps.stats.gauge("wasm.remote_load_cache_entries").set(this.#entries.size);
  }
}

function usedAt(entry: Entry): number {
  return entry.kind === "loading" ? Number.POSITIVE_INFINITY : entry.usedAt;
}

/** Equal content is fetched once, wherever it comes from, as on Envoy. */
function keyOf(code: RemotePluginCode): string {
  return code.sha256 === "" ? code.uri : code.sha256;
}
