// One HTTP connection manager, compiled: everything a stream picks up at its start and keeps to its end.
// Made by live-config.ts, read by proxy.ts. A push makes a new one (or swaps `routes.table`); streams in flight keep theirs.

import type { HttpConnectionManager } from "../xds/model/listener.ts";
import type { RouteAction } from "../xds/model/route.ts";
import type { ScopeKeyFragment } from "../xds/model/scoped-routes.ts";
import type { AccessLogs } from "./access-logs.ts";
import type { LiveCluster } from "./cluster/cluster.ts";
import type { HttpFilters } from "./http-filters.ts";
import type { ProxyStatus } from "./proxy-status.ts";
import type { LocalReplies } from "./local-replies.ts";
import type { TimerWheel } from "./http/timer-wheel.ts";
import type { RouteTable } from "./route/route-table.ts";
import type { ScopeTable } from "./route/scope-table.ts";
import type { Counter, StatsScope } from "./stats/scope.ts";
import type { StreamOrigin } from "./stream-record.ts";
import type { RequestTracing } from "./telemetry/request-tracing.ts";
import type { TraceRecorder } from "./telemetry/trace-recorder.ts";

/** Routes of one name: an RDS push replaces the table under every connection manager that uses it. */
export interface RouteSource {
  /** undefined: none has come (404). */
  table: RouteTable | undefined;
}

export interface ServingRoutes {
  /** Without a table where there are scopes. */
  readonly routes: RouteSource;
  /** undefined: `routes` serve every request. */
  readonly scopes: RouteScopes | undefined;
}

/** Many routes, one for each key. */
export interface RouteScopes {
  readonly fragments: readonly ScopeKeyFragment[];
  readonly table: ScopeTable<RouteSource>;
}

/** Things of the worker that every stream uses. */
export interface StreamEnvironment {
  readonly wheel: TimerWheel;
  /** In [0, 1). */
  readonly random: () => number;
  readonly recorder: TraceRecorder;
  /** The sidecar's own node, serialised. */
  readonly nodeBytes: Uint8Array;
}

export interface HttpServing extends ServingRoutes {
  readonly hcm: HttpConnectionManager;
  readonly origin: StreamOrigin;
  readonly environment: StreamEnvironment;
  readonly filters: HttpFilters;
  readonly clusters: ReadonlyMap<string, LiveCluster>;
  readonly stats: HttpStats;
  readonly tracing: RequestTracing;
  readonly accessLogs: AccessLogs;
  /** undefined: local replies are as they are. */
  readonly localReplies: LocalReplies | undefined;
  /** undefined: no such field. */
  readonly proxyStatus: ProxyStatus | undefined;
  readonly suppressEnvoyHeaders: boolean;
  /** undefined: nothing is checked. */
  readonly strictHeaders: readonly string[] | undefined;
  readonly respectsExpectedTimeout: boolean;
  readonly bufferLimitBytes: number;
}

/** `http.<stat_prefix>.*` as Envoy names it, the part that the proxy counts; listener/connection.ts counts the rest. */
export interface HttpStats {
  /** By kind of StreamTimeout; the route's belongs to the cluster. */
  readonly timeouts: readonly (Counter | undefined)[];
  readonly rqRedirect: Counter;
  readonly rqDirectResponse: Counter;
  readonly noRoute: Counter;
  readonly noCluster: Counter;
  readonly rqTotalRouted: Counter;
  readonly rsTooLarge: Counter;
  readonly rqTooLarge: Counter;
}

export function resolveHttpStats(scope: StatsScope, statPrefix: string): HttpStats {
  const counter = (suffix: string): Counter => scope.counter(`http.${statPrefix}.${suffix}`);
  return {
    timeouts: [
      undefined,
      undefined,
      counter("downstream_rq_idle_timeout"),
      counter("downstream_rq_max_duration_reached"),
      counter("downstream_rq_timeout"),
    ],
    rqRedirect: counter("rq_redirect"),
    rqDirectResponse: counter("rq_direct_response"),
    noRoute: counter("no_route"),
    noCluster: counter("no_cluster"),
    rqTotalRouted: counter("rq_total"),
    rsTooLarge: counter("rs_too_large"),
    rqTooLarge: counter("downstream_rq_too_large"),
  };
}

/** Counts a request whose route is settled, by what the route does; undefined: there is none. */
export function countRouted(stats: HttpStats, action: RouteAction["kind"] | undefined): void {
  stats.rqTotalRouted.inc();
  if (action === "forward") {
    return;
  }
  if (action === undefined) {
    stats.noRoute.inc();
  } else if (action !== "non_forwarding") {
    // Envoy counts redirects as both.
    stats.rqDirectResponse.inc();
    if (action === "redirect") {
      stats.rqRedirect.inc();
    }
  }
}

/** What the router is told, which has a place of its own in the list of filters. */
export function routerSettings({
  httpFilters,
}: HttpConnectionManager): Pick<HttpServing, "suppressEnvoyHeaders" | "strictHeaders" | "respectsExpectedTimeout"> {
  const router = httpFilters.find(({ config }) => config.kind === "router")?.config;
  if (router?.kind !== "router") {
    return { suppressEnvoyHeaders: false, strictHeaders: undefined, respectsExpectedTimeout: false };
  }
  return {
    suppressEnvoyHeaders: router.suppressEnvoyHeaders,
    strictHeaders: router.strictCheckHeaders.length > 0 ? router.strictCheckHeaders : undefined,
    respectsExpectedTimeout: router.respectExpectedTimeout,
  };
}
