// Which route a request would take, and why: the tables are compiled and asked as a worker compiles and asks them (live-routes.ts,
// stream-route.ts, route-table.ts), over the configuration that workers were sent. The main thread does it, when somebody asks.
//
//   question ─▶ listener ─▶ filter chain ─▶ head ─▶ routes (of a scope) ─▶ virtual host ─▶ route ─▶ cluster ─▶ hosts

import type { FilterChain, HttpConnectionManager, TcpProxy } from "../../xds/model/listener.ts";
import type { DataSource } from "../../xds/model/plugin-config.ts";
import type { Route, RouteConfiguration, VirtualHost } from "../../xds/model/route.ts";
import { RequestHead } from "../http/message.ts";
import type { ServingRoutes } from "../http-serving.ts";
import { LiveRoutes } from "../live-routes.ts";
import type { ClusterPick } from "../route/cluster-choice.ts";
import { CompiledRoute } from "../route/compiled-route.ts";
import { HostIndex, withoutPort } from "../route/host-index.ts";
import { pathEnd } from "../route/request-value.ts";
import { rewriteRequest } from "../route/rewrite.ts";
import { pickCluster, type RouteMatch, type RouteTable } from "../route/route-table.ts";
import { tableFor } from "../stream-route.ts";
import type { FormatContext } from "../telemetry/format-operator.ts";
import { addressText } from "../upstream/address-text.ts";
import type { ConfigDelta } from "../worker-link.ts";
import { askedRequest, chainFor, connectionTo, entryOf, headOf } from "./asked-request.ts";
import type { Explanation, Outcome, PassedRoute, Question, Target } from "./explanation.ts";
import { filterView } from "./explained-filters.ts";
import { describeCluster, NO_HOSTS } from "./explained-target.ts";
import { matchText, missTexts } from "./matcher-text.ts";
import { NarrowedRoutes } from "./narrowed-routes.ts";

const MAX_PASSED = 100;

export interface ExplainDeps {
  /** Everything that workers were sent. */
  readonly config: Pick<ConfigDelta, "listeners" | "routes" | "scopes" | "clusters" | "endpoints" | "runtime">;
  readonly format: FormatContext;
  readonly readData: (source: DataSource) => Uint8Array | undefined;
}

/** A text says what is wrong with the question. */
export function explainRequest(question: Question, deps: ExplainDeps): Explanation | string {
  const asked = askedRequest(question);
  if (typeof asked === "string") {
    return asked;
  }
  const listeners = deps.config.listeners.set.map(([, listener]) => listener);
  const entry = entryOf(listeners, question, asked.url);
  if (typeof entry === "string") {
    return entry;
  }
  const { listener, why } = entry;
  const base = {
    listener: { name: listener.name, address: addressText(listener.address), why },
    passed: [],
    more: 0,
    outcomes: [],
  };
  const connection = connectionTo(listener, question.from);
  const chosen = chainFor(listener, connection);
  if (chosen === undefined) {
    return { ...base, end: "no filter chain matches: the connection is closed" };
  }
  const { chain } = chosen;
  const placed = { ...base, chain: { name: chain.name, why: chosen.why } };
  if (chain.tls !== undefined) {
    return { ...placed, end: "the filter chain has TLS, which is not served yet: the connection is closed" };
  }
  const clusters = new Map(deps.config.clusters.set);
  const targetOf = (name: string): Target => describeCluster(name, clusters, deps.config.endpoints.set);
  if (chain.filter.kind === "tcp") {
    return { ...placed, tcp: tcpTargets(chain.filter, targetOf) };
  }
  const head = headOf(asked, chain.filter, listener, connection);
  if (typeof head === "string") {
    return { ...placed, end: `the request is refused before it comes to a route: ${head}` };
  }
  const http = { ...placed, request: requestView(head) };
  const narrowed = new NarrowedRoutes(head);
  const { table, source } = routesFor(chain.filter, head, narrowed, deps);
  if (table === undefined) {
    return { ...http, end: `${source}: 404, flag NR` };
  }
  return {
    ...http,
    routes: { name: table.config.name, source },
    ...byTable(table, narrowed, head, chain, targetOf, deps),
  };
}

function requestView({ method, scheme, authority, path, headers }: RequestHead): NonNullable<Explanation["request"]> {
  const fields = Array.from({ length: headers.size }, (_, i) => `${headers.nameAt(i)}: ${utf8(headers.valueAt(i))}`);
  return { method, scheme, authority: utf8(authority), path: utf8(path), headers: fields };
}

/** Heads have bytes as latin1. */
function utf8(wire: string): string {
  return Buffer.from(wire, "latin1").toString("utf8");
}

function tcpTargets({ clusters }: TcpProxy, targetOf: (name: string) => Target): NonNullable<Explanation["tcp"]> {
  const total = clusters.reduce((sum, { weight }) => sum + weight, 0);
  return clusters.map(({ name, weight }) => ({ share: weight / total, cluster: targetOf(name) }));
}

/** The table that serves the request, compiled as workers do, and how it was found (or why there is none). */
function routesFor(
  manager: HttpConnectionManager,
  head: RequestHead,
  narrowed: NarrowedRoutes,
  { config, format, readData }: ExplainDeps,
): { readonly table: RouteTable | undefined; readonly source: string } {
  const { routes } = manager;
  const wanted = config.routes.set
    .filter(([name]) => routes.kind === "scoped" || (routes.kind === "rds" && name === routes.name))
    .map(([name, each]) => [name, narrowed.of(each)] as const);
  const live = new LiveRoutes(format, readData);
  const nothing = { set: [], removed: [] };
  live.apply(
    {
      ...config,
      version: 0,
      listeners: nothing,
      clusters: nothing,
      endpoints: nothing,
      plugins: nothing,
      settled: nothing,
      services: [],
      modules: [],
      retiredModules: [],
      routes: { set: wanted, removed: [] },
    },
    [],
  );
  const serving: ServingRoutes = live.of(narrowed.manager(manager));
  const table = tableFor(serving, head);
  switch (routes.kind) {
    case "inline":
      return { table, source: "in the listener" };
    case "rds":
      return { table, source: table === undefined ? `the routes "${routes.name}" have not come` : "by RDS" };
    case "scoped": {
      const name = serving.scopes?.table.entries.find(
        ({ routes: { table: its } }) => its !== undefined && its === table,
      )?.scope.name;
      const by = routes.fragments.map(({ header }) => header).join(", ");
      return {
        table,
        source: table === undefined ? `no scope for the request's key (${by})` : `of the scope "${name}" (by ${by})`,
      };
    }
  }
}

function byTable(
  table: RouteTable,
  narrowed: NarrowedRoutes,
  head: RequestHead,
  { filter }: FilterChain,
  targetOf: (name: string) => Target,
  { config }: ExplainDeps,
): Pick<Explanation, "end" | "host" | "passed" | "more" | "outcomes"> {
  const virtualHost = table.virtualHostOf(head);
  if (virtualHost === undefined) {
    const domains = narrowed.wholeOf(table.config).virtualHosts.flatMap((each) => each.domains);
    const some = domains.slice(0, 20).join(", ");
    const bare = copyOf(head);
    bare.authority = withoutPort(head.authority);
    const hint =
      table.virtualHostOf(bare) === undefined ? "" : `; with the Host ${utf8(bare.authority)} there would be one`;
    const end = `no virtual host has a domain for "${utf8(head.authority)}"; there are ${some}${domains.length > 20 ? ", …" : ""}: 404, flag NR${hint}`;
    return { end, passed: [], more: 0, outcomes: [] };
  }
  const host = {
    name: virtualHost.name,
    domain: domainOf(virtualHost, table.config, head),
    routes: virtualHost.routes.length,
  };
  const end = pathEnd(head.path);
  const routes = virtualHost.routes.map((route, place) => {
    const bare = bareMatch(virtualHost, route);
    return new CompiledRoute(place, bare, route.match, { runtime: config.runtime ?? {}, problems: [] });
  });
  const outcomes = outcomesOf(table, routes, head, filter.kind === "http" ? filter : undefined, targetOf);
  // Everything before the last route that may be taken was tried.
  const last = Math.max(...outcomes.map(({ route }) => (route === undefined ? routes.length : route.place - 1)));
  const taken = new Set(outcomes.map(({ route }) => route?.place));
  const passed: PassedRoute[] = [];
  let more = 0;
  for (const [place, compiled] of routes.slice(0, last).entries()) {
    const route = virtualHost.routes[place] as Route;
    if (taken.has(place + 1)) {
      continue;
    }
    if (passed.length === MAX_PASSED) {
      more++;
      continue;
    }
    const why = missTexts(route.match, compiled.misses(head, end), head);
    const chance =
      compiled.probability === 0 ? ["its runtime fraction lets no request pass"] : ["other routes take its share"];
    passed.push({
      place: place + 1,
      name: route.name,
      match: matchText(route.match),
      why: why.length > 0 ? why : chance,
    });
  }
  return { host, passed, more, outcomes };
}

/** Which of the host's domains it is, found as hosts are. */
function domainOf({ domains }: VirtualHost, config: RouteConfiguration, head: RequestHead): string {
  const index = new HostIndex<string>(config.ignorePortInHostMatching);
  for (const domain of domains) {
    index.add(domain, domain);
  }
  return index.find(head.authority) ?? "";
}

function bareMatch(virtualHost: VirtualHost, route: Route): RouteMatch {
  return {
    virtualHost,
    route,
    action: route.action,
    requestMutations: undefined,
    responseMutations: undefined,
    clusters: undefined,
    redirect: undefined,
    body: undefined,
    bodyFormatter: undefined,
    filterOverrides: undefined,
  };
}

/**
 * One random number in [0, 1) decides runtime fractions and weighted clusters. Between two neighbours of all numbers that either
 * compares it with, the answer is one: it is asked for in the middle of each such range.
 */
function outcomesOf(
  table: RouteTable,
  routes: readonly CompiledRoute[],
  head: RequestHead,
  manager: HttpConnectionManager | undefined,
  targetOf: (name: string) => Target,
): readonly Outcome[] {
  const borders = new Set([0, 1]);
  for (const route of routes) {
    if (route.probability < 1 && route.accepts(head, pathEnd(head.path), 0)) {
      borders.add(route.probability);
    }
  }
  for (const { action } of routes
    .filter((each) => each.accepts(head, pathEnd(head.path), 0))
    .map(({ match }) => match)) {
    if (action.kind === "forward" && action.cluster.kind === "weighted") {
      const total = action.cluster.clusters.reduce((sum, { weight }) => sum + weight, 0);
      let upTo = 0;
      for (const { weight } of action.cluster.clusters) {
        upTo += weight;
        borders.add(upTo / total);
      }
    }
  }
  const sorted = [...borders].filter((border) => border >= 0 && border <= 1).toSorted((a, b) => a - b);
  const found = new Map<string, { share: number; match: RouteMatch | undefined; pick: ClusterPick | undefined }>();
  for (const [i, from] of sorted.slice(0, -1).entries()) {
    const to = sorted[i + 1] as number;
    const random = (from + to) / 2;
    const match = table.select(head, { random });
    const pick = match === undefined ? undefined : pickCluster(match, head, random);
    const key = `${match?.route === undefined ? "" : match.virtualHost.routes.indexOf(match.route)} ${pick?.clusterName ?? ""}`;
    const known = found.get(key);
    if (known === undefined) {
      found.set(key, { share: to - from, match, pick });
    } else {
      known.share += to - from;
    }
  }
  return [...found.values()].map(({ share, match, pick }) => outcomeOf(share, match, pick, head, manager, targetOf));
}

function outcomeOf(
  share: number,
  match: RouteMatch | undefined,
  pick: ClusterPick | undefined,
  head: RequestHead,
  manager: HttpConnectionManager | undefined,
  targetOf: (name: string) => Target,
): Outcome {
  if (match === undefined) {
    const filters = (manager?.httpFilters ?? []).map((filter) => filterView(filter, undefined, undefined));
    return { share, action: "no route matches: 404, flag NR", filters };
  }
  const { route } = match;
  const overrides = (pick ?? match).filterOverrides;
  const forward: Pick<Outcome, "cluster" | "upstream"> =
    pick === undefined ? {} : { cluster: targetOf(pick.clusterName), ...upstreamOf(pick, head) };
  return {
    share,
    ...(route === undefined
      ? {}
      : {
          route: {
            place: match.virtualHost.routes.indexOf(route) + 1,
            name: route.name,
            match: matchText(route.match),
          },
        }),
    action: actionText(match, head, forward.cluster?.problem ?? ""),
    ...forward,
    filters: (manager?.httpFilters ?? []).map((filter) => filterView(filter, overrides, match)),
  };
}

function actionText({ action, redirect, body, virtualHost }: RouteMatch, head: RequestHead, problem: string): string {
  switch (action.kind) {
    case "forward": {
      if (problem !== "" && problem !== NO_HOSTS) {
        return `${action.clusterNotFoundStatus}, flag NC`;
      }
      const timeout = action.timeoutMs === 0 ? "no timeout" : `timeout ${action.timeoutMs / 1000} s`;
      return `forward, ${timeout}${action.priority === "high" ? ", priority high" : ""}`;
    }
    case "redirect": {
      const to = redirect?.location(copyOf(head)) ?? "";
      const why = action.httpsRedirect && virtualHost.requireTls !== "none" ? "the virtual host wants TLS: " : "";
      return `${why}redirect ${action.status} to ${to}`;
    }
    case "direct_response":
      return `direct response ${action.status}, ${body === undefined ? "without a body" : `${body.length} bytes`}`;
    case "non_forwarding":
      return "non_forwarding_action: 404, flag NR";
  }
}

function copyOf({ method, path, authority, scheme, headers }: RequestHead): RequestHead {
  return new RequestHead(method, path, authority, scheme, headers.clone());
}

/** Host and path as they go upstream, where they are rewritten. */
function upstreamOf({ rewrite }: ClusterPick, head: RequestHead): { readonly upstream?: string } {
  if (rewrite === undefined) {
    return {};
  }
  const copy = copyOf(head);
  rewriteRequest(copy, rewrite, "", true);
  const host = rewrite.isAutoHost ? "the host's own name" : utf8(copy.authority);
  return { upstream: `host ${host}, path ${utf8(copy.path)}` };
}
