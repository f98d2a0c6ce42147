// Access logs: one line for each finished stream that its filter lets through. Compiled from configuration by the worker,
// called by the proxy when a stream is over; log-file.ts does the writing, a plugin whatever it likes.
// Source: envoy.config.accesslog.v3.AccessLogFilter, envoy.extensions.access_loggers.{file,stream,wasm}.v3.

import type { AccessLog, AccessLogFilter } from "../../xds/model/access-log.ts";
import type { Runtime } from "../../xds/model/bootstrap.ts";
import type { PluginConfig } from "../../xds/model/plugin-config.ts";
import { compileHeader, probabilityOf } from "../route/matchers.ts";
import {
  compileFormat,
  compileJsonFormat,
  DEFAULT_ACCESS_LOG_FORMAT,
  type FormatResult,
  type TextFormat,
} from "./format.ts";
import type { FormatContext } from "./format-operator.ts";
import type { LogFiles, LogSink } from "./log-file.ts";
import type { StreamFacts } from "./stream-facts.ts";

export interface AccessLogDeps {
  readonly files: LogFiles;
  readonly format: FormatContext;
  readonly runtime: Runtime;
  /** In [0, 1). */
  readonly random: () => number;
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

type FilterTest = (facts: StreamFacts) => boolean;

const MAX_FILTER_DEPTH = 32;

export function compileAccessLog(config: AccessLog, deps: AccessLogDeps): AccessLogResult {
  const { sink } = config;
  const format = compileLogFormat(config, deps.format);
  const problems: string[] = [];
  const accepts = config.filter && compileFilter(config.filter, deps, problems, 0);
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

function compileLogFormat({ format }: AccessLog, context: FormatContext): FormatResult<TextFormat> {
  switch (format?.kind) {
    case undefined:
      return compileFormat(DEFAULT_ACCESS_LOG_FORMAT, context);
    case "text":
      return compileFormat(format.text, context);
    case "json":
      return compileJsonFormat(format.fields, format.omitEmptyValues, context);
  }
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

function filtered(logger: AccessLogger, accepts: FilterTest | undefined): AccessLogger {
  return accepts === undefined ? logger : new FilteredLogger(logger, accepts);
}

class FilteredLogger implements AccessLogger {
  readonly #logger: AccessLogger;
  readonly #accepts: FilterTest;

  constructor(logger: AccessLogger, accepts: FilterTest) {
    this.#logger = logger;
    this.#accepts = accepts;
  }

  log(facts: StreamFacts): void {
    if (this.#accepts(facts)) {
      this.#logger.log(facts);
    }
  }
}

function compileFilter(filter: AccessLogFilter, deps: AccessLogDeps, problems: string[], depth: number): FilterTest {
  if (depth > MAX_FILTER_DEPTH) {
    problems.push(`filters nest deeper than ${MAX_FILTER_DEPTH}`);
    return () => false;
  }
  switch (filter.kind) {
    case "status_code": {
      const test = compare(filter.op, filter.value);
      return (facts) => test(facts.status);
    }
    case "duration": {
      const test = compare(filter.op, filter.value);
      return (facts) => test(Math.max(0, Math.floor(facts.endedAt - facts.startedAt)));
    }
    case "not_health_check":
      return (facts) => !facts.isHealthCheck;
    case "traceable":
      return (facts) => facts.isTraced;
    case "runtime": {
      const probability = probabilityOf(filter.fraction, deps.runtime);
      return () => deps.random() < probability;
    }
    case "and": {
      const tests = filter.filters.map((inner) => compileFilter(inner, deps, problems, depth + 1));
      return (facts) => tests.every((test) => test(facts));
    }
    case "or": {
      const tests = filter.filters.map((inner) => compileFilter(inner, deps, problems, depth + 1));
      return (facts) => tests.some((test) => test(facts));
    }
    case "header": {
      const test = compileHeader(filter.header, problems);
      return (facts) => test(facts.requestHead);
    }
    case "response_flag":
      return compileFlags(filter.flags);
  }
}

function compare(op: "EQ" | "GE" | "LE" | "NE", expected: number): (value: number) => boolean {
  switch (op) {
    case "EQ":
      return (value) => value === expected;
    case "GE":
      return (value) => value >= expected;
    case "LE":
      return (value) => value <= expected;
    case "NE":
      return (value) => value !== expected;
  }
}

/** No flags in the configuration means any flag. */
function compileFlags(flags: readonly string[]): FilterTest {
  if (flags.length === 0) {
    return (facts) => facts.responseFlags !== "";
  }
  const wanted = new Set(flags);
  return (facts) => facts.responseFlags !== "" && facts.responseFlags.split(",").some((flag) => wanted.has(flag));
}
