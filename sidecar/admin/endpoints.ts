// The admin server's endpoints: path, help and answer of each. Envoy's endpoints answer as Envoy's do (checked against
// 1.40); /plugins, /traces, /xds and the page are ours. Called by admin.ts, which knows HTTP. Reads through AdminPorts.

import { prometheusText, statsJson, statsText } from "../stats/exposition.ts";
import type { StatsQuery, StatType } from "../stats/exposition.ts";
import { compileFilter } from "../stats/filter.ts";
import type { NameFilter } from "../stats/filter.ts";
import { certificatesJson } from "./certificates-view.ts";
import { clustersJson, clustersText } from "./clusters-view.ts";
import { configDump } from "./config-dump.ts";
import { adminPage } from "./page.ts";
import type { AdminPorts } from "./ports.ts";
import { jsonReply, rawJsonReply, snakeCase, textReply } from "./reply.ts";
import type { AdminReply } from "./reply.ts";
import { changeLogLevels } from "./log-levels.ts";
import {
  initDumpJson,
  listenersJson,
  listenersText,
  memoryJson,
  readyText,
  runtimeJson,
  serverInfoJson,
} from "./views.ts";

export interface AdminRequest {
  readonly query: URLSearchParams;
}

export interface Endpoint {
  readonly path: string;
  readonly help: string;
  /** Name and meaning of each query parameter. */
  readonly params?: readonly (readonly [name: string, help: string])[];
  /** Needs POST. */
  readonly changesState?: boolean;
  readonly answer: (ports: AdminPorts, request: AdminRequest) => AdminReply | Promise<AdminReply>;
}

const OK = "OK\n";
const STAT_TYPES: readonly StatType[] = ["All", "Counters", "Histograms", "Gauges", "TextReadouts"];
/** Most requests that /traces gives at once. */
const MAX_TRACES = 1000;

export const ENDPOINTS: readonly Endpoint[] = [
  { path: "/", help: "Admin home page", answer: () => adminPage() },
  {
    path: "/certs",
    help: "print certs on machine",
    answer: (ports) => jsonReply(certificatesJson(ports.certificates(), Date.now())),
  },
  {
    path: "/clusters",
    help: "upstream cluster status",
    params: [
      ["format", "File format to use; One of (text, json)"],
      ["filter", "Regular expression (Google re2) for filtering clusters by name"],
    ],
    answer: async (ports, { query }) => {
      const filter = filterOf(query, "filter");
      if (!filter.ok) {
        return filter.reply;
      }
      const clusters = (await ports.clusters()).filter((cluster) => filter.names?.test(cluster.name) ?? true);
      return query.get("format") === "json" ? jsonReply(clustersJson(clusters)) : textReply(clustersText(clusters));
    },
  },
  {
    path: "/config_dump",
    help: "dump current configs",
    params: [
      ["resource", "The resource to dump"],
      ["mask", "The mask to apply, a FieldMask; with resource it is applied to every element of that field"],
      ["name_regex", "Dump only configurations whose names match the regular expression"],
      ["include_eds", "Dump endpoints too"],
    ],
    answer: async (ports, { query }) => {
      const names = filterOf(query, "name_regex");
      if (!names.ok) {
        return names.reply;
      }
      const result = configDump(await ports.configDump(), {
        resource: query.get("resource") ?? undefined,
        mask: query.get("mask") ?? undefined,
        names: names.names,
        includeEds: query.has("include_eds"),
      });
      return result.ok ? jsonReply(result.dump) : textReply(result.problem, result.status);
    },
  },
  {
    path: "/drain_listeners",
    help: "drain listeners",
    params: [
      ["graceful", "Keep accepting during the drain time, and stop listening afterwards"],
      ["skip_exit", "Drain the connections, but never stop listening"],
      ["inboundonly", "Drain inbound listeners only, by their traffic_direction"],
    ],
    changesState: true,
    answer: (ports, { query }) => {
      const graceful = query.has("graceful");
      ports.drain({ graceful, inboundOnly: query.has("inboundonly"), skipExit: query.has("skip_exit") });
      return textReply(OK);
    },
  },
  {
    path: "/explain",
    help: "print which route a request would take, why, to which cluster and through which filters",
    params: [
      ["method", "The request's method; default GET"],
      ["url", "The request's URL"],
      ["header", "A header as name: value; may be repeated"],
      ["listener", "The listener's name; default: the one at the URL's port, or the only one"],
      ["from", "The client's address; default 127.0.0.1"],
    ],
    answer: async (ports, { query }) => {
      const explanation = await ports.explain({
        method: query.get("method") ?? "GET",
        url: query.get("url") ?? "",
        headers: query.getAll("header"),
        listener: query.get("listener") ?? "",
        from: query.get("from") ?? "127.0.0.1",
      });
      return typeof explanation === "string" ? textReply(`${explanation}\n`, 400) : jsonReply(explanation);
    },
  },
  {
    path: "/healthcheck/fail",
    help: "cause the server to fail health checks",
    changesState: true,
    answer: (ports) => {
      ports.healthcheckFail(true);
      return textReply(OK);
    },
  },
  {
    path: "/healthcheck/ok",
    help: "cause the server to pass health checks",
    changesState: true,
    answer: (ports) => {
      ports.healthcheckFail(false);
      return textReply(OK);
    },
  },
  { path: "/help", help: "print out list of admin commands", answer: () => textReply(helpText()) },
  {
    path: "/hot_restart_version",
    help: "print the hot restart compatibility version",
    answer: (ports) => textReply(ports.serverInfo().hotRestartVersion),
  },
  {
    path: "/init_dump",
    help: "dump what the start still waits for",
    answer: (ports) => jsonReply(initDumpJson(ports.initDump())),
  },
  {
    path: "/listeners",
    help: "print listener info",
    params: [["format", "File format to use; One of (text, json)"]],
    answer: async (ports, { query }) => {
      const listeners = await ports.listeners();
      return query.get("format") === "json" ? jsonReply(listenersJson(listeners)) : textReply(listenersText(listeners));
    },
  },
  {
    path: "/logging",
    help: "query/change logging levels",
    params: [
      ["paths", "Change several levels: <logger_name1>:<level1>,<logger_name2>:<level2>"],
      ["level", "Change all levels; One of (trace, debug, info, warning, error, critical, off)"],
    ],
    changesState: true,
    answer: (ports, { query }) => changeLogLevels(ports, query),
  },
  {
    path: "/memory",
    help: "print current allocation/heap usage",
    answer: async (ports) => jsonReply(memoryJson(await ports.memory())),
  },
  {
    path: "/plugins",
    help: "print plugins with their modules, VMs, callbacks and last faults",
    answer: async (ports) => jsonReply({ plugins: snakeCase(await ports.plugins()) }),
  },
  {
    path: "/quitquitquit",
    help: "exit the server",
    changesState: true,
    answer: (ports) => ({ ...textReply(OK), afterwards: () => ports.quit() }),
  },
  {
    path: "/ready",
    help: "print server state, return 200 if LIVE, otherwise return 503",
    answer: (ports) => {
      const readiness = ports.readiness();
      return textReply(readyText(readiness), readiness.state === "LIVE" ? 200 : 503);
    },
  },
  {
    path: "/reopen_logs",
    help: "reopen access logs",
    changesState: true,
    answer: (ports) => {
      ports.reopenLogs();
      return textReply(OK);
    },
  },
  {
    path: "/reset_counters",
    help: "reset all counters to zero",
    changesState: true,
    answer: (ports) => {
      ports.stats.resetCounters();
      return textReply(OK);
    },
  },
  { path: "/runtime", help: "print runtime values", answer: (ports) => jsonReply(runtimeJson(ports.runtime())) },
  {
    path: "/server_info",
    help: "print server version/status information",
    answer: (ports) => jsonReply(serverInfoJson(ports.serverInfo(), ports.readiness())),
  },
  {
    path: "/stats",
    help: "print server stats",
    params: [
      ["usedonly", "Only include stats that have been written by system since restart"],
      ["filter", "Regular expression (Google re2) for filtering stats"],
      ["format", "Format to use; One of (text, json, prometheus)"],
      ["type", "Stat types to include.; One of (All, Counters, Histograms, Gauges, TextReadouts)"],
    ],
    answer: stats,
  },
  {
    path: "/stats/prometheus",
    help: "print server stats in prometheus format",
    params: [
      ["usedonly", "Only include stats that have been written by system since restart"],
      ["text_readouts", "Render text_readouts as new gauges with value 1"],
      ["filter", "Regular expression (Google re2) for filtering stats"],
    ],
    answer: prometheus,
  },
  {
    path: "/traces",
    help: "print the latest requests with the timings of their plugins' callbacks",
    params: [["limit", "How many requests, newest first; default 50"]],
    answer: async (ports, { query }) => {
      const asked = Number(query.get("limit") ?? "50");
      if (!Number.isInteger(asked) || asked < 1) {
        return textReply("limit must be a whole number from 1 on\n", 400);
      }
      return jsonReply({ traces: snakeCase(await ports.traces(Math.min(asked, MAX_TRACES))) });
    },
  },
  {
    path: "/xds",
    help: "print each resource's version, and when it was received, acknowledged, in use or refused",
    answer: async (ports) => jsonReply({ servers: snakeCase(await ports.xds()) }),
  },
];

async function stats(ports: AdminPorts, request: AdminRequest): Promise<AdminReply> {
  const format = request.query.get("format") ?? "text";
  if (format === "prometheus") {
    return prometheus(ports, request);
  }
  const query = statsQuery(request.query);
  if (!query.ok) {
    return query.reply;
  }
  if (format === "json") {
    return rawJsonReply(statsJson(ports.stats, query.query));
  }
  return format === "text"
    ? textReply(statsText(ports.stats, query.query))
    : textReply("usage: /stats?format=(json|prometheus|text)\n\n", 400);
}

async function prometheus(ports: AdminPorts, request: AdminRequest): Promise<AdminReply> {
  const query = statsQuery(request.query);
  if (!query.ok) {
    return query.reply;
  }
  const clusterNames = ports.clusterNames?.() ?? (await ports.clusters()).map((cluster) => cluster.name);
  return textReply(
    prometheusText(ports.stats, { ...query.query, clusterNames, textReadouts: request.query.has("text_readouts") }),
  );
}

function statsQuery(
  query: URLSearchParams,
): { readonly ok: true; readonly query: StatsQuery } | { readonly ok: false; readonly reply: AdminReply } {
  const filter = filterOf(query, "filter");
  if (!filter.ok) {
    return filter;
  }
  const asked = query.get("type") ?? "All";
  const type = STAT_TYPES.find((known) => known === asked);
  if (type === undefined) {
    return { ok: false, reply: textReply("invalid &type= param", 400) };
  }
  return { ok: true, query: { filter: filter.names, type, usedOnly: query.has("usedonly") } };
}

function filterOf(
  query: URLSearchParams,
  name: string,
): { readonly ok: true; readonly names: NameFilter | undefined } | { readonly ok: false; readonly reply: AdminReply } {
  const expression = query.get(name) ?? "";
  if (expression === "") {
    return { ok: true, names: undefined };
  }
  const compiled = compileFilter(expression);
  return compiled.ok
    ? { ok: true, names: compiled.filter }
    : { ok: false, reply: textReply(`Invalid re2 regex: ${compiled.problem}\n`, 400) };
}

/** Envoy's list of commands. */
export function helpText(): string {
  let text = "admin commands are:\n";
  for (const endpoint of ENDPOINTS) {
    text += `  ${endpoint.path}${endpoint.changesState === true ? " (POST)" : ""}: ${endpoint.help}\n`;
    for (const [name, help] of endpoint.params ?? []) {
      text += `      ${name}: ${help}\n`;
    }
  }
  return text;
}
