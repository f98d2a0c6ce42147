// What the control plane's admin port answers: status, statistics, and the configuration that is served. Paths, help and
// answers; rest-server.ts knows HTTP. The verb `control-plane` gives it the control plane.

import { jsonReply, rawJsonReply, textReply } from "../admin/reply.ts";
import type { AdminReply } from "../admin/reply.ts";
import { prometheusText, statsJson, statsText } from "../stats/exposition.ts";
import type { StatsSource } from "../stats/exposition.ts";
import { VERSION } from "../version.ts";
import { GAUGES } from "../../xds/server/counters.ts";
import { configRoutes, releaseJson } from "./config-routes.ts";
import type { ConfigRouteDeps } from "./config-routes.ts";
import type { Route, RestRequest } from "./rest-server.ts";
import { helpText } from "./rest-server.ts";
import { canaryStatus, sidecarStatuses } from "./status-view.ts";
import type { PlaneStatus } from "./status-view.ts";

export type RouteDeps = ConfigRouteDeps &
  Readonly<{
    /** ms since the epoch. */
    startedAt: number;
    now: () => number;
    /** It listens for sidecars. */
    isReady: () => boolean;
  }>;

const PREFIX = "outrigger_control_plane_";

export function routesOf(deps: RouteDeps): readonly Route[] {
  const routes: Route[] = [
    {
      method: "GET",
      path: "/status",
      help: "JSON: what is served, and each sidecar with what it acknowledged, waits for or refused",
      params: [
        ["node", "only sidecars with this node id"],
        ["state", "only sidecars in this state: acknowledged, pending or refused"],
      ],
      answer: (request) => status(deps, request),
    },
    {
      method: "GET",
      path: "/stats",
      help: "counters",
      params: [["format", "text, json or prometheus"]],
      answer: ({ query }) => stats(deps, query.get("format") ?? "text"),
    },
    {
      method: "GET",
      path: "/stats/prometheus",
      help: "the same for Prometheus",
      answer: () => stats(deps, "prometheus"),
    },
    {
      method: "GET",
      path: "/ready",
      help: "200 LIVE when sidecars are served",
      answer: () => (deps.isReady() ? textReply("LIVE\n") : textReply("INITIALIZING\n", 503)),
    },
    ...configRoutes(deps),
    { method: "GET", path: "/help", help: "this list", answer: () => textReply(helpText(routes)) },
  ];
  return routes;
}

function status({ plane, now, startedAt }: RouteDeps, { query }: RestRequest): AdminReply {
  const node = query.get("node");
  const state = query.get("state");
  const all = sidecarStatuses(plane.clients(), now());
  const sidecars = all.filter(
    (each) => (node === null || each.node.id === node) && (state === null || each.state === state),
  );
  const count = (wanted: string) => all.filter((each) => each.state === wanted).length;
  const serving = plane.releases().find((each) => each.state === "serving");
  const rollout = plane.rollout();
  const view: PlaneStatus = {
    control_plane: {
      version: VERSION,
      started: new Date(startedAt).toISOString(),
      uptime_s: Math.round((now() - startedAt) / 1000),
    },
    summary: {
      sidecars: all.length,
      acknowledged: count("acknowledged"),
      pending: count("pending"),
      refused: count("refused"),
    },
    serving: serving === undefined ? null : releaseJson(serving),
    canary: rollout === undefined ? null : canaryStatus(rollout.release, rollout.view, now()),
    sidecars,
  };
  return jsonReply(view);
}

function stats({ plane }: RouteDeps, format: string): AdminReply {
  const numbers = [...plane.counters()]
    .map(([name, value]) => {
      const kind = GAUGES.has(name) ? ("gauge" as const) : ("counter" as const);
      return { name: `${PREFIX}${name}${kind === "counter" ? "_total" : ""}`, kind, value, isUsed: true };
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const source: StatsSource = { numbers: () => numbers, texts: () => [], histograms: () => [] };
  if (format === "json") return rawJsonReply(statsJson(source, {}));
  if (format === "prometheus") return textReply(prometheusText(source, {}));
  return format === "text" ? textReply(statsText(source, {})) : textReply("format is text, json or prometheus\n", 400);
}
