// Access logs: one line for each finished stream that its filter lets through. Compiled from configuration by the worker,
// called by the proxy when a stream is over; log-file.ts does the writing, a plugin whatever it likes.
// Source: envoy.config.accesslog.v3.AccessLog, envoy.extensions.access_loggers.{file,stream,wasm}.v3.

import type { AccessLog } from "../../xds/model/access-log.ts";
import type { PluginConfig } from "../../xds/model/plugin-config.ts";
import { compileFormat, compileFormatString, DEFAULT_ACCESS_LOG_FORMAT, type TextFormat } from "./format.ts";
import type { FormatContext } from "./format-operator.ts";
import { compileLogFilter, type LogFilter, type LogFilterDeps } from "./log-filter.ts";
import type { LogFiles, LogSink } from "./log-file.ts";
import type { StreamFacts } from "./stream-facts.ts";

export interface AccessLogDeps extends LogFilterDeps {
  readonly files: LogFiles;
  readonly format: FormatContext;
  /** Starts the plugin of a wasm logger. */
  readonly plugin: (config: PluginConfig) => AccessLogResult;
}

/** Never throws, never blocks. */
export interface AccessLogger {
  log(facts: StreamFacts): void;
}

export type AccessLogResult =
  | { readonly ok: true; readonly logger: AccessLogger }
  | { readonly ok: false; readonly problem: string };

export function compileAccessLog(config: AccessLog, deps: AccessLogDeps): AccessLogResult {
  const { sink } = config;
  const format =
    config.format === undefined
      ? compileFormat(DEFAULT_ACCESS_LOG_FORMAT, deps.format)
      : compileFormatString(config.format, deps.format);
  const problems: string[] = [];
  const accepts = config.filter && compileLogFilter(config.filter, deps, problems);
  if (!format.ok || problems.length > 0) {
    const problem = [...(format.ok ? [] : [format.problem]), ...problems].join("; ");
    return { ok: false, problem: `Access log ${JSON.stringify(config.name)}: ${problem}` };
  }
  if (sink.kind === "wasm") {
    const plugin = deps.plugin(sink.plugin);
    return plugin.ok ? { ok: true, logger: filtered(plugin.logger, accepts) } : plugin;
  }
  const path = sink.kind === "file" ? sink.path : `/dev/${sink.kind}`;
  return { ok: true, logger: filtered(new FileLogger(deps.files.file(path), format.format), accepts) };
}

class FileLogger implements AccessLogger {
  readonly #sink: LogSink;
  readonly #format: TextFormat;

  constructor(sink: LogSink, format: TextFormat) {
    this.#sink = sink;
    this.#format = format;
  }

  log(facts: StreamFacts): void {
    this.#sink.write(this.#format.render(facts));
  }
}

function filtered(logger: AccessLogger, accepts: LogFilter | undefined): AccessLogger {
  return accepts === undefined ? logger : new FilteredLogger(logger, accepts);
}

class FilteredLogger implements AccessLogger {
  readonly #logger: AccessLogger;
  readonly #accepts: LogFilter;

  constructor(logger: AccessLogger, accepts: LogFilter) {
    this.#logger = logger;
    this.#accepts = accepts;
  }

  log(facts: StreamFacts): void {
    if (this.#accepts(facts)) {
      this.#logger.log(facts);
    }
  }
}
