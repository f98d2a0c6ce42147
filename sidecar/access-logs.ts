// The access logs of one filter chain: lines in files, and plugins whose proxy_on_log is called. Made by live-config.ts; the
// proxy tells of each stream that begins and ends. Plugins are held until the last stream that began under them is over,
// whatever is pushed meanwhile.

import type { AccessLog } from "../xds/model/access-log.ts";
import type { PluginConfig } from "../xds/model/plugin-config.ts";
import { WasmLogStream } from "./filter/wasm-log-stream.ts";
import type { PluginSource } from "./filter/wasm-filter.ts";
import type { StreamRecord } from "./stream-record.ts";
import { releaseAll } from "./http-filters.ts";
import type { PluginLease, PluginPool } from "./plugin/plugin-pool.ts";
import {
  type AccessLogDeps,
  type AccessLogger,
  type AccessLogResult,
  compileAccessLog,
} from "./telemetry/access-log.ts";
import type { StreamFacts } from "./telemetry/stream-facts.ts";

export interface AccessLogsDeps extends Omit<AccessLogDeps, "plugin"> {
  readonly plugins: Pick<PluginPool, "take">;
  readonly property: PluginSource["property"];
}

export class AccessLogs {
  readonly #loggers: readonly AccessLogger[];
  readonly #leases: readonly PluginLease[];
  #open = 0;
  #isReleased = false;

  constructor(loggers: readonly AccessLogger[], leases: readonly PluginLease[]) {
    this.#loggers = loggers;
    this.#leases = leases;
  }

  /** A stream begins; `end` will be called for it. */
  begin(): void {
    this.#open++;
  }

  /** One line of each log for a stream that goes on. */
  log(facts: StreamFacts): void {
    for (let i = 0; i < this.#loggers.length; i++) {
      this.#loggers[i]?.log(facts);
    }
  }

  /** The same at a moment of an HTTP stream that has a name of its own. */
  logNow(facts: StreamRecord, moment: "DownstreamStart" | "DownstreamPeriodic"): void {
    facts.accessLogType = moment;
    this.log(facts);
    facts.accessLogType = undefined;
  }

  /** The stream is over: its line, and the plugins' call. */
  end(facts: StreamFacts): void {
    this.log(facts);
    this.#open--;
    this.#endWithLast();
  }

  get isEmpty(): boolean {
    return this.#loggers.length === 0;
  }

  /** No stream begins any more. */
  release(): void {
    this.#isReleased = true;
    this.#endWithLast();
  }

  #endWithLast(): void {
    if (this.#isReleased && this.#open === 0) {
      releaseAll(this.#leases);
    }
  }
}

/** `problems`: what is wrong with logs that are left out. A text: the plugin of one does not start, and nothing is left behind. */
export function compileAccessLogs(
  configs: readonly AccessLog[],
  { plugins, property, ...deps }: AccessLogsDeps,
): { readonly logs: AccessLogs; readonly problems: readonly string[] } | string {
  const leases: PluginLease[] = [];
  const loggers: AccessLogger[] = [];
  const problems: string[] = [];
  let refusal: string | undefined;
  const plugin = (config: PluginConfig): AccessLogResult => {
    // Without code there is nothing to call: what Envoy does then, under every failure policy.
    if (config.code.kind === "missing") {
      return { ok: true, logger: NO_LOGGER };
    }
    const taken = plugins.take(config);
    if (!taken.ok) {
      refusal ??= taken.problem;
      return taken;
    }
    leases.push(taken.lease);
    return { ok: true, logger: new PluginLogger(taken.lease, property) };
  };
  for (const config of configs) {
    const compiled = compileAccessLog(config, { ...deps, plugin });
    if (compiled.ok) {
      loggers.push(compiled.logger);
    } else {
      problems.push(compiled.problem);
    }
  }
  if (refusal !== undefined) {
    releaseAll(leases);
    return refusal;
  }
  return { logs: new AccessLogs(loggers, leases), problems };
}

const NO_LOGGER: AccessLogger = { log: () => undefined };

class PluginLogger implements AccessLogger {
  readonly #lease: PluginLease;
  readonly #property: PluginSource["property"];

  constructor(lease: PluginLease, property: PluginSource["property"]) {
    this.#lease = lease;
    this.#property = property;
  }

  /** Once for each stream, at its end, as in Envoy. */
  log(facts: StreamFacts): void {
    const { accessLogType } = facts;
    if (accessLogType === undefined || accessLogType === "TcpConnectionEnd" || accessLogType === "NotSet") {
      this.#lease.plugin.log(new WasmLogStream(facts, this.#property));
    }
  }
}
