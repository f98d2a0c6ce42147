// Which streams an access log, or a mapper of local replies, is for: filters compiled to tests.
// Called by access-log.ts and local-replies.ts. Source: envoy.config.accesslog.v3.AccessLogFilter.

import type { AccessLogFilter } from "../../xds/model/access-log.ts";
import type { Runtime } from "../../xds/model/bootstrap.ts";
import { compileHeader, probabilityOf } from "../route/matchers.ts";
import { durationOf } from "./format-operators.ts";
import type { StreamFacts } from "./stream-facts.ts";

export interface LogFilterDeps {
  readonly runtime: Runtime;
  /** In [0, 1). */
  readonly random: () => number;
}

export type LogFilter = (facts: StreamFacts) => boolean;

const MAX_FILTER_DEPTH = 32;

/** What cannot be compiled lets nothing through, and is noted in `problems`. */
export function compileLogFilter(filter: AccessLogFilter, deps: LogFilterDeps, problems: string[]): LogFilter {
  return compileAt(filter, deps, problems, 0);
}

function compileAt(filter: AccessLogFilter, deps: LogFilterDeps, problems: string[], depth: number): LogFilter {
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
      return (facts) => test(durationOf(facts));
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
      const tests = filter.filters.map((inner) => compileAt(inner, deps, problems, depth + 1));
      return (facts) => tests.every((test) => test(facts));
    }
    case "or": {
      const tests = filter.filters.map((inner) => compileAt(inner, deps, problems, depth + 1));
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
function compileFlags(flags: readonly string[]): LogFilter {
  if (flags.length === 0) {
    return (facts) => facts.responseFlags !== "";
  }
  const wanted = new Set(flags);
  return (facts) => facts.responseFlags !== "" && facts.responseFlags.split(",").some((flag) => wanted.has(flag));
}
